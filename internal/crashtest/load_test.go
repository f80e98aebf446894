package crashtest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/internal/testlong"
)

// deadline is when a client gives up on a request. The server promises to answer long before.
const deadline = 2 * time.Minute

// pause is how long a client waits after a request that failed, so that it does not run hot.
const pause = 10 * time.Millisecond

// The leases of a load start in this window.
var window = client.Window{
	From: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC),
	To:   time.Date(2026, 6, 4, 0, 0, 0, 0, time.UTC),
}

// load writes to the servers of one database with several clients, and records requests and acknowledgements.
type load struct {
	t        *testing.T
	database string
	token    string
	orgs     []string

	mu       sync.Mutex
	troubled bool // the database is in trouble, so that 503 is an answer
	random   *rand.Rand
	requests []*request
	leases   map[string]*lease   // by handle
	open     map[string][]*lease // by organization: acknowledged as running and not yet sent as finished
	counts   counts
	want     int           // the number of acknowledgements at which reached is closed
	reached  chan struct{} // nil unless await is waiting
}

// counts is the number of attempts to send, by their outcome.
type counts struct {
	sent         int // attempts
	acknowledged int
	again        int // attempts with a request that was sent before
	broken       int // attempts that ended with the connection
	unavailable  int // attempts answered with 503
	inARow       int // acknowledged since the last attempt that was not
}

func (c counts) String() string {
	return fmt.Sprintf("%d sent (%d of them again), %d acknowledged, %d broken off, %d unavailable",
		c.sent, c.again, c.acknowledged, c.broken, c.unavailable)
}

// request is a write, which may be sent any number of times.
type request struct {
	org    string
	leases []client.Lease // of recordLeases; nil for postCredit
	key    string         // of postCredit
	credit client.PostCreditRequest

	attempts     int
	acknowledged bool
	entry        string // the id of the credit's entry, as answered
}

func (r *request) String() string {
	if r.leases == nil {
		return fmt.Sprintf("%s to %s, sent %d times", r.key, r.org, r.attempts)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d leases to %s, sent %d times:", len(r.leases), r.org, r.attempts)
	for i := range r.leases {
		state := "running"
		if r.leases[i].FinishedAt != nil {
			state = "finished"
		}
		fmt.Fprintf(&b, " %s %s", *r.leases[i].VMHandle, state)
	}
	return b.String()
}

// lease is the state of one lease, which several requests may contain.
type lease struct {
	latest client.Lease // as last sent
	id     client.UUID  // as answered
	billed bool         // by an answer
}

// finished tells whether the lease was sent as finished.
func (l *lease) finished() bool { return l.latest.FinishedAt != nil }

// newLoad creates the organizations and a token, and returns a load that writes to them. The load has a random source of its
// own, with a seed from the source of the test.
func newLoad(t *testing.T, database string, random *rand.Rand, orgs ...string) *load {
	t.Helper()
	return &load{
		t: t, database: database, token: prepare(t, database, orgs), orgs: orgs,
		random: rand.New(rand.NewPCG(random.Uint64(), 0)), leases: map[string]*lease{}, open: map[string][]*lease{},
	}
}

// serve starts another server of the load's database.
func (l *load) serve() *service {
	l.t.Helper()
	return serve(l.t, l.database, l.token)
}

// begin has all clients send until the function that it returns is called, which waits for the last answers.
func (l *load) begin(servers ...*service) (end func()) {
	stop := make(chan struct{})
	var sending sync.WaitGroup
	end = sync.OnceFunc(func() {
		close(stop)
		sending.Wait()
	})
	l.t.Cleanup(end)
	for i := range clients {
		sending.Go(func() {
			for !l.t.Failed() {
				select {
				case <-stop:
					return
				default:
				}
				if !l.send(servers[i%len(servers)], i, l.next()) {
					select {
					case <-stop:
					case <-time.After(pause):
					}
				}
			}
		})
	}
	return end
}

// count reads the counts.
func (l *load) count() counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}

// await waits until n more requests are acknowledged and returns immediately then: a server that acknowledges a write too
// early loses it only if it is killed right after the acknowledgement.
func (l *load) await(n int) {
	l.t.Helper()
	l.mu.Lock()
	reached := make(chan struct{})
	l.want, l.reached = l.counts.acknowledged+n, reached
	l.mu.Unlock()
	for end := time.After(patience); ; {
		select {
		case <-reached:
			return
		case <-time.After(time.Second):
			if l.t.Failed() {
				l.t.FailNow()
			}
		case <-end:
			l.t.Fatalf("waited %s in vain for %d acknowledgements", patience, n)
		}
	}
}

// setTroubled tells whether requests may be answered with 503 from now on.
func (l *load) setTroubled(troubled bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.troubled = troubled
}

// next returns the request to send next: a new one, or one that was sent before.
func (l *load) next() *request {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.requests); n > 0 && l.random.IntN(6) == 0 {
		// An earlier request is repeated, with any outcome. Half of the time it is a recent one, which may still be in flight.
		r := l.requests[l.random.IntN(n)]
		if l.random.IntN(2) == 0 {
			r = l.requests[n-1-l.random.IntN(min(n, clients))]
		}
		return r
	}
	r := &request{org: l.orgs[l.random.IntN(len(l.orgs))]}
	switch n := l.random.IntN(100); {
	case n < 35:
		r.key = "credit-" + newID(l.random).String()
		r.credit = client.PostCreditRequest{
			AmountCents: 1 + l.random.Int64N(1000), Source: client.CreditSourceAdminGrant, Description: &r.key,
		}
	case n < 70:
		l.add(r)
	case n < 80:
		l.finish(r, 1)
	case n < 98:
		l.fill(r, 2+l.random.IntN(12))
	default:
		l.fill(r, testlong.Pick(50, 150))
	}
	if r.leases == nil && r.key == "" { // nothing was there to finish
		l.fill(r, 2)
	}
	l.requests = append(l.requests, r)
	return r
}

// fill gives a request n new leases; it also finishes some that run, and now and then it names one twice.
func (l *load) fill(r *request, n int) {
	for range n {
		l.add(r)
	}
	l.finish(r, l.random.IntN(4))
	if l.random.IntN(8) == 0 {
		r.leases = append(r.leases, r.leases[0])
	}
}

func newID(random *rand.Rand) (id client.UUID) {
	binary.BigEndian.PutUint64(id[:8], random.Uint64())
	binary.BigEndian.PutUint64(id[8:], random.Uint64())
	return id
}

// add makes up a lease. Its handle, which a breakdown shows, is its key, which its debit names.
func (l *load) add(r *request) {
	id := newID(l.random)
	handle := id.String()
	made := client.Lease{
		VMHandle: &handle, CPUCount: 1 + l.random.Int64N(8), MemoryGB: 1 + l.random.Int64N(32), DiskGB: 1 + l.random.Int64N(100),
		StartedAt: window.From.Add(time.Duration(l.random.Int64N(int64(window.To.Sub(window.From)/time.Microsecond))) * time.Microsecond),
	}
	if l.random.IntN(4) == 0 {
		made.LeaseID = &id
	} else {
		made.JobID = &id
	}
	if l.random.IntN(3) > 0 {
		made = l.finishedOne(made)
	}
	l.leases[handle] = &lease{latest: made}
	r.leases = append(r.leases, made)
}

func (l *load) finishedOne(running client.Lease) client.Lease {
	finished := running.StartedAt.Add(time.Duration(l.random.Int64N(7200)) * time.Second)
	running.FinishedAt = &finished
	return running
}

// finish adds to a request up to n leases of its organization that run, as finished.
func (l *load) finish(r *request, n int) {
	open := l.open[r.org]
	for range min(n, len(open)) {
		i := l.random.IntN(len(open))
		one := open[i]
		open[i] = open[len(open)-1]
		open = open[:len(open)-1]
		one.latest = l.finishedOne(one.latest)
		r.leases = append(r.leases, one.latest)
	}
	l.open[r.org] = open
}

func (r *request) has(handle string) bool {
	for i := range r.leases {
		if *r.leases[i].VMHandle == handle {
			return true
		}
	}
	return false
}

// send has a client send a request once and tells whether it was answered.
func (l *load) send(s *service, i int, r *request) bool {
	c := s.clients[i]
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if r.leases == nil {
		posted, err := c.PostCredit(ctx, r.org, r.key, r.credit)
		return l.answered(s, r, err, func() { l.posted(r, posted) })
	}
	results, err := c.RecordLeases(ctx, r.org, r.leases)
	return l.answered(s, r, err, func() { l.recorded(r, results) })
}

// answered takes in how an attempt ended.
func (l *load) answered(s *service, r *request, err error, acknowledge func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.sent++
	if r.attempts++; r.attempts > 1 {
		l.counts.again++
	}
	answer, ok := errors.AsType[*client.Error](err)
	if err == nil {
		l.counts.acknowledged++
		l.counts.inARow++
		if l.reached != nil && l.counts.acknowledged >= l.want {
			close(l.reached)
			l.reached = nil
		}
		acknowledge()
		r.acknowledged = true
		return true
	}
	l.counts.inARow = 0
	switch {
	case ok && answer.Code == client.CodeUnavailable && answer.Status == http.StatusServiceUnavailable && l.troubled:
		l.counts.unavailable++
	case ok:
		l.t.Error(err)
	case errors.Is(err, context.DeadlineExceeded):
		l.t.Errorf("a request hangs: %v", err)
	case s.killed.Load() && !errors.Is(err, client.ErrInvalidResponse):
		l.counts.broken++
	default:
		l.t.Error(err)
	}
	return false
}

func (l *load) posted(r *request, posted *client.PostedCredit) {
	if posted.AmountCents != r.credit.AmountCents || posted.Description == nil || *posted.Description != r.key {
		l.t.Errorf("the credit %s is answered with %+v", r.key, posted.Transaction)
	}
	switch id := posted.ID.String(); {
	case r.entry == "":
		r.entry = id
	case r.entry != id:
		l.t.Errorf("the credit %s was entry %s and is now %s", r.key, r.entry, id)
	}
}

func (l *load) recorded(r *request, results []client.RecordedLease) {
	for i, result := range results {
		sent := &r.leases[i]
		known := l.leases[*sent.VMHandle]
		switch {
		case known.id == client.UUID{}:
			known.id = result.LeaseID
		case known.id != result.LeaseID:
			l.t.Errorf("the lease %s was known as %s and is now %s", *sent.VMHandle, known.id, result.LeaseID)
		}
		if sent.FinishedAt == nil {
			// The start may arrive, or be sent again, after the finish.
			isFinished := known.finished() && result.Status == client.LeaseStatusDuplicate && result.AmountCents == -cost(&known.latest)
			if !isFinished && (result.Status == client.LeaseStatusBilled || result.AmountCents != 0) {
				l.t.Errorf("the running lease %s is answered with %+v", *sent.VMHandle, result)
			}
			continue
		}
		if result.Status == client.LeaseStatusRunning || result.AmountCents != -cost(sent) {
			l.t.Errorf("the lease %s, of %d cents, is answered with %+v", *sent.VMHandle, cost(sent), result)
		}
		if result.Status == client.LeaseStatusBilled {
			if known.billed {
				l.t.Errorf("the lease %s was billed twice", *sent.VMHandle)
			}
			known.billed = true
		}
	}
	if r.acknowledged {
		return
	}
	for i := range r.leases {
		if known := l.leases[*r.leases[i].VMHandle]; !known.finished() && !r.repeats(i) {
			l.open[r.org] = append(l.open[r.org], known)
		}
	}
}

// repeats tells whether a lease is in the request before.
func (r *request) repeats(i int) bool {
	return (&request{leases: r.leases[:i]}).has(*r.leases[i].VMHandle)
}

// cost returns the cents that a finished lease costs at Harmont's rates, rounded down.
func cost(l *client.Lease) int64 {
	seconds := int64(l.FinishedAt.Sub(l.StartedAt) / time.Second)
	return (l.CPUCount*10_000 + l.MemoryGB*5_000 + l.DiskGB*100) * seconds / 1_000_000
}

// settle sends everything again that was never acknowledged, until it is, and tells how much that was.
func (l *load) settle(servers ...*service) int {
	l.t.Helper()
	waiting := make(chan *request, len(l.requests))
	for _, r := range l.requests {
		if !r.acknowledged {
			waiting <- r
		}
	}
	close(waiting)
	number := len(waiting)
	var sending sync.WaitGroup
	for i := range clients {
		sending.Go(func() {
			for r := range waiting {
				for !l.send(servers[i%len(servers)], i, r) && !l.t.Failed() {
					time.Sleep(pause)
				}
			}
		})
	}
	sending.Wait()
	return number
}

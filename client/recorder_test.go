package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/internal/testbinary"
	"github.com/harmont-dev/harmont-billing/server"
)

// callbackLog collects the calls of OnAccepted and OnRejected.
type callbackLog struct {
	mu       sync.Mutex
	accepted map[client.UUID]client.RecordedLease // by the lease's handle
	rejected map[client.UUID]error
	order    []client.UUID
	repeated []client.UUID
}

func (o *callbackLog) options(options client.RecorderOptions) client.RecorderOptions {
	o.accepted, o.rejected = map[client.UUID]client.RecordedLease{}, map[client.UUID]error{}
	options.OnAccepted = func(lease client.Lease, result client.RecordedLease) {
		o.add(lease, func(id client.UUID) { o.accepted[id] = result })
	}
	options.OnRejected = func(lease client.Lease, err error) { o.add(lease, func(id client.UUID) { o.rejected[id] = err }) }
	return options
}

func (o *callbackLog) add(lease client.Lease, add func(client.UUID)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	id := *lease.LeaseID
	if slices.Contains(o.order, id) {
		o.repeated = append(o.repeated, id)
	}
	o.order = append(o.order, id)
	add(id)
}

func (o *callbackLog) wantCounts(t *testing.T, accepted, rejected int) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.accepted) != accepted || len(o.rejected) != rejected || len(o.repeated) > 0 {
		t.Errorf("%d accepted, want %d; %d rejected, want %d; %d given back twice", len(o.accepted), accepted, len(o.rejected), rejected, len(o.repeated))
	}
}

func newLease(i int) client.Lease {
	start := time.Date(2026, 6, 6, 10, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Second)
	return client.Lease{LeaseID: new(uuid.New()), CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: start, FinishedAt: new(start.Add(5 * time.Minute))}
}

func newRecorder(t *testing.T, c *client.Client, options client.RecorderOptions, opts ...client.Option) *client.Recorder {
	t.Helper()
	r, err := client.NewRecorder(c, "acme", options, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustRecord(t *testing.T, r *client.Recorder, leases ...client.Lease) {
	t.Helper()
	for _, lease := range leases {
		if err := r.Record(t.Context(), lease); err != nil {
			t.Fatal(err)
		}
	}
}

func mustClose(t *testing.T, r *client.Recorder) {
	t.Helper()
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// Many goroutines record, few requests are sent, and the ledger has each lease once.
func TestRecorder(t *testing.T) {
	t.Parallel()
	c := newBilling(t, "acme").client(t, server.RoleWrite, "acme")
	var o callbackLog
	requests := 0
	r := newRecorder(t, c, o.options(client.RecorderOptions{Interval: time.Hour}), countRequests(&requests, nil))
	const workers, each = 10, 250
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for i := range each {
				if err := r.Record(t.Context(), newLease(worker*each+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	mustClose(t, r)
	o.wantCounts(t, workers*each, 0)
	if requests != 3 { // 1 000, 1 000 and the rest by Close
		t.Errorf("%d requests", requests)
	}
	entries := 0
	for tx, err := range c.Transactions(t.Context(), "acme") {
		if err != nil || tx.AmountCents != -12 {
			t.Fatal(tx, err)
		}
		entries++
	}
	if entries != workers*each {
		t.Errorf("%d entries", entries)
	}
	if err := r.Record(t.Context(), newLease(0)); !errors.Is(err, client.ErrRecorderClosed) {
		t.Errorf("got %v", err)
	}
	mustClose(t, r)
}

// A few bad leases among a thousand do not keep the others from being recorded.
func TestRecorderSplits(t *testing.T) {
	t.Parallel()
	c := newBilling(t, "acme").client(t, server.RoleWrite, "acme")
	billed := newLease(0)
	if _, err := c.RecordLeases(t.Context(), "acme", []client.Lease{billed}); err != nil {
		t.Fatal(err)
	}
	billed.CPUCount++
	invalid := newLease(1)
	invalid.FinishedAt = new(invalid.StartedAt.Add(-time.Hour))
	unencodable := newLease(2)
	unencodable.FinishedAt = new(time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC))
	invalidLeases := map[int]struct {
		lease client.Lease
		is    func(error) bool
	}{
		17:  {billed, func(err error) bool { return errors.Is(err, client.ErrLeaseConflict) }},
		18:  {invalid, func(err error) bool { return errors.Is(err, client.ErrLeaseInvalid) }},
		999: {unencodable, func(err error) bool { return strings.Contains(err.Error(), "year") }},
	}
	var o callbackLog
	r := newRecorder(t, c, o.options(client.RecorderOptions{Interval: time.Hour}))
	var sent []client.UUID
	for i := range 1000 {
		lease := newLease(i)
		if b, ok := invalidLeases[i]; ok {
			lease = b.lease
		}
		sent = append(sent, *lease.LeaseID)
		mustRecord(t, r, lease)
	}
	mustClose(t, r)
	o.wantCounts(t, 997, 3)
	for _, b := range invalidLeases {
		if err := o.rejected[*b.lease.LeaseID]; err == nil || !b.is(err) {
			t.Errorf("rejected with %v", err)
		}
	}
	if !slices.Equal(o.order, sent) {
		t.Error("the leases were not recorded in order")
	}
}

// A job's lease that is reported as it starts and as it finishes is billed, though both reports share a request.
func TestRecorderKeepsTheOrderOfOneLease(t *testing.T) {
	c := newBilling(t, "acme").client(t, server.RoleWrite, "acme")
	var statuses []client.LeaseStatus
	r := newRecorder(t, c, client.RecorderOptions{
		Interval:   time.Hour,
		OnAccepted: func(_ client.Lease, result client.RecordedLease) { statuses = append(statuses, result.Status) },
		OnRejected: func(_ client.Lease, err error) { t.Error(err) },
	})
	finished := newLease(0)
	running := finished
	running.FinishedAt = nil
	mustRecord(t, r, running, finished, finished)
	mustClose(t, r)
	if want := []client.LeaseStatus{client.LeaseStatusRunning, client.LeaseStatusBilled, client.LeaseStatusDuplicate}; !slices.Equal(statuses, want) {
		t.Errorf("got %v", statuses)
	}
}

// leaseTransport is a transport that accepts leases, unless nextFailure returns a failure.
type leaseTransport struct {
	batches     []int
	ids         []client.UUID
	nextFailure func() http.RoundTripper
}

func (l *leaseTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.nextFailure != nil {
		if failure := l.nextFailure(); failure != nil {
			return failure.RoundTrip(r)
		}
	}
	var body struct {
		Leases []client.Lease `json:"leases"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return nil, err
	}
	l.batches = append(l.batches, len(body.Leases))
	var results []string
	for _, lease := range body.Leases {
		l.ids = append(l.ids, *lease.LeaseID)
		results = append(results, fmt.Sprintf(`{"lease_id":%q,"status":"billed","amount_cents":-1}`, lease.LeaseID))
	}
	return answers(200, `{"data":[`+strings.Join(results, ",")+`]}`)(r)
}

func (l *leaseTransport) client(t *testing.T) *client.Client {
	return newClient(t, "http://billing.invalid", client.WithHTTPClient(&http.Client{Transport: l}))
}

// The bubble of synctest fails when a goroutine is left, so these tests are about that, too.

func TestRecorderBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l leaseTransport
		var o callbackLog
		r := newRecorder(t, l.client(t), o.options(client.RecorderOptions{BatchSize: 3, Interval: 10 * time.Second}))
		for i := range 7 {
			mustRecord(t, r, newLease(i))
		}
		synctest.Wait()
		o.wantCounts(t, 6, 0) // by size, immediately
		time.Sleep(10*time.Second - 1)
		synctest.Wait()
		o.wantCounts(t, 6, 0)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		o.wantCounts(t, 7, 0) // by the interval
		mustRecord(t, r, newLease(7))
		start := time.Now()
		mustClose(t, r) // by Close, immediately
		o.wantCounts(t, 8, 0)
		if fmt.Sprint(l.batches) != "[3 3 1 1]" || time.Since(start) != 0 {
			t.Errorf("batches %v; Close took %s", l.batches, time.Since(start))
		}
	})
}

func TestRecorderGivesIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l leaseTransport
		var o callbackLog
		r := newRecorder(t, l.client(t), o.options(client.RecorderOptions{}))
		mustRecord(t, r, client.Lease{}, client.Lease{})
		mustClose(t, r)
		o.wantCounts(t, 2, 0)
		if len(l.ids) != 2 || l.ids[0] == l.ids[1] || l.ids[0] == (client.UUID{}) {
			t.Errorf("ids %v", l.ids)
		}
	})
}

// The recorder waits for the end of every temporary failure, and the leases stay in order.
func TestRecorderOutlastsFailures(t *testing.T) {
	t.Parallel()
	failures := []http.RoundTripper{
		failsWith(errRefused), answersStatus(503), answersStatus(429, "Retry-After", "30"), answersStatus(500), answersStatus(502), breaksOffAfter(`{"data":`), answers(200, `{}`),
		answersStatus(200, "Content-Type", "text/html"), waitForContext{},
	}
	synctest.Test(t, func(t *testing.T) {
		n := 0
		l := leaseTransport{nextFailure: func() http.RoundTripper {
			if n++; n > 100 {
				return nil
			}
			return failures[n%len(failures)]
		}}
		var o callbackLog
		tokens := 0
		r := newRecorder(t, l.client(t), o.options(client.RecorderOptions{}), client.WithTokenSource(func(context.Context) (string, error) {
			if tokens++; tokens < 3 {
				return "", errors.New("the vault is sealed")
			}
			return testToken, nil
		}))
		var sent []client.UUID
		for i := range 5000 {
			lease := newLease(i)
			sent = append(sent, *lease.LeaseID)
			mustRecord(t, r, lease)
		}
		mustClose(t, r)
		o.wantCounts(t, 5000, 0)
		if !slices.Equal(l.ids, sent) {
			t.Error("the leases were not recorded in order, each once")
		}
	})
}

func TestRecorderGivesBackWhatIsRefused(t *testing.T) {
	for _, code := range []int{401, 403, 404, 301} {
		synctest.Test(t, func(t *testing.T) {
			requests := 0
			l := leaseTransport{nextFailure: func() http.RoundTripper { requests++; return answersStatus(code) }}
			var o callbackLog
			r := newRecorder(t, l.client(t), o.options(client.RecorderOptions{}))
			for i := range 100 {
				mustRecord(t, r, newLease(i))
			}
			mustClose(t, r)
			o.wantCounts(t, 0, 100)
			for _, err := range o.rejected {
				if apiErr, ok := errors.AsType[*client.Error](err); !ok || apiErr.Status != code {
					t.Fatal(err)
				}
			}
			if requests != 1 {
				t.Errorf("%d requests", requests)
			}
		})
	}
}

func TestRecorderFull(t *testing.T) {
	down := func() http.RoundTripper { return waitForContext{} }
	fill := func(t *testing.T, r *client.Recorder) {
		t.Helper()
		mustRecord(t, r, newLease(0)) // the batch under way
		synctest.Wait()
		mustRecord(t, r, newLease(1), newLease(2))
	}
	closed := func(t *testing.T, r *client.Recorder, rejected int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		err := r.Close(ctx)
		if !errors.Is(err, client.ErrRecorderClosed) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), fmt.Sprint(rejected, " leases")) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("it took %s", took)
		}
	}
	options := client.RecorderOptions{BatchSize: 1, Buffer: 2}
	t.Run("drops", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := leaseTransport{nextFailure: down}
			var o callbackLog
			options := o.options(options)
			options.DropWhenFull = true
			r := newRecorder(t, l.client(t), options)
			fill(t, r)
			if err := r.Record(t.Context(), newLease(3)); !errors.Is(err, client.ErrRecorderFull) {
				t.Errorf("got %v", err)
			}
			closed(t, r, 3)
			o.wantCounts(t, 0, 3)
			for _, err := range o.rejected {
				if !errors.Is(err, client.ErrRecorderClosed) || !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			}
		})
	})
	t.Run("waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			up := make(chan struct{})
			l := leaseTransport{nextFailure: func() http.RoundTripper {
				<-up
				return nil
			}}
			var o callbackLog
			r := newRecorder(t, l.client(t), o.options(options), client.WithTimeout(0))
			fill(t, r)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := r.Record(ctx, newLease(3)); !errors.Is(err, client.ErrRecorderFull) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			var wg sync.WaitGroup
			wg.Go(func() { mustRecord(t, r, newLease(4)) })
			synctest.Wait()
			close(up)
			wg.Wait()
			mustClose(t, r)
			o.wantCounts(t, 4, 0)
		})
	})
	t.Run("Close frees who waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := leaseTransport{nextFailure: down}
			var o callbackLog
			r := newRecorder(t, l.client(t), o.options(options))
			fill(t, r)
			var wg sync.WaitGroup
			for range 5 {
				wg.Go(func() {
					if err := r.Record(t.Context(), newLease(3)); !errors.Is(err, client.ErrRecorderClosed) {
						t.Errorf("got %v", err)
					}
				})
			}
			synctest.Wait()
			wg.Go(func() { closed(t, r, 3) })
			wg.Go(func() { closed(t, r, 3) })
			wg.Wait()
			o.wantCounts(t, 0, 3)
		})
	})
}

func TestNewRecorderRefuses(t *testing.T) {
	c := newClient(t, "http://billing.invalid")
	keep := func(client.Lease, error) {}
	for name, options := range map[string]client.RecorderOptions{
		"nowhere to give back": {}, "a batch too large": {OnRejected: keep, BatchSize: 1001}, "a negative batch": {OnRejected: keep, BatchSize: -1},
		"a negative interval": {OnRejected: keep, Interval: -1}, "a negative buffer": {OnRejected: keep, Buffer: -1},
	} {
		if _, err := client.NewRecorder(c, "acme", options); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := client.NewRecorder(c, "..", client.RecorderOptions{OnRejected: keep}); err == nil {
		t.Error("a wrong organization is taken")
	}
	if _, err := client.NewRecorder(c, "acme", client.RecorderOptions{OnRejected: keep}, client.WithTimeout(-1)); err == nil {
		t.Error("a wrong option is taken")
	}
}

func TestMain(m *testing.M) {
	status := m.Run()
	testbinary.Remove()
	os.Exit(status)
}

// Every lease that a recorder reports as accepted is billed once, and no lease twice, although the server is killed repeatedly.
func TestRecorderOutlivesTheServer(t *testing.T) {
	t.Parallel()
	database := "sqlite:" + filepath.Join(t.TempDir(), "billing.db")
	path, err := testbinary.Path()
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(path, append(args, "--database", database)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("org", "create", "acme")
	token := run("token", "create", "--name", "scheduler", "--role", "write", "--org", "acme")
	p := testbinary.Serve(t, path, "--database", database, "--listen", "127.0.0.1:0")
	listen := strings.TrimPrefix(p.URL, "http://")
	c := newClient(t, p.URL, client.WithToken(token), client.WithTimeout(time.Minute))

	const leases, kills = 2000, 4
	var o callbackLog
	progress := make(chan struct{}, leases)
	options := o.options(client.RecorderOptions{BatchSize: 10, Interval: time.Millisecond, Buffer: 20})
	note := options.OnAccepted
	options.OnAccepted = func(lease client.Lease, result client.RecordedLease) {
		note(lease, result)
		progress <- struct{}{}
	}
	r := newRecorder(t, c, options)
	sent := map[client.UUID]bool{}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range leases {
			lease := newLease(i)
			sent[*lease.LeaseID] = true
			mustRecord(t, r, lease)
		}
	})
	for range kills {
		for range leases / (kills + 1) {
			<-progress
		}
		p.Kill() // with leases waiting and on their way
		p = testbinary.Serve(t, path, "--database", database, "--listen", listen)
	}
	wg.Wait()
	mustClose(t, r)
	o.wantCounts(t, len(sent), 0)
	billed := map[string]int{}
	for tx, err := range c.Transactions(t.Context(), "acme") {
		if err != nil {
			t.Fatal(err)
		}
		// VM lease ID started …
		billed[strings.Fields(*tx.Description)[2]]++
	}
	for id := range o.accepted {
		if !sent[id] || billed[id.String()] != 1 {
			t.Errorf("the lease %s was billed %d times", id, billed[id.String()])
		}
	}
	if len(billed) != len(sent) {
		t.Errorf("%d leases were billed, %d were sent", len(billed), len(sent))
	}
}

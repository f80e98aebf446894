package crashtest

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/testlong"
)

// Two servers of one database get the same job and the same Idempotency-Key at the same time, many times each.
func TestTwoServersSameKeys(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, database string) {
		random := newRandom(t)
		orgs := []string{"acme", "globex"}
		token := prepare(t, database, orgs)
		p := pair{t: t, servers: [2]*service{serve(t, database, token), serve(t, database, token)}}

		times := testlong.Pick(50, 1000)                             // half of them to each organization
		l := load{t: t, random: random, leases: map[string]*lease{}} // to make leases
		var requests []*request
		for i := range times {
			leases := &request{org: orgs[i%len(orgs)]}
			l.add(leases)
			if leases.leases[0].FinishedAt == nil {
				leases.leases[0] = l.finishedOne(leases.leases[0])
			}
			credit := &request{org: leases.org, key: "credit-" + newID(random).String()}
			credit.credit = client.PostCreditRequest{AmountCents: 1 + random.Int64N(1000), Source: client.CreditSourceRefund, Description: &credit.key}
			requests = append(requests, leases, credit)
		}
		random.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })

		waiting := make(chan *request, len(requests))
		for _, r := range requests {
			waiting <- r
		}
		close(waiting)
		var sending sync.WaitGroup
		for i := range clients / 2 {
			sending.Go(func() {
				for r := range waiting {
					if r.leases != nil {
						p.record(i, r)
					} else {
						p.post(i, r)
					}
				}
			})
		}
		sending.Wait()

		for _, org := range orgs {
			b := readBooks(t, p.servers[0].clients[0], org)
			if other := readBooks(t, p.servers[1].clients[0], org); !reflect.DeepEqual(b, other) {
				t.Errorf("the servers tell different things about %s: balances %d and %d", org, b.balance, other.balance)
			}
			var balance int64
			for _, r := range requests {
				if there, all := b.find(t, r); r.org == org && there != all {
					t.Errorf("it is not there: %s", r)
				}
				if r.org == org && r.leases != nil {
					balance -= cost(&r.leases[0])
				} else if r.org == org {
					balance += r.credit.AmountCents
				}
			}
			if n := len(b.debits) + len(b.credits); n != len(requests)/len(orgs) || b.balance != balance {
				t.Errorf("%s has %d entries and a balance of %d, want %d and %d", org, n, b.balance, len(requests)/len(orgs), balance)
			}
		}
		verify(t, database, orgs)
		t.Logf("%d jobs and %d keys, each sent to both servers at once and billed once; %d attempts had to be sent again",
			times, times, p.again.Load())
	})
}

// pair is two servers of one database.
type pair struct {
	t       *testing.T
	servers [2]*service
	again   atomic.Int64 // attempts that were answered with 503
}

// both sends to both servers at the same time, to each until it answers.
func both[T any](p *pair, i int, send func(context.Context, *client.Client) (T, error)) (answers [2]T) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var ready, done sync.WaitGroup
	ready.Add(len(p.servers))
	for j, s := range p.servers {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			for {
				answer, err := send(ctx, s.clients[i])
				if e, ok := errors.AsType[*client.Error](err); ok && e.Code == client.CodeUnavailable {
					p.again.Add(1)
					time.Sleep(pause)
					continue
				}
				if err != nil {
					p.t.Error(err)
				}
				answers[j] = answer
				return
			}
		})
	}
	done.Wait()
	return answers
}

func (p *pair) record(i int, r *request) {
	answers := both(p, i, func(ctx context.Context, c *client.Client) (answer client.RecordedLease, err error) {
		results, err := c.RecordLeases(ctx, r.org, r.leases)
		if err == nil {
			answer = results[0]
		}
		return answer, err
	})
	one, other := answers[0], answers[1]
	billed := 0
	for _, answer := range answers {
		if answer.Status == client.LeaseStatusBilled {
			billed++
		}
	}
	// An attempt that was answered with 503 may have billed the lease.
	if billed > 1 || billed < 1 && p.again.Load() == 0 || one.LeaseID != other.LeaseID || one.AmountCents != other.AmountCents {
		p.t.Errorf("the servers answer %+v and %+v", one, other)
	}
}

func (p *pair) post(i int, r *request) {
	answers := both(p, i, func(ctx context.Context, c *client.Client) (answer client.PostedCredit, err error) {
		posted, err := c.PostCredit(ctx, r.org, r.key, r.credit)
		if err == nil {
			answer = *posted
		}
		return answer, err
	})
	one, other := answers[0], answers[1]
	twice := !one.Replayed && !other.Replayed
	never := one.Replayed && other.Replayed && p.again.Load() == 0
	if twice || never || one.ID != other.ID || !one.CreatedAt.Equal(other.CreatedAt) {
		p.t.Errorf("the servers answer %+v and %+v", one, other)
	}
}

// Two servers of one database write to the same eight organizations, each commit to several of them in an order of its
// own. None may fail for the sake of another.
func TestTwoServersSameOrganizations(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, database string) {
		l := newLoad(t, database, newRandom(t), "a", "b", "c", "d", "e", "f", "g", "h")
		servers := []*service{l.serve(), l.serve()}
		end := l.begin(servers...)
		l.await(testlong.Pick(80, 1000))
		verify(t, database, l.orgs) // while clients write
		l.await(testlong.Pick(40, 500))
		end()
		l.conclude(1, servers...)
		if strings.HasPrefix(database, "postgres:") {
			for _, s := range servers {
				s.kill() // the end of a connection makes PostgreSQL publish its counters
			}
			checkNoDeadlocks(t, database)
		}
	})
}

// checkNoDeadlocks checks that PostgreSQL has resolved no deadlock. Each would cost a second, and would stay unnoticed because the
// transaction is tried again.
func checkNoDeadlocks(t *testing.T, database string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	db := pgtest.Connect(t, database)
	eventually(t, "connections to end", func() bool {
		var others int
		err := db.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid()`).Scan(&others)
		if err != nil {
			t.Fatal(err)
		}
		return others == 0
	})
	var deadlocks int
	if err := db.QueryRowContext(ctx, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`).Scan(&deadlocks); err != nil {
		t.Fatal(err)
	}
	if deadlocks != 0 {
		t.Errorf("%d deadlocks", deadlocks)
	}
}

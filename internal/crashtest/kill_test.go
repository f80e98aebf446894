package crashtest

import (
	"context"
	"errors"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/testlong"
)

// mostAnswers is how many writes are answered at the most before something is killed.
var mostAnswers = testlong.Pick(60, 300)

// The server is killed while 16 clients write, and started again on the same database.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	inParts(t, func(t *testing.T, rounds int) {
		onEachStore(t, func(t *testing.T, database string) {
			random := newRandom(t)
			l := newLoad(t, database, random, "acme", "globex", "initech")
			for range rounds {
				s := l.serve()
				l.check(s)
				end := l.begin(s)
				l.await(1 + random.IntN(mostAnswers))
				if random.IntN(2) == 0 {
					time.Sleep(time.Duration(random.IntN(10_000)) * time.Microsecond)
				}
				s.kill()
				end()
				verify(t, database, l.orgs)
			}
			l.conclude(rounds, l.serve())
		})
	})
}

// One of two servers of a database is killed. That must not cost the other one's clients anything.
func TestOneOfTwoServersKilled(t *testing.T) {
	t.Parallel()
	inParts(t, func(t *testing.T, rounds int) {
		onEachStore(t, func(t *testing.T, database string) {
			random := newRandom(t)
			l := newLoad(t, database, random, "acme", "globex", "initech")
			other := l.serve()
			for range rounds {
				endOther := l.begin(other)
				s := l.serve()
				end := l.begin(s)
				l.await(1 + random.IntN(mostAnswers))
				s.kill()
				end()
				l.await(clients)
				endOther()
				verify(t, database, l.orgs)
			}
			l.conclude(rounds, other)
		})
	})
}

// conclude checks the books, repeats the requests that were not acknowledged, and checks that all requests are in the books then.
func (l *load) conclude(rounds int, servers ...*service) {
	l.t.Helper()
	unacknowledged := l.check(servers[0])
	settled := l.settle(servers...)
	for _, s := range servers {
		l.check(s)
	}
	verify(l.t, l.database, l.orgs)
	c := l.count()
	l.t.Logf("%d rounds: %d requests with %d leases; %s", rounds, len(l.requests), len(l.leases), c)
	l.t.Logf("%d requests were not acknowledged by then, %d of them had taken place; all were sent again and are there once",
		settled, unacknowledged)
}

// The server is killed while it makes a new database.
func TestServerKilledAtStart(t *testing.T) {
	inParts(t, func(t *testing.T, rounds int) {
		random := newRandom(t)
		for range rounds {
			onEachStore(t, func(t *testing.T, database string) {
				for range 4 {
					cmd := exec.Command(program, "serve", "--database", database, "--listen", "127.0.0.1:0")
					if err := cmd.Start(); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Duration(random.IntN(60_000)) * time.Microsecond)
					cmd.Process.Kill()
					cmd.Wait()
				}
				l := newLoad(t, database, random, "acme")
				s := l.serve()
				end := l.begin(s)
				l.await(10)
				end()
				l.conclude(1, s)
			})
		}
	})
}

// PostgreSQL is killed while 16 clients write, and started again; the server stays.
func TestPostgreSQLKilled(t *testing.T) {
	t.Parallel()
	inParts(t, func(t *testing.T, rounds int) {
		cluster := pgtest.Start(t)
		random := newRandom(t)
		l := newLoad(t, cluster.URL("postgres"), random, "acme", "globex", "initech")
		s := l.serve()
		for range rounds {
			end := l.begin(s)
			l.await(1 + random.IntN(mostAnswers))
			if random.IntN(2) == 0 {
				time.Sleep(time.Duration(random.IntN(10_000)) * time.Microsecond)
			}
			l.setTroubled(true)
			if err := cluster.Stop("immediate"); err != nil {
				t.Fatal(err)
			}
			told := l.count().unavailable
			eventually(t, "clients that are told", func() bool { return l.count().unavailable >= told+clients })
			s.checkUnavailable(t)
			if err := cluster.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the server to recover", func() bool { return l.count().inARow >= 10*clients })
			// A connection that has idled since may still be found dead by its next request, which is told so.
			l.await(clients)
			end()
			l.setTroubled(false)
			l.checkRunning(s)
			l.check(s)
			verify(t, l.database, l.orgs)
		}
		l.conclude(rounds, s)
	})
}

// checkRunning checks that the server goes on where its database does not.
func (l *load) checkRunning(s *service) {
	l.t.Helper()
	select {
	case <-s.Exited:
		l.t.Fatalf("the server has ended: %s", s.ProcessState)
	default:
	}
}

// checkUnavailable checks the answers of a server while its database is gone.
func (s *service) checkUnavailable(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	_, err := s.clients[0].GetBillingBalance(ctx, "acme")
	if answer, ok := errors.AsType[*client.Error](err); !ok || answer.Status != http.StatusServiceUnavailable || answer.Code != client.CodeUnavailable {
		t.Errorf("without a database, the balance is answered with %v", err)
	}
	for path, want := range map[string]int{"/readyz": http.StatusServiceUnavailable, "/healthz": http.StatusOK} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("without a database, %s is answered with %s", path, resp.Status)
		}
	}
}

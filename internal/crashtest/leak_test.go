package crashtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/internal/testlong"
)

const (
	// leakTimeEnv is how long the server of each database is under load.
	leakTimeEnv = "SOAK_TIME"
	// warmUp is how many requests of each kind come before the first look: pools are full then, and caches warm.
	warmUp = 100
	// looked is how many requests of each kind come at least between the two looks, so that one that leaks stands out.
	looked = 200
)

// After many requests, a server at rest has no more goroutines, open files, connections and memory than before.
func TestNothingLeaks(t *testing.T) {
	testlong.Only(t, "it sends many requests of each kind")
	onEachStore(t, func(t *testing.T, database string) {
		duration := 20 * time.Second
		if text := os.Getenv(leakTimeEnv); text != "" {
			var err error
			if duration, err = time.ParseDuration(text); err != nil {
				t.Fatalf("%s: %v", leakTimeEnv, err)
			}
		}
		token := prepare(t, database, []string{"acme"})
		s := serveWith(t, token, program, "serve", "--database", database, "--listen", "127.0.0.1:0",
			"--debug-listen", "127.0.0.1:0", "--log-level", "info")
		m := newMixture(t, s, token)
		m.send(0, warmUp)
		before := s.atRest(t)
		m.send(duration, looked)
		var after holdings
		defer func() { t.Logf("%d requests; at first %+v, at last %+v", m.sent.Load(), before, after) }()
		// A cancelled request takes a moment to end.
		eventually(t, "what was held to be let go", func() bool {
			after = s.atRest(t)
			return after.goroutines <= before.goroutines+countTolerance && after.files <= before.files+countTolerance
		})
		if limit := before.heap + before.heap/2 + 16<<20; after.heap > limit {
			t.Errorf("%d bytes are in use, after %d", after.heap, before.heap)
		}
		if limit := before.resident + before.resident/2 + 32<<20; after.resident > limit {
			t.Errorf("%d bytes are resident, after %d", after.resident, before.resident)
		}
		verify(t, database, []string{"acme"})
	})
}

// countTolerance is by how much two counts may differ that are the same but for the moment: a pool has room for a few more connections.
const countTolerance = 40

// holdings are the resources of a server.
type holdings struct {
	goroutines, files int64
	heap, resident    int64 // bytes
}

// atRest reads the resources of an idle server after a garbage collection.
func (s *service) atRest(t *testing.T) (h holdings) {
	t.Helper()
	s.profile(t, "/debug/pprof/heap?gc=1")
	var vars struct {
		Goroutines int64 `json:"goroutines"`
		MemStats   struct{ HeapAlloc int64 }
	}
	if err := json.Unmarshal(s.profile(t, "/debug/vars"), &vars); err != nil {
		t.Fatal(err)
	}
	files, resident, err := held(s.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return holdings{vars.Goroutines, files, vars.MemStats.HeapAlloc, resident}
}

// profile reads a page of the server's profiles over a connection of its own.
func (s *service) profile(t *testing.T, path string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.DebugURL+path[len("/debug/"):], http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return body
}

// mixture sends requests of every kind, good and bad ones, and leaves some before their answer.
type mixture struct {
	t         *testing.T
	s         *service
	token     string
	transport *http.Transport
	client    *client.Client
	sent      atomic.Int64
}

func newMixture(t *testing.T, s *service, token string) *mixture {
	t.Helper()
	m := &mixture{t: t, s: s, token: token, transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	var err error
	m.client, err = client.New(s.URL, client.WithToken(token), client.WithTimeout(0), client.WithHTTPClient(&http.Client{Transport: m.transport}))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// send sends for as long as is said, and at least so many requests of each kind. Then it closes its connections.
func (m *mixture) send(duration time.Duration, each int) {
	m.t.Helper()
	kinds := m.kinds()
	counts := make([]atomic.Int64, len(kinds))
	end := time.Now().Add(duration)
	var sending sync.WaitGroup
	for range clients {
		sending.Go(func() {
			random := rand.New(rand.NewPCG(rand.Uint64(), 0))
			for i := 0; !m.t.Failed(); i++ {
				kind := i % len(kinds)
				if int(counts[len(kinds)-1].Load()) >= each && kind == 0 && time.Now().After(end) {
					return
				}
				ctx, cancel := context.WithTimeout(context.Background(), deadline)
				if err := kinds[kind](ctx, random); err != nil {
					m.t.Error(err)
				}
				cancel()
				counts[kind].Add(1)
				m.sent.Add(1)
			}
		})
	}
	sending.Wait()
	m.transport.CloseIdleConnections()
	if m.t.Failed() {
		m.t.FailNow()
	}
}

func (m *mixture) kinds() []func(context.Context, *rand.Rand) error {
	return []func(context.Context, *rand.Rand) error{
		func(ctx context.Context, random *rand.Rand) error {
			_, err := m.client.RecordLeases(ctx, "acme", m.leases(random, 1+random.IntN(3)))
			return err
		},
		func(ctx context.Context, random *rand.Rand) error {
			_, err := m.client.PostCredit(ctx, "acme", newID(random).String(), client.PostCreditRequest{AmountCents: 1, Source: client.CreditSourceRefund})
			return err
		},
		func(ctx context.Context, _ *rand.Rand) error {
			_, err := m.client.GetBillingBalance(ctx, "acme")
			return err
		},
		func(ctx context.Context, _ *rand.Rand) error {
			_, err := m.client.ListBillingTransactions(ctx, "acme", client.ListOptions{})
			return err
		},
		func(ctx context.Context, _ *rand.Rand) error {
			_, err := m.client.GetBillingUsage(ctx, "acme", window)
			return err
		},
		func(ctx context.Context, _ *rand.Rand) error {
			_, err := m.client.GetBillingUsageSeries(ctx, "acme", window)
			return err
		},
		func(ctx context.Context, random *rand.Rand) error {
			_, err := m.client.GetBillingUsageBreakdown(ctx, "acme", oneMinute(random))
			return err
		},
		func(ctx context.Context, _ *rand.Rand) error {
			_, err := m.client.GetBillingBalance(ctx, "nobody")
			return refused(err, client.CodeOrganizationNotFound)
		},
		func(ctx context.Context, random *rand.Rand) error {
			leases := m.leases(random, 1)
			leases[0].CPUCount = -1
			_, err := m.client.RecordLeases(ctx, "acme", leases)
			return refused(err, client.CodeLeaseInvalid)
		},
		m.leaveEarly,
		m.connectAnew,
	}
}

// refused tells whether an answer is the refusal that it should be.
func refused(err error, code client.Code) error {
	if answer, ok := errors.AsType[*client.Error](err); ok && answer.Code == code {
		return nil
	}
	return fmt.Errorf("answered with %w, want %s", err, code)
}

func (m *mixture) leases(random *rand.Rand, n int) []client.Lease {
	leases := make([]client.Lease, n)
	for i := range leases {
		id := newID(random)
		start := window.From.Add(time.Duration(random.Int64N(int64(window.To.Sub(window.From)))).Truncate(time.Microsecond))
		end := start.Add(time.Duration(random.Int64N(7200)) * time.Second)
		leases[i] = client.Lease{JobID: &id, CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: start, FinishedAt: &end}
	}
	return leases
}

// oneMinute holds few leases, however many there are.
func oneMinute(random *rand.Rand) client.Window {
	from := window.From.Add(time.Duration(random.Int64N(3*24*60)) * time.Minute)
	return client.Window{From: from, To: from.Add(time.Minute)}
}

// leaveEarly asks for a day's breakdown and goes away before it is there, or in the middle of it.
func (m *mixture) leaveEarly(_ context.Context, random *rand.Rand) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(random.IntN(3000))*time.Microsecond)
	defer cancel()
	from := window.From.Add(time.Duration(random.IntN(2*24)) * time.Hour)
	err := m.ask(ctx, "/api/v0/billing/usage/acme/breakdown?from="+from.Format(time.RFC3339)+"&to="+from.AddDate(0, 0, 1).Format(time.RFC3339), false)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// connectAnew asks over a connection of its own.
func (m *mixture) connectAnew(ctx context.Context, _ *rand.Rand) error {
	return m.ask(ctx, "/api/v0/billing/balance/acme", true)
}

func (m *mixture) ask(ctx context.Context, path string, alone bool) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.s.URL+path, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+m.token)
	req.Close = alone
	resp, err := m.transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

package server_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/httpapi"
	"github.com/harmont-dev/harmont-billing/server"
)

// 32 clients write to one organization, some of them the same thing at the same time. As soon as a write is answered, it
// is there for another process.
func TestConcurrentWriters(t *testing.T) {
	const clients, rounds = 32, 8
	s := start(t, server.Config{})
	token := s.withOrg("acme", server.RoleAdmin)
	beside := start(t, server.Config{Database: s.database})

	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			for round := range rounds {
				// Its own lease, of 12 cents, and one that every client sends.
				own := fmt.Sprintf("01990000-0000-7000-8000-%06d%06d", client, round)
				shared := fmt.Sprintf("01990000-0000-7000-8000-999999%06d", round)
				for _, id := range []string{own, shared} {
					s.send(request{method: "POST", path: "/billing/leases/acme", token: token, body: leaseBody(`job_id:"` + id + `"`)}).want(200, "")
				}
				key := fmt.Sprintf("credit-%d-%d", client, round)
				posted := s.send(request{method: "POST", path: "/billing/credits/acme", token: token, body: `{"amount_cents":100,"source":"refund"}`, header: map[string]string{"Idempotency-Key": key}}).want(201, "")
				replayed := beside.send(request{method: "POST", path: "/billing/credits/acme", token: token, body: `{"amount_cents":100,"source":"refund"}`, header: map[string]string{"Idempotency-Key": key}}).want(201, "")
				if string(posted.body) != string(replayed.body) || replayed.header.Get("Idempotency-Replayed") != "true" {
					t.Errorf("an answered credit is not there for another process: %s, then %s", posted.body, replayed.body)
				}
				again := beside.send(request{method: "POST", path: "/billing/leases/acme", token: token, body: leaseBody(`job_id:"` + own + `"`)}).want(200, "")
				if !strings.Contains(string(again.body), `"duplicate"`) {
					t.Errorf("an answered lease is not there for another process: %s", again.body)
				}
			}
		})
	}
	wg.Wait()

	all := s.ledger(token, "acme")
	if want := clients*rounds*2 + rounds; len(all) != want {
		t.Errorf("the ledger has %d entries, want %d", len(all), want)
	}
	sum := int64(0)
	for _, entry := range all {
		sum += entry.AmountCents
	}
	if want := int64(clients*rounds*(100-12) - rounds*12); sum != want || s.balance(token, "acme") != want {
		t.Errorf("the entries add up to %d and the balance is %d, want %d", sum, s.balance(token, "acme"), want)
	}
}

// A receiver that leaves ends the reading of a breakdown, and one that is cut off notices that its answer is incomplete.
func TestBreakdownIsCutOff(t *testing.T) {
	s := start(t, server.Config{})
	token := s.withOrg("acme", server.RoleWrite)
	// More than the buffers between a server and a client hold.
	text := `:"` + strings.Repeat("x", 1000) + `"`
	for request := range 3 {
		s.send(requestOf(token, manyLeases(request, 1000, "job_name"+text, "step_key"+text, "vm_handle"+text))).want(200, "")
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/api/v0/billing/usage/acme/breakdown?from=2026-06-01&to=2026-07-01", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := res.Body.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	// All connections for long reads are free again, else this would not be answered.
	for range 20 {
		s.send(request{path: "/billing/usage/acme/breakdown?from=2026-06-01T00:00:00Z&to=2026-06-02", token: token}).want(200, "")
	}
}

// A token and an organization may have a number of breakdowns under way. Further ones are answered with 503; others are not affected.
func TestStreamsAreBounded(t *testing.T) {
	s := start(t, server.Config{Limits: httpapi.Limits{StreamsOfToken: 2, StreamsOfOrganization: 3, Wait: 50 * time.Millisecond}})
	token := s.withOrg("acme", server.RoleWrite)
	other, elsewhere := s.token(server.RoleRead, "acme"), s.withOrg("globex", server.RoleRead)
	text := `:"` + strings.Repeat("x", 1000) + `"`
	for request := range 2 {
		s.send(requestOf(token, manyLeases(request, 1000, "job_name"+text, "step_key"+text, "vm_handle"+text))).want(200, "")
	}
	const window = "/breakdown?from=2026-06-01&to=2026-07-01"
	slow := func(token string) *net.TCPConn {
		conn := s.dial()
		_ = conn.SetReadBuffer(4096) // else all of the answer has room in the buffers
		if _, err := io.WriteString(conn, "GET /api/v0/billing/usage/acme"+window+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+token+"\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	refused := func(org, token string) response {
		return s.send(request{path: "/billing/usage/" + org + window, token: token})
	}
	first := slow(token)
	slow(token)
	if r := refused("acme", token).want(503, "unavailable"); r.header.Get("Retry-After") == "" {
		t.Errorf("no Retry-After in %v", r.header)
	}
	refused("acme", other).want(200, "")
	slow(other)
	refused("acme", other).want(503, "unavailable")
	refused("globex", elsewhere).want(200, "")
	if load := s.Load(); load.Streams != 3 || load.StreamsRefused != 2 {
		t.Errorf("the load is %+v", load)
	}
	first.Close()
	eventually(t, func() bool { return refused("acme", token).status == 200 })
}

// manyLeases is the body of a request with a number of leases, each of a job of its own.
func manyLeases(request, number int, changes ...string) string {
	leases := make([]string, number)
	for i := range leases {
		one := leaseBody(append(changes, fmt.Sprintf(`job_id:"01990000-0000-7000-8000-%06d%06d"`, request, i))...)
		leases[i] = strings.TrimSuffix(strings.TrimPrefix(one, `{"leases":[`), `]}`)
	}
	return `{"leases":[` + strings.Join(leases, ",") + `]}`
}

func requestOf(token, body string) request {
	return request{method: "POST", path: "/billing/leases/acme", token: token, body: body}
}

// While another process keeps the database from being written, a write is answered within the request's time.
func TestBusyDatabase(t *testing.T) {
	s := start(t, server.Config{RequestTimeout: 50 * time.Millisecond})
	token := s.withOrg("acme", server.RoleWrite)
	release := s.lock()
	s.send(requestOf(token, leaseBody())).want(503, "unavailable")
	if got := s.balance(token, "acme"); got != 0 {
		t.Errorf("the balance is %d", got)
	}
	release()
	eventually(t, func() bool {
		return s.send(requestOf(token, leaseBody())).status == 200
	})
	if got := s.balance(token, "acme"); got != -12 {
		t.Errorf("the balance is %d", got)
	}
}

// eventually tries until it succeeds, for as long as the tests may take.
func eventually(t *testing.T, try func() bool) {
	t.Helper()
	for !try() {
		select {
		case <-t.Context().Done():
			t.Fatal("it never came true")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

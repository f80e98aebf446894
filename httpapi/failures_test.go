package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// sharedLog is a log that several goroutines may write.
type sharedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *sharedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// take returns and removes what the log has.
func (l *sharedLog) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

// fixed is a backend that answers with a balance of 0.
type fixed struct{ Unimplemented }

func (fixed) GetBillingBalance(context.Context, string) (b gen.BalanceResponse, err error) {
	return b, nil
}

// anyToken admits every token to every organization.
func anyToken(context.Context, string, string) (Identity, error) {
	return Identity{Role: RoleAdmin}, nil
}

// directory knows some tokens, and counts how often it is asked.
type directory struct {
	valid map[string]bool
	asked int
}

func (d *directory) authenticate(_ context.Context, token string) (Identity, error) {
	d.asked++
	if !d.valid[token] {
		return Identity{}, &Error{Code: gen.CodeUnauthorized}
	}
	return Identity{Role: RoleRead, Organizations: []string{"acme"}}, nil
}

// Beyond a number of failures, an address gets 429 for tokens that are not known to be valid, which costs no read of the database.
// Tokens that were valid before and other addresses are served, and a token is forgotten once it is revoked.
func TestFailedAuthenticationsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log sharedLog
		logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo}))
		d := &directory{valid: map[string]bool{"hmt_good": true, "hmt_new": true}}
		s, err := New(fixed{}, Config{Authenticate: d.authenticate, Logger: logger, RequestTimeout: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		ask := func(address, authorization string) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v0/billing/balance/acme", http.NoBody)
			r.RemoteAddr = address
			if authorization != "" {
				r.Header.Set("Authorization", authorization)
			}
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, r)
			return w
		}
		want := func(what string, w *httptest.ResponseRecorder, status int) {
			t.Helper()
			if w.Code != status {
				t.Errorf("%s: the answer is %d %s, want %d", what, w.Code, w.Body, status)
			}
		}
		const here, elsewhere = "192.0.2.1:1000", "192.0.2.2:1000"
		want("a valid token", ask(here, "Bearer hmt_good"), 200)
		d.asked = 0
		guesses, refused := 1000, 0
		for i := range guesses {
			w := ask(fmt.Sprintf("192.0.2.1:%d", 1000+i), fmt.Sprintf("Bearer hmt_%d", i))
			if w.Code == http.StatusTooManyRequests {
				refused++
				if w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"rate_limited"`) {
					t.Errorf("the refusal is %v %s", w.Header(), w.Body)
				}
			}
		}
		if d.asked != failureBurst || refused != guesses-failureBurst {
			t.Errorf("of %d guesses %d were refused, and %d were looked up; want %d", guesses, refused, d.asked, failureBurst)
		}
		want("a token that was valid before", ask(here, "Bearer hmt_good"), 200)
		want("a token that was not seen before", ask(here, "Bearer hmt_new"), 429)
		want("no token", ask(here, ""), 401)
		want("no bearer", ask(here, "Basic eA=="), 429)
		want("another address", ask(elsewhere, "Bearer hmt_new"), 200)
		want("the token that the other address has shown", ask(here, "Bearer hmt_new"), 200)
		d.valid = nil
		want("a token that was revoked", ask(elsewhere, "Bearer hmt_good"), 401)
		want("the same from an address that has failed too often", ask(here, "Bearer hmt_good"), 429)
		if text := log.take(); strings.Count(text, "\n") != 2 { // a line for each address
			t.Errorf("the log has\n%s", text)
		}
		time.Sleep(failureLogInterval)
		synctest.Wait()
		if text := log.take(); !strings.Contains(text, "address=192.0.2.1/32 count=1003") || strings.Count(text, "\n") != 1 {
			t.Errorf("after a while the log has\n%s", text)
		}
		d.valid = map[string]bool{"hmt_good": true}
		want("the same address later", ask(here, "Bearer hmt_good"), 200)
	})
}

// Any number of clients of one address may show valid tokens at the same time, such as those of a proxy after a restart of the server.
func TestValidTokensAreNotLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slowly := func(ctx context.Context, token, org string) (Identity, error) { // so that requests are checked at the same time
			time.Sleep(time.Second)
			return anyToken(ctx, token, org)
		}
		s, err := New(fixed{}, Config{Admit: slowly, RequestTimeout: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 * failureBurst {
			go func() {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v0/billing/balance/acme", http.NoBody)
				r.Header.Set("Authorization", fmt.Sprintf("Bearer hmt_%d", i))
				w := httptest.NewRecorder()
				s.Handler().ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					t.Errorf("client %d gets %d %s", i, w.Code, w.Body)
				}
			}()
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
	})
}

// The memory for addresses and tokens is bounded.
func TestFailuresAreForgotten(t *testing.T) {
	f := newFailures(slog.New(slog.DiscardHandler))
	for i := range maxAddresses + 10 {
		f.count(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32), time.Now())
		f.setKnown(billing.TokenHash{byte(i >> 16), byte(i >> 8), byte(i)}, true)
	}
	if len(f.addresses) > maxAddresses || len(f.known) > maxKnownTokens {
		t.Errorf("%d addresses and %d tokens are kept", len(f.addresses), len(f.known))
	}
}

func TestAddresses(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1/32", "[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::/64", "[::ffff:192.0.2.1]:80": "192.0.2.1/32",
		"[fe80::1%eth0]:80": "fe80::/64", "@": "invalid Prefix", "": "invalid Prefix",
	} {
		if got := addressOf(remote).String(); got != want {
			t.Errorf("%q is %s, want %s", remote, got, want)
		}
	}
}

package server_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/server"
)

// FuzzHandler sends any method, path, query, headers and body: no answer is a 5xx, and none is outside the contract.
func FuzzHandler(f *testing.F) {
	s, err := server.Open(context.Background(), server.Config{Database: "sqlite:" + filepath.Join(f.TempDir(), "billing.db")})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	if _, err := s.CreateOrganization(f.Context(), "acme", ""); err != nil {
		f.Fatal(err)
	}
	token, _, err := s.CreateToken(f.Context(), server.TokenOptions{Name: "fuzz", Role: server.RoleAdmin, Organizations: []string{"acme"}})
	if err != nil {
		f.Fatal(err)
	}
	const window = "from=2026-06-06T10:00:00Z&to=2026-06-07"
	for _, seed := range []struct{ method, path, query, header, value, body string }{
		{"GET", "/api/v0/billing/balance/acme", "", "", "", ""},
		{"HEAD", "/api/v0/billing/balance/acme", "", "", "", ""},
		{"GET", "/api/v0/billing/transactions/acme", "limit=1&cursor=_UJzwEwMHCMAAAAAAAAAAw", "", "", ""},
		{"GET", "/api/v0/billing/usage/acme", window, "x-request-id", "12345678901234567890", ""},
		{"GET", "/api/v0/billing/usage/acme/series", window, "Accept-Encoding", "gzip", ""},
		{"GET", "/api/v0/billing/usage/acme/breakdown", window, "", "", ""},
		{"GET", "/api/v0/organizations", "limit=2", "", "", ""},
		{"POST", "/api/v0/billing/leases/acme", "", "Content-Type", "application/json", leaseBody()},
		{"POST", "/api/v0/billing/leases/acme", "", "Content-Type", "application/json; charset=utf-8", leaseBody(`finished_at:null`, `job_name:"é\u0001"`)},
		{"POST", "/api/v0/billing/credits/acme", "", "Idempotency-Key", "key", `{"amount_cents":5,"source":"refund","description":"x"}`},
		{"POST", "/api/v0/billing/credits/acme", "", "Idempotency-Key", "key", `{"amount_cents":5,"AMOUNT_CENTS":-5,"source":"refund"}`},
		{"POST", "/api/v0/billing/leases//acme/", "", "Content-Encoding", "gzip", zip(leaseBody())},
		{"POST", "/api/v0/billing/leases/acme", "", "Content-Encoding", "br", leaseBody()},
		{"OPTIONS", "/api/v0/billing/balance/acme", "", "Origin", "https://example.com", ""},
		{"GET", "/healthz", "", "", "", ""},
		{"GET", "/openapi.json", "", "Authorization", "Basic eA==", ""},
		{"GET", "/%2e%2e/api//v0/billing/balance/%61cme", "a=%zz;b", "", "", ""},
	} {
		f.Add(seed.method, seed.path, seed.query, seed.header, seed.value, seed.body)
	}
	handler := s.Handler()
	f.Fuzz(func(t *testing.T, method, path, query, header, value, body string) {
		target, err := url.Parse("http://127.0.0.1/" + strings.TrimPrefix(path, "/"))
		if err != nil {
			t.Skip() // net/http refuses it before the handler
		}
		target.RawQuery, target.Fragment = query, ""
		req, err := http.NewRequestWithContext(t.Context(), method, target.String(), strings.NewReader(body))
		if err != nil {
			t.Skip()
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", "key")
		if header != "" {
			req.Header.Set(header, value)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		answer := response{t, w.Code, w.Header(), w.Body.Bytes()}
		if method == http.MethodHead {
			answer.body = nil // as net/http does
		}
		if w.Header().Get("Content-Encoding") == "gzip" {
			return // the body is the same without it, which another input covers
		}
		if w.Code >= 500 {
			t.Errorf("%s %s: %d %s", method, target, w.Code, w.Body)
		}
		if err := hold(req, answer); err != nil {
			t.Errorf("%s %s: %d %s\n%v", method, target, w.Code, bytes.TrimSpace(w.Body.Bytes()), fmt.Errorf("outside the contract: %w", err))
		}
	})
}

package server_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/httpapi"
	"github.com/harmont-dev/harmont-billing/server"
)

// balances is a backend that has one operation.
type balances struct{ httpapi.Unimplemented }

func (balances) GetBillingBalance(ctx context.Context, org string) (gen.BalanceResponse, error) {
	if org == "broken" {
		return gen.BalanceResponse{}, context.DeadlineExceeded
	}
	return gen.BalanceResponse{BalanceCents: httpapi.IdentityOf(ctx).Value.(int64)}, nil
}

// A backend of one's own is served with the pages beside it. Operations that it lacks are answered as unknown routes.
func TestNew(t *testing.T) {
	authenticate := func(_ context.Context, token string) (httpapi.Identity, error) {
		if token != "own" {
			return httpapi.Identity{}, &httpapi.Error{Code: gen.CodeUnauthorized}
		}
		return httpapi.Identity{Role: httpapi.RoleRead, Organizations: []string{"acme", "broken"}, Value: int64(7)}, nil
	}
	s, err := server.New(balances{}, httpapi.Config{Authenticate: authenticate})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path, token string
		status              int
		text                string
	}{
		{"GET", "/api/v0/billing/balance/acme", "own", 200, `{"balance_cents":7}`},
		{"GET", "/api/v0/billing/balance/acme", "other", 401, `"unauthorized"`},
		{"GET", "/api/v0/billing/balance/acme", "", 401, `"unauthorized"`},
		{"GET", "/api/v0/billing/balance/globex", "own", 404, `"organization_not_found"`},
		{"GET", "/api/v0/billing/balance/broken", "own", 503, `"unavailable"`},
		{"GET", "/api/v0/billing/head/acme", "own", 404, `"route_not_found"`},
		{"GET", "/api/v0/billing/transactions/acme?limit=x", "own", 422, `"limit_invalid"`},
		{"GET", "/api/v0/organizations", "own", 404, `"route_not_found"`},
		{"POST", "/api/v0/billing/credits/acme", "own", 403, `needs admin`},
		{"GET", "/", "", 200, "<!doctype html>"},
		{"GET", "/docs/errors/forbidden", "", 200, "<code>forbidden</code>"},
		{"GET", "/readyz", "", 200, ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, http.NoBody)
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(strings.ToLower(w.Body.String()), strings.ToLower(c.text)) {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.path, w.Code, w.Body, c.status, c.text)
		}
	}
	if _, err := server.New(balances{}, httpapi.Config{}); err == nil {
		t.Error("nothing checks tokens, and it is no error")
	}
}

package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/httpapi"
)

// whoami answers the balance with the number that the identity has.
type whoami struct{ httpapi.Unimplemented }

func (whoami) GetBillingBalance(ctx context.Context, _ string) (gen.BalanceResponse, error) {
	return gen.BalanceResponse{BalanceCents: int64(httpapi.IdentityOf(ctx).Value.(int))}, nil
}

// With Admit, the role of a token depends on the organization.
func TestAdmit(t *testing.T) {
	api, err := httpapi.New(whoami{}, httpapi.Config{
		Admit: func(_ context.Context, token, org string) (identity httpapi.Identity, err error) {
			switch {
			case token == "odd":
				return identity, &httpapi.Error{Code: "no_such_code", Message: "secret"}
			case token == "locked":
				return identity, &httpapi.Error{Code: gen.CodeForbidden}
			case token != "x":
				return identity, &httpapi.Error{Code: gen.CodeUnauthorized}
			case org == "acme":
				identity.Role = httpapi.RoleRead
			case org == "globex":
				identity.Role = httpapi.RoleAdmin
			case org == "nothing": // no role
			case org != "":
				return identity, &httpapi.Error{Code: gen.CodeOrganizationNotFound}
			}
			identity.Value = len(org)
			return identity, nil
		},
		BasePath: "/base",
		Routes: func(e *echo.Echo) {
			e.POST("/hook", func(echo.Context) error { return &httpapi.Error{Code: gen.CodeForbidden, Message: "no signature"} })
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path, token string
		status              int
		text                string
	}{
		{"GET", "/api/v0/billing/balance/acme", "x", 200, `{"balance_cents":4}`},
		{"GET", "/api/v0/billing/balance/acme", "y", 401, `"unauthorized"`},
		{"GET", "/api/v0/billing/balance/acme", "odd", 500, `"internal","message":"the server failed`},
		{"GET", "/api/v0/billing/balance/acme", "locked", 403, `"message":"The token sees the organization, but its role does not include this call."`},
		{"GET", "/api/v0/billing/balance/nothing", "x", 403, `"message":"the token has no role; this call needs read"`},
		{"GET", "/api/v0/billing/balance/initech", "x", 404, `"organization_not_found"`},
		{"POST", "/api/v0/billing/credits/acme", "x", 403, `"message":"the token has the role read; this call needs admin"`},
		{"POST", "/api/v0/billing/credits/globex", "x", 422, `"body_invalid"`}, // the key is missing
		{"POST", "/hook", "", 403, "no signature"},
		{"GET", "/hook", "", 405, `"method_not_allowed"`},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, "/base"+c.path, http.NoBody)
		if c.token != "" {
			r.Header.Set("Authorization", "bearer "+c.token)
		}
		w := httptest.NewRecorder()
		api.Handler().ServeHTTP(w, r)
		if id := w.Header().Get("x-request-id"); w.Code != c.status || !strings.Contains(w.Body.String(), c.text) || id == "" {
			t.Errorf("%s %s: %d %s with the request id %q, want %d %s", c.method, c.path, w.Code, w.Body, id, c.status, c.text)
		}
	}
}

// Settings that no server can have are refused.
func TestInvalidSettings(t *testing.T) {
	authenticate := func(context.Context, string) (identity httpapi.Identity, err error) { return identity, nil }
	admit := func(context.Context, string, string) (identity httpapi.Identity, err error) { return identity, nil }
	for _, c := range []struct {
		backend httpapi.Backend
		config  httpapi.Config
		want    string
	}{
		{nil, httpapi.Config{Authenticate: authenticate}, "no backend"},
		{whoami{}, httpapi.Config{}, "either Authenticate or Admit"},
		{whoami{}, httpapi.Config{Authenticate: authenticate, Admit: admit}, "either Authenticate or Admit"},
		{whoami{}, httpapi.Config{Authenticate: authenticate, BasePath: "base"}, "base path"},
		{whoami{}, httpapi.Config{Authenticate: authenticate, CORSOrigins: []string{"example.com"}}, "origin"},
	} {
		if _, err := httpapi.New(c.backend, c.config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("New fails with %v, not with %s", err, c.want)
		}
	}
}

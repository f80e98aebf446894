package httpapi_test

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/conformance"
	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/httpapi"
	"github.com/harmont-dev/harmont-billing/testdata/ownstore"
)

// A store of one's own passes all rules of check, in fewer than 150 lines that use public packages alone.
func TestOwnStore(t *testing.T) {
	authenticate := func(_ context.Context, token string) (httpapi.Identity, error) {
		if token != "secret" {
			return httpapi.Identity{}, &httpapi.Error{Code: gen.CodeUnauthorized}
		}
		return httpapi.Identity{Role: httpapi.RoleAdmin, Organizations: []string{"acme", "globex"}}, nil
	}
	api, err := httpapi.New(ownstore.New("acme", "globex", "initech"), httpapi.Config{Authenticate: authenticate})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(api.Handler())
	defer srv.Close()
	report, err := conformance.Run(t.Context(), conformance.Options{URL: srv.URL, Token: "secret", Organization: "acme", Hidden: "initech", Write: true})
	if err == nil {
		err = report.Err()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Rules {
		ofRateCards := strings.HasPrefix(r.Rule, "prices.") || strings.HasPrefix(r.Rule, "writes.rate-card") // which it does not have
		if r.Status == conformance.Skipped && !ofRateCards && r.Rule != "errors.retry-after" {               // neither 429 nor 503 comes
			t.Errorf("%s was not checked: %s", r.Rule, r.Reason)
		}
		if ofRateCards && r.Status != conformance.Skipped {
			t.Errorf("%s is %s", r.Rule, r.Status)
		}
	}

	text, err := os.ReadFile("../testdata/ownstore/ownstore.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n >= 160 {
		t.Errorf("it takes %d lines", n)
	}
	imports, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{join .Imports "\n"}}`, "../testdata/ownstore").Output()
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(strings.Fields(string(imports)), func(path string) bool { return strings.Contains(path, "/internal/") }) {
		t.Errorf("it imports\n%s", imports)
	}
}

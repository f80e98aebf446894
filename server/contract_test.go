package server_test

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	_ "modernc.org/sqlite" // a connection beside the server's

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/gen/httpserver"
	"github.com/harmont-dev/harmont-billing/httpapi"
	"github.com/harmont-dev/harmont-billing/server"
)

// books is a small ledger with fixed ids and times.
const books = `
{"type":"organization","slug":"acme","name":"Acme","id":"01990000-0000-7000-8000-000000000001","created_at":"2026-06-01T08:00:00Z"}
{"type":"rate_card","org":null,"name":"Standard","effective_from":"1970-01-01","cpu_microcents":10000,"memory_gb_microcents":5000,"disk_gb_microcents":100,"created_at":"2026-05-01T00:00:00Z"}
{"type":"rate_card","org":"acme","name":"Macs","cpu_count":8,"memory_gb":16,"disk_gb":100,"label_key":"os","label_value":"mac","effective_from":"2026-07-01","cpu_microcents":40000,"memory_gb_microcents":5000,"disk_gb_microcents":100,"created_at":"2026-05-02T00:00:00Z"}
{"type":"lease","org":"acme","lease_id":"01990000-0000-7000-8000-0000000000a1","job_id":"01990000-0000-7000-8000-0000000000b1","job_name":"Integration","step_key":"integration","vm_handle":"vm-406d5a5b","build_id":"01990000-0000-7000-8000-0000000000c1","build_number":7,"build_external_id":"e0000000-0000-4000-8000-000000000007","pipeline_id":"01990000-0000-7000-8000-0000000000d1","pipeline_name":"Web \"App\" <é>","pipeline_slug":"web-app","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-06-06T10:00:00Z","finished_at":"2026-06-06T10:05:00Z","duration_seconds":300,"amount_cents":-12}
{"type":"lease","org":"acme","lease_id":"01990000-0000-7000-8000-0000000000a2","job_id":"01990000-0000-7000-8000-0000000000b2","job_name":"Lint","step_key":"lint","vm_handle":null,"build_id":"01990000-0000-7000-8000-0000000000c1","build_number":7,"build_external_id":"e0000000-0000-4000-8000-000000000007","pipeline_id":"01990000-0000-7000-8000-0000000000d1","pipeline_name":"Web \"App\" <é>","pipeline_slug":"web-app","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-06-06T10:00:01.5Z"}
{"type":"lease","org":"acme","lease_id":"01990000-0000-7000-8000-0000000000a3","cpu_count":1,"memory_gb":1,"disk_gb":1,"started_at":"2026-06-07T00:00:00Z","finished_at":"2026-06-07T00:00:01Z","amount_cents":0}
{"type":"entry","org":"acme","id":"01990000-0000-7000-8000-0000000000e1","amount_cents":5000,"source":"stripe_topup","description":"Card","created_at":"2026-06-01T09:00:00Z","lease_id":null,"author":"billing \"desk\" <é>"}
{"type":"entry","org":"acme","id":"01990000-0000-7000-8000-0000000000e2","amount_cents":-12,"source":"vm_lease_debit","description":null,"created_at":"2026-06-06T10:05:00.000001Z","lease_id":"01990000-0000-7000-8000-0000000000a1"}
{"type":"entry","org":"acme","id":"01990000-0000-7000-8000-0000000000e3","amount_cents":0,"source":"vm_lease_debit","description":null,"created_at":"2026-06-07T00:00:01Z","lease_id":"01990000-0000-7000-8000-0000000000a3"}
`

// The answers byte for byte: keys, nulls, order and the form of numbers, times and text.
func TestWire(t *testing.T) {
	at := time.Date(2026, 6, 14, 8, 30, 0, 0, time.UTC)
	s := start(t, server.Config{DocURL: "https://docs.example.com/errors/", WithoutRateCard: true, Clock: func() time.Time { return at }})
	s.importText(books)
	token := s.token(server.RoleRead, "acme")
	for name, path := range map[string]string{
		"balance":           "/billing/balance/acme",
		"transactions":      "/billing/transactions/acme",
		"transactions-page": "/billing/transactions/acme?limit=1",
		"usage":             "/billing/usage/acme?from=2026-06-06&to=2026-06-08",
		"statement":         "/billing/statement/acme?from=2026-06-02&to=2026-06-07",
		"credits":           "/billing/credits/acme",
		"runway":            "/billing/runway/acme",
		"usage-by":          "/billing/usage/acme/by?by=pipeline&from=2026-06-06&to=2026-06-08",
		"usage-by-day":      "/billing/usage/acme/by?by=shape&from=2026-06-05T12:00:00Z&to=2026-06-07T00:00:00.000001Z&interval=day&limit=1",
		"series":            "/billing/usage/acme/series?from=2026-06-05T12:00:00Z&to=2026-06-07T00:00:00.000001Z",
		"breakdown":         "/billing/usage/acme/breakdown?from=2026-06-06&to=2026-06-08",
		"breakdown-empty":   "/billing/usage/acme/breakdown?from=2026-06-08&to=2026-06-09",
		"organizations":     "/organizations",
		"debit":             "/billing/transactions/acme/" + exampleID(s, token, "vm_lease_debit"),
		"credit":            "/billing/transactions/acme/" + exampleID(s, token, "stripe_topup"),
		"leases":            "/billing/leases/acme?limit=2",
		"leases-running":    "/billing/leases/acme?state=running",
		"rate-cards":        "/billing/rate-cards/acme",
		"rate-cards-page":   "/billing/rate-cards/acme?limit=1",
		"error":             "/billing/balance/globex",
	} {
		t.Run(name, func(t *testing.T) {
			golden(t, name, s.send(request{path: path, token: token}).body)
		})
	}
}

// exampleID is the id of an entry of the source in the ledger of acme.
func exampleID(s *service, token, source string) string {
	for _, entry := range s.ledger(token, "acme") {
		if entry.Source == source {
			return entry.ID
		}
	}
	s.t.Fatalf("the ledger has no %s", source)
	return ""
}

// Every operation that reads answers the parameters of the contract's examples, with the role that the contract names and no
// lower one. So a new operation is called, and held against the contract, before it has a test of its own.
func TestEveryReadAnswers(t *testing.T) {
	s := start(t, server.Config{})
	s.importText(books)
	token := s.token(server.RoleRead, "acme")
	values := map[string]string{"org": "acme", "id": exampleID(s, token, "vm_lease_debit")}
	spec, err := httpserver.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	reads := 0
	for path, item := range spec.Paths.Map() {
		if item.Get == nil {
			continue
		}
		reads++
		query := url.Values{}
		for _, p := range item.Get.Parameters {
			value := values[p.Value.Name]
			if value == "" && p.Value.Example != nil {
				value = fmt.Sprint(p.Value.Example)
			}
			switch p.Value.In {
			case openapi3.ParameterInPath:
				path = strings.ReplaceAll(path, "{"+p.Value.Name+"}", url.PathEscape(value))
			case openapi3.ParameterInQuery:
				if p.Value.Required {
					query.Set(p.Value.Name, value)
				}
			}
		}
		target := "/" + path + "?" + query.Encode() // the harness takes a path after two slashes as it is
		s.send(request{path: target, token: token}).want(200, "")
		s.send(request{path: target}).want(401, "unauthorized")
	}
	if reads < 8 {
		t.Errorf("only %d operations that read were found", reads)
	}
}

func TestSpecIsServed(t *testing.T) {
	s := start(t, server.Config{})
	written, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if served := s.send(request{path: "//openapi.yaml"}); string(served.body) != string(written) {
		t.Error("/openapi.yaml is not openapi.yaml")
	}
	embedded, err := httpserver.GetSpecJSON()
	if err != nil {
		t.Fatal(err)
	}
	served := s.send(request{path: "//openapi.json"})
	if string(served.body) != string(embedded) || !json.Valid(served.body) {
		t.Error("/openapi.json is not the contract")
	}
}

func TestHealth(t *testing.T) {
	s := start(t, server.Config{})
	s.send(request{path: "//healthz"}).want(200, "")
	s.send(request{path: "//readyz"}).want(200, "")
	s.Close()
	s.send(request{path: "//healthz"}).want(200, "")
	s.send(request{path: "//readyz"}).want(503, "unavailable")
}

// A request that net/http refuses does not reach a handler, but its answer has the envelope.
func TestUnreadableRequests(t *testing.T) {
	s := start(t, server.Config{})
	for text, status := range map[string]int{
		"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n": 400,
		"nonsense\r\n\r\n":                     400,
		"GET / HTTP/1.1\r\n\r\n":               400,
		"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n": 431,
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: br\r\n\r\n":                  501,
		"GET / HTTP/3.0\r\nHost: x\r\n\r\n":                                            505,
		"GET / HTTP/1.1\r\nHost: x\r\nExpect: a miracle\r\n\r\n":                       417,
	} {
		res, envelope := s.raw(text)
		if res.StatusCode != status || envelope.Error.Code != "bad_request" || envelope.Error.Type != "invalid_request" || !res.Close {
			t.Errorf("%.40q is answered with %d %+v", text, res.StatusCode, envelope)
		}
		if want := s.url + "/docs/errors/bad_request"; envelope.Error.DocURL != want || res.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%.40q: the doc_url is %s, the header %v", text, envelope.Error.DocURL, res.Header)
		}
	}
	// The answer of a handler is not changed.
	if res, envelope := s.raw("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"); res.StatusCode != http.StatusNotFound || envelope.Error.Code != "route_not_found" {
		t.Errorf("OPTIONS * is answered with %d %+v", res.StatusCode, envelope)
	}
}

// TestErrors makes each row of the contract's table of errors happen.
func TestErrors(t *testing.T) {
	s := start(t, server.Config{})
	read := s.withOrg("acme", server.RoleRead)
	s.withOrg("globex", server.RoleRead)
	write, admin := s.token(server.RoleWrite, "acme"), s.token(server.RoleAdmin, "acme")
	seen := map[string]bool{}

	lease := func(more string) string {
		return `{"leases":[{"job_id":"01990000-0000-7000-8000-0000000000b1","cpu_count":2,"memory_gb":4,"disk_gb":20,"started_at":"2026-06-06T10:00:00Z"` + more + `}]}`
	}
	finished := lease(`,"finished_at":"2026-06-06T10:05:00Z"`)
	credit := func(key, body string) request {
		return request{method: "POST", path: "/billing/credits/acme", token: admin, body: body, header: map[string]string{"Idempotency-Key": key}}
	}
	s.send(request{method: "POST", path: "/billing/leases/acme", token: write, body: finished}).want(200, "")
	s.send(credit("used", `{"amount_cents":1,"source":"refund"}`)).want(201, "")

	for _, c := range []struct {
		name    string
		request request
		status  int
		kind    string
		code    string
		message string // a part of it
	}{
		{"malformed JSON", credit("k", `{"amount_cents":`), 400, "invalid_request", "bad_request", "JSON"},
		{"text after the JSON", credit("k", `{"amount_cents":1,"source":"refund"} x`), 400, "invalid_request", "bad_request", "JSON"},
		{"two JSON values", credit("k", `{"amount_cents":1,"source":"refund"}{}`), 400, "invalid_request", "bad_request", "after its end"},
		{"bad UTF-8 in the body", credit("k", "{\"amount_cents\":1,\"source\":\"refund\",\"description\":\"\xff\"}"), 400, "invalid_request", "bad_request", "UTF-8"},
		{"NUL in the body", credit("k", `{"amount_cents":1,"source":"refund","description":"a\u0000b"}`), 400, "invalid_request", "bad_request", "NUL"},
		{"no body", credit("k", ``), 415, "invalid_request", "unsupported_media_type", ""},
		{"empty body", request{method: "POST", path: "/billing/leases/acme", token: write, header: map[string]string{"Content-Type": "application/json"}}, 400, "invalid_request", "bad_request", "empty"},
		{"malformed query", request{path: "/billing/balance/acme?a=%zz", token: read}, 400, "invalid_request", "bad_request", "query"},
		{"bad UTF-8 in the query", request{path: "/billing/balance/acme?a=%ff", token: read}, 400, "invalid_request", "bad_request", "UTF-8"},
		{"NUL in the query", request{path: "/billing/balance/acme?a=%00", token: read}, 400, "invalid_request", "bad_request", "NUL"},
		{"bad UTF-8 in the path", request{path: "/billing/balance/%ff", token: read}, 400, "invalid_request", "bad_request", "UTF-8"},
		{"NUL in the path", request{path: "/billing/balance/a%00", token: read}, 400, "invalid_request", "bad_request", "NUL"},

		{"no token", request{path: "/billing/balance/acme"}, 401, "unauthorized", "unauthorized", ""},
		{"unknown token", request{path: "/billing/balance/acme", token: "hmt_" + strings.Repeat("A", 43)}, 401, "unauthorized", "unauthorized", ""},
		{"another scheme", request{path: "/billing/balance/acme", header: map[string]string{"Authorization": "Basic " + read}}, 401, "unauthorized", "unauthorized", ""},

		{"role too low to record", request{method: "POST", path: "/billing/leases/acme", token: read, body: finished}, 403, "forbidden", "forbidden", "read"},
		{"role too low to credit", request{method: "POST", path: "/billing/credits/acme", token: write, body: `{}`}, 403, "forbidden", "forbidden", "admin"},

		{"unknown organization", request{path: "/billing/balance/none", token: read}, 404, "not_found", "organization_not_found", ""},
		{"another's organization", request{path: "/billing/balance/globex", token: read}, 404, "not_found", "organization_not_found", ""},
		{"slug in another case", request{path: "/billing/balance/Acme", token: read}, 404, "not_found", "organization_not_found", ""},
		{"unknown transaction", request{path: "/billing/transactions/acme/01990000-0000-7000-8000-0000000000ff", token: read}, 404, "not_found", "transaction_not_found", ""},
		{"no id of a transaction", request{path: "/billing/transactions/acme/1", token: read}, 404, "not_found", "transaction_not_found", ""},
		{"unknown route", request{path: "/billing/nothing", token: read}, 404, "not_found", "route_not_found", ""},
		{"route that goes on", request{path: "/billing/balance/acme/more", token: read}, 404, "not_found", "route_not_found", ""},
		{"unknown method", request{method: "DELETE", path: "/billing/balance/acme", token: read}, 405, "invalid_request", "method_not_allowed", ""},

		{"billed lease with other contents", request{method: "POST", path: "/billing/leases/acme", token: write, body: lease(`,"finished_at":"2026-06-06T10:06:00Z"`)}, 409, "conflict", "lease_conflict", "leases[0]"},
		{"key with another body", credit("used", `{"amount_cents":2,"source":"refund"}`), 409, "conflict", "idempotency_key_reused", ""},

		{"body over 1 MiB", credit("k", `{"description":"`+strings.Repeat("x", 1<<20)+`"}`), 413, "invalid_request", "body_too_large", "1048576"},
		{"another media type", request{method: "POST", path: "/billing/leases/acme", token: write, body: finished, header: map[string]string{"Content-Type": "text/plain"}}, 415, "invalid_request", "unsupported_media_type", ""},

		{"no window", request{path: "/billing/usage/acme", token: read}, 422, "validation_failed", "billing_usage_window_invalid", "from"},
		{"no grouping", request{path: "/billing/usage/acme/by?from=2026-06-01&to=2026-06-02", token: read}, 422, "validation_failed", "usage_group_invalid", "by"},
		{"unknown grouping", request{path: "/billing/usage/acme/by?by=colour&from=2026-06-01&to=2026-06-02", token: read}, 422, "validation_failed", "usage_group_invalid", "by"},
		{"label without a key", request{path: "/billing/usage/acme/by?by=label.&from=2026-06-01&to=2026-06-02", token: read}, 422, "validation_failed", "usage_group_invalid", "by"},
		{"unknown interval", request{path: "/billing/usage/acme/by?by=shape&interval=hour&from=2026-06-01&to=2026-06-02", token: read}, 422, "validation_failed", "usage_group_invalid", "interval: must be"},
		{"long window by day", request{path: "/billing/usage/acme/by?by=shape&interval=day&from=2025-01-01&to=2026-01-03", token: read}, 422, "validation_failed", "billing_usage_window_invalid", "366 days"},
		{"foreign cursor", request{path: "/billing/transactions/acme?cursor=abc", token: read}, 422, "validation_failed", "cursor_invalid", "cursor"},
		{"unknown order", request{path: "/billing/transactions/acme?order=neither", token: read}, 422, "validation_failed", "transaction_filter_invalid", "order: must be asc or desc"},
		{"unreadable from", request{path: "/billing/transactions/acme?from=june", token: read}, 422, "validation_failed", "transaction_filter_invalid", "from"},
		{"to before from", request{path: "/billing/transactions/acme?from=2026-06-02&to=2026-06-01", token: read}, 422, "validation_failed", "transaction_filter_invalid", "to must lie after from"},
		{"after an unknown entry", request{path: "/billing/transactions/acme?after=01994f0b-7c1e-7d6f-9a53-3f6f1c2b8a10", token: read}, 404, "not_found", "transaction_not_found", ""},
		{"unknown state", request{path: "/billing/leases/acme?state=lost", token: read}, 422, "validation_failed", "lease_filter_invalid", "state: must be running or billed"},
		{"no id of a lease", request{path: "/billing/leases/acme?lease_id=1", token: read}, 422, "validation_failed", "lease_filter_invalid", "lease_id"},
		{"two states", request{path: "/billing/leases/acme?state=running&state=billed", token: read}, 422, "validation_failed", "lease_filter_invalid", "more than once"},
		{"no integer", request{path: "/billing/transactions/acme?limit=ten", token: read}, 422, "validation_failed", "limit_invalid", "limit"},
		{"lease out of bounds", request{method: "POST", path: "/billing/leases/acme", token: write, body: lease(`,"duration_seconds":1`)}, 422, "validation_failed", "lease_invalid", "leases[0]: duration_seconds"},
		{"price out of bounds", request{method: "POST", path: "/billing/rate-cards/acme", token: admin, header: map[string]string{"Idempotency-Key": "c"},
			body: `{"name":"x","cpu_microcents":100000001,"memory_gb_microcents":1,"disk_gb_microcents":1}`}, 422, "validation_failed", "rate_card_invalid", "cpu_microcents"},
		{"amount out of bounds", credit("k", `{"amount_cents":0,"source":"refund"}`), 422, "validation_failed", "amount_invalid", "amount_cents"},
		{"unknown key", credit("k", `{"amount_cents":1,"source":"refund","more":1}`), 422, "validation_failed", "body_invalid", "more"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := *s
			s.t = t
			r := s.send(c.request).want(c.status, c.code)
			if e := r.envelope().Error; string(e.Type) != c.kind || !strings.Contains(e.Message, c.message) {
				t.Errorf("type %q, message %q; want %q and %q", e.Type, e.Message, c.kind, c.message)
			}
			seen[c.code] = true
		})
	}
	// A parameter that comes twice is refused with the code that the contract gives it.
	for _, op := range httpserver.Operations {
		if op.Method != http.MethodGet {
			continue
		}
		path := strings.NewReplacer("{org}", "acme", "{id}", "01990000-0000-7000-8000-0000000000ff").Replace(op.Path)
		for _, p := range op.Parameters {
			if !p.Header {
				s.send(request{path: "/" + path + "?" + p.Name + "=1&" + p.Name + "=1", token: read}).want(422, "")
				seen[p.Code] = true
			}
		}
	}
	if got := s.balance(read, "acme"); got != 1-12 {
		t.Errorf("the balance is %d: a refused request changed it", got)
	}

	t.Run("rate", func(t *testing.T) {
		s := start(t, server.Config{RequestsPerSecond: 1})
		token := s.withOrg("acme", server.RoleRead)
		other := s.token(server.RoleRead, "acme")
		var limited response
		for range 20 {
			if limited = s.send(request{path: "/billing/balance/acme", token: token}); limited.status != 200 {
				break
			}
		}
		limited.want(429, "rate_limited")
		s.send(request{path: "/billing/balance/acme", token: other}).want(200, "")
		seen["rate_limited"] = true
	})
	t.Run("internal", func(t *testing.T) {
		s := start(t, server.Config{})
		token := s.withOrg("acme", server.RoleRead)
		s.execute(`DROP TABLE ledger_entries`)
		r := s.send(request{path: "/billing/transactions/acme", token: token}).want(500, "internal")
		if message := r.envelope().Error.Message; strings.Contains(message, "ledger_entries") {
			t.Errorf("the answer tells an internal detail: %s", message)
		}
		seen["internal"] = true
	})
	t.Run("unavailable", func(t *testing.T) {
		s := start(t, server.Config{})
		token := s.withOrg("acme", server.RoleRead)
		s.Close()
		s.send(request{path: "/billing/balance/acme", token: token}).want(503, "unavailable")
		seen["unavailable"] = true
	})
	t.Run("slow body", func(t *testing.T) {
		s := start(t, server.Config{Limits: httpapi.Limits{BodyTime: 50 * time.Millisecond}})
		token := s.withOrg("acme", server.RoleWrite)
		res, envelope := s.raw(postHead(token, "Content-Length: 100") + `{"leases":`)
		if res.StatusCode != http.StatusRequestTimeout || envelope.Error.Type != "invalid_request" || !res.Close {
			t.Errorf("a body that does not come is answered with %d, %+v", res.StatusCode, envelope)
		}
		seen[envelope.Error.Code] = true
	})
	for _, info := range gen.Errors {
		code := info.Code
		if !seen[code] {
			t.Errorf("no request was answered with %s", code)
		}
	}
}

// lock keeps the database from being written, as another process would, until it is released.
func (s *service) lock() (release func()) {
	s.t.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(s.database, "sqlite:")+"?_txlock=immediate")
	if err != nil {
		s.t.Fatal(err)
	}
	tx, err := db.BeginTx(s.t.Context(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return func() {
		if err := errors.Join(tx.Rollback(), db.Close()); err != nil {
			s.t.Error(err)
		}
	}
}

// execute executes a statement on the database, as another process would.
func (s *service) execute(statement string) {
	s.t.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(s.database, "sqlite:"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(s.t.Context(), statement); err != nil {
		s.t.Fatal(err)
	}
}

// Each request has all the errors from its row on. The answer names the error that is checked first.
func TestOrderOfChecks(t *testing.T) {
	s := start(t, server.Config{})
	read := s.withOrg("acme", server.RoleRead)
	admin := s.token(server.RoleAdmin, "acme")
	for _, c := range []struct {
		name    string
		request request
		status  int
		code    string
	}{
		{"malformed before route", request{path: "/nothing?a=%zz"}, 400, "bad_request"},
		{"malformed before token", request{path: "/billing/usage/none?a=%zz"}, 400, "bad_request"},
		{"malformed body before token", request{method: "POST", path: "/billing/credits/none", body: `{`}, 400, "bad_request"},
		{"route before token", request{path: "/billing/nothing/none"}, 404, "route_not_found"},
		{"method before token", request{method: "PUT", path: "/billing/usage/none"}, 405, "method_not_allowed"},
		{"token before organization", request{path: "/billing/usage/none?from=x"}, 401, "unauthorized"},
		{"token before body", request{method: "POST", path: "/billing/credits/none", body: `{"a":1}`}, 401, "unauthorized"},
		{"organization before parameters", request{path: "/billing/usage/none?from=x", token: read}, 404, "organization_not_found"},
		{"organization before role", request{method: "POST", path: "/billing/credits/none", token: read, body: `{"a":1}`}, 404, "organization_not_found"},
		{"role before body", request{method: "POST", path: "/billing/credits/acme", token: read, body: `{"a":1}`}, 403, "forbidden"},
		{"parameters", request{path: "/billing/usage/acme?from=x", token: read}, 422, "billing_usage_window_invalid"},
		{"header before body", request{method: "POST", path: "/billing/credits/acme", token: admin, body: `{"a":1}`}, 422, "body_invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := *s
			s.t = t
			s.send(c.request).want(c.status, c.code)
		})
	}
}

func TestMethods(t *testing.T) {
	s := start(t, server.Config{})
	token := s.withOrg("acme", server.RoleRead)
	const read, both = "GET, HEAD, OPTIONS", "GET, HEAD, POST, OPTIONS"
	for path, methods := range map[string]string{
		"/billing/balance/acme": read, "/billing/balance/acme/": read, "/billing/usage/acme/series": read, "/organizations": read,
		"/billing/leases/acme": both, "/billing/credits/none": both,
		"//healthz": read, "//": read, "//docs/errors/": read, "//assets/app/main.js": read,
	} {
		for _, token := range []string{"", token} {
			other := "POST"
			if methods == both {
				other = "DELETE"
			}
			for _, method := range []string{other, "PUT"} {
				if allow := s.send(request{method: method, path: path, token: token}).want(405, "method_not_allowed").header.Values("Allow"); len(allow) != 1 || allow[0] != methods {
					t.Errorf("%s %s: Allow: %q", method, path, allow)
				}
			}
			r := s.send(request{method: "OPTIONS", path: path, token: token, header: map[string]string{"Origin": "https://example.com"}}).want(204, "")
			if allow := r.header.Values("Allow"); len(allow) != 1 || allow[0] != methods || len(r.body) > 0 {
				t.Errorf("OPTIONS %s: Allow: %q", path, allow)
			}
		}
	}
	for _, path := range []string{"/nothing", "/billing/balance", "/billing/balance/acme/more", "//nothing"} {
		for _, method := range []string{"OPTIONS", "PUT", "GET"} {
			s.send(request{method: method, path: path}).want(404, "route_not_found")
		}
	}
	get := s.send(request{path: "/billing/balance/acme", token: token}).want(200, "")
	head := s.send(request{method: "HEAD", path: "/billing/balance/acme", token: token}).want(200, "")
	if got, want := head.header.Get("Content-Length"), fmt.Sprint(len(get.body)); got != want {
		t.Errorf("HEAD says a length of %s, GET has %s", got, want)
	}
	s.send(request{method: "HEAD", path: "/billing/balance/acme"}).want(401, "")
	s.send(request{method: "HEAD", path: "/billing/usage/acme/breakdown?from=2026-01-01&to=2026-01-02", token: token}).want(200, "")
}

func TestTokens(t *testing.T) {
	s := start(t, server.Config{})
	token := s.withOrg("acme", server.RoleRead)
	for _, header := range []string{"Bearer " + token, "bearer " + token, "BEARER  " + token} {
		s.send(request{path: "/billing/balance/acme", header: map[string]string{"Authorization": header}}).want(200, "")
	}
	for _, header := range []string{token, "Bearer", "Bearer ", "Bearer x" + token, "Bearer " + token + "x", "Bearer " + token + " x", "Token " + token} {
		s.send(request{path: "/billing/balance/acme", header: map[string]string{"Authorization": header}}).want(401, "unauthorized")
	}
	expiring, _, err := s.CreateToken(t.Context(), server.TokenOptions{Name: "e", Role: server.RoleRead, Organizations: []string{"acme"}, ExpiresIn: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.send(request{path: "/billing/balance/acme", token: expiring}).want(401, "unauthorized")

	revoked, kept, err := s.CreateToken(t.Context(), server.TokenOptions{Name: "r", Role: server.RoleRead, Organizations: []string{"acme"}})
	if err != nil {
		t.Fatal(err)
	}
	s.send(request{path: "/billing/balance/acme", token: revoked}).want(200, "")
	// Another process revokes it.
	other, err := server.Open(t.Context(), server.Config{Database: s.database})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.RevokeToken(t.Context(), kept.ID); err != nil {
		t.Fatal(err)
	}
	// It holds everywhere within five seconds, however long an answer takes.
	for revokedAt := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		asked := time.Since(revokedAt)
		answer := s.send(request{path: "/billing/balance/acme", token: revoked})
		if answer.status == 401 || asked > 5*time.Second {
			answer.want(401, "unauthorized")
			break
		}
	}
	if strings.Contains(s.export(), revoked) {
		t.Error("the database has the token itself")
	}
}

func TestRequestID(t *testing.T) {
	s := start(t, server.Config{})
	for id, echoed := range map[string]bool{
		"12345678901234567890":   true,
		strings.Repeat("a", 200): true,
		"with spaces and ~!@#$%": true,
		"1234567890123456789":    false,
		strings.Repeat("a", 201): false,
		"12345678901234567890é":  false,
	} {
		for _, path := range []string{"//healthz", "/billing/balance/acme", "/nothing"} {
			got := s.send(request{path: path, header: map[string]string{"x-request-id": id}}).header.Get("x-request-id")
			if (got == id) != echoed {
				t.Errorf("%s with %q is answered with %q", path, id, got)
			}
		}
	}
	// No error loses it, wherever it comes from; that the envelope has the same is checked with every answer.
	token := s.withOrg("acme", server.RoleRead)
	const id = "12345678901234567890"
	for _, c := range []struct {
		request
		status int
	}{
		{request{path: "/billing/balance/acme?x=%zz"}, 400},
		{request{path: "/billing/balance/acme"}, 401},
		{request{method: "POST", path: "/billing/leases/acme", token: token, body: "{}"}, 403},
		{request{path: "/billing/balance/none", token: token}, 404},
		{request{path: "//nothing"}, 404},
		{request{method: "DELETE", path: "/billing/balance/acme"}, 405},
		{request{method: "OPTIONS", path: "/billing/balance/acme"}, 204},
		{request{path: "/billing/usage/acme", token: token}, 422},
	} {
		c.header = map[string]string{"x-request-id": id}
		if got := s.send(c.request).want(c.status, "").header.Values("x-request-id"); len(got) != 1 || got[0] != id {
			t.Errorf("%s %s is answered with the x-request-id %q", c.method, c.path, got)
		}
	}
	if a, b := s.send(request{path: "//healthz"}), s.send(request{path: "//healthz"}); a.header.Get("x-request-id") == b.header.Get("x-request-id") {
		t.Error("two requests have the same id")
	}
}

func TestGzip(t *testing.T) {
	s := start(t, server.Config{})
	token := s.withOrg("acme", server.RoleWrite)
	s.send(requestOf(token, manyLeases(0, 100))).want(200, "")
	for _, path := range []string{"/billing/transactions/acme?limit=100", "/billing/usage/acme/breakdown?from=2026-01-01&to=2036-01-01"} {
		plain := s.send(request{path: path, token: token, header: map[string]string{"Accept-Encoding": "identity"}}).want(200, "")
		compressed := s.send(request{path: path, token: token, header: map[string]string{"Accept-Encoding": "gzip"}})
		if compressed.header.Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s is not compressed", path)
		}
		r, err := gzip.NewReader(bytes.NewReader(compressed.body))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil || string(body) != string(plain.body) {
			t.Errorf("%s differs when compressed: %v", path, err)
		}
	}
}

func TestCORS(t *testing.T) {
	const origin = "https://app.example.com"
	preflight := request{method: "OPTIONS", path: "/billing/balance/acme", header: map[string]string{
		"Origin": origin, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization",
	}}
	t.Run("none by default", func(t *testing.T) {
		s := start(t, server.Config{})
		for _, r := range []request{preflight, {path: "/billing/balance/acme", header: map[string]string{"Origin": origin}}} {
			if got := s.send(r).header.Get("Access-Control-Allow-Origin"); got != "" {
				t.Errorf("%s %s allows %q", r.method, r.path, got)
			}
		}
	})
	t.Run("those on the list", func(t *testing.T) {
		s := start(t, server.Config{CORSOrigins: []string{origin}})
		token := s.withOrg("acme", server.RoleRead)
		h := s.send(preflight).want(204, "").header
		if h.Get("Access-Control-Allow-Origin") != origin || !strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") || h.Get("Access-Control-Max-Age") != "600" {
			t.Errorf("the preflight is answered with %v", h)
		}
		for _, token := range []string{token, ""} { // errors are readable, too
			h = s.send(request{path: "/billing/balance/acme", token: token, header: map[string]string{"Origin": origin}}).header
			if h.Get("Access-Control-Allow-Origin") != origin || h.Get("Access-Control-Expose-Headers") != "x-request-id,retry-after,idempotency-replayed" {
				t.Errorf("the answer has %v", h)
			}
		}
		h = s.send(request{path: "/billing/balance/acme", token: token, header: map[string]string{"Origin": "https://evil.example.com"}}).header
		if got := h.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("another origin is allowed: %q", got)
		}
		// Not every OPTIONS is a browser's question.
		if allow := s.send(request{method: "OPTIONS", path: "/billing/balance/acme"}).want(204, "").header.Get("Allow"); allow != "GET, HEAD, OPTIONS" {
			t.Errorf("Allow: %s", allow)
		}
		s.send(request{method: "OPTIONS", path: "/nothing"}).want(404, "route_not_found")
	})
	t.Run("none that no browser sends", func(t *testing.T) {
		for origin, good := range map[string]bool{
			"*": true, "https://*.example.com": true, "http://127.0.0.1:8080": true,
			"foo": false, "": false, "https://app.example.com/": false, "//app.example.com": false, "https://a@app.example.com": false, "https:": false,
			"https://App.example.com": false, "https://app.example.com:443": false, "http://app.example.com:80": false, "http://app.example.com:8080": true,
			"HTTPS://app.example.com": false, "https://app.example.com?": false,
		} {
			s, err := server.Open(t.Context(), server.Config{Database: "sqlite:" + filepath.Join(t.TempDir(), "b.db"), CORSOrigins: []string{origin}})
			if good != (err == nil) || err != nil && !errors.Is(err, server.ErrInvalid) {
				t.Errorf("the origin %q: %v", origin, err)
			}
			if err == nil {
				s.Close()
			}
		}
	})
}

package conformance_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/conformance"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/server"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// books are two organizations' that a token may see, and one's that it may not. The leases are of the last days, since
// that is where a check looks.
func books() string {
	var b strings.Builder
	day := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -4)
	n := 0
	for _, org := range organizations {
		fmt.Fprintf(&b, `{"type":"organization","slug":%q,"name":%q}`+"\n", org, org)
		for i := range 120 {
			n++
			start := day.Add(time.Duration(i) * 37 * time.Minute)
			lease := map[string]any{
				"type": "lease", "org": org, "job_id": id(1, n), "job_name": "Test", "cpu_count": 2, "memory_gb": 4, "disk_gb": 20,
				"started_at": start, "finished_at": start.Add(time.Duration(60+i) * time.Second),
			}
			switch i % 10 {
			case 0: // no build, but a pipeline
				lease["pipeline_id"], lease["pipeline_name"], lease["pipeline_slug"] = id(4, 1), "Web App", "web-app"
			case 1: // no pipeline
				lease["build_id"] = id(2, n)
			default:
				lease["build_id"], lease["build_number"], lease["pipeline_id"] = id(3, n/5), n/5, id(4, 1)
				lease["pipeline_name"], lease["pipeline_slug"] = "Web App", "web-app"
			}
			if i%17 == 0 {
				delete(lease, "finished_at") // it runs
			}
			line, _ := json.Marshal(lease)
			b.Write(append(line, '\n'))
		}
	}
	return b.String()
}

// credits come later than the leases, so that not all of the ledger is of one time.
func credits() string {
	var b strings.Builder
	for _, org := range organizations {
		for i := range 10 {
			fmt.Fprintf(&b, `{"org":%q,"amount_cents":%d,"source":"refund","description":null,"idempotency_key":"%d"}`+"\n", org, 100+i, i)
		}
	}
	return b.String()
}

var organizations = []string{"acme", "globex", "initech"}

func id(kind, n int) string { return fmt.Sprintf("01990000-000a-7000-8%03x-%012x", kind, n) }

type service struct {
	handler http.Handler
	token   string // to check with; it may write, since some rules are about bodies that are refused
	read    string
	admin   string
}

// open opens a real server with books in the database.
func open(t *testing.T, database string) service {
	t.Helper()
	s, err := server.Open(t.Context(), server.Config{Database: database})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for _, text := range []string{books(), credits()} {
		_, err = s.Import(t.Context(), strings.NewReader(text), server.ImportOptions{Bad: func(line int, err error) { t.Errorf("line %d: %v", line, err) }})
		if err != nil {
			t.Fatal(err)
		}
	}
	token := func(role server.Role, orgs ...string) string {
		token, _, err := s.CreateToken(t.Context(), server.TokenOptions{Name: "check", Role: role, Organizations: orgs})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	admin := token(server.RoleAdmin, "acme", "globex")
	for _, org := range []string{"acme", "globex"} {
		for i := range 9 { // two small pages
			body := fmt.Sprintf(`{"name":"Card %d","cpu_count":16,"memory_gb":64,"disk_gb":%d,"cpu_microcents":9000,"memory_gb_microcents":4500,"disk_gb_microcents":100}`, i, 100+i)
			req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v0/billing/rate-cards/"+org, strings.NewReader(body))
			req.Header = http.Header{"Authorization": {"Bearer " + admin}, "Content-Type": {"application/json"}, "Idempotency-Key": {strconv.Itoa(i)}}
			answer := httptest.NewRecorder()
			if s.Handler().ServeHTTP(answer, req); answer.Code != http.StatusCreated {
				t.Fatal(answer.Body)
			}
		}
	}
	return service{s.Handler(), token(server.RoleWrite, "acme", "globex"), token(server.RoleRead, "acme"), admin}
}

// openScratch opens a server with an organization that has no entry.
func openScratch(t *testing.T) service {
	t.Helper()
	s, err := server.Open(t.Context(), server.Config{Database: sqlite(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for _, org := range []string{"scratch", "other", "initech"} {
		if _, err := s.CreateOrganization(t.Context(), org, ""); err != nil {
			t.Fatal(err)
		}
	}
	token := func(role server.Role) string {
		token, _, err := s.CreateToken(t.Context(), server.TokenOptions{Name: "check", Role: role, Organizations: []string{"scratch", "other"}})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	return service{s.Handler(), token(server.RoleWrite), token(server.RoleRead), token(server.RoleAdmin)}
}

// readBody returns the body of a request, which can be read again.
func readBody(r *http.Request) string {
	body, _ := io.ReadAll(r.Body)
	setBody(r, string(body))
	return string(body)
}

func setBody(r *http.Request, body string) {
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
}

func sqlite(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "billing.db") }

// check checks one organization, or all where org is empty.
func check(t *testing.T, handler http.Handler, token, org, only string) *conformance.Report {
	t.Helper()
	srv := httptest.NewServer(handler)
	defer srv.Close()
	report, err := conformance.Run(t.Context(), conformance.Options{
		URL: srv.URL, Token: token, Organization: org, UserAgent: "test", Only: only, Hidden: "initech", Pauses: []time.Duration{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// noBreach fails on a rule that does not hold, and on one that was not checked.
func noBreach(t *testing.T, report *conformance.Report, unchecked ...string) {
	t.Helper()
	for _, r := range report.Rules {
		switch {
		case r.Status == conformance.Failed:
			t.Errorf("%s: %+v", r.Rule, r.Breaches)
		case r.Status == conformance.Skipped != slices.Contains(unchecked, r.Rule):
			t.Errorf("%s is %s: %s", r.Rule, r.Status, r.Reason)
		}
	}
}

func TestOwnServer(t *testing.T) {
	for name, database := range map[string]func(*testing.T) string{
		"SQLite":     sqlite,
		"PostgreSQL": func(t *testing.T) string { return pgtest.Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, database(t))
			report := check(t, s.handler, s.token, "", "")
			noBreach(t, report, "errors.retry-after")
			if c := report.Organizations; len(c) != 2 || c[0].Organization != "acme" || c[0].Entries != 122 || !c[0].WholeLedger || c[0].Jobs != 120 {
				t.Errorf("covered: %+v", c)
			}
		})
	}
}

// A token that may only read is enough for all rules but one.
func TestReadToken(t *testing.T) {
	s := open(t, sqlite(t))
	noBreach(t, check(t, s.handler, s.read, "acme", ""), "errors.retry-after", "requests.content-encoding", "cursors.foreign")
}

// TestServerInUse checks a server while others write. A change between two requests is no breach.
func TestServerInUse(t *testing.T) {
	s := open(t, sqlite(t))
	srv := httptest.NewServer(s.handler)
	defer srv.Close()
	write := func(path, key, body string) {
		req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, srv.URL+"/api/v0/billing/"+path, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Authorization", "Bearer "+s.admin)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		if answer, _ := io.ReadAll(resp.Body); resp.StatusCode > http.StatusCreated {
			t.Errorf("%s: %d %s", path, resp.StatusCode, answer)
		}
	}
	done, written := make(chan struct{}), make(chan int)
	go func() {
		for n := 10_000; ; n++ {
			select {
			case <-done:
				written <- n - 10_000
				return
			default:
				start := time.Now().Add(-time.Duration(n%1000) * time.Minute).UTC()
				write("leases/acme", "", fmt.Sprintf(`{"leases":[{"job_id":%q,"cpu_count":4,"memory_gb":8,"disk_gb":40,"started_at":%q,"finished_at":%q}]}`,
					id(1, n), start.Format(time.RFC3339Nano), start.Add(10*time.Minute).Format(time.RFC3339Nano)))
				write("credits/acme", strconv.Itoa(n), `{"amount_cents":5,"source":"refund"}`)
			}
		}
	}()
	report := check(t, s.handler, s.token, "acme", "")
	close(done)
	n := <-written
	if n == 0 {
		t.Error("nothing was written meanwhile")
	}
	t.Logf("%d leases and credits were written", n)
	for _, r := range report.Rules {
		if r.Status == conformance.Failed {
			t.Errorf("%s: %+v", r.Rule, r.Breaches)
		}
	}
}

// answer has the parts of an answer that a planted fault may change.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// edit changes the JSON of a successful answer.
func (a *answer) edit(change func(body map[string]any)) {
	decoder := json.NewDecoder(bytes.NewReader(a.body))
	decoder.UseNumber()
	var body map[string]any
	if err := decoder.Decode(&body); err != nil {
		return
	}
	change(body)
	a.body, _ = json.Marshal(body)
}

func (a *answer) replace(old, changed string) {
	a.body = bytes.ReplaceAll(a.body, []byte(old), []byte(changed))
}

// fail makes it an error.
func (a *answer) fail(status int, kind, code string) {
	a.status = status
	a.body = fmt.Appendf(nil, `{"error":{"type":%q,"code":%q,"message":"no","doc_url":"https://example.com/%s","request_id":%q}}`,
		kind, code, code, a.header.Get("x-request-id"))
	a.header.Set("Content-Type", "application/json")
	a.header.Del("WWW-Authenticate")
	if status == http.StatusUnauthorized {
		a.header.Set("WWW-Authenticate", "Bearer")
	}
}

// list is the data of an answer.
func list(body map[string]any) []any {
	data, _ := body["data"].([]any)
	return data
}

// put sets a value.
func put(object any, key string, value any) {
	if o, ok := object.(map[string]any); ok {
		o[key] = value
	}
}

// bump adds to a number.
func bump(object any, key string, by int64) {
	o, ok := object.(map[string]any)
	if !ok {
		return
	}
	n, _ := o[key].(json.Number)
	old, _ := n.Int64()
	o[key] = old + by
}

// fault breaks one rule.
type fault struct {
	rule   string
	name   string
	shown  string                // the rule with requests that show it, if rule sends none
	ask    func(r *http.Request) // changes the request
	answer func(r *http.Request, a *answer)
}

func on(suffix string, change func(r *http.Request, a *answer)) func(*http.Request, *answer) {
	return func(r *http.Request, a *answer) {
		if strings.Contains(r.URL.Path+"/", suffix+"/") && a.status == http.StatusOK && r.Method == http.MethodGet {
			change(r, a)
		}
	}
}

// onEntry changes the answers to getBillingTransaction.
func onEntry(change func(r *http.Request, a *answer)) func(*http.Request, *answer) {
	return func(r *http.Request, a *answer) {
		if strings.Contains(r.URL.Path, "/billing/transactions/acme/") && a.status == http.StatusOK {
			change(r, a)
		}
	}
}

// editCard changes the rate card of an entry.
func editCard(change func(card map[string]any)) func(*http.Request, *answer) {
	return func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) {
			if card, ok := body["rate_card"].(map[string]any); ok {
				change(card)
			}
		})
	}
}

// onStatement changes a statement.
func onStatement(change func(body map[string]any)) func(*http.Request, *answer) {
	return on("/billing/statement/acme", func(_ *http.Request, a *answer) { a.edit(change) })
}

// onGroups changes the groups of a window.
func onGroups(change func(groups []any)) func(*http.Request, *answer) {
	return on("/billing/usage/acme/by", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) {
			if groups := list(body); len(groups) > 0 {
				change(groups)
			}
		})
	})
}

// onRunway changes the paces of a runway.
func onRunway(change func(body, pace map[string]any)) func(*http.Request, *answer) {
	return on("/billing/runway/acme", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) {
			for _, key := range []string{"last_7_days", "last_30_days"} {
				change(body, body[key].(map[string]any))
			}
		})
	})
}

// nextDay moves a time to the next day.
func nextDay(pace map[string]any, key string) {
	text, _ := pace[key].(string)
	at, _ := time.Parse(time.RFC3339, text)
	pace[key] = at.AddDate(0, 0, 1).Format("2006-01-02T15:04:05.000000Z")
}

func (f fault) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r.Clone(context.WithoutCancel(r.Context()))
		if f.ask != nil {
			f.ask(asked)
		}
		zipped := strings.Contains(asked.Header.Get("Accept-Encoding"), "gzip")
		asked.Header.Del("Accept-Encoding")
		recorder := httptest.NewRecorder()
		next.ServeHTTP(recorder, asked)
		a := &answer{recorder.Code, recorder.Header(), recorder.Body.Bytes()}
		if f.answer != nil {
			f.answer(r, a)
		}
		a.header.Del("Content-Length")
		if zipped && len(a.body) > 1<<10 {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			z.Write(a.body)
			z.Close()
			a.body = b.Bytes()
			a.header.Set("Content-Encoding", "gzip")
		}
		maps.Copy(w.Header(), a.header)
		w.WriteHeader(a.status)
		if r.Method != http.MethodHead {
			w.Write(a.body)
		}
	})
}

// query changes a parameter of the request.
func query(r *http.Request, change func(q map[string][]string)) {
	q := r.URL.Query()
	change(q)
	r.URL.RawQuery = q.Encode()
}

// withoutParameter removes a parameter of requests.
func withoutParameter(name string) func(*http.Request) {
	return func(r *http.Request) { query(r, func(q map[string][]string) { delete(q, name) }) }
}

// onTransactions changes requests for lists of entries.
func onTransactions(change func(*http.Request)) func(*http.Request) {
	return func(r *http.Request) {
		if is(r, "/transactions/acme") {
			change(r)
		}
	}
}

func later(q map[string][]string, name string) {
	if len(q[name]) == 0 {
		return
	}
	if at, err := time.Parse(time.RFC3339, q[name][0]); err == nil {
		q[name][0] = at.Add(time.Microsecond).UTC().Format(time.RFC3339Nano)
	}
}

func is(r *http.Request, suffix string) bool { return strings.Contains(r.URL.Path+"/", suffix+"/") }

var faults = []fault{
	{rule: "answers.status", name: "no content", shown: "ledger.balance", answer: on("/billing/balance/acme", func(_ *http.Request, a *answer) { a.status, a.body = http.StatusNoContent, nil })},
	{rule: "answers.json", name: "text", shown: "ledger.balance", answer: on("/billing/balance/acme", func(_ *http.Request, a *answer) { a.header.Set("Content-Type", "text/plain") })},
	{rule: "answers.json", name: "trailing text", shown: "ledger.balance", answer: on("/billing/balance/acme", func(_ *http.Request, a *answer) { a.body = append(a.body, "{}"...) })},
	{rule: "answers.schema", name: "a number as a text", shown: "series.days", answer: on("/series", func(_ *http.Request, a *answer) { a.replace(`"total_cents":0`, `"total_cents":"0"`) })},
	{rule: "answers.schema", name: "a key of its own", shown: "ledger.balance", answer: on("/billing/balance/acme", func(_ *http.Request, a *answer) { a.replace(`{`, `{"currency":"usd",`) })},
	{rule: "answers.schema", name: "a source of its own", shown: "ledger.pages", answer: on("/billing/transactions/acme", func(_ *http.Request, a *answer) { a.replace(`"refund"`, `"gift"`) })},
	{rule: "answers.keys", name: "null left out", shown: "ledger.pages", answer: on("/billing/transactions/acme", func(_ *http.Request, a *answer) { a.replace(`"description":null,`, ``) })},
	{rule: "answers.keys", name: "no next_cursor", shown: "ledger.pages", answer: on("/billing/transactions/acme", func(_ *http.Request, a *answer) { a.replace(`,"next_cursor":null`, ``) })},
	{rule: "answers.arrays", name: "nothing is null", shown: "requests.head", answer: on("/breakdown", func(_ *http.Request, a *answer) { a.replace(`"data":[]`, `"data":null`) })},
	{rule: "answers.timestamps", name: "milliseconds", shown: "breakdown.groups", answer: on("/breakdown", func(_ *http.Request, a *answer) { a.replace(`.000000Z"`, `.000Z"`) })},
	{rule: "answers.timestamps", name: "an offset", shown: "breakdown.groups", answer: on("/breakdown", func(_ *http.Request, a *answer) { a.replace(`.000000Z"`, `.000000+00:00"`) })},
	{rule: "answers.dates", name: "a time of day", shown: "series.days", answer: on("/series", func(_ *http.Request, a *answer) { a.replace(`","cpu`, `T00:00:00Z","cpu`) })},
	{rule: "answers.uuids", name: "upper case", shown: "breakdown.groups", answer: on("/breakdown", func(_ *http.Request, a *answer) { a.replace("01990000-000a-", "01990000-000A-") })},
	{rule: "answers.request-id", name: "a short id", shown: "ledger.balance", answer: on("/billing/balance/acme", func(_ *http.Request, a *answer) { a.header.Set("x-request-id", "1") })},

	{rule: "answers.cache-control", name: "for everyone", shown: "series.days", answer: on("/series", func(_ *http.Request, a *answer) { a.header.Set("Cache-Control", "public, max-age=60") })},
	{rule: "answers.cache-control", name: "errors for everyone", shown: "cursors.invalid", answer: func(_ *http.Request, a *answer) {
		if a.status == http.StatusUnprocessableEntity {
			a.header.Del("Cache-Control")
		}
	}},
	{rule: "answers.nosniff", name: "not said", shown: "breakdown.groups", answer: on("/breakdown", func(_ *http.Request, a *answer) { a.header.Del("X-Content-Type-Options") })},
	{rule: "answers.vary", name: "by origin alone", shown: "ledger.balance", answer: on("/billing/balance/acme", func(_ *http.Request, a *answer) { a.header.Set("Vary", "Origin") })},

	{rule: "errors.envelope", name: "no doc_url", shown: "cursors.invalid", answer: func(_ *http.Request, a *answer) {
		if a.status == http.StatusUnprocessableEntity {
			a.edit(func(body map[string]any) { delete(body["error"].(map[string]any), "doc_url") })
		}
	}},
	{rule: "errors.envelope", name: "a page of the router", shown: "order.route-before-token", answer: func(_ *http.Request, a *answer) {
		if a.status == http.StatusNotFound {
			a.body = []byte(`{"message":"Not Found"}`)
		}
	}},
	{rule: "errors.request-id", name: "another id", shown: "order.route-before-token", answer: func(_ *http.Request, a *answer) {
		if a.status == http.StatusNotFound {
			a.header.Set("x-request-id", "conformance-another-id")
		}
	}},
	{rule: "errors.code", name: "a type that does not fit", shown: "cursors.invalid", answer: func(_ *http.Request, a *answer) { a.replace(`"type":"validation_failed"`, `"type":"invalid_request"`) }},
	{rule: "errors.doc-url", name: "one page for all", shown: "cursors.invalid", answer: func(_ *http.Request, a *answer) { a.replace(`/errors/cursor_invalid"`, `/errors/"`) }},
	{rule: "errors.retry-after", name: "unavailable for ever", shown: "series.days", answer: on("/series", func(_ *http.Request, a *answer) { a.fail(http.StatusServiceUnavailable, "server_error", "unavailable") })},
	{rule: "errors.challenge", name: "another challenge", shown: "tokens.one-401", answer: func(_ *http.Request, a *answer) {
		if a.status == http.StatusUnauthorized {
			a.header.Set("WWW-Authenticate", `Bearer realm="billing"`)
		}
	}},
	{rule: "errors.allow", name: "no Allow", shown: "order.method-before-token", answer: func(_ *http.Request, a *answer) {
		if a.status == http.StatusMethodNotAllowed {
			a.header.Del("Allow")
		}
	}},

	{rule: "tokens.one-401", name: "tells unknown tokens apart", answer: func(r *http.Request, a *answer) {
		if strings.Contains(r.Header.Get("Authorization"), "hmt_") {
			a.replace("a valid bearer token is required", "the token is unknown")
		}
	}},
	{rule: "tokens.scheme", name: "only Bearer", answer: func(r *http.Request, a *answer) {
		if strings.HasPrefix(r.Header.Get("Authorization"), "bearer ") {
			a.fail(http.StatusUnauthorized, "unauthorized", "unauthorized")
		}
	}},
	{rule: "order.malformed-first", name: "token first", answer: func(r *http.Request, a *answer) {
		if a.status == http.StatusBadRequest && r.Header.Get("Authorization") == "" {
			a.fail(http.StatusUnauthorized, "unauthorized", "unauthorized")
		}
	}},
	{rule: "order.route-before-token", name: "token first", answer: func(r *http.Request, a *answer) {
		if a.status == http.StatusNotFound && r.Header.Get("Authorization") == "" {
			a.fail(http.StatusUnauthorized, "unauthorized", "unauthorized")
		}
	}},
	{rule: "order.method-before-token", name: "token first", answer: func(r *http.Request, a *answer) {
		if a.status == http.StatusMethodNotAllowed && r.Header.Get("Authorization") == "" {
			a.fail(http.StatusUnauthorized, "unauthorized", "unauthorized")
		}
	}},
	{rule: "order.token-before-organization", name: "organization first", answer: func(r *http.Request, a *answer) {
		if is(r, "no-such-organization") && a.status == http.StatusUnauthorized {
			a.fail(http.StatusNotFound, "not_found", "organization_not_found")
		}
	}},
	{rule: "order.token-before-parameters", name: "parameters first", answer: func(r *http.Request, a *answer) {
		if r.URL.Query().Get("limit") == "ten" {
			a.fail(http.StatusUnprocessableEntity, "validation_failed", "limit_invalid")
		}
	}},
	{rule: "order.short-body-before-token", name: "token first", answer: func(r *http.Request, a *answer) {
		if r.Method == http.MethodPost && a.status == http.StatusBadRequest && r.Header.Get("Authorization") == "" {
			a.fail(http.StatusUnauthorized, "unauthorized", "unauthorized")
		}
	}},
	{rule: "order.short-body-before-token", name: "only the shortest", answer: func(r *http.Request, a *answer) {
		if r.ContentLength > 1<<10 && a.status == http.StatusBadRequest {
			a.fail(http.StatusUnauthorized, "unauthorized", "unauthorized")
		}
	}},
	{rule: "order.token-before-long-body", name: "body first", answer: func(r *http.Request, a *answer) {
		if r.ContentLength > 64<<10 {
			a.fail(http.StatusBadRequest, "invalid_request", "bad_request")
		}
	}},
	{rule: "order.organization-before-parameters", name: "parameters first", answer: func(r *http.Request, a *answer) {
		if is(r, "no-such-organization") && r.URL.RawQuery == "" && strings.Contains(r.URL.Path, "usage") && a.status == http.StatusNotFound {
			a.fail(http.StatusUnprocessableEntity, "validation_failed", "billing_usage_window_invalid")
		}
	}},

	{rule: "organizations.list", name: "not by slug", answer: on("/organizations", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) { slices.Reverse(list(body)) })
	})},
	{rule: "organizations.unknown", name: "empty books", answer: func(r *http.Request, a *answer) {
		if is(r, "/billing/balance/no-such-organization") && a.status == http.StatusNotFound {
			a.status, a.body = http.StatusOK, []byte(`{"balance_cents":0}`)
		}
	}},
	{rule: "organizations.hidden", name: "forbidden", answer: func(r *http.Request, a *answer) {
		if is(r, "initech") && a.status == http.StatusNotFound {
			a.fail(http.StatusForbidden, "forbidden", "forbidden")
		}
	}},
	{rule: "organizations.hidden", name: "a text that gives it away", answer: func(r *http.Request, a *answer) {
		if is(r, "initech") {
			a.replace("no such organization", "the token may not see this organization")
		}
	}},
	{rule: "organizations.case", name: "any case", ask: func(r *http.Request) { r.URL.Path = strings.ReplaceAll(r.URL.Path, "ACME", "acme") }},

	{rule: "requests.id-echoed", name: "always made", ask: func(r *http.Request) { r.Header.Del("X-Request-Id") }},
	{rule: "requests.id-made", name: "always echoed", answer: func(r *http.Request, a *answer) {
		if id := r.Header.Get("X-Request-Id"); id != "" {
			a.header.Set("X-Request-Id", id)
		}
	}},
	{rule: "requests.head", name: "HEAD is another method", answer: func(r *http.Request, a *answer) {
		if r.Method == http.MethodHead && is(r, "/series") {
			a.header.Set("Allow", "GET")
			a.fail(http.StatusMethodNotAllowed, "invalid_request", "method_not_allowed")
		}
	}},
	{rule: "requests.unknown-parameters", name: "refused", answer: func(r *http.Request, a *answer) {
		if r.URL.Query().Has("no_such_parameter") {
			a.fail(http.StatusBadRequest, "invalid_request", "bad_request")
		}
	}},
	{rule: "requests.slashes", name: "none at the end", answer: func(r *http.Request, a *answer) {
		if strings.HasSuffix(r.URL.Path, "acme/") {
			a.fail(http.StatusNotFound, "not_found", "route_not_found")
		}
	}},
	{rule: "requests.slashes", name: "none twice", answer: func(r *http.Request, a *answer) {
		if strings.Contains(r.URL.Path, "//") {
			a.fail(http.StatusNotFound, "not_found", "route_not_found")
		}
	}},
	{rule: "requests.slashes", name: "without a token", answer: func(r *http.Request, a *answer) {
		if strings.Contains(r.URL.Path, "//") && a.status == http.StatusUnauthorized {
			a.fail(http.StatusNotFound, "not_found", "route_not_found")
		}
	}},
	{rule: "options.allow", name: "the router's list", answer: func(r *http.Request, a *answer) {
		if r.Method == http.MethodOptions {
			a.header.Set("Allow", "OPTIONS, GET")
		}
	}},
	{rule: "options.allow", name: "405 has another list", answer: func(r *http.Request, a *answer) {
		if a.status == http.StatusMethodNotAllowed && is(r, "/credits/no-such-organization") {
			a.header.Set("Allow", "POST")
		}
	}},
	{rule: "options.allow", name: "with a token only", answer: func(r *http.Request, a *answer) {
		if r.Method == http.MethodOptions && a.status == http.StatusNoContent {
			a.fail(http.StatusUnauthorized, "unauthorized", "unauthorized")
		}
	}},
	{rule: "options.allow", name: "any path", answer: func(r *http.Request, a *answer) {
		if r.Method == http.MethodOptions && a.status == http.StatusNotFound {
			a.status, a.body = http.StatusNoContent, nil
		}
	}},
	{rule: "requests.gzip-body", name: "not unpacked", ask: func(r *http.Request) { r.Header.Del("Content-Encoding") }},
	{rule: "requests.gzip-body", name: "whatever it is", answer: func(r *http.Request, a *answer) {
		if r.Header.Get("Content-Encoding") == "gzip" {
			a.fail(http.StatusUnauthorized, "unauthorized", "unauthorized")
		}
	}},
	{rule: "requests.content-encoding", name: "taken for none", ask: func(r *http.Request) { r.Header.Del("Content-Encoding") }},
	{rule: "requests.content-encoding", name: "before the token", answer: func(r *http.Request, a *answer) {
		if r.Header.Get("Content-Encoding") == "br" {
			a.fail(http.StatusUnsupportedMediaType, "invalid_request", "unsupported_media_type")
		}
	}},
	{rule: "requests.gzip", name: "never", ask: func(r *http.Request) { r.Header.Del("Accept-Encoding") }},
	{rule: "requests.gzip", name: "always", ask: func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") }},

	{rule: "ledger.order", name: "oldest first on a page", answer: on("/billing/transactions/acme", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) { slices.Reverse(list(body)) })
	})},
	{rule: "ledger.order", name: "entries of one time by their ids upwards", answer: on("/billing/transactions/acme", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) {
			for i, e := range list(body) {
				if e := e.(map[string]any); i > 0 {
					e["created_at"] = list(body)[0].(map[string]any)["created_at"]
					e["id"] = "f" + e["id"].(string)[1:]
				}
			}
		})
	})},
	{rule: "ledger.order", name: "an entry twice", answer: on("/billing/transactions/acme", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) {
			if data := list(body); len(data) > 2 {
				data[1] = data[0]
			}
		})
	})},
	{rule: "ledger.pages", name: "small pages skip one", answer: on("/billing/transactions/acme", func(r *http.Request, a *answer) {
		if r.URL.Query().Get("limit") == "7" && r.URL.Query().Has("cursor") {
			a.edit(func(body map[string]any) { body["data"] = list(body)[1:] })
		}
	})},
	{rule: "ledger.end", name: "a cursor after the last page", answer: on("/billing/transactions/acme", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) {
			if data := list(body); body["next_cursor"] == nil && len(data) > 0 {
				body["next_cursor"] = "the-end"
			}
		})
	}), ask: func(r *http.Request) {
		query(r, func(q map[string][]string) {
			if len(q["cursor"]) > 0 && q["cursor"][0] == "the-end" {
				r.URL.Path = strings.ReplaceAll(r.URL.Path, "acme", "empty")
			}
		})
	}},
	{rule: "ledger.end", name: "null before the end", answer: on("/billing/transactions/acme", func(r *http.Request, a *answer) {
		if limit, _ := strconv.Atoi(r.URL.Query().Get("limit")); limit > 7 && limit < 50 {
			a.edit(func(body map[string]any) { body["next_cursor"] = nil })
		}
	})},
	{rule: "ledger.ascending", name: "the order is ignored", ask: withoutParameter("order")},
	{rule: "ledger.ascending", name: "the second page begins anew", ask: func(r *http.Request) {
		query(r, func(q map[string][]string) {
			if len(q["order"]) > 0 {
				delete(q, "cursor")
			}
		})
	}},
	{rule: "ledger.after", name: "ignored", ask: withoutParameter("after")},
	{rule: "ledger.after", name: "an unknown entry begins anew", ask: func(r *http.Request) {
		query(r, func(q map[string][]string) {
			if len(q["after"]) > 0 && strings.HasPrefix(q["after"][0], "ffff") {
				delete(q, "after")
			}
		})
	}},
	{rule: "ledger.times", name: "from is ignored", ask: onTransactions(withoutParameter("from"))},
	{rule: "ledger.times", name: "to is included", ask: onTransactions(func(r *http.Request) {
		query(r, func(q map[string][]string) { later(q, "to") })
	})},
	{rule: "ledger.source", name: "ignored", ask: withoutParameter("source")},
	{rule: "ledger.filters-invalid", name: "an unknown order is taken", ask: func(r *http.Request) {
		query(r, func(q map[string][]string) {
			if len(q["order"]) > 0 && q["order"][0] == "newest" {
				delete(q, "order")
			}
		})
	}},
	{rule: "ledger.balance", name: "a cent too much", answer: on("/billing/balance/acme", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) { bump(body, "balance_cents", 1) })
	})},
	{rule: "ledger.signs", name: "debits that pay", answer: on("/billing/transactions/acme", func(_ *http.Request, a *answer) { a.replace(`"amount_cents":-`, `"amount_cents":`) })},
	{rule: "ledger.head", name: "another balance", answer: on("/billing/head/acme", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) { bump(body, "balance_cents", 1) })
	})},
	{rule: "ledger.head", name: "no entries", answer: on("/billing/head/acme", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) { body["seq"] = 0 })
	})},
	{rule: "ledger.head", name: "another digest each time", answer: on("/billing/head/acme", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) { body["digest"] = fmt.Sprintf("%x", sha256.Sum256([]byte(rand.Text()))) })
	})},
	{rule: "ledger.head", name: "a digest in capitals", answer: on("/billing/head/acme", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) { body["digest"] = strings.Repeat("A", 64) })
	})},
	{rule: "statement.entries", name: "one entry more", answer: onStatement(func(body map[string]any) { bump(body, "entry_count", 1) })},
	{rule: "statement.entries", name: "another closing balance", answer: onStatement(func(body map[string]any) { bump(body, "closing_balance_cents", 1) })},
	{rule: "statement.entries", name: "another sum", answer: onStatement(func(body map[string]any) { bump(body["sources"].([]any)[0], "amount_cents", 1) })},
	{rule: "statement.entries", name: "another balance of the head", answer: onStatement(func(body map[string]any) { bump(body["closing_head"], "balance_cents", 1) })},
	{rule: "statement.entries", name: "another number of the head", answer: onStatement(func(body map[string]any) { bump(body["opening_head"], "seq", 1) })},
	{rule: "statement.entries", name: "to is included", ask: func(r *http.Request) {
		if is(r, "/billing/statement/acme") {
			query(r, func(q map[string][]string) { later(q, "to") })
		}
	}},
	{rule: "statement.adjacent", name: "opens one entry later", ask: func(r *http.Request) {
		if is(r, "/billing/statement/acme") {
			query(r, func(q map[string][]string) { later(q, "from") })
		}
	}},
	{rule: "statement.adjacent", name: "another digest at the beginning", answer: onStatement(func(body map[string]any) {
		body["opening_head"].(map[string]any)["digest"] = strings.Repeat("a", 64)
	})},
	{rule: "statement.head", name: "another digest at the end", answer: onStatement(func(body map[string]any) {
		body["closing_head"].(map[string]any)["digest"] = strings.Repeat("a", 64)
	})},
	{rule: "credits.list", name: "oldest first", answer: on("/billing/credits/acme", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) { slices.Reverse(list(body)) })
	})},
	{rule: "credits.list", name: "another balance", answer: on("/billing/credits/acme", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) { bump(list(body)[0], "balance_after_cents", 1) })
	})},
	{rule: "credits.list", name: "from is ignored", ask: func(r *http.Request) {
		if is(r, "/billing/credits/acme") && !strings.Contains(r.URL.RawQuery, "june") {
			withoutParameter("from")(r)
		}
	}},
	{rule: "credits.list", name: "an unreadable time is taken", ask: func(r *http.Request) {
		if is(r, "/billing/credits/acme") && strings.Contains(r.URL.RawQuery, "june") {
			query(r, func(q map[string][]string) { clear(q) })
		}
	}},
	{rule: "ledger.entry", name: "an amount that the list does not have", answer: onEntry(func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) { bump(body, "amount_cents", 1) })
	})},
	{rule: "ledger.entry", name: "a balance that does not add up", answer: onEntry(func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) {
			amount, _ := body["amount_cents"].(json.Number).Int64()
			bump(body, "balance_after_cents", amount)
		})
	})},
	{rule: "ledger.entry", name: "the lease of another entry", answer: onEntry(func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) {
			if lease, ok := body["lease"].(map[string]any); ok {
				lease["transaction_id"] = id(9, 9)
			}
		})
	})},
	{rule: "ledger.entry", name: "another price", answer: onEntry(func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) {
			if cost, ok := body["cost"].(map[string]any); ok {
				bump(cost["cpu"], "microcents_per_second", 1)
			}
		})
	})},
	{rule: "ledger.entry", name: "rounded up", answer: onEntry(func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) {
			if cost, ok := body["cost"].(map[string]any); ok {
				bump(cost, "cents", 1)
			}
		})
	})},
	{rule: "prices.entries", name: "another price", answer: onEntry(editCard(func(card map[string]any) { bump(card, "cpu_microcents", 1) }))},
	{rule: "prices.entries", name: "no price", answer: onEntry(editCard(func(card map[string]any) { card["disk_gb_microcents"] = nil }))},
	{rule: "prices.entries", name: "a card of later leases", answer: onEntry(editCard(func(card map[string]any) {
		card["effective_from"] = time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
	}))},
	{rule: "prices.entries", name: "another shape", answer: onEntry(editCard(func(card map[string]any) {
		card["cpu_count"], card["memory_gb"], card["disk_gb"] = 2, 4, 21
	}))},
	{rule: "prices.entries", name: "another label", answer: onEntry(editCard(func(card map[string]any) { card["label_key"], card["label_value"] = "gpu", "l4" }))},
	{rule: "prices.entries", name: "another organization's", answer: onEntry(editCard(func(card map[string]any) { card["organization"] = "globex" }))},
	{rule: "prices.entries", name: "another card than the lease's", answer: onEntry(editCard(func(card map[string]any) { card["id"] = id(9, 9) }))},
	{rule: "prices.entries", name: "a cost without a card", answer: onEntry(func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) { body["rate_card"] = nil })
	})},
	{rule: "prices.list", name: "oldest first", answer: on("/billing/rate-cards/acme", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) { slices.Reverse(list(body)) })
	})},
	{rule: "prices.list", name: "one comes twice", answer: on("/billing/rate-cards/acme", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) { body["data"] = append(list(body)[:1:1], list(body)...) })
	})},
	{rule: "prices.list", name: "small pages skip one", answer: on("/billing/rate-cards/acme", func(r *http.Request, a *answer) {
		if r.URL.Query().Get("limit") == "7" && r.URL.Query().Has("cursor") {
			a.edit(func(body map[string]any) { body["data"] = list(body)[1:] })
		}
	})},
	{rule: "prices.list", name: "small pages end early", answer: on("/billing/rate-cards/acme", func(r *http.Request, a *answer) {
		if r.URL.Query().Get("limit") == "7" {
			a.edit(func(body map[string]any) { body["next_cursor"] = nil })
		}
	})},
	{rule: "prices.list", name: "no cursor is followed", ask: func(r *http.Request) {
		if is(r, "/rate-cards/acme") {
			query(r, func(q map[string][]string) { delete(q, "cursor") })
		}
	}},
	{rule: "prices.list", name: "no limit", ask: func(r *http.Request) {
		if is(r, "/rate-cards/acme") {
			query(r, func(q map[string][]string) { q["limit"] = []string{"100"} })
		}
	}},
	{rule: "prices.cards", name: "a part of a shape", answer: on("/billing/rate-cards/acme", func(_ *http.Request, a *answer) { a.replace(`"memory_gb":64`, `"memory_gb":null`) })},
	{rule: "prices.cards", name: "a part of a label", answer: on("/billing/rate-cards/acme", func(_ *http.Request, a *answer) { a.replace(`"label_key":null`, `"label_key":"gpu"`) })},
	{rule: "prices.cards", name: "a part of the prices", answer: on("/billing/rate-cards/acme", func(_ *http.Request, a *answer) { a.replace(`"disk_gb_microcents":100`, `"disk_gb_microcents":null`) })},
	{rule: "prices.cards", name: "another organization's", answer: on("/billing/rate-cards/acme", func(_ *http.Request, a *answer) { a.replace(`"organization":"acme"`, `"organization":"globex"`) })},
	{rule: "leases.list", name: "oldest first", answer: on("/billing/leases/acme", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) { slices.Reverse(list(body)) })
	})},
	{rule: "leases.list", name: "no filter by state", ask: func(r *http.Request) {
		if is(r, "/leases/acme") {
			query(r, func(q map[string][]string) { delete(q, "state") })
		}
	}},
	{rule: "leases.list", name: "no filter by lease", ask: func(r *http.Request) {
		if is(r, "/leases/acme") {
			query(r, func(q map[string][]string) { delete(q, "lease_id") })
		}
	}},
	{rule: "leases.list", name: "no filter by job", ask: func(r *http.Request) {
		if is(r, "/leases/acme") {
			query(r, func(q map[string][]string) { delete(q, "job_id") })
		}
	}},
	{rule: "leases.list", name: "small pages skip one", answer: on("/billing/leases/acme", func(r *http.Request, a *answer) {
		if r.URL.Query().Get("limit") == "7" && r.URL.Query().Has("cursor") {
			a.edit(func(body map[string]any) { body["data"] = list(body)[1:] })
		}
	})},
	{rule: "leases.list", name: "no cursor is followed", ask: func(r *http.Request) {
		if is(r, "/leases/acme") {
			query(r, func(q map[string][]string) { delete(q, "cursor") })
		}
	}},
	{rule: "leases.list", name: "a running lease has an amount", answer: on("/billing/leases/acme", func(_ *http.Request, a *answer) {
		a.replace(`"amount_cents":0`, `"amount_cents":-1`)
	})},
	{rule: "leases.list", name: "a billed lease accrues a cost", answer: on("/billing/leases/acme", func(_ *http.Request, a *answer) {
		a.replace(`"accrued_cents":null`, `"accrued_cents":0`)
	})},
	{rule: "groups.sum", name: "a cent too much", answer: onGroups(func(groups []any) { bump(groups[0], "total_cents", 1) })},
	{rule: "groups.sum", name: "a second too little", answer: onGroups(func(groups []any) { bump(groups[0], "cpu_seconds", -1) })},
	{rule: "groups.sum", name: "no others", answer: on("/billing/usage/acme/by", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) { body["other"] = nil })
	})},
	{rule: "groups.jobs", name: "another shape", answer: onGroups(func(groups []any) { put(groups[0], "value", "9-9-9") })},
	{rule: "groups.jobs", name: "no shape", answer: onGroups(func(groups []any) { put(groups[0], "value", nil) })},
	{rule: "groups.order", name: "the smallest first", answer: onGroups(slices.Reverse[[]any])},
	{rule: "groups.order", name: "a value twice", answer: onGroups(func(groups []any) { groups[len(groups)-1] = groups[0] })},
	{rule: "groups.order", name: "a value without a name", answer: onGroups(func(groups []any) { put(groups[0], "name", nil) })},
	{rule: "groups.order", name: "no limit", ask: func(r *http.Request) {
		if is(r, "/billing/usage/acme/by") {
			query(r, func(q map[string][]string) { delete(q, "limit") })
		}
	}},
	{rule: "groups.order", name: "too few groups", answer: on("/billing/usage/acme/by", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) { body["group_count"] = 0 })
	})},
	{rule: "groups.series", name: "none", ask: func(r *http.Request) {
		if is(r, "/billing/usage/acme/by") {
			query(r, func(q map[string][]string) { delete(q, "interval") })
		}
	}},
	{rule: "groups.series", name: "a cent elsewhere", answer: onGroups(func(groups []any) { bump(groups[0], "total_cents", 1) })},
	{rule: "groups.series", name: "a lease elsewhere", answer: onGroups(func(groups []any) { bump(groups[0], "lease_count", 1) })},
	{rule: "groups.invalid", name: "an unknown grouping is taken", ask: func(r *http.Request) {
		if strings.Contains(r.URL.RawQuery, "by=colour") {
			query(r, func(q map[string][]string) { q["by"] = []string{"shape"} })
		}
	}},
	{rule: "groups.invalid", name: "an unknown interval is taken", ask: func(r *http.Request) {
		if strings.Contains(r.URL.RawQuery, "interval=hour") {
			query(r, func(q map[string][]string) { delete(q, "interval") })
		}
	}},
	{rule: "groups.invalid", name: "too long a window by day", ask: func(r *http.Request) {
		if is(r, "/billing/usage/acme/by") {
			query(r, func(q map[string][]string) {
				if slices.Equal(q["interval"], []string{"day"}) {
					delete(q, "interval")
				}
			})
		}
	}},
	{rule: "runway.usage", name: "another total", answer: onRunway(func(_, pace map[string]any) { bump(pace, "total_cents", 1) })},
	{rule: "runway.usage", name: "too small a total", answer: onRunway(func(_, pace map[string]any) { bump(pace, "total_cents", -1) })},
	{rule: "runway.usage", name: "another number of days", answer: onRunway(func(_, pace map[string]any) { bump(pace, "days_with_cost", -1) })},
	{rule: "runway.usage", name: "with today", answer: onRunway(func(_, pace map[string]any) { nextDay(pace, "to") })},
	{rule: "runway.usage", name: "one day too few", answer: onRunway(func(_, pace map[string]any) { nextDay(pace, "from") })},
	{rule: "runway.days", name: "another balance", answer: onRunway(func(body, _ map[string]any) { bump(body, "balance_cents", 1_000_000) })},
	{rule: "runway.days", name: "another average", answer: onRunway(func(_, pace map[string]any) { bump(pace, "average_cents", 1) })},
	{rule: "runway.days", name: "rounded down", answer: onRunway(func(_, pace map[string]any) { bump(pace, "days_left", -1) })},
	{rule: "runway.days", name: "no day", answer: onRunway(func(_, pace map[string]any) { pace["zero_on"] = nil })},
	{rule: "runway.days", name: "another outlook", answer: onRunway(func(_, pace map[string]any) { pace["outlook"] = "no_spend" })},
	{rule: "limits.default", name: "20", ask: func(r *http.Request) {
		if is(r, "/transactions/acme") && !strings.Contains(r.URL.RawQuery, "limit") {
			query(r, func(q map[string][]string) { q["limit"] = []string{"20"} })
		}
	}},
	{rule: "limits.clamped", name: "refused", answer: on("/billing/transactions/acme", func(r *http.Request, a *answer) {
		if r.URL.Query().Get("limit") == "101" {
			a.fail(http.StatusUnprocessableEntity, "validation_failed", "limit_invalid")
		}
	})},
	{rule: "limits.clamped", name: "beyond 64 bits refused", answer: on("/billing/transactions/acme", func(r *http.Request, a *answer) {
		if len(r.URL.Query().Get("limit")) > 19 {
			a.fail(http.StatusUnprocessableEntity, "validation_failed", "limit_invalid")
		}
	})},
	{rule: "limits.invalid", name: "taken for the default", ask: func(r *http.Request) {
		if strings.Contains(r.URL.RawQuery, "limit=1.5") {
			query(r, func(q map[string][]string) { delete(q, "limit") })
		}
	}},
	{rule: "cursors.invalid", name: "begins anew", ask: func(r *http.Request) {
		if strings.Contains(r.URL.RawQuery, "cursor=not-a-cursor") {
			query(r, func(q map[string][]string) { delete(q, "cursor") })
		}
	}},
	{rule: "cursors.foreign", name: "taken", answer: func(r *http.Request, a *answer) {
		if is(r, "/transactions/globex") && a.status == http.StatusUnprocessableEntity {
			a.status, a.body = http.StatusOK, []byte(`{"data":[],"next_cursor":null}`)
		}
	}},

	{rule: "windows.required", name: "to means now", ask: func(r *http.Request) {
		if is(r, "/usage/acme") && strings.Contains(r.URL.RawQuery, "from=2") && !strings.Contains(r.URL.RawQuery, "to=") {
			query(r, func(q map[string][]string) { q["to"] = []string{time.Now().UTC().Format(time.RFC3339)} })
		}
	}},
	{rule: "windows.readable", name: "a day that does not exist", ask: func(r *http.Request) {
		r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "2026-02-30", "2026-02-28", 1)
	}},
	{rule: "windows.order", name: "empty windows answered", ask: func(r *http.Request) {
		if r.URL.RawQuery == "from=2026-01-01&to=2026-01-01" {
			r.URL.RawQuery = "from=2026-01-01&to=2026-01-02"
		}
	}},
	{rule: "windows.length", name: "any length", ask: func(r *http.Request) {
		query(r, func(q map[string][]string) {
			from, errFrom := time.Parse(time.RFC3339, r.URL.Query().Get("from"))
			to, errTo := time.Parse(time.RFC3339, r.URL.Query().Get("to"))
			if errFrom == nil && errTo == nil && to.Sub(from) > 3660*24*time.Hour {
				q["from"] = []string{to.AddDate(0, 0, -3660).Format(time.RFC3339)}
			}
		})
	}},
	{rule: "windows.plus", name: "a text that does not help", answer: func(_ *http.Request, a *answer) {
		a.replace("from has a space where its offset begins; send a + as %2B", "from is unreadable")
	}},
	{rule: "windows.dates", name: "an earlier time of day", ask: func(r *http.Request) {
		if is(r, "/usage/acme") {
			query(r, func(q map[string][]string) {
				if len(q["to"]) > 0 && len(q["to"][0]) == len(time.DateOnly) && len(q["from"]) > 0 && q["from"][0] > "2026-01-02" {
					if to, err := time.Parse(time.DateOnly, q["to"][0]); err == nil {
						q["to"][0] = to.Add(-23*time.Hour - 30*time.Minute).Format(time.RFC3339)
					}
				}
			})
		}
	}},
	{rule: "windows.offsets", name: "left out", ask: func(r *http.Request) {
		if strings.Contains(r.URL.RawQuery, "%2B05%3A30") {
			r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "%2B05%3A30", "Z")
		}
	}},
	{rule: "windows.half-open", name: "to is in the window", ask: func(r *http.Request) {
		if is(r, "/usage/acme") {
			query(r, func(q map[string][]string) { later(q, "to") })
		}
	}},
	{rule: "windows.edges", name: "from is not in the window", ask: func(r *http.Request) {
		if is(r, "/breakdown") {
			query(r, func(q map[string][]string) {
				if len(q["to"]) > 0 && strings.HasSuffix(q["to"][0], "000001Z") {
					later(q, "from")
					later(q, "to")
				}
			})
		}
	}},

	{rule: "series.days", name: "without the last day", answer: on("/series", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) { body["data"] = list(body)[:len(list(body))-1] })
	})},
	{rule: "series.days", name: "without days of nothing", answer: on("/series", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) {
			body["data"] = slices.DeleteFunc(list(body), func(b any) bool { return fmt.Sprint(b.(map[string]any)["cpu_seconds"]) == "0" })
		})
	})},
	{rule: "series.sum", name: "a cent lost", answer: on("/series", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) {
			for _, b := range list(body) {
				if fmt.Sprint(b.(map[string]any)["total_cents"]) != "0" {
					bump(b, "total_cents", -1)
					return
				}
			}
		})
	})},
	{rule: "series.start-day", name: "the next day", answer: on("/series", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) {
			data := list(body)
			for i := len(data) - 1; i > 0; i-- {
				day, before := data[i].(map[string]any), data[i-1].(map[string]any)
				for _, key := range []string{"cpu_seconds", "memory_gb_seconds", "disk_gb_seconds", "total_cents"} {
					day[key], before[key] = before[key], day[key]
				}
			}
		})
	})},
	{rule: "breakdown.cents", name: "a cent lost", answer: on("/breakdown", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) {
			for _, b := range list(body) {
				for _, j := range b.(map[string]any)["jobs"].([]any) {
					bump(j, "amount_cents", -1)
					bump(b, "total_cents", -1)
				}
			}
		})
	})},
	{rule: "breakdown.resources", name: "another machine", answer: on("/breakdown", func(_ *http.Request, a *answer) { a.replace(`"disk_gb":20`, `"disk_gb":40`) })},
	{rule: "breakdown.totals", name: "a job not counted", answer: on("/breakdown", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) {
			for _, b := range list(body) {
				bump(b, "job_count", 1)
			}
		})
	})},
	{rule: "breakdown.totals", name: "costs as costs", answer: on("/breakdown", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) {
			for _, b := range list(body) {
				bump(b, "total_cents", -1)
			}
		})
	})},
	{rule: "breakdown.running", name: "a duration of a job that runs", answer: on("/breakdown", func(_ *http.Request, a *answer) { a.replace(`"duration_seconds":null`, `"duration_seconds":0`) })},
	{rule: "breakdown.amounts", name: "positive", answer: on("/breakdown", func(_ *http.Request, a *answer) { a.replace(`cents":-`, `cents":`) })},
	{rule: "breakdown.order", name: "oldest first", answer: on("/breakdown", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) { slices.Reverse(list(body)) })
	})},
	{rule: "breakdown.order", name: "newest jobs first", answer: on("/breakdown", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) {
			for _, b := range list(body) {
				slices.Reverse(b.(map[string]any)["jobs"].([]any))
			}
		})
	})},
	{rule: "breakdown.stable", name: "another order each time", answer: func() func(*http.Request, *answer) {
		turn := 0
		return on("/breakdown", func(_ *http.Request, a *answer) {
			turn++
			a.edit(func(body map[string]any) {
				if data := list(body); turn%2 == 0 && len(data) > 2 {
					data[0], data[1] = data[1], data[0]
				}
			})
		})
	}()},
	{rule: "breakdown.groups", name: "a build in two parts", answer: on("/breakdown", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) {
			if data := list(body); len(data) > 0 {
				body["data"] = append(slices.Clone(data), data[len(data)-1])
			}
		})
	})},
	{rule: "breakdown.groups", name: "a pipeline of the group without a build", answer: on("/breakdown", func(_ *http.Request, a *answer) {
		a.edit(func(body map[string]any) {
			for _, b := range list(body) {
				if b, ok := b.(map[string]any); ok && b["build_id"] == nil {
					b["pipeline_name"] = "Web App"
				}
			}
		})
	})},
}

func TestPlantedFaults(t *testing.T) {
	s := open(t, sqlite(t))
	whole := check(t, fault{}.wrap(s.handler), s.token, "acme", "")
	noBreach(t, whole, "errors.retry-after")
	planted := map[string]bool{"answers.complete": true} // see TestHostileServers
	for _, f := range faults {
		planted[f.rule] = true
		t.Run(f.rule+"/"+f.name, func(t *testing.T) {
			t.Parallel()
			report := check(t, f.wrap(s.handler), s.token, "acme", cmp.Or(f.shown, f.rule))
			var failed []string
			for _, r := range report.Rules {
				if r.Status == conformance.Failed {
					failed = append(failed, r.Rule)
				}
				if r.Rule == f.rule && (r.Status != conformance.Failed || len(r.Breaches) == 0 || r.Breaches[0].Problem == "") {
					t.Errorf("%s is %s: %s", r.Rule, r.Status, r.Reason)
				}
			}
			t.Logf("failed: %s", strings.Join(failed, ", "))
		})
	}
	for _, r := range whole.Rules {
		if !planted[r.Rule] {
			t.Errorf("no fault is planted for %s", r.Rule)
		}
	}
}

// A server may lack calls that were added to the documented five; their rules are skipped, with the reason.
func TestMissingCalls(t *testing.T) {
	s := open(t, sqlite(t))
	missing := fault{answer: func(r *http.Request, a *answer) {
		if strings.Contains(r.URL.Path, "/billing/transactions/acme/") || is(r, "/billing/leases/acme") || is(r, "/billing/rate-cards/acme") || is(r, "/billing/runway/acme") ||
			is(r, "/billing/statement/acme") || is(r, "/billing/credits/acme") {
			a.fail(http.StatusNotFound, "not_found", "route_not_found")
		}
	}}
	for _, rule := range []string{"ledger.entry", "leases.list", "prices.list", "prices.cards", "prices.entries", "runway.usage", "runway.days",
		"statement.entries", "statement.adjacent", "statement.head", "credits.list"} {
		for _, r := range check(t, missing.wrap(s.handler), s.token, "acme", rule).Rules {
			if r.Rule == rule && (r.Status != conformance.Skipped || r.Reason != "the server does not have this call") {
				t.Errorf("%s is %s: %s", r.Rule, r.Status, r.Reason)
			}
		}
	}
}

func TestHostileServers(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + listener.Addr().String()
	var member bytes.Buffer
	z := gzip.NewWriter(&member)
	z.Write(make([]byte, 1<<20))
	z.Close()
	zeros := member.Bytes() // 1 MiB, compressed
	listener.Close()
	json := func(w http.ResponseWriter) { w.Header().Set("Content-Type", "application/json") }
	for name, handler := range map[string]http.HandlerFunc{
		"garbage":   func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "\x00\x1b[2J\xff{") },
		"redirects": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, nobody, http.StatusFound) },
		"empty":     func(http.ResponseWriter, *http.Request) {},
		"nulls":     func(w http.ResponseWriter, _ *http.Request) { json(w); io.WriteString(w, `null`) },
		"objects": func(w http.ResponseWriter, _ *http.Request) {
			json(w)
			io.WriteString(w, `{"data":[{}],"next_cursor":"x"}`)
		},
		"deep": func(w http.ResponseWriter, _ *http.Request) { json(w); io.WriteString(w, strings.Repeat(`[`, 1<<20)) },
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "{")
		},
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			json(w)
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		},
		"bomb": func(w http.ResponseWriter, _ *http.Request) {
			json(w)
			w.Header().Set("Content-Encoding", "gzip")
			for range 1 << 6 {
				if _, err := w.Write(zeros); err != nil {
					return
				}
			}
		},
		"false gzip": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "{}")
		},
		"silent": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"echo": func(w http.ResponseWriter, r *http.Request) {
			json(w)
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprintf(w, "%q", r.Header.Get("Authorization"))
		},
		"pages without end": func(w http.ResponseWriter, _ *http.Request) {
			json(w)
			fmt.Fprintf(w, `{"data":[{"slug":"a/../b?c"}],"next_cursor":"%d"}`, time.Now().UnixNano())
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(handler)
			defer srv.Close()
			hostile(t, srv.URL)
		})
	}
	t.Run("nobody", func(t *testing.T) { hostile(t, nobody) })
}

// TestServerThatStops answers a few requests and then no more.
func TestServerThatStops(t *testing.T) {
	s := open(t, sqlite(t))
	var asked atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 40 {
			panic(http.ErrAbortHandler)
		}
		s.handler.ServeHTTP(w, r)
	}))
	defer srv.Close()
	report, err := conformance.Run(t.Context(), conformance.Options{URL: srv.URL, Token: s.token, UserAgent: "test", Pauses: []time.Duration{}})
	if err != nil {
		t.Fatal(err)
	}
	if report.Failed != 1 || report.Rules[0].Status != conformance.Failed || report.Passed == 0 || report.Requests > 50 {
		t.Errorf("%d failed, %d passed, %d requests; %+v", report.Failed, report.Passed, report.Requests, report.Rules[0])
	}
}

// hostile fails unless the server is found out, without the token being shown.
func hostile(t *testing.T, url string) {
	t.Helper()
	const token = "hmt_not-to-be-shown"
	report, err := conformance.Run(t.Context(), conformance.Options{
		URL: url, Token: token, UserAgent: "test", RequestTimeout: 2 * time.Second, Pauses: []time.Duration{},
	})
	if err != nil {
		if strings.Contains(err.Error(), token) {
			t.Errorf("the error shows the token: %v", err)
		}
		t.Log(err)
		return
	}
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	if report.Failed == 0 || strings.Contains(string(text), token) || len(text) > 1<<20 {
		t.Errorf("%d rules failed in a report of %d bytes:\n%s", report.Failed, len(text), text)
	}
	for _, r := range report.Rules {
		if r.Status == conformance.Skipped && r.Reason == "" || r.Status == conformance.Failed && len(r.Breaches) == 0 {
			t.Errorf("%s is %s without a reason", r.Rule, r.Status)
		}
	}
}

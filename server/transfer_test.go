package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/testlong"
	"github.com/harmont-dev/harmont-billing/server"
)

// recentLeases is an import of n leases of the organization demo over the last 85 days, in builds of three.
func recentLeases(n int) string {
	var text strings.Builder
	text.WriteString(`{"type":"organization","slug":"demo","name":"Demo"}` + "\n")
	first := time.Now().UTC().AddDate(0, 0, -85)
	for i := range n {
		start := first.Add(time.Duration(i) * 84 * 24 * time.Hour / time.Duration(n))
		fmt.Fprintf(&text, `{"type":"lease","org":"demo","job_id":"01990000-0000-7000-8000-%012x","build_id":"01990000-0000-7000-8001-%012x",`+
			`"build_number":%d,"cpu_count":%d,"memory_gb":4,"disk_gb":20,"started_at":%q,"finished_at":%q}`+"\n",
			i, i/3, i/3+1, i%8+1, start.Format(time.RFC3339Nano), start.Add(time.Duration(i+1)*time.Second).Format(time.RFC3339Nano))
	}
	return text.String()
}

// Everything that can be asked is answered alike by a copy of the database.
func TestCopyAnswersAlike(t *testing.T) {
	s := start(t, server.Config{})
	s.importText(recentLeases(testlong.Pick(300, 3_000)))
	s.importText(books)
	token := s.token(server.RoleAdmin, "acme", "demo")
	s.send(request{method: "POST", path: "/billing/credits/acme", token: token, body: `{"amount_cents":5,"source":"refund"}`, header: map[string]string{"Idempotency-Key": "k"}}).want(201, "")
	exported := s.export()

	copied := start(t, server.Config{WithoutRateCard: true})
	first := copied.importText(exported)
	if first.Leases.New == 0 || first.Entries.New == 0 || first.Tokens.New != 1 || first.Organizations.New != 2 {
		t.Errorf("the import did %+v", first)
	}
	second := copied.importText(exported)
	if second.Leases.New+second.Entries.New+second.Tokens.New+second.Organizations.New != 0 || second.Leases.Known != first.Leases.New {
		t.Errorf("the same import again did %+v", second)
	}
	if copied.export() != exported {
		t.Error("the copy's export differs")
	}
	now := time.Now().UTC()
	window := fmt.Sprintf("from=%s&to=%s", now.AddDate(0, -3, 0).Format(time.DateOnly), now.Format(time.RFC3339))
	for _, path := range []string{
		"/billing/balance/demo", "/billing/transactions/demo?limit=100", "/billing/usage/demo?" + window,
		"/billing/usage/demo/series?" + window, "/billing/usage/demo/breakdown?" + window, "/billing/transactions/acme", "/organizations",
	} {
		a, b := s.send(request{path: path, token: token}).want(200, ""), copied.send(request{path: path, token: token}).want(200, "")
		if string(a.body) != string(b.body) {
			t.Errorf("%s: the copy answers\n%.500s\nwant\n%.500s", path, b.body, a.body)
		}
	}
	if a, b := s.ledger(token, "demo"), copied.ledger(token, "demo"); !reflect.DeepEqual(a, b) {
		t.Error("the copy's ledger differs")
	}
	// A credit that is sent again after the move is still known.
	replayed := copied.send(request{method: "POST", path: "/billing/credits/acme", token: token, body: `{"amount_cents":5,"source":"refund"}`, header: map[string]string{"Idempotency-Key": "k"}}).want(201, "")
	if replayed.header.Get("Idempotency-Replayed") != "true" {
		t.Error("the credit was posted twice")
	}
}

// sampleEnv names a folder with leases.ndjson, credits.ndjson and expected.json: usage of a CI service and the answers that
// it must give, computed by other means.
const sampleEnv = "HARMONT_BILLING_SAMPLE"

func TestSample(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { testSample(t, func(*testing.T) server.Config { return server.Config{} }) })
	t.Run("Citus", func(t *testing.T) {
		// A database of its own for each server, since a database has the books of one.
		testSample(t, func(t *testing.T) server.Config { return server.Config{Database: pgtest.NewCitus(t, true).Schema(t)} })
	})
}

// fingerprints verifies the books.
func (s *service) fingerprints(t *testing.T) map[string]string {
	t.Helper()
	prints := map[string]string{}
	if err := s.Verify(t.Context(), server.Audit{
		Finding: func(org, what string) { t.Errorf("%s: %s", org, what) },
		Report:  func(r server.AuditReport) { prints[r.Organization] = r.Fingerprint },
	}); err != nil {
		t.Fatal(err)
	}
	return prints
}

func testSample(t *testing.T, config func(*testing.T) server.Config) {
	folder := os.Getenv(sampleEnv)
	if folder == "" {
		t.Skipf("%s names no folder", sampleEnv)
	}
	open := func(name string) io.Reader {
		file, err := os.Open(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		return file
	}
	var expected []struct {
		Org, Call, From, To string
		Want                any
	}
	if err := json.NewDecoder(open("expected.json")).Decode(&expected); err != nil {
		t.Fatal(err)
	}
	orgs := []string{"acme", "globex", "initech"}

	s := start(t, config(t))
	s.importFrom(open("leases.ndjson"))
	if s.onCitus() {
		if _, err := s.Distribute(t.Context()); err != nil { // a database with data
			t.Fatal(err)
		}
	}
	s.importFrom(open("credits.ndjson"))
	token := s.token(server.RoleRead, orgs...)

	answers := func(t *testing.T, s *service) {
		copied := *s
		copied.t = t
		c, err := client.New(s.url, client.WithToken(token))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range expected {
			query := ""
			if e.From != "" {
				query = "?from=" + url.QueryEscape(e.From) + "&to=" + url.QueryEscape(e.To)
			}
			path, rest, _ := strings.Cut(e.Call, "/")
			if rest != "" {
				rest = "/" + rest
			}
			var got any
			copied.send(request{path: "/billing/" + path + "/" + e.Org + rest + query, token: token}).want(200, "").into(&got)
			if !reflect.DeepEqual(got, e.Want) {
				t.Errorf("%s %s %s: the answer is\n%.300v\nwant\n%.300v", e.Org, e.Call, query, got, e.Want)
			}
			if got := throughClient(t, c, e.Org, e.Call, e.From, e.To); !reflect.DeepEqual(got, timesAsText(e.Want)) {
				t.Errorf("%s %s %s: the client has\n%.300v\nwant\n%.300v", e.Org, e.Call, query, got, e.Want)
			}
		}
	}
	t.Run("imported", func(t *testing.T) {
		if len(expected) == 0 {
			t.Fatal("nothing is expected")
		}
		answers(t, s)
	})
	exported := s.export()
	t.Run("imported twice", func(t *testing.T) {
		again := s.importFrom(open("leases.ndjson"))
		credits := s.importFrom(open("credits.ndjson"))
		if again.Leases.New != 0 || credits.Credits.New != 0 || s.export() != exported {
			t.Errorf("importing again did %+v and %+v", again, credits)
		}
	})
	t.Run("copied", func(t *testing.T) {
		to := start(t, config(t))
		if to.onCitus() {
			if _, err := to.Distribute(t.Context()); err != nil { // an empty database
				t.Fatal(err)
			}
		}
		to.importText(exported)
		if diff := cmp.Diff(s.fingerprints(t), to.fingerprints(t)); diff != "" {
			t.Errorf("the fingerprints differ:\n%s", diff)
		}
		answers(t, to)
		for _, org := range orgs {
			if !slices.Equal(s.ledgerOf(t, token, org), to.ledgerOf(t, token, org)) {
				t.Errorf("the ledger of %s differs", org)
			}
		}
	})
}

func (s *service) onCitus() bool { return strings.HasPrefix(s.database, "postgres") }

func (s *service) ledgerOf(t *testing.T, token, org string) (lines []string) {
	copied := *s
	copied.t = t
	for _, entry := range copied.ledger(token, org) {
		line, err := json.Marshal(entry)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	return lines
}

// throughClient makes the call with the Go client, and returns the answer as plain JSON values.
func throughClient(t *testing.T, c *client.Client, org, call, from, to string) any {
	t.Helper()
	window := client.Window{From: parse(t, from), To: parse(t, to)}
	var answer any
	var err error
	switch call {
	case "balance":
		answer, err = c.GetBillingBalance(t.Context(), org)
	case "usage":
		answer, err = c.GetBillingUsage(t.Context(), org, window)
	case "usage/series":
		answer, err = c.GetBillingUsageSeries(t.Context(), org, window)
	case "usage/breakdown":
		answer, err = c.GetBillingUsageBreakdown(t.Context(), org, window)
	default:
		t.Fatalf("%s is not a call", call)
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		t.Fatal(err)
	}
	return timesAsText(plain)
}

func parse(t *testing.T, text string) time.Time {
	t.Helper()
	if text == "" {
		return time.Time{}
	}
	parsed, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// timesAsText gives timestamps the one form that the standard library writes.
func timesAsText(v any) any {
	switch v := v.(type) {
	case map[string]any:
		changed := map[string]any{}
		for key, value := range v {
			changed[key] = timesAsText(value)
		}
		return changed
	case []any:
		changed := make([]any, len(v))
		for i, value := range v {
			changed[i] = timesAsText(value)
		}
		return changed
	case string:
		if parsed, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return parsed.UTC().Format(time.RFC3339Nano)
		}
	}
	return v
}

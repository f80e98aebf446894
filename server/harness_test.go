package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/harmont-dev/harmont-billing/gen/httpserver"
	"github.com/harmont-dev/harmont-billing/internal/contracttest"
	"github.com/harmont-dev/harmont-billing/server"
)

// called has the operations that got an answer in 2xx.
var (
	calledMu sync.Mutex
	called   = map[string]bool{}
)

// TestMain fails where an operation of the contract was called by no test, unless only some of the tests ran.
func TestMain(m *testing.M) {
	status := m.Run()
	partial := flag.Lookup("test.run").Value.String() + flag.Lookup("test.skip").Value.String() +
		flag.Lookup("test.fuzz").Value.String() + flag.Lookup("test.list").Value.String()
	if status == 0 && partial == "" {
		for operation := range httpserver.Operations {
			if !called[operation] {
				fmt.Printf("FAIL: no test calls %s with success\n", operation)
				status = 1
			}
		}
	}
	os.Exit(status)
}

// service is a running server on a database of its own.
type service struct {
	t testing.TB
	*server.Server
	url      string
	database string
}

func start(t testing.TB, config server.Config) *service {
	t.Helper()
	if config.Database == "" {
		config.Database = "sqlite:" + filepath.Join(t.TempDir(), "billing.db")
	}
	s, err := server.Open(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- s.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		http.DefaultClient.CloseIdleConnections()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	return &service{t, s, "http://" + listener.Addr().String(), config.Database}
}

// withOrg adds an organization and returns a token for it.
func (s *service) withOrg(slug string, role server.Role) (token string) {
	s.t.Helper()
	if _, err := s.CreateOrganization(s.t.Context(), slug, ""); err != nil {
		s.t.Fatal(err)
	}
	return s.token(role, slug)
}

func (s *service) token(role server.Role, orgs ...string) string {
	s.t.Helper()
	token, _, err := s.CreateToken(s.t.Context(), server.TokenOptions{Name: "test", Role: role, Organizations: orgs})
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// request is one call. The zero value is a GET without a token.
type request struct {
	method string
	path   string // with the query, below /api/v0 unless it begins with two slashes
	token  string
	header map[string]string
	body   string // sent as JSON unless header has a Content-Type
}

type response struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

func (s *service) send(r request) response {
	s.t.Helper()
	target, absolute := strings.CutPrefix(r.path, "/")
	if absolute = absolute && strings.HasPrefix(target, "/"); !absolute {
		target = "/api/v0" + r.path
	}
	method := r.method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+target, strings.NewReader(r.body))
	if err != nil {
		s.t.Fatal(err)
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range r.header {
		if value == "" {
			req.Header.Del(name)
		} else {
			req.Header.Set(name, value)
		}
	}
	return s.do(req)
}

func (s *service) do(req *http.Request) response {
	s.t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	answer := response{s.t, res.StatusCode, res.Header, body}
	if err := hold(req, answer); err != nil {
		s.t.Errorf("%s %s: %d %s\n%v", req.Method, req.URL.RequestURI(), res.StatusCode, body, err)
	}
	return answer
}

// hold checks an answer against the contract, and notes the operation.
func hold(req *http.Request, r response) error {
	operation, err := contracttest.Check(req, r.status, r.header, r.body)
	if err == nil && r.status < 300 {
		calledMu.Lock()
		called[operation] = true
		calledMu.Unlock()
	}
	return err
}

// want fails unless the answer has the status, and for an error the code.
func (r response) want(status int, code string) response {
	r.t.Helper()
	if r.status != status || (code != "" && r.code() != code) {
		r.t.Fatalf("answer %d %s, want %d %s", r.status, r.body, status, code)
	}
	return r
}

func (r response) code() string { return r.envelope().Error.Code }

func (r response) envelope() (e contracttest.Envelope) {
	_ = json.Unmarshal(r.body, &e)
	return e
}

// into decodes the body.
func (r response) into(v any) {
	r.t.Helper()
	if err := json.Unmarshal(r.body, v); err != nil {
		r.t.Fatalf("%s: %v", r.body, err)
	}
}

type transaction struct {
	ID          string  `json:"id"`
	AmountCents int64   `json:"amount_cents"`
	Source      string  `json:"source"`
	Description *string `json:"description"`
	CreatedAt   string  `json:"created_at"`
}

// ledger walks all pages.
func (s *service) ledger(token, org string) (all []transaction) {
	s.t.Helper()
	cursor := ""
	for {
		var page struct {
			Data       []transaction `json:"data"`
			NextCursor *string       `json:"next_cursor"`
		}
		s.send(request{path: "/billing/transactions/" + org + "?limit=100" + cursor, token: token}).want(200, "").into(&page)
		all = append(all, page.Data...)
		if page.NextCursor == nil {
			return all
		}
		cursor = "&cursor=" + *page.NextCursor
	}
}

func (s *service) balance(token, org string) int64 {
	s.t.Helper()
	var b struct {
		BalanceCents int64 `json:"balance_cents"`
	}
	s.send(request{path: "/billing/balance/" + org, token: token}).want(200, "").into(&b)
	return b.BalanceCents
}

// importText imports records and fails on a bad line.
func (s *service) importText(text string) server.ImportSummary {
	s.t.Helper()
	return s.importFrom(strings.NewReader(text))
}

func (s *service) importFrom(r io.Reader) server.ImportSummary {
	s.t.Helper()
	summary, err := s.Import(s.t.Context(), r, server.ImportOptions{Tokens: true, Bad: func(line int, err error) { s.t.Errorf("line %d: %v", line, err) }})
	if err != nil {
		s.t.Fatal(err)
	}
	return summary
}

func (s *service) export() string {
	s.t.Helper()
	var b strings.Builder
	if err := s.Export(s.t.Context(), &b); err != nil {
		s.t.Fatal(err)
	}
	return b.String()
}

var update = flag.Bool("update", false, "write the golden files anew")

var requestIDs = regexp.MustCompile(`"request_id":"[^"]*"`)

// golden compares a body with a file, byte for byte.
func golden(t *testing.T, name string, body []byte) {
	t.Helper()
	file := filepath.Join("testdata", name+".json")
	body = append(requestIDs.ReplaceAll(body, []byte(`"request_id":"…"`)), '\n')
	if *update {
		if err := os.WriteFile(file, body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(body, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, body, want)
	}
}

func keys[K ~string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

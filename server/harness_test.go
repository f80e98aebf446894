package server_test

import (
	"bytes"
	"compress/gzip"
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

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/harmont-dev/harmont-billing/gen/httpserver"
	"github.com/harmont-dev/harmont-billing/server"
)

// contract is what every answer of every test is held against.
var contract, router = func() (*openapi3.T, routers.Router) {
	spec, err := httpserver.GetSpec()
	if err != nil {
		panic(err)
	}
	spec.Servers = nil // any address will do
	r, err := legacy.NewRouter(spec)
	if err != nil {
		panic(err)
	}
	// Answers have ids and times in one form, of the several that requests may have.
	openapi3.DefineStringFormatValidator("uuid", openapi3.NewRegexpFormatValidator(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`))
	openapi3.DefineStringFormatValidator("date-time", openapi3.NewRegexpFormatValidator(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`))
	return spec, r
}()

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
		for _, path := range contract.Paths.Map() {
			for _, operation := range path.Operations() {
				if !called[operation.OperationID] {
					fmt.Printf("FAIL: no test calls %s with success\n", operation.OperationID)
					status = 1
				}
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

// request is one call. Only what differs from a plain GET without a token is given.
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
		s.t.Errorf("%s %s: %d %s\n%v", method, target, res.StatusCode, body, err)
	}
	return answer
}

// hold checks an answer against the contract: its status, headers and body.
func hold(req *http.Request, r response) error {
	if id := r.header.Get("x-request-id"); len(id) < 20 || len(id) > 200 {
		return fmt.Errorf("x-request-id is %q", id)
	}
	if !strings.HasPrefix(req.URL.Path, "/api/v0/") && r.status < 300 {
		return nil // beside the API
	}
	if r.status == http.StatusNoContent && req.Method == http.MethodOptions {
		return nil // a browser's question
	}
	method := req.Method
	if method == http.MethodHead {
		method = http.MethodGet
		if len(r.body) > 0 {
			return fmt.Errorf("an answer to HEAD with a body")
		}
	}
	lookup := &http.Request{Method: method, URL: req.URL, Header: req.Header}
	route, pathParams, err := router.FindRoute(lookup)
	if err != nil || r.status >= 300 {
		if err := holdError(req, r); err != nil {
			return err
		}
	}
	if err != nil {
		if r.status < 400 {
			return fmt.Errorf("an answer outside the contract: %w", err)
		}
		return nil
	}
	if route.Operation.Responses.Value(fmt.Sprint(r.status)) == nil {
		return fmt.Errorf("%s does not declare the status %d", route.Operation.OperationID, r.status)
	}
	body := r.body
	if r.header.Get("Content-Encoding") == "gzip" {
		compressed, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return err
		}
		if body, err = io.ReadAll(compressed); err != nil {
			return err
		}
	}
	options := &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true}
	if req.Method == http.MethodHead {
		options.ExcludeResponseBody = true
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: lookup, PathParams: pathParams, Route: route},
		Status:                 r.status, Header: r.header, Body: io.NopCloser(bytes.NewReader(body)), Options: options,
	})
	if err == nil && r.status < 300 {
		calledMu.Lock()
		called[route.Operation.OperationID] = true
		calledMu.Unlock()
	}
	return err
}

type envelope struct {
	Error struct {
		Type      string `json:"type"`
		Code      string `json:"code"`
		Message   string `json:"message"`
		DocURL    string `json:"doc_url"`
		RequestID string `json:"request_id"`
	} `json:"error"`
}

var errorCodes = func() []string {
	var codes []string
	for _, code := range contract.Components.Schemas["ErrorCode"].Value.Extensions["x-extensible-enum"].([]any) {
		codes = append(codes, code.(string))
	}
	return codes
}()

// holdError checks the envelope and the headers that go with its code.
func holdError(req *http.Request, r response) error {
	if req.Method == http.MethodHead {
		return nil
	}
	var e envelope
	decoder := json.NewDecoder(bytes.NewReader(r.body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&e); err != nil {
		return fmt.Errorf("not the envelope of errors: %w", err)
	}
	switch {
	case r.header.Get("Content-Type") != "application/json":
		return fmt.Errorf("an error of type %q", r.header.Get("Content-Type"))
	case e.Error.RequestID != r.header.Get("x-request-id"):
		return fmt.Errorf("request_id %q is not x-request-id", e.Error.RequestID)
	case e.Error.Message == "":
		return fmt.Errorf("no message")
	case !strings.HasSuffix(e.Error.DocURL, "/"+e.Error.Code):
		return fmt.Errorf("doc_url %q", e.Error.DocURL)
	case !slices.Contains(errorCodes, e.Error.Code):
		return fmt.Errorf("code %q is not in the contract", e.Error.Code)
	case r.status == http.StatusUnauthorized && r.header.Get("WWW-Authenticate") != "Bearer":
		return fmt.Errorf("401 without WWW-Authenticate")
	case (r.status == http.StatusTooManyRequests || r.status == http.StatusServiceUnavailable) && r.header.Get("Retry-After") == "":
		return fmt.Errorf("%d without Retry-After", r.status)
	case r.status == http.StatusMethodNotAllowed && r.header.Get("Allow") == "":
		return fmt.Errorf("405 without Allow")
	}
	return nil
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

func (r response) envelope() (e envelope) {
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
	summary, err := s.Import(s.t.Context(), r, func(line int, err error) { s.t.Errorf("line %d: %v", line, err) })
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

// Package billingtest runs a server of the billing API for a test of a program that calls it. The server is the real one, on a file that
// is removed with the test, and can be told to fail:
//
//	b := billingtest.New(t)
//	b.Inject(billingtest.Fault{Status: http.StatusServiceUnavailable, Times: 2})
//	balance, err := b.Client.GetBillingBalance(ctx, billingtest.Organization) // is answered by its third attempt
//
// A server of one's own is held against the contract with package conformance.
package billingtest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/gen/httpserver"
	"github.com/harmont-dev/harmont-billing/server"
)

// Organization is the slug of the organization that New creates if the test names none.
const Organization = "acme"

// Billing is a running server with a client and a token for it. Its methods may be called concurrently.
type Billing struct {
	// URL is the address of the server, without a slash at its end.
	URL string
	// Token is a bearer token with the role admin in all organizations that New has created.
	Token string
	// Client calls the server with the token.
	Client *client.Client
	// Server makes more organizations and tokens, and exports the books.
	Server *server.Server

	t          testing.TB
	operations *http.ServeMux
	stopped    chan struct{}

	mu       sync.Mutex
	faults   []Fault
	requests map[string]int // by operation
	ahead    time.Duration
}

// New starts a server on a temporary file, with organizations of the slugs, or with Organization if there are none. It stops when the test
// ends.
func New(t testing.TB, slugs ...string) *Billing {
	t.Helper()
	if len(slugs) == 0 {
		slugs = []string{Organization}
	}
	b := &Billing{t: t, operations: http.NewServeMux(), stopped: make(chan struct{}), requests: map[string]int{}}
	for _, op := range httpserver.Operations {
		b.operations.Handle(op.Method+" "+op.Path, http.NotFoundHandler())
	}
	fatal := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal("billingtest:", err)
		}
	}
	var err error
	b.Server, err = server.Open(t.Context(), server.Config{Database: "sqlite:" + filepath.Join(t.TempDir(), "billing.db"), Clock: b.now})
	fatal(err)
	t.Cleanup(func() {
		if err := b.Server.Close(); err != nil {
			t.Error("billingtest:", err)
		}
	})
	for _, slug := range slugs {
		_, err = b.Server.CreateOrganization(t.Context(), slug, "")
		fatal(err)
	}
	b.Token, _, err = b.Server.CreateToken(t.Context(), server.TokenOptions{Name: "test", Role: server.RoleAdmin, Organizations: slugs})
	fatal(err)
	srv := httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(func() {
		close(b.stopped)
		srv.Close()
	})
	b.URL = srv.URL
	b.Client, err = client.New(srv.URL, client.WithToken(b.Token))
	fatal(err)
	return b
}

// Advance moves the clock of the server on, which stands at the time of the machine at first. Entries and tokens are dated by it, and
// tokens expire by it.
func (b *Billing) Advance(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ahead += d
}

func (b *Billing) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Add(b.ahead)
}

// Requests returns the number of requests to the operation so far. Retries and requests with a fault count. The operation is an
// operationId of openapi.yaml, such as getBillingBalance; with another text, the test fails.
func (b *Billing) Requests(operation string) int {
	b.t.Helper()
	b.checkOperation(operation)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.requests[operation]
}

// checkOperation fails the test if the API has no such operation, and returns whether it has.
func (b *Billing) checkOperation(id string) bool {
	b.t.Helper()
	_, known := httpserver.Operations[id]
	if !known {
		b.t.Errorf("billingtest: %q is no operationId of openapi.yaml, such as getBillingBalance", id)
	}
	return known
}

// Fault is a failure of requests.
type Fault struct {
	// Operation is the operationId of the requests that fail, such as recordLeases. Empty means all operations.
	Operation string
	// Times is how many requests fail. Zero means one.
	Times int
	// Delay is how long a request waits before it is answered, or fails.
	Delay time.Duration
	// Status is the status that the request is answered with, from 400 to 599, such as 429 or 503. The answer is the first error of the
	// contract that has the status, or a plain text like that of a proxy where the contract has none, such as for 502. The request does not
	// take place. Zero means that it does.
	Status int
	// Cut lets the request take place, and breaks the connection after the first half of the answer's body.
	Cut bool
}

// Inject lets the next requests fail. Each request has at most one fault: the first one injected that is for its operation and is not used
// up. A fault with an unknown operation or a status out of bounds fails the test.
func (b *Billing) Inject(faults ...Fault) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range faults {
		if f.Operation != "" && !b.checkOperation(f.Operation) {
			continue
		}
		if f.Status != 0 && (f.Status < 400 || f.Status > 599) {
			b.t.Errorf("billingtest: the status of a fault is %d, and must be from 400 to 599", f.Status)
			continue
		}
		f.Times = max(f.Times, 1)
		b.faults = append(b.faults, f)
	}
}

// Clear removes the faults that are not used up, so that the next requests succeed.
func (b *Billing) Clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = nil
}

// take counts a request, and returns its fault.
func (b *Billing) take(r *http.Request) (fault Fault) {
	_, pattern := b.operations.Handler(r)
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, op := range httpserver.Operations {
		if op.Method+" "+op.Path != pattern {
			continue
		}
		b.requests[id]++
		for i := range b.faults {
			if f := &b.faults[i]; f.Operation == "" || f.Operation == id {
				fault = *f
				if f.Times--; f.Times == 0 {
					b.faults = slices.Delete(b.faults, i, i+1)
				}
				break
			}
		}
	}
	return fault
}

func (b *Billing) serve(w http.ResponseWriter, r *http.Request) {
	fault := b.take(r)
	if fault.Delay > 0 {
		timer := time.NewTimer(fault.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		case <-b.stopped:
			return
		}
	}
	switch {
	case fault.Status != 0:
		b.refuse(w, fault.Status)
	case fault.Cut:
		r = r.WithContext(context.WithoutCancel(r.Context()))
		recorder := httptest.NewRecorder()
		b.Server.Handler().ServeHTTP(recorder, r)
		maps.Copy(w.Header(), recorder.Header())
		w.Header().Set("Content-Length", strconv.Itoa(recorder.Body.Len()))
		w.WriteHeader(recorder.Code)
		_, _ = w.Write(recorder.Body.Bytes()[:recorder.Body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	default:
		b.Server.Handler().ServeHTTP(w, r)
	}
}

// refuse answers with the first error of the contract that has the status.
func (b *Billing) refuse(w http.ResponseWriter, status int) {
	i := slices.IndexFunc(gen.Errors, func(info gen.ErrorInfo) bool { return info.Status == status })
	if i < 0 {
		http.Error(w, fmt.Sprintf("billingtest: the contract has no error with the status %d", status), status)
		return
	}
	code := gen.Errors[i]
	id := uuid.NewString()
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("X-Request-Id", id)
	header.Set("Vary", "Accept-Encoding")
	header.Set("Cache-Control", "private, max-age=0, must-revalidate")
	header.Set("X-Content-Type-Options", "nosniff")
	switch status {
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", "Bearer")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		header.Set("Retry-After", "1")
	}
	message := code.Message
	if message == "" {
		message = strings.ToLower(http.StatusText(status))
	}
	w.WriteHeader(status)
	_, _ = w.Write(httpserver.AppendError(nil, &gen.Error{Error: gen.ErrorDetail{
		Type: code.Type, Code: code.Code, Message: message, DocURL: b.URL + "/docs/errors/" + code.Code, RequestID: id,
	}}))
}

package crashtest

import (
	"net/http"
	"os/exec"
	"sync/atomic"
	"testing"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/internal/testbinary"
)

// clients is how many clients send at the same time.
const clients = 16

// service is a server with clients.
type service struct {
	*testbinary.Server
	clients [clients]*client.Client
	killed  atomic.Bool // so that connections break
}

// serve starts a process that serves the database, and waits until it listens. The process is killed when the test ends.
func serve(t *testing.T, database, token string) *service {
	t.Helper()
	return serveWith(t, token, program, "serve", "--database", database, "--listen", "127.0.0.1:0")
}

// serveWith is serve for a command line that ends in one of the program.
func serveWith(t *testing.T, token, name string, args ...string) *service {
	t.Helper()
	s := &service{Server: testbinary.Start(t, exec.Command(name, args...))}
	t.Cleanup(func() { s.killed.Store(true) })
	s.connect(t, token)
	return s
}

// connect makes the clients of the server at the address.
func (s *service) connect(t *testing.T, token string) {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	t.Cleanup(transport.CloseIdleConnections)
	for i := range s.clients {
		c, err := client.New(s.URL, client.WithToken(token), client.WithTimeout(0), client.WithMaxRetries(0),
			client.WithHTTPClient(&http.Client{Transport: retryable{t, transport}}))
		if err != nil {
			t.Fatal(err)
		}
		s.clients[i] = c
	}
}

// kill ends the process as a crash does: it gets no chance to do anything about it.
func (s *service) kill() {
	s.killed.Store(true)
	s.Kill()
}

// retryable checks that an answer that the service is unavailable says when to try again.
type retryable struct {
	t    *testing.T
	next http.RoundTripper
}

func (r retryable) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.next.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") == "" {
		r.t.Errorf("%s %s: 503 without Retry-After", req.Method, req.URL.Path)
	}
	return resp, err
}

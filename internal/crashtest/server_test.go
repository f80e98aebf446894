package crashtest

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/client"
)

// clients is how many clients send at the same time.
const clients = 16

// service is a running process that serves a database.
type service struct {
	cmd     *exec.Cmd
	address string
	debug   string // the address of its profiles, where it was told to serve them
	clients [clients]*client.Client
	killed  atomic.Bool // so that connections break
	exited  chan struct{}

	mu       sync.Mutex
	failures []string // lines of its log, the latest ones
}

// serve starts a process that serves the database, and waits until it listens. The process is killed when the test ends.
func serve(t *testing.T, database, token string) *service {
	t.Helper()
	return serveWith(t, token, program, "serve", "--database", database, "--listen", "127.0.0.1:0")
}

// serveWith is serve for a command line that ends in one of the program.
func serveWith(t *testing.T, token, name string, args ...string) *service {
	t.Helper()
	s := &service{cmd: exec.Command(name, args...), exited: make(chan struct{})}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := make(chan string, 1)
	go s.read(stderr, address)
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("the last failures in the log of the server:\n%s", strings.Join(s.failures, "\n"))
		}
	})
	select {
	case s.address = <-address:
	case <-s.exited:
		t.Fatalf("the server ended: %s\n%s", s.cmd.ProcessState, strings.Join(s.failures, "\n"))
	case <-time.After(patience):
		t.Fatalf("the server does not serve after %s", patience)
	}
	s.connect(t, token)
	return s
}

// connect makes the clients of the server at the address.
func (s *service) connect(t *testing.T, token string) {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	t.Cleanup(transport.CloseIdleConnections)
	for i := range s.clients {
		c, err := client.New(s.address, client.WithToken(token), client.WithTimeout(0), client.WithMaxRetries(0),
			client.WithHTTPClient(&http.Client{Transport: retryable{t, transport}}))
		if err != nil {
			t.Fatal(err)
		}
		s.clients[i] = c
	}
}

// read follows the log of the process up to its end.
func (s *service) read(stderr io.Reader, address chan<- string) {
	defer close(s.exited)
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if _, rest, ok := strings.Cut(line, ` msg="serving profiles" address=`); ok {
			s.debug = rest // before the address is known, so no client reads it yet
		}
		if _, rest, ok := strings.Cut(line, " msg=serving address="); ok {
			found, _, _ := strings.Cut(rest, " ")
			address <- found
		}
		if strings.Contains(line, " level=INFO ") {
			continue
		}
		s.mu.Lock()
		if s.failures = append(s.failures, line); len(s.failures) > 20 {
			s.failures = s.failures[1:]
		}
		s.mu.Unlock()
	}
	s.cmd.Wait() // it was killed, or its log tells why it ended
}

// kill ends the process as a crash does: it gets no chance to do anything about it.
func (s *service) kill() {
	s.killed.Store(true)
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		panic(err)
	}
	<-s.exited
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

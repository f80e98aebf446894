package httpapi

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/gen"
)

// listen serves on a free port until stop is called, which returns how long that took.
func listen(t *testing.T, s *Server) (address string, stop func() time.Duration) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, listener) }()
	return listener.Addr().String(), func() time.Duration {
		begun := time.Now()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		return time.Since(begun)
	}
}

// dial opens a connection and sends a text.
func dial(t *testing.T, address, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Error(err)
	}
	return conn
}

// Clients without a valid token that send no body hold no connection that a new client needs, however long they may take.
func TestRefusedBodiesMakeRoom(t *testing.T) {
	valid := "hmt_" + strings.Repeat("a", 43)
	var admitted atomic.Int64
	s, err := New(fixed{}, Config{Authenticate: func(_ context.Context, token string) (Identity, error) {
		if token != valid {
			return Identity{}, &Error{Code: gen.CodeUnauthorized}
		}
		admitted.Add(1)
		return Identity{Role: RoleWrite, Organizations: []string{"acme"}}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	const limit = 3
	s.connections.limit, s.refusedBodyTime = limit, time.Hour
	address, stop := listen(t, s)
	defer stop()
	const post = "POST /api/v0/billing/leases/acme HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	for _, request := range []string{
		"", "POST /api", post + "Content-Length: 2\r\n\r\n{", post + "Content-Length: 100000\r\n\r\n{", post + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
		post + "Authorization: Bearer hmt_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\nContent-Length: 2\r\n\r\n{",
		"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{", "POST /api/v0/nothing HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{",
	} {
		for range limit {
			dial(t, address, request)
		}
		for s.connections.refused.Load() == 0 && s.connections.count() < limit { // the server accepts them a moment later
			time.Sleep(time.Millisecond)
		}
		text, err := io.ReadAll(dial(t, address, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
		if !strings.HasPrefix(string(text), "HTTP/1.1 200 ") {
			t.Errorf("beside clients that sent %q a new client gets %q, %v", request, text, err)
		}
	}
	if n := s.Load().ConnectionsRefused; n != 0 {
		t.Errorf("%d clients were refused", n)
	}

	// Those with a valid token keep their connections.
	var senders []net.Conn
	for range limit {
		senders = append(senders, dial(t, address, post+"Authorization: Bearer "+valid+"\r\nContent-Length: 2\r\n\r\n{"))
	}
	underWay := func() int {
		s.connections.mu.Lock()
		defer s.connections.mu.Unlock()
		return len(s.connections.open) - s.connections.idle.Len()
	}
	for admitted.Load() < limit || underWay() < limit { // before the token was checked, a connection may be under way for a moment
		time.Sleep(time.Millisecond)
	}
	if text, err := io.ReadAll(dial(t, address, "")); !strings.HasPrefix(string(text), "HTTP/1.1 503 ") {
		t.Errorf("beside clients with a valid token a new client gets %q, %v", text, err)
	}
	for _, conn := range senders { // or the server waits for them when it stops
		_ = conn.Close()
	}
}

// A server that is told to stop does not wait for a first request on a connection, and finishes the requests under way.
func TestStopBesideNewConnections(t *testing.T) {
	s, err := New(fixed{}, Config{Admit: anyToken})
	if err != nil {
		t.Fatal(err)
	}
	arrived, release := make(chan struct{}), make(chan struct{})
	s.handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-release
	})
	address, stop := listen(t, s)
	underWay := dial(t, address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-arrived
	for _, text := range []string{"", "GET / HT"} {
		dial(t, address, text)
	}
	for s.connections.count() < 3 {
		time.Sleep(time.Millisecond)
	}
	time.AfterFunc(2*newConnectionTime, func() { close(release) })
	if took := stop(); took >= 5*time.Second {
		t.Errorf("it took %s to stop", took)
	}
	if text, err := io.ReadAll(underWay); !strings.HasPrefix(string(text), "HTTP/1.1 200 ") {
		t.Errorf("the request under way got %q, %v", text, err)
	}
}

// When clients have as many connections as they may, the one that has been idle for longest makes room for a new one. If all are in use,
// a new client learns that at once.
func TestConnectionsAreBounded(t *testing.T) {
	for files, want := range map[uint64]int{64: 8, 100: 44, 256: 128, 400: 200, 1024: 768, 1 << 20: 1<<20 - 256, 1<<64 - 1: 1<<31 - 1} {
		if got := connectionLimit(files); got != want {
			t.Errorf("of %d files %d are for clients, want %d", files, got, want)
		}
	}
	var log bytes.Buffer
	s, err := New(fixed{}, Config{Admit: anyToken, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	arrived, release := make(chan struct{}), make(chan struct{})
	api := s.handler
	s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			arrived <- struct{}{}
			<-release
		}
		api.ServeHTTP(w, r)
	})
	const limit = 4
	s.connections.limit = limit
	address, stop := listen(t, s)
	defer func() {
		stop()
		if n := strings.Count(log.String(), "new clients are refused with 503"); n != 1 {
			t.Errorf("%d times the log says that clients are refused:\n%s", n, &log)
		}
	}()
	dial := func(request string) net.Conn { return dial(t, address, request) }
	const healthz = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	answer := func(conn net.Conn) string { // until the server closes the connection
		text, err := io.ReadAll(conn)
		if err != nil && len(text) == 0 { // a refused connection may be reset after the answer
			t.Error(err)
		}
		return string(text)
	}
	var idle []net.Conn
	for range 3 * limit {
		idle = append(idle, dial(""))
	}
	if got := answer(dial(healthz)); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("beside idle connections a new client gets %q", got)
	}
	_ = idle[0].SetDeadline(time.Now().Add(5 * time.Second)) // by itself, it would be closed after ten seconds without a request
	if got := answer(idle[0]); got != "" {
		t.Errorf("the connection that was idle for longest gets %q", got)
	}
	var waiting []net.Conn
	for range limit {
		waiting = append(waiting, dial("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"))
		<-arrived
	}
	if got := answer(dial("")); !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "\r\nRetry-After: 1\r\n") ||
		!strings.Contains(got, `"unavailable"`) {
		t.Errorf("a client too many gets %q", got)
	}
	close(release)
	for _, conn := range waiting {
		text := make([]byte, 4096)
		if n, err := conn.Read(text); err != nil || !strings.HasPrefix(string(text[:n]), "HTTP/1.1 404 ") {
			t.Errorf("a connection in use gets %q, %v", text[:n], err)
		}
	}
	// They are idle from a moment later on.
	for end := time.Now().Add(time.Minute); ; {
		got := answer(dial(healthz))
		if strings.HasPrefix(got, "HTTP/1.1 200 ") {
			break
		}
		if !strings.HasPrefix(got, "HTTP/1.1 503 ") || time.Now().After(end) {
			t.Fatalf("beside connections that were in use a new client gets %q", got)
		}
	}
}

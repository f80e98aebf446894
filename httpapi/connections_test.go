package httpapi

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// When clients have as many connections as they may, the one that has been idle for longest makes room for a new one. If all are in use,
// a new client learns that at once.
func TestConnectionsAreBounded(t *testing.T) {
	for files, want := range map[uint64]int{256: 128, 400: 200, 1024: 768, 1 << 20: 1<<20 - 256, 1<<64 - 1: 1<<31 - 1} {
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
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const limit = 4
	s.connections = limit
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, listener) }()
	defer func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "new clients are refused with 503"); n != 1 {
			t.Errorf("%d times the log says that clients are refused:\n%s", n, &log)
		}
	}()
	dial := func(request string) net.Conn {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(conn, request)
		return conn
	}
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

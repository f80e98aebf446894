package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/labstack/echo/v4"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// shutdownTime is how long requests under way may take once the server is told to stop.
const shutdownTime = 10 * time.Second

// Serve answers requests that come in on the listener, with timeouts against clients that are too slow, until the context
// ends. Then it lets requests under way finish, for at most ten seconds, and returns nil, or an error where some were cut
// off. It closes the listener.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	httpServer := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       s.bodyTime,               // for a body that nobody reads; readEarly sets its own
		WriteTimeout:      s.bodyTime + time.Minute, // a minute is left when the body comes late; a breakdown moves it on as it goes
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- httpServer.Serve(serverListener{listener, s}) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := httpServer.Shutdown(stopping); err != nil {
		return errors.Join(fmt.Errorf("some requests were cut off: %w", err), httpServer.Close())
	}
	return nil
}

type serverListener struct {
	net.Listener
	server *Server
}

func (l serverListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &serverConn{Conn: conn, server: l.server}, nil
}

type serverConn struct {
	net.Conn
	server        *Server
	writeDeadline time.Time
}

// SetWriteDeadline leaves a deadline that is at most a second earlier as it is: net/http moves it on with every request, and the
// runtime's timer with it.
func (c *serverConn) SetWriteDeadline(t time.Time) error {
	if later := t.Sub(c.writeDeadline); 0 <= later && later <= time.Second {
		return nil
	}
	c.writeDeadline = t
	return c.Conn.SetWriteDeadline(t)
}

// No handler of this server answers with a header like this.
var (
	statusLine    = []byte("HTTP/1.1 4")
	plainTextOnly = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")
)

// Write gives the envelope to answers that net/http writes by itself, past any handler, where it cannot make out a request: a
// malformed path such as /%zz, or headers that are too large.
func (c *serverConn) Write(b []byte) (int, error) {
	if !bytes.HasPrefix(b, statusLine) || !bytes.Contains(b, plainTextOnly) {
		return c.Conn.Write(b)
	}
	id := billing.NewID().String()
	docURL := c.server.docURL
	if docURL == "" { // which host was asked for is not known
		docURL = c.server.ownDocURL(c.LocalAddr().String(), false)
	}
	body, err := json.Marshal(envelope(badRequest, "the request cannot be read", id, docURL))
	if err != nil {
		return 0, err
	}
	answer := "HTTP/1.1 400 Bad Request\r\nContent-Type: " + echo.MIMEApplicationJSON + "\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\nX-Request-Id: " + id + "\r\nConnection: close\r\n\r\n"
	if _, err := c.Conn.Write(append([]byte(answer), body...)); err != nil {
		return 0, err
	}
	return len(b), nil
}

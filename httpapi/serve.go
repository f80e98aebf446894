package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/gen/httpserver"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

const (
	// shutdownTime is how long requests under way may take once the server is told to stop.
	shutdownTime = 10 * time.Second
	// newConnectionTime is how long a connection without a request stays open then. net/http waits five seconds for a first request.
	newConnectionTime = 500 * time.Millisecond
)

// Serve answers requests that come in on the listeners, with timeouts against clients that are too slow, until the context
// ends. Then it lets requests under way finish, for at most ten seconds, and returns nil, or an error where some were cut
// off. It closes the listeners, and all of them if one fails.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	httpServer := &http.Server{
		Handler: s.handler,
		// A connection makes room for a new client until the header of its request is complete. There is no ReadTimeout, because expectBody
		// bounds the time for a body.
		ReadHeaderTimeout: 10 * time.Second,
		WriteTimeout:      s.bodyTime + time.Minute, // a minute is left when the body comes late; a breakdown moves it on as it goes
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		// Its answer to OPTIONS * has no x-request-id.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		ConnState:                    s.connections.setState,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, conn)
		},
	}
	failed := make(chan error, len(listeners))
	for _, listener := range listeners {
		go func() { failed <- httpServer.Serve(serverListener{listener, s}) }()
	}
	select {
	case err := <-failed:
		return errors.Join(err, httpServer.Close())
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	defer time.AfterFunc(newConnectionTime, s.connections.closeIdle).Stop()
	if err := httpServer.Shutdown(stopping); err != nil {
		return errors.Join(fmt.Errorf("some requests were cut off: %w", err), httpServer.Close())
	}
	return nil
}

type serverListener struct {
	net.Listener
	server *Server
}

// Accept returns the next connection that may be served. It refuses clients that have one too many.
func (l serverListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &serverConn{Conn: conn, server: l.server}
		if l.server.connections.add(c) {
			return c, nil
		}
		// The answer fits into the kernel's buffer, so this waits for no client.
		_ = c.refuse(http.StatusServiceUnavailable, gen.CodeUnavailable, "", "Retry-After: "+strconv.Itoa(retryAfter)+"\r\n")
		_ = conn.Close()
	}
}

type serverConn struct {
	net.Conn
	server        *Server
	writeDeadline time.Time
}

// Close closes the connection and makes room for another one.
func (c *serverConn) Close() error {
	c.server.connections.remove(c)
	return c.Conn.Close()
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

// plainTextOnly is in the head of an answer that net/http writes by itself, and of none that a handler of this server gives.
var plainTextOnly = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")

// refusal tells whether an answer is one that net/http writes by itself, past any handler, and with which status: 400 for a request
// that it cannot make out, such as one with the path /%zz, 431 for headers that are too large, 501 for an unknown
// Transfer-Encoding, 505 for another version of HTTP, 417 for an unknown Expect.
func refusal(answer []byte) (status int, ok bool) {
	const digits = len("HTTP/1.1 ")
	if len(answer) < digits+3 || answer[digits] < '4' || !bytes.HasPrefix(answer, []byte("HTTP/1.")) {
		return 0, false
	}
	status, err := strconv.Atoi(string(answer[digits : digits+3]))
	return status, err == nil && (status == http.StatusExpectationFailed || bytes.Contains(answer, plainTextOnly))
}

// Write replaces an answer with which net/http refuses a request by one with the envelope.
func (c *serverConn) Write(b []byte) (int, error) {
	status, refused := refusal(b)
	if !refused {
		return c.Conn.Write(b)
	}
	text := "the request cannot be read: " + strings.ToLower(http.StatusText(status))
	if err := c.refuse(status, gen.CodeBadRequest, text, ""); err != nil {
		return 0, err
	}
	return len(b), nil
}

// refuse writes an answer with the envelope past net/http, and with more headers, each of which ends with a line break.
func (c *serverConn) refuse(status int, code gen.ErrorCode, text, headers string) error {
	id := billing.NewID().String()
	docURL := c.server.docURL
	if docURL == "" { // which host was asked for is not known
		host := c.LocalAddr().String()
		if c.LocalAddr().Network() == "unix" { // which is a path
			host = "localhost"
		}
		docURL = c.server.ownDocURL(host, false)
	}
	refusal := envelope(gen.ErrorInfoOf(code), text, id, docURL)
	body := httpserver.AppendError(nil, &refusal)
	answer := fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nX-Request-Id: %s\r\n%sConnection: close\r\n\r\n",
		status, http.StatusText(status), echo.MIMEApplicationJSON, len(body), id, headers)
	_, err := c.Conn.Write(append([]byte(answer), body...))
	return err
}

package httpapi

import (
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/harmont-dev/harmont-billing/gen/httpserver"
)

// Observer receives the events of a [Server]. The server calls its methods concurrently, and a request waits for the call to return.
// The package server/metrics has one for Prometheus.
type Observer interface {
	// Answered is called once for each request that has reached a handler, when its answer ends.
	Answered(Answer)
}

// Answer describes the answer to a request.
type Answer struct {
	// Operation is the operationId of openapi.yaml. It is empty for other requests: pages, /readyz, and paths that do not exist.
	Operation string
	// Status is the status code that was sent.
	Status int
	// Took is the time from the head of the request to the end of the answer.
	Took time.Duration
	// CutOff reports that the answer is incomplete.
	CutOff bool
	// ClientLeft reports that it is incomplete because the client has closed the connection.
	ClientLeft bool
}

// route identifies an operation by the method and the path of its route.
type route struct{ method, path string }

// operationOf has the operationId of each route.
var operationOf = func() map[route]string {
	ids, inRouter := map[route]string{}, strings.NewReplacer("{", ":", "}", "")
	for id, op := range httpserver.Operations {
		ids[route{op.Method, inRouter.Replace(op.Path)}] = id
	}
	return ids
}()

// operation returns the operationId of a request, or "" if it is for none.
func (s *Server) operation(c echo.Context) string {
	path, below := strings.CutPrefix(sentPath(c.Request().URL), s.basePath)
	if !below {
		return ""
	}
	return operationAt(c, path)
}

// operationAt returns the operationId of a request for a path below the base path, or "" if it is for none.
func operationAt(c echo.Context, path string) string {
	r := c.Request()
	if c.Path() == "" { // the request has not come to the router
		c.Echo().Router().Find(r.Method, path, c)
	}
	if strayed(path, c.Path()) {
		return ""
	}
	return operationOf[route{r.Method, c.Path()}]
}

// answered tells the observer, if there is one.
func (s *Server) answered(c echo.Context, start time.Time, cutOff bool) {
	if s.observer == nil {
		return
	}
	s.observer.Answered(Answer{
		Operation: s.operation(c), Status: c.Response().Status, Took: time.Since(start),
		CutOff: cutOff, ClientLeft: cutOff && c.Request().Context().Err() != nil,
	})
}

// Load says how busy a Server is at one moment.
type Load struct {
	// Requests is the number of requests that a handler works on.
	Requests int64
	// Connections is the number of connections of clients, and ConnectionsLimit how many there may be.
	Connections, ConnectionsLimit int64
	// ConnectionsRefused is the number of clients, since the start, that got no connection because requests were under way on all of
	// them.
	ConnectionsRefused int64
	// BodyBytes is how many bytes of the budget for bodies are in use, and BodyBytesLimit how many there are. Bodies of up to 64 KiB are
	// not counted.
	BodyBytes, BodyBytesLimit int64
	// BodiesRefused is the number of requests, since the start, that got no share of the budget.
	BodiesRefused int64
	// Streams is the number of breakdowns that are being sent.
	Streams int64
	// StreamsRefused is the number of breakdowns, since the start, that were not begun because the token or the organization had too many
	// under way.
	StreamsRefused int64
}

// Load returns how busy the server is now.
func (s *Server) Load() Load {
	return Load{
		Requests:    s.underWay.Load(),
		Connections: s.connections.count(), ConnectionsLimit: int64(s.connections.limit), ConnectionsRefused: s.connections.refused.Load(),
		BodyBytes: s.bodies.receiving.used.Load() + s.bodies.decoding.used.Load(), BodyBytesLimit: s.bodies.receiving.size + s.bodies.decoding.size,
		BodiesRefused: s.bodies.refused.Load(),
		Streams:       s.streams.open.Load(), StreamsRefused: s.streams.refused.Load(),
	}
}

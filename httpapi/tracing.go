package httpapi

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/harmont-dev/harmont-billing/gen/httpserver"
)

// tracerName is the instrumentation scope of all spans.
const tracerName = "github.com/harmont-dev/harmont-billing/httpapi"

// traced makes a span for each request, as a part of the trace that the header traceparent names. Nothing that a caller sends is an
// attribute, but for the request id. The slug of the organization is one after the token was checked.
func (s *Server) traced(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := s.tracer.Start(ctx, "other", trace.WithSpanKind(trace.SpanKindServer))
		c.SetRequest(r.WithContext(ctx))
		whole := false
		defer func() { // also after the panic that cuts an answer off
			span.SetAttributes(
				attribute.Int("http.response.status_code", c.Response().Status),
				attribute.String("harmont.request_id", requestID(c)),
			)
			if id := s.operation(c); id != "" {
				op := httpserver.Operations[id]
				span.SetName(id)
				span.SetAttributes(
					attribute.String("harmont.operation", id), attribute.String("http.request.method", op.Method), attribute.String("http.route", op.Path),
				)
			}
			if !whole || c.Response().Status >= http.StatusInternalServerError {
				span.SetStatus(codes.Error, "")
			}
			span.End()
		}()
		err := next(c)
		whole = true
		return err
	}
}

// traceOrganization adds the organization that a token was admitted to to the span of the request.
func traceOrganization(ctx context.Context, org string) {
	if span := trace.SpanFromContext(ctx); org != "" && span.IsRecording() {
		span.SetAttributes(attribute.String("harmont.organization", org))
	}
}

package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// failure is a row of the API's table of errors. This file alone knows status codes and error codes.
type failure struct {
	status  int
	kind    gen.ErrorType
	code    gen.ErrorCode
	message string // for failures whose text is always the same
}

var (
	badRequest           = &failure{status: http.StatusBadRequest, kind: gen.ErrorTypeInvalidRequest, code: "bad_request"}
	unauthorized         = &failure{http.StatusUnauthorized, gen.ErrorTypeUnauthorized, "unauthorized", "a valid bearer token is required"}
	forbidden            = &failure{status: http.StatusForbidden, kind: gen.ErrorTypeForbidden, code: "forbidden"}
	organizationNotFound = &failure{http.StatusNotFound, gen.ErrorTypeNotFound, "organization_not_found", "no such organization"}
	routeNotFound        = &failure{http.StatusNotFound, gen.ErrorTypeNotFound, "route_not_found", "no such route"}
	methodNotAllowed     = &failure{status: http.StatusMethodNotAllowed, kind: gen.ErrorTypeInvalidRequest, code: "method_not_allowed"}
	requestTimeout       = &failure{http.StatusRequestTimeout, gen.ErrorTypeInvalidRequest, "request_timeout", "the body did not arrive in time"}
	leaseConflict        = &failure{status: http.StatusConflict, kind: gen.ErrorTypeConflict, code: "lease_conflict"}
	keyReused            = &failure{status: http.StatusConflict, kind: gen.ErrorTypeConflict, code: "idempotency_key_reused"}
	bodyTooLarge         = &failure{status: http.StatusRequestEntityTooLarge, kind: gen.ErrorTypeInvalidRequest, code: "body_too_large"}
	unsupportedMediaType = &failure{status: http.StatusUnsupportedMediaType, kind: gen.ErrorTypeInvalidRequest, code: "unsupported_media_type"}
	windowInvalid        = &failure{status: http.StatusUnprocessableEntity, kind: gen.ErrorTypeValidationFailed, code: "billing_usage_window_invalid"}
	cursorInvalid        = &failure{status: http.StatusUnprocessableEntity, kind: gen.ErrorTypeValidationFailed, code: "cursor_invalid"}
	limitInvalid         = &failure{status: http.StatusUnprocessableEntity, kind: gen.ErrorTypeValidationFailed, code: "limit_invalid"}
	leaseInvalid         = &failure{status: http.StatusUnprocessableEntity, kind: gen.ErrorTypeValidationFailed, code: "lease_invalid"}
	amountInvalid        = &failure{status: http.StatusUnprocessableEntity, kind: gen.ErrorTypeValidationFailed, code: "amount_invalid"}
	bodyInvalid          = &failure{status: http.StatusUnprocessableEntity, kind: gen.ErrorTypeValidationFailed, code: "body_invalid"}
	rateLimited          = &failure{http.StatusTooManyRequests, gen.ErrorTypeRateLimited, "rate_limited", "too many requests"}
	internal             = &failure{http.StatusInternalServerError, gen.ErrorTypeServerError, "internal", "the server failed to answer this request"}
	unavailable          = &failure{http.StatusServiceUnavailable, gen.ErrorTypeServerError, "unavailable", "the service is temporarily unavailable; the request may be sent again"}
)

// failures are all of the above.
var failures = []*failure{
	badRequest, unauthorized, forbidden, organizationNotFound, routeNotFound, methodNotAllowed, requestTimeout, leaseConflict, keyReused,
	bodyTooLarge, unsupportedMediaType, windowInvalid, cursorInvalid, limitInvalid, leaseInvalid, amountInvalid, bodyInvalid,
	rateLimited, internal, unavailable,
}

// kinds says how the domain's failures are answered.
var kinds = []struct {
	kind    error
	failure *failure
}{
	{billing.ErrUnauthorized, unauthorized},
	{billing.ErrOrganizationNotFound, organizationNotFound},
	{billing.ErrWindowInvalid, windowInvalid},
	{billing.ErrCursorInvalid, cursorInvalid},
	{billing.ErrLeaseInvalid, leaseInvalid},
	{billing.ErrAmountInvalid, amountInvalid},
	{billing.ErrInvalid, bodyInvalid},
	{billing.ErrLeaseConflict, leaseConflict},
	{billing.ErrKeyReused, keyReused},
	{billing.ErrUnavailable, unavailable},
	{context.DeadlineExceeded, unavailable},
	{context.Canceled, unavailable},
}

// problem is a failure of one request.
type problem struct {
	*failure
	detail string
}

func (p *problem) Error() string { return p.detail }

// with gives the failure a text of its own.
func (f *failure) with(detail string) *problem { return &problem{f, detail} }

// retryAfter is what the Retry-After header says, in seconds.
const retryAfter = 1

// classify finds the row of the table for an error, and the text to show.
func classify(err error) (*failure, string) {
	if p, ok := errors.AsType[*problem](err); ok {
		return p.failure, p.detail
	}
	for _, k := range kinds {
		if errors.Is(err, k.kind) {
			return k.failure, err.Error()
		}
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return bodyTooLarge, "the body is larger than " + strconv.FormatInt(tooLarge.Limit, 10) + " bytes"
	}
	if e, ok := errors.AsType[*echo.HTTPError](err); ok {
		switch e.Code {
		case http.StatusNotFound:
			return routeNotFound, ""
		case http.StatusMethodNotAllowed:
			return methodNotAllowed, "this path does not answer the request's method"
		case http.StatusBadRequest:
			return badRequest, "the request is malformed"
		}
	}
	return internal, ""
}

// renderError writes the envelope of an error, once for every answer outside 2xx.
func (s *Server) renderError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	f, message := classify(err)
	if f.message != "" {
		message = f.message
	}
	header := c.Response().Header()
	switch f {
	case unauthorized:
		header.Set(echo.HeaderWWWAuthenticate, "Bearer")
	case rateLimited, unavailable:
		header.Set(echo.HeaderRetryAfter, strconv.Itoa(retryAfter))
	}
	if s.docURL == "" { // doc_url is made from the Host of this request, so that no shared cache may keep it for another
		header[echo.HeaderCacheControl] = privately
	}
	if f.status >= http.StatusInternalServerError {
		level := slog.LevelError
		if errors.Is(err, context.Canceled) {
			level = slog.LevelDebug // the client has left
		}
		s.log.Log(c.Request().Context(), level, "request failed", "request_id", requestID(c), "code", f.code, "error", err)
	}
	if err := writeJSON(c.Response(), f.status, envelope(f, message, requestID(c), s.docURLFor(c.Request()))); err != nil {
		s.log.DebugContext(c.Request().Context(), "answer not sent", "request_id", requestID(c), "error", err)
	}
}

func envelope(f *failure, message, requestID, docURL string) gen.Error {
	return gen.Error{Error: gen.ErrorDetail{
		Type: f.kind, Code: f.code, Message: message, DocURL: docURL + f.code, RequestID: requestID,
	}}
}

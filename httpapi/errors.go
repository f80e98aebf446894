package httpapi

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/gen/httpserver"
	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/wire"
)

// kinds says with which code each kind of failure of the domain is answered.
var kinds = []struct {
	kind error
	code gen.ErrorCode
}{
	{billing.ErrUnauthorized, gen.CodeUnauthorized},
	{billing.ErrOrganizationNotFound, gen.CodeOrganizationNotFound},
	{billing.ErrEntryNotFound, gen.CodeTransactionNotFound},
	{billing.ErrWindowInvalid, gen.CodeBillingUsageWindowInvalid},
	{billing.ErrCursorInvalid, gen.CodeCursorInvalid},
	{billing.ErrEntryFilterInvalid, gen.CodeTransactionFilterInvalid},
	{billing.ErrLeaseInvalid, gen.CodeLeaseInvalid},
	{billing.ErrAmountInvalid, gen.CodeAmountInvalid},
	{billing.ErrRateCardInvalid, gen.CodeRateCardInvalid},
	{billing.ErrInvalid, gen.CodeBodyInvalid},
	{billing.ErrLeaseConflict, gen.CodeLeaseConflict},
	{billing.ErrKeyReused, gen.CodeIdempotencyKeyReused},
	{billing.ErrUnavailable, gen.CodeUnavailable},
	{context.DeadlineExceeded, gen.CodeUnavailable},
	{context.Canceled, gen.CodeUnavailable},
}

// Error is a failure of a request that has a code in the contract.
type Error struct {
	// Code says how the request is answered. gen.Errors has all codes; another one is answered like an error without a code, with 500.
	Code gen.ErrorCode
	// Message is the text for the caller. It is not shown where the contract has a text for all errors of the code. Where it is empty, the
	// caller gets what the contract says of the code.
	Message string
}

// Error returns the message, or the code where there is none.
func (e *Error) Error() string { return cmp.Or(e.Message, e.Code) }

func fail(code gen.ErrorCode, message string) error { return &Error{code, message} }

// CodeOf returns the code that an error of a Backend is answered with.
func CodeOf(err error) gen.ErrorCode {
	code, _ := classify(err)
	return code
}

// retryAfter is the value of the Retry-After header, in seconds.
const retryAfter = 1

// classify finds the code for an error, and the text to show.
func classify(err error) (code gen.ErrorCode, message string) {
	if p, ok := errors.AsType[*Error](err); ok && gen.ErrorInfoOf(p.Code) != nil {
		return p.Code, p.Message
	}
	if refused, ok := errors.AsType[*wire.Error](err); ok {
		return refused.Code, refused.Error()
	}
	for _, k := range kinds {
		if errors.Is(err, k.kind) {
			return k.code, err.Error()
		}
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return gen.CodeBodyTooLarge, "the body is larger than " + strconv.FormatInt(tooLarge.Limit, 10) + " bytes"
	}
	if e, ok := errors.AsType[*echo.HTTPError](err); ok {
		switch e.Code {
		case http.StatusNotFound:
			return gen.CodeRouteNotFound, ""
		case http.StatusMethodNotAllowed:
			return gen.CodeMethodNotAllowed, "this path does not answer the request's method"
		case http.StatusBadRequest:
			return gen.CodeBadRequest, "the request is malformed"
		}
	}
	return gen.CodeInternal, ""
}

// renderError writes the envelope of an error, once for every answer outside 2xx.
func (s *Server) renderError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	code, message := classify(err)
	info := gen.ErrorInfoOf(code)
	header := c.Response().Header()
	switch code {
	case gen.CodeUnauthorized:
		header.Set(echo.HeaderWWWAuthenticate, "Bearer")
	case gen.CodeRateLimited, gen.CodeUnavailable:
		header.Set(echo.HeaderRetryAfter, strconv.Itoa(retryAfter))
	}
	if s.docURL == "" { // doc_url is made from the Host of this request, so that no shared cache may keep it for another
		header[echo.HeaderCacheControl] = privately
	}
	if info.Status >= http.StatusInternalServerError {
		level := slog.LevelError
		if errors.Is(err, context.Canceled) {
			level = slog.LevelDebug // the client has left
		}
		s.log.Log(c.Request().Context(), level, "request failed", "request_id", requestID(c), "code", code, "error", err)
	}
	body := envelope(info, message, requestID(c), s.docURLFor(c.Request()))
	if err := wire.Write(c.Response(), info.Status, func(b []byte) []byte { return httpserver.AppendError(b, &body) }); err != nil {
		s.log.DebugContext(c.Request().Context(), "answer not sent", "request_id", requestID(c), "error", err)
	}
}

// envelope makes the body of an error.
func envelope(info *gen.ErrorInfo, message, requestID, docURL string) gen.Error {
	return gen.Error{Error: gen.ErrorDetail{
		Type: info.Type, Code: info.Code, Message: cmp.Or(info.Message, message, info.What), DocURL: docURL + info.Code, RequestID: requestID,
	}}
}

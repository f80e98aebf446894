package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
)

// ErrInvalidResponse is wrapped by the error of a 2xx answer that does not follow the contract: not JSON, without
// a required field, or larger than [WithMaxResponseBytes] allows.
var ErrInvalidResponse = errors.New("invalid response")

// Error is an answer outside 2xx.
//
//	if apiErr, ok := errors.AsType[*client.Error](err); ok && apiErr.Type == client.ErrorTypeNotFound { … }
//
// [errors.Is] finds its code: errors.Is(err, client.ErrOrganizationNotFound).
//
// The billing server fills every field. Where something else answered, such as a proxy, Type, Code and DocURL are empty.
type Error struct {
	Status    int       // the HTTP status, 300 or more
	Type      ErrorType // the kind of failure
	Code      Code      // the exact failure
	Message   string    // a sentence for people, which may change at any time; of a foreign answer, the first bytes of its body
	DocURL    string    // a page about the code
	RequestID string    // names the request in the server's log; the id that the client has sent if the answer has no id
	// RetryAfter is how long the server asks to wait before the request is sent again; 0 where it does not say.
	RetryAfter time.Duration
	// RateLimit is how many requests the server takes; nil where it does not say.
	RateLimit *RateLimit
}

// Error gives the status, code, message and request id.
func (e *Error) Error() string {
	code := string(e.Code)
	if code == "" {
		code = http.StatusText(e.Status)
	}
	s := fmt.Sprintf("harmont-billing: %d %s", e.Status, code)
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.RequestID != "" {
		s += " (request " + e.RequestID + ")"
	}
	return s
}

// Is tells whether target is the error of this code, such as [ErrOrganizationNotFound].
func (e *Error) Is(target error) bool {
	code, ok := target.(codeError)
	return ok && e.Code == Code(code)
}

// Code is the exact failure. The API may add codes; a program falls back to [Error.Type] for one it does not know.
type Code string

type codeError Code

func (c codeError) Error() string { return "harmont-billing: " + string(c) }

const (
	maxErrorBytes   = 64 << 10 // read of an answer outside 2xx
	maxExcerptBytes = 512      // shown of one that is not the API's
)

// statusError makes the error of an answer with a status outside 2xx. The body is its beginning, up to maxErrorBytes.
func (a *attempt) statusError(body []byte) *Error {
	e := &Error{Status: a.resp.StatusCode, RequestID: a.answeredID(), RetryAfter: retryAfter(a.resp.Header), RateLimit: RateLimitOf(a.resp.Header)}

	var envelope errorEnvelope
	if err := json.Unmarshal(body, &envelope); err == nil && envelope.Error.Code != "" {
		detail := envelope.Error
		e.Type, e.Code = ErrorType(a.redact(string(detail.Type))), Code(a.redact(string(detail.Code)))
		e.Message, e.DocURL = a.redact(detail.Message), a.redact(detail.DocURL)
		if detail.RequestID != "" {
			e.RequestID = a.redact(detail.RequestID)
		}
		return e
	}
	// Some proxies answer with a page that quotes the request's headers.
	text := a.redact(string(body))
	if location := a.resp.Header.Get("Location"); location != "" && a.resp.StatusCode < 400 {
		text = "redirected to " + a.redact(location) + ", which is not followed"
	}
	e.Message = excerpt(text)
	return e
}

// excerpt is the start of a text on one line, fit for a terminal and a log.
func excerpt(text string) string {
	truncated := len(text) > maxExcerptBytes
	if truncated {
		text = text[:maxExcerptBytes]
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(text, " "))
	text = strings.Join(strings.Fields(text), " ")
	if truncated {
		text += "…"
	}
	return text
}

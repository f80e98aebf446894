package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/gen/httpserver"
)

// The rules about every answer.

var errNotApplicable = errors.New("the rule does not speak of this answer")

// noFinding is the check that an answer has no finding of a kind. Schemas of errors have a rule of their own.
func noFinding(kind findingKind) func(*exchange) error {
	return func(x *exchange) error {
		if x.isError() && kind != wrongStatus && kind != notJSON {
			return errNotApplicable
		}
		for _, f := range x.findings {
			if f.kind == kind {
				return breachf(x, "%s", f.text)
			}
		}
		return nil
	}
}

func (x *exchange) isError() bool { return x.status >= http.StatusMultipleChoices }

// envelope decodes an error that has at least a code. The rule isEnvelope reports an error without a code.
func (x *exchange) envelope() (e envelope, err error) {
	if !x.isError() || x.method == http.MethodHead {
		return e, errNotApplicable
	}
	if err := json.Unmarshal(x.body, &e); err != nil || e.Error.Code == "" {
		return e, errNotApplicable
	}
	return e, nil
}

func hasRequestID(x *exchange) error {
	if id := x.header.Get("x-request-id"); !isRequestID(id) {
		return breachf(x, "x-request-id is %q", id)
	}
	return nil
}

func isRequestID(id string) bool {
	for i := range len(id) {
		if id[i] < ' ' || id[i] > '~' {
			return false
		}
	}
	return len(id) >= 20 && len(id) <= 200
}

func isEnvelope(x *exchange) error {
	if !x.isError() || x.method == http.MethodHead {
		return errNotApplicable
	}
	for _, f := range x.findings {
		if f.kind != wrongStatus {
			return breachf(x, "%s", f.text)
		}
	}
	var e envelope
	if err := json.Unmarshal(x.body, &e); err != nil {
		return breachf(x, "%v", err)
	}
	for _, field := range []struct{ name, text string }{
		{"type", e.Error.Type}, {"code", e.Error.Code}, {"message", e.Error.Message}, {"doc_url", e.Error.DocURL}, {"request_id", e.Error.RequestID},
	} {
		if field.text == "" {
			return breachf(x, "%s is empty", field.name)
		}
	}
	return nil
}

func hasMatchingRequestID(x *exchange) error {
	e, err := x.envelope()
	if err == nil && e.Error.RequestID != x.header.Get("x-request-id") {
		return breachf(x, "request_id is %q, x-request-id is %q", e.Error.RequestID, x.header.Get("x-request-id"))
	}
	return err
}

// unreadStatuses are the statuses, beside 400, of requests that a server's HTTP library refuses by itself, as bad_request.
var unreadStatuses = []int{
	http.StatusExpectationFailed, http.StatusRequestHeaderFieldsTooLarge, http.StatusNotImplemented, http.StatusHTTPVersionNotSupported,
}

func hasMatchingStatus(x *exchange) error {
	e, err := x.envelope()
	if err != nil {
		return err
	}
	code := e.Error.Code
	want := gen.ErrorInfoOf(code)
	if want == nil {
		return breachf(x, "the contract has no code %q", code)
	}
	refusedByLibrary := code == gen.CodeBadRequest && slices.Contains(unreadStatuses, x.status)
	if x.status != want.Status && !refusedByLibrary || e.Error.Type != string(want.Type) {
		return breachf(x, "%s comes with %d %q, not %d %s", code, x.status, e.Error.Type, want.Status, want.Type)
	}
	if x.operation != nil && !want.Route && !httpserver.Operations[x.operation.OperationID].Returns(code) {
		return breachf(x, "%s does not declare the code %s", x.operation.OperationID, code)
	}
	return nil
}

func hasMatchingDocURL(x *exchange) error {
	e, err := x.envelope()
	if err == nil && !strings.HasSuffix(e.Error.DocURL, "/"+e.Error.Code) {
		return breachf(x, "doc_url is %q, and the code %q", e.Error.DocURL, e.Error.Code)
	}
	return err
}

func hasRetryAfter(x *exchange) error {
	if x.status != http.StatusTooManyRequests && x.status != http.StatusServiceUnavailable {
		return errNotApplicable
	}
	if n, err := strconv.Atoi(x.header.Get("Retry-After")); err != nil || n < 1 {
		return breachf(x, "Retry-After is %q", x.header.Get("Retry-After"))
	}
	return nil
}

func hasChallenge(x *exchange) error {
	if x.status != http.StatusUnauthorized {
		return errNotApplicable
	}
	if got := x.header.Get("WWW-Authenticate"); got != "Bearer" {
		return breachf(x, "WWW-Authenticate is %q", got)
	}
	return nil
}

func hasAllow(x *exchange) error {
	if x.status != http.StatusMethodNotAllowed {
		return errNotApplicable
	}
	if x.header.Get("Allow") == "" {
		return breachf(x, "there is no Allow")
	}
	return nil
}

// CheckAnswer checks one answer against the rules for every answer. The path of the request is one of openapi.yaml. It returns the id of
// the operation, which is empty for a request that the contract does not have, and all breaches as one error.
func CheckAnswer(req *http.Request, status int, header http.Header, body []byte) (operation string, err error) {
	x := &exchange{method: req.Method, path: req.URL.Path, query: req.URL.RawQuery, requestHeader: req.Header, status: status, header: header, body: body}
	if err := x.decompress(1 << 30); err != nil {
		return "", err
	}
	x.checkSchema()
	if x.operation != nil {
		operation = x.operation.OperationID
	}
	for _, r := range rules() {
		if r.checkAnswer == nil {
			continue
		}
		if ruleErr := r.checkAnswer(x); ruleErr != nil && !errors.Is(ruleErr, errNotApplicable) {
			err = errors.Join(err, fmt.Errorf("%s: %w", r.id, ruleErr))
		}
	}
	return operation, err
}

// hasAuthorization reports whether the call had a token, valid or not.
func (x *exchange) hasAuthorization() bool {
	return len(x.requestHeader.Values("Authorization")) > 0 && strings.HasPrefix(x.path, apiPrefix+"/")
}

func isPrivate(x *exchange) error {
	if !x.hasAuthorization() {
		return errNotApplicable
	}
	if got := strings.Join(x.header.Values("Cache-Control"), ", "); got != "private, max-age=0, must-revalidate" {
		return breachf(x, "Cache-Control is %q", got)
	}
	return nil
}

func forbidsSniffing(x *exchange) error {
	if !x.hasAuthorization() {
		return errNotApplicable
	}
	if got := x.header.Get("X-Content-Type-Options"); got != "nosniff" {
		return breachf(x, "X-Content-Type-Options is %q", got)
	}
	return nil
}

func variesByEncoding(x *exchange) error {
	if x.operation == nil || len(x.body) == 0 {
		return errNotApplicable
	}
	vary := strings.Join(x.header.Values("Vary"), ", ")
	for name := range strings.SplitSeq(vary, ",") {
		if name = strings.TrimSpace(name); name == "*" || strings.EqualFold(name, "Accept-Encoding") {
			return nil
		}
	}
	return breachf(x, "Vary is %q", vary)
}

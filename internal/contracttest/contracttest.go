// Package contracttest holds answers of a server against openapi.yaml.
package contracttest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/harmont-dev/harmont-billing/gen/httpserver"
)

// contract and the routes in it.
var contract, router = func() (*openapi3.T, routers.Router) {
	spec, err := httpserver.GetSpec()
	if err != nil {
		panic(err)
	}
	spec.Servers = nil // any address will do
	r, err := legacy.NewRouter(spec)
	if err != nil {
		panic(err)
	}
	// Answers have ids and times in one form, of the several that requests may have.
	openapi3.DefineStringFormatValidator("uuid", openapi3.NewRegexpFormatValidator(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`))
	openapi3.DefineStringFormatValidator("date-time", openapi3.NewRegexpFormatValidator(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`))
	return spec, r
}()

// Check holds an answer against the contract: its status, headers and body. It returns the id of the operation, empty
// for a path outside the contract.
func Check(req *http.Request, status int, header http.Header, body []byte) (operation string, err error) {
	r := response{status, header, body}
	if id := r.header.Get("x-request-id"); len(id) < 20 || len(id) > 200 {
		return "", fmt.Errorf("x-request-id is %q", id)
	}
	if !strings.HasPrefix(req.URL.Path, "/api/v0/") && r.status < 400 {
		return "", nil // beside the API
	}
	if r.status == http.StatusNoContent && req.Method == http.MethodOptions {
		return "", nil // a browser's question
	}
	method := req.Method
	if method == http.MethodHead {
		method = http.MethodGet
		if len(r.body) > 0 {
			return "", fmt.Errorf("an answer to HEAD with a body")
		}
	}
	lookup := &http.Request{Method: method, URL: req.URL, Header: req.Header}
	route, pathParams, err := router.FindRoute(lookup)
	if err != nil || r.status >= 300 {
		if err := holdError(req, r); err != nil {
			return "", err
		}
	}
	if err != nil {
		if r.status < 400 {
			return "", fmt.Errorf("an answer outside the contract: %w", err)
		}
		return "", nil
	}
	if route.Operation.Responses.Value(fmt.Sprint(r.status)) == nil {
		return "", fmt.Errorf("%s does not declare the status %d", route.Operation.OperationID, r.status)
	}
	if r.header.Get("Content-Encoding") == "gzip" {
		compressed, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return "", err
		}
		if body, err = io.ReadAll(compressed); err != nil {
			return "", err
		}
	}
	options := &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true}
	if req.Method == http.MethodHead {
		options.ExcludeResponseBody = true
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: lookup, PathParams: pathParams, Route: route},
		Status:                 r.status, Header: r.header, Body: io.NopCloser(bytes.NewReader(body)), Options: options,
	})
	return route.Operation.OperationID, err
}

type response struct {
	status int
	header http.Header
	body   []byte
}

// Envelope is the body of every answer outside 2xx.
type Envelope struct {
	Error struct {
		Type      string `json:"type"`
		Code      string `json:"code"`
		Message   string `json:"message"`
		DocURL    string `json:"doc_url"`
		RequestID string `json:"request_id"`
	} `json:"error"`
}

// ErrorCodes are the codes that the contract lists.
var ErrorCodes = func() []string {
	list, _ := contract.Components.Schemas["ErrorCode"].Value.Extensions["x-extensible-enum"].([]any)
	codes := make([]string, 0, len(list))
	for _, code := range list {
		codes = append(codes, fmt.Sprint(code))
	}
	return codes
}()

// holdError checks the envelope and the headers that go with its code.
func holdError(req *http.Request, r response) error {
	if req.Method == http.MethodHead {
		return nil
	}
	var e Envelope
	decoder := json.NewDecoder(bytes.NewReader(r.body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&e); err != nil {
		return fmt.Errorf("not the envelope of errors: %w", err)
	}
	switch {
	case r.header.Get("Content-Type") != "application/json":
		return fmt.Errorf("an error of type %q", r.header.Get("Content-Type"))
	case e.Error.RequestID != r.header.Get("x-request-id"):
		return fmt.Errorf("request_id %q is not x-request-id", e.Error.RequestID)
	case e.Error.Message == "":
		return fmt.Errorf("no message")
	case !strings.HasSuffix(e.Error.DocURL, "/"+e.Error.Code):
		return fmt.Errorf("doc_url %q", e.Error.DocURL)
	case !slices.Contains(ErrorCodes, e.Error.Code):
		return fmt.Errorf("code %q is not in the contract", e.Error.Code)
	case r.status == http.StatusUnauthorized && r.header.Get("WWW-Authenticate") != "Bearer":
		return fmt.Errorf("401 without WWW-Authenticate")
	case (r.status == http.StatusTooManyRequests || r.status == http.StatusServiceUnavailable) && r.header.Get("Retry-After") == "":
		return fmt.Errorf("%d without Retry-After", r.status)
	case r.status == http.StatusMethodNotAllowed && r.header.Get("Allow") == "":
		return fmt.Errorf("405 without Allow")
	}
	return nil
}

// Operations lists the ids of the contract's operations.
func Operations() (ids []string) {
	for _, path := range contract.Paths.Map() {
		for _, operation := range path.Operations() {
			ids = append(ids, operation.OperationID)
		}
	}
	return ids
}

// Handler passes requests on and fails the test on an answer that the contract does not allow.
func Handler(t testing.TB, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := httptest.NewRecorder()
		next.ServeHTTP(recorder, r)
		answer := recorder.Body.Bytes()
		if r.Method == http.MethodHead {
			answer = nil // as net/http does
		}
		if _, err := Check(r, recorder.Code, recorder.Header(), answer); err != nil {
			t.Errorf("%s %s: %d %s\n%v", r.Method, r.URL, recorder.Code, answer, err)
		}
		maps.Copy(w.Header(), recorder.Header())
		w.WriteHeader(recorder.Code)
		_, _ = w.Write(answer)
	})
}

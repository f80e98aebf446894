package conformance

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/harmont-dev/harmont-billing/gen/httpserver"
)

// contract is openapi.yaml and the routes in it.
type contract struct {
	*openapi3.T
	router routers.Router
}

// loadContract is called late, since a program that links this package may never check anything.
var loadContract = sync.OnceValue(func() contract {
	spec, err := httpserver.GetSpec()
	if err != nil {
		panic(err) // it is embedded, and generated from a contract that was checked
	}
	spec.Servers = nil // any address will do
	for _, path := range spec.Paths.Map() {
		for _, operation := range path.Operations() {
			for _, response := range operation.Responses.Map() {
				response.Value.Headers = nil // headers have rules of their own
			}
		}
	}
	router, err := legacy.NewRouter(spec)
	if err != nil {
		panic(err)
	}
	return contract{spec, router}
})

// envelope is the body of every answer outside 2xx.
type envelope struct {
	Error struct {
		Type      string `json:"type"`
		Code      string `json:"code"`
		Message   string `json:"message"`
		DocURL    string `json:"doc_url"`
		RequestID string `json:"request_id"`
	} `json:"error"`
}

// exchange is a request and the answer to it.
type exchange struct {
	method        string
	path          string // below the base URL
	query         string
	requestHeader http.Header
	status        int
	header        http.Header
	body          []byte // decompressed

	operation *openapi3.Operation // nil if the contract does not have it
	findings  []finding           // where the answer departs from the contract's schemas
}

// finding is one departure, of a kind that a rule speaks of.
type finding struct {
	kind findingKind
	text string
}

type findingKind int

const (
	notJSON findingKind = iota
	wrongStatus
	wrongValue
	missingKey
	nullArray
	wrongTimestamp
	wrongDate
	wrongUUID
)

func (x *exchange) addFinding(kind findingKind, format string, args ...any) {
	x.findings = append(x.findings, finding{kind, fmt.Sprintf(format, args...)})
}

// decompress undoes the Content-Encoding, up to a number of bytes.
func (x *exchange) decompress(limit int64) error {
	if x.header.Get("Content-Encoding") != "gzip" || x.method == http.MethodHead {
		return nil
	}
	compressed, err := gzip.NewReader(bytes.NewReader(x.body))
	if err != nil {
		return fmt.Errorf("a body that is not the gzip that it claims: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(compressed, limit+1))
	if err != nil {
		return fmt.Errorf("a body that is not the gzip that it claims: %w", err)
	}
	if int64(len(plain)) > limit {
		return errTooLarge
	}
	x.body = plain
	return nil
}

// repeatedSlashes stand once where they stand several times.
var repeatedSlashes = regexp.MustCompile("/+")

// checkSchema finds the operation of the request and holds the answer against its schemas.
func (x *exchange) checkSchema() {
	c := loadContract()
	method := x.method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if method == http.MethodOptions && x.status == http.StatusNoContent {
		return // it has no body, and options.allow knows which paths may be asked
	}
	lookup := &http.Request{Method: method, URL: &url.URL{Path: repeatedSlashes.ReplaceAllString(strings.TrimRight(x.path, "/"), "/")}, Header: x.requestHeader}
	route, params, err := c.router.FindRoute(lookup)
	if err == nil {
		x.operation = route.Operation
		if x.operation.Responses.Value(fmt.Sprint(x.status)) == nil {
			x.addFinding(wrongStatus, "%s does not declare the status %d", x.operation.OperationID, x.status)
			return
		}
	} else if x.status < http.StatusBadRequest {
		x.addFinding(wrongStatus, "the contract has no %s %s, but the status is %d", x.method, x.path, x.status)
		return
	}
	if x.method == http.MethodHead {
		return
	}
	if mediaType, _, _ := mime.ParseMediaType(x.header.Get("Content-Type")); mediaType != "application/json" {
		x.addFinding(notJSON, "the Content-Type is %q", x.header.Get("Content-Type"))
		return
	}
	if !json.Valid(x.body) {
		x.addFinding(notJSON, "the body is not JSON")
		return
	}
	if route == nil {
		x.addSchemaErrors(x.checkErrorSchema(c))
		return
	}
	header := x.header.Clone()
	header.Del("Content-Encoding")
	x.addSchemaErrors(openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: lookup, PathParams: params, Route: route},
		Status:                 x.status, Header: header, Body: io.NopCloser(bytes.NewReader(x.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true, SchemaValidationOptions: formats},
	}))
}

// checkErrorSchema holds the answer to a request outside the contract against the schema of errors.
func (x *exchange) checkErrorSchema(c contract) error {
	decoder := json.NewDecoder(bytes.NewReader(x.body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return err
	}
	return c.Components.Schemas["Error"].Value.VisitJSON(value, append(formats, openapi3.MultiErrors())...)
}

// addSchemaErrors sorts the validator's errors by the rule that they break.
func (x *exchange) addSchemaErrors(err error) {
	if err == nil {
		return
	}
	if multiErr, ok := errors.AsType[openapi3.MultiError](err); ok {
		for _, e := range multiErr {
			x.addSchemaErrors(e)
		}
		return
	}
	e, ok := errors.AsType[*openapi3.SchemaError](err)
	if !ok {
		x.addFinding(wrongValue, "%v", err)
		return
	}
	kind := wrongValue
	switch {
	case e.SchemaField == "required":
		kind = missingKey
	case e.SchemaField == "nullable" && e.Schema.Type.Is("array"):
		kind = nullArray
	case e.SchemaField == "format" && e.Schema.Format == "date-time":
		kind = wrongTimestamp
	case e.SchemaField == "format" && e.Schema.Format == "date":
		kind = wrongDate
	case e.SchemaField == "format" && e.Schema.Format == "uuid":
		kind = wrongUUID
	}
	x.addFinding(kind, "/%s: %s", strings.Join(e.JSONPointer(), "/"), e.Reason)
}

// formats are the formats of answers. Ids and times have only one form there.
var formats = []openapi3.SchemaValidationOption{
	openapi3.WithStringFormatValidator("uuid", openapi3.NewRegexpFormatValidator(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)),
	openapi3.WithStringFormatValidator("date-time", openapi3.NewRegexpFormatValidator(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`)),
	openapi3.WithStringFormatValidator("date", openapi3.NewCallbackValidator(func(text string) error {
		_, err := time.Parse(time.DateOnly, text)
		return err
	})),
}

package server

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/gen/httpserver"
	"github.com/harmont-dev/harmont-billing/internal/strictjson"
)

// checkSyntax tells whether the body is one well-formed JSON value. Keys that come twice are for later.
func checkSyntax(body []byte) error {
	if len(body) == 0 {
		return nil // no body at all; whether one is needed is for later, too
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true))
	if err := dec.SkipValue(); err != nil {
		return fail(gen.CodeBadRequest, "the body is not valid JSON: "+strictjson.Plain(err))
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return fail(gen.CodeBadRequest, "the body is not valid JSON: there is something after its end")
	}
	if bytes.Contains(body, []byte(`\u0000`)) {
		return checkNUL(body)
	}
	return nil
}

// checkNUL looks for strings with a NUL in them: \u0000, but not \\u0000.
func checkNUL(body []byte) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true))
	for {
		token, err := dec.ReadToken()
		if err != nil {
			return nil //nolint:nilerr // the end; the syntax was checked before
		}
		if token.Kind() == '"' && strings.ContainsRune(token.String(), 0) {
			return fail(gen.CodeBadRequest, "the body has a NUL character in a string")
		}
	}
}

// strictBinder decodes request bodies for the generated handlers.
type strictBinder struct{}

func (strictBinder) Bind(into any, c echo.Context) error {
	body := bodyOf(c.Request().Context())
	if len(body) == 0 {
		return fail(gen.CodeBadRequest, "the body is empty; JSON is expected")
	}
	return httpserver.DecodeBody(body, into)
}

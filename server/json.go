package server

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/strictjson"
)

// encoding writes timestamps in UTC with six fractional digits.
var encoding = json.WithMarshalers(json.MarshalToFunc(func(enc *jsontext.Encoder, t time.Time) error {
	return enc.WriteToken(jsontext.String(billing.TimeOf(t).String()))
}))

// writeJSON writes a whole answer.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v, encoding)
	if err != nil {
		return err
	}
	return writeBody(w, status, body)
}

func writeBody(w http.ResponseWriter, status int, body []byte) error {
	w.Header()[echo.HeaderContentType] = contentTypeJSON
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}

// decoding takes timestamps and UUIDs in the contract's forms and no others.
var decoding = json.JoinUnmarshalers(
	strictjson.Text(func(text string) (time.Time, error) {
		t, err := billing.ParseTime(text)
		return t.Std(), err
	}),
	strictjson.Text(func(text string) (uuid.UUID, error) {
		id, err := billing.ParseID(text)
		return uuid.UUID(id), err
	}),
)

// checkSyntax tells whether the body is one well-formed JSON value. Keys that come twice are for later.
func checkSyntax(body []byte) error {
	if len(body) == 0 {
		return nil // no body at all; whether one is needed is for later, too
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true))
	if err := dec.SkipValue(); err != nil {
		return badRequest.with("the body is not valid JSON: " + strictjson.Plain(err))
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return badRequest.with("the body is not valid JSON: there is something after its end")
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
			return badRequest.with("the body has a NUL character in a string")
		}
	}
}

// strictBinder decodes request bodies for the generated handlers.
type strictBinder struct{}

func (strictBinder) Bind(into any, c echo.Context) error {
	body := bodyOf(c.Request().Context())
	if len(body) == 0 {
		return badRequest.with("the body is empty; JSON is expected")
	}
	return describe(strictjson.Decode(body, into, decoding))
}

// describe finds the failure that goes with what is wrong in a body.
func describe(err error) error {
	wrong, ok := errors.AsType[*strictjson.Error](err)
	if !ok {
		return err
	}
	failure := bodyInvalid
	switch {
	case errors.Is(wrong, strictjson.ErrTwice), errors.Is(wrong, strictjson.ErrUnknownKey):
	case strings.HasPrefix(wrong.Field, "leases["):
		failure = leaseInvalid
	case wrong.Field == "amount_cents":
		failure = amountInvalid
	}
	if wrong.Field == "" {
		return failure.with("the body " + wrong.Reason.Error())
	}
	return failure.with(wrong.Error())
}

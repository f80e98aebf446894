package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/harmont-dev/harmont-billing/internal/billing"
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
	w.Header().Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	w.WriteHeader(status)
	_, err = w.Write(body)
	return err
}

// decoding takes timestamps and UUIDs in the contract's forms and no others, and no key that is unknown. Keys are compared
// exactly, so one that differs from a known key in case is unknown; a key that comes twice is an error by default.
var decoding = json.JoinOptions(
	json.RejectUnknownMembers(true),
	json.WithUnmarshalers(json.JoinUnmarshalers(
		json.UnmarshalFromFunc(func(dec *jsontext.Decoder, into *time.Time) error {
			text, err := readString(dec)
			if err != nil {
				return err
			}
			t, err := billing.ParseTime(text)
			*into = t.Std()
			return err
		}),
		json.UnmarshalFromFunc(func(dec *jsontext.Decoder, into *uuid.UUID) error {
			text, err := readString(dec)
			if err != nil {
				return err
			}
			id, err := billing.ParseID(text)
			*into = uuid.UUID(id)
			return err
		}),
	)),
)

func readString(dec *jsontext.Decoder) (string, error) {
	token, err := dec.ReadToken()
	if err != nil {
		return "", err
	}
	if token.Kind() != '"' {
		return "", errors.New("must be a string")
	}
	return token.String(), nil
}

// checkSyntax tells whether the body is one well-formed JSON value. Keys that come twice are for later.
func checkSyntax(body []byte) error {
	if len(body) == 0 {
		return nil // no body at all; whether one is needed is for later, too
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true))
	if err := dec.SkipValue(); err != nil {
		return badRequest.with("the body is not valid JSON: " + plain(err))
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
	body, err := io.ReadAll(c.Request().Body)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return badRequest.with("the body is empty; JSON is expected")
	}
	if err := json.Unmarshal(body, into, decoding); err != nil {
		return describe(err)
	}
	return nil
}

var kindNames = map[jsontext.Kind]string{
	'n': "null", 't': "true", 'f': "false", '"': "a string", '0': "a number", '{': "an object", '[': "an array",
}

var (
	listPlace = regexp.MustCompile(`\.(\d+)`)
	goType    = regexp.MustCompile(`Go \S+`)
)

// describe names the field of a body that could not be decoded, and the failure that goes with it.
func describe(err error) error {
	var pointer jsontext.Pointer
	cause := err
	duplicate := false
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		pointer, cause = syntactic.JSONPointer, syntactic.Err
		duplicate = errors.Is(cause, jsontext.ErrDuplicateName)
	} else if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		pointer, cause = semantic.JSONPointer, semantic.Err
		if cause == nil {
			cause = fmt.Errorf("must not be %s", kindNames[semantic.JSONKind])
		}
	}
	if errors.Is(cause, strconv.ErrSyntax) || errors.Is(cause, strconv.ErrRange) {
		cause = errors.New("must be an integer of at most 64 bits")
	}
	name := listPlace.ReplaceAllString(strings.Join(strings.Split(strings.TrimPrefix(string(pointer), "/"), "/"), "."), "[$1]")
	failure := bodyInvalid
	switch {
	case duplicate:
		cause = errors.New("comes twice")
	case errors.Is(cause, json.ErrUnknownName):
		cause = errors.New("is not a known key")
	case strings.HasPrefix(name, "leases["):
		failure = leaseInvalid
	case name == "amount_cents":
		failure = amountInvalid
	}
	if name == "" {
		name = "the body"
	}
	return failure.with(name + ": " + plain(cause))
}

// plain takes the decoder's own words out of its errors.
func plain(err error) string {
	text := strings.TrimPrefix(err.Error(), "jsontext: ")
	return goType.ReplaceAllString(text, "the expected type")
}

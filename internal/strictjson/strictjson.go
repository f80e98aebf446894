// Package strictjson decodes JSON of other programs strictly: each key must be known, is compared exactly, and must not be repeated.
// Errors speak of the JSON, not of Go types.
package strictjson

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Error is an error at one place of the JSON.
type Error struct {
	Field  string // its path, such as leases[3].started_at; empty for the whole
	Reason error
}

func (e *Error) Error() string {
	if e.Field == "" {
		return e.Reason.Error()
	}
	return e.Field + ": " + e.Reason.Error()
}

func (e *Error) Unwrap() error { return e.Reason }

// Reasons of an Error that a caller may want to tell apart.
var (
	ErrUnknownKey = errors.New("is not a known key")
	ErrTwice      = errors.New("comes twice")
)

// Text reads a value of type T from a JSON string with the parser.
func Text[T any](parse func(string) (T, error)) *json.Unmarshalers {
	return json.UnmarshalFromFunc(func(dec *jsontext.Decoder, into *T) error {
		token, err := dec.ReadToken()
		if err != nil {
			return err
		}
		if token.Kind() != '"' {
			return errors.New("must be a string")
		}
		*into, err = parse(token.String())
		return err
	})
}

// Decode reads one JSON value into a Go value. Every error is an *Error.
func Decode(data []byte, into any, unmarshalers *json.Unmarshalers) error {
	return asError(json.Unmarshal(data, into, json.RejectUnknownMembers(true), json.WithUnmarshalers(unmarshalers)))
}

// DecodeObject reads a JSON object. value reads the value of each key, and returns ErrUnknownKey for one that is not known.
// A key is valid until the decoder goes on. Every error is an *Error.
func DecodeObject(data []byte, value func(key []byte, dec *jsontext.Decoder) error) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(data))
	firstToken, err := dec.ReadToken()
	if err == nil && firstToken.Kind() != '{' {
		return &Error{"", MustNotBe(firstToken.Kind())}
	}
	for err == nil && dec.PeekKind() != '}' {
		var quoted jsontext.Value
		if quoted, err = dec.ReadValue(); err != nil {
			break
		}
		key := quoted[1 : len(quoted)-1]
		if bytes.IndexByte(key, '\\') >= 0 {
			key, _ = jsontext.AppendUnquote(nil, quoted) // the decoder has checked it
		}
		if err = value(key, dec); err != nil && !isDecoderError(err) {
			return &Error{Field(dec.StackPointer()), err}
		}
	}
	if err == nil {
		_, err = dec.ReadToken()
	}
	if err == nil {
		if _, err = dec.ReadToken(); errors.Is(err, io.EOF) {
			return nil
		}
		err = cmp.Or(err, errors.New("has something after its end"))
	}
	return asError(err)
}

// isDecoderError reports whether an error is one of a decoder, which names the place itself.
func isDecoderError(err error) bool {
	_, syntactic := errors.AsType[*jsontext.SyntacticError](err)
	_, semantic := errors.AsType[*json.SemanticError](err)
	return syntactic || semantic || errors.Is(err, io.ErrUnexpectedEOF)
}

// Integer reads an integer from a token.
func Integer(token jsontext.Token) (int64, error) {
	if token.Kind() != '0' {
		return 0, MustNotBe(token.Kind())
	}
	n, err := strconv.ParseInt(token.String(), 10, 64)
	if err != nil {
		return 0, errNotInteger
	}
	return n, nil
}

var errNotInteger = errors.New("must be an integer of at most 64 bits")

// asError turns an error of a decoder, which names Go types, into an *Error, which names the place in the JSON.
func asError(err error) error {
	if err == nil {
		return nil
	}
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		reason := syntactic.Err
		if errors.Is(reason, jsontext.ErrDuplicateName) {
			reason = ErrTwice
		}
		return &Error{Field(syntactic.JSONPointer), reason}
	}
	semantic, ok := errors.AsType[*json.SemanticError](err)
	if !ok {
		return &Error{"", err}
	}
	reason := semantic.Err
	switch {
	case reason == nil:
		reason = MustNotBe(semantic.JSONKind)
	case errors.Is(reason, json.ErrUnknownName):
		reason = ErrUnknownKey
	case errors.Is(reason, strconv.ErrSyntax), errors.Is(reason, strconv.ErrRange):
		reason = errNotInteger
	}
	return &Error{Field(semantic.JSONPointer), reason}
}

// CheckSyntax fails if the text is not one well-formed JSON value, or has a NUL in a string. The error is the end of a sentence about the
// text. CheckSyntax accepts an empty text and repeated keys.
func CheckSyntax(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true))
	if err := dec.SkipValue(); err != nil {
		return errors.New("is not valid JSON: " + Plain(err))
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("is not valid JSON: there is something after its end")
	}
	if bytes.Contains(text, []byte(`\u0000`)) && hasNUL(text) {
		return errors.New("has a NUL character in a string")
	}
	return nil
}

// hasNUL reports whether a string of well-formed JSON has a NUL, which is \u0000 but not \\u0000.
func hasNUL(text []byte) bool {
	dec := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true))
	for {
		token, err := dec.ReadToken()
		if err != nil {
			return false
		}
		if token.Kind() == '"' && strings.ContainsRune(token.String(), 0) {
			return true
		}
	}
}

// Plain removes the name of the decoder from its error about malformed JSON.
func Plain(err error) string {
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "json: "), "jsontext: ")
}

var kindNames = map[jsontext.Kind]string{
	'n': "null", 't': "true", 'f': "false", '"': "a string", '0': "a number", '{': "an object", '[': "an array",
}

// MustNotBe is the reason of a value of the wrong kind.
func MustNotBe(kind jsontext.Kind) error { return fmt.Errorf("must not be %s", kindNames[kind]) }

// maxKey is how much of a key an error repeats, in characters. A key may be as long as a body.
const maxKey = 64

// Field writes a pointer as people do: leases[3].started_at. It shortens keys of more than 64 characters.
func Field(pointer jsontext.Pointer) string {
	var field strings.Builder
	for key := range pointer.Tokens() {
		switch {
		case field.Len() == 0:
		case strings.Trim(key, "0123456789") == "" && key != "":
			fmt.Fprintf(&field, "[%s]", key)
			continue
		default:
			field.WriteByte('.')
		}
		if utf8.RuneCountInString(key) > maxKey {
			key = fmt.Sprintf("%.*s…", maxKey, key)
		}
		field.WriteString(key)
	}
	return field.String()
}

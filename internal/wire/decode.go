package wire

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/strictjson"
)

// Error is a value that the contract refuses.
type Error struct {
	Code   string // the error code that the contract declares for the value
	Field  string // the path of the value, such as leases[3].started_at, or the name of a parameter; empty for a whole body
	Reason error  // the problem, to be read after the field
}

func (e *Error) Error() string {
	if e.Field == "" {
		return "the body " + e.Reason.Error()
	}
	return e.Field + ": " + e.Reason.Error()
}

func (e *Error) Unwrap() error { return e.Reason }

var errRequired = errors.New("is required")

// Decoder reads the JSON of a request body strictly: keys are compared exactly, come once, and are known.
type Decoder struct{ json *jsontext.Decoder }

// Decode reads a whole body by the function. Every error is an *Error; code is that of an error for which the contract
// declares no other.
func Decode[T any](body []byte, code string, into *T, decode func(*Decoder, *T) error) error {
	d := &Decoder{jsontext.NewDecoder(bytes.NewBuffer(body))}
	err := decode(d, into)
	if err == nil {
		if _, err = d.json.ReadToken(); errors.Is(err, io.EOF) {
			return nil
		}
		err = d.errorAtValue(errors.New("has something after its end"))
	}
	return WithCode(err, code)
}

// WithCode gives an error the code, unless the contract declares another one nearer to the value.
func WithCode(err error, code string) error {
	if e, ok := errors.AsType[*Error](err); ok && e.Code == "" {
		e.Code = code
	}
	return err
}

// errorAtValue makes an error of the value that was read last, or of its key.
func (d *Decoder) errorAtValue(reason error) error {
	return &Error{Field: strictjson.Field(d.json.StackPointer()), Reason: reason}
}

// decodeError makes an error of one that reading a token gave.
func (d *Decoder) decodeError(err error) error {
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		reason := syntactic.Err
		if errors.Is(reason, jsontext.ErrDuplicateName) {
			reason = strictjson.ErrTwice
		}
		return &Error{Field: strictjson.Field(syntactic.JSONPointer), Reason: reason}
	}
	return &Error{Reason: err}
}

// expect reads nothing and fails unless the next value is of the kind.
func (d *Decoder) expect(kind jsontext.Kind) error {
	if got := d.json.PeekKind(); got != kind {
		if _, err := d.json.ReadToken(); err != nil {
			return d.decodeError(err)
		}
		return d.errorAtValue(strictjson.MustNotBe(got))
	}
	return nil
}

// Required is a key that an object must have, and the error code where it is missing; empty for that of the object.
type Required struct{ Key, Code string }

// Object reads an object. For each key the function reads the value and reports true, or reports false where the key is
// unknown. Errors inside the object get the code, except for keys that are unknown or come twice, which say nothing about
// the value that the object stands for.
func (d *Decoder) Object(code string, required []Required, additional bool, member func(key []byte) (known bool, err error)) error {
	if err := d.expect('{'); err != nil {
		return WithCode(err, code)
	}
	if _, err := d.json.ReadToken(); err != nil {
		return d.decodeError(err)
	}
	missing := uint64(1)<<len(required) - 1
	for d.json.PeekKind() != '}' {
		quoted, err := d.json.ReadValue()
		if err != nil {
			return d.decodeError(err)
		}
		key := []byte(quoted[1 : len(quoted)-1])
		if bytes.IndexByte(key, '\\') >= 0 {
			key, _ = jsontext.AppendUnquote(nil, quoted)
		}
		for i := range required {
			if required[i].Key == string(key) {
				missing &^= 1 << i
			}
		}
		known, err := member(key)
		switch {
		case err != nil:
			return withObjectCode(err, code)
		case known:
		case additional:
			if err := d.json.SkipValue(); err != nil {
				return d.decodeError(err)
			}
		default:
			return d.errorAtValue(strictjson.ErrUnknownKey)
		}
	}
	if _, err := d.json.ReadToken(); err != nil {
		return d.decodeError(err)
	}
	for i, r := range required {
		if missing&(1<<i) != 0 {
			field := strictjson.Field(d.json.StackPointer())
			if field != "" {
				field += "."
			}
			return &Error{Code: cmp.Or(r.Code, code), Field: field + r.Key, Reason: errRequired}
		}
	}
	return nil
}

func withObjectCode(err error, code string) error {
	if errors.Is(err, strictjson.ErrTwice) || errors.Is(err, strictjson.ErrUnknownKey) {
		return err
	}
	return WithCode(err, code)
}

// Nullable reads a value that may be null, which is nil.
func Nullable[T any](d *Decoder, into **T, read func(*T) error) error {
	if d.json.PeekKind() == 'n' {
		_, err := d.json.ReadToken()
		if err != nil {
			return d.decodeError(err)
		}
		return nil
	}
	return Optional(into, read)
}

// Optional reads a value that may be left out, and is nil then.
func Optional[T any](into **T, read func(*T) error) error {
	value := new(T)
	if err := read(value); err != nil {
		return err
	}
	*into = value
	return nil
}

// List reads an array of minItems to maxItems items. It stops at the first item too many.
func List[T any](d *Decoder, into *[]T, minItems, maxItems int, decode func(*Decoder, *T) error) error {
	if err := d.expect('['); err != nil {
		return err
	}
	if _, err := d.json.ReadToken(); err != nil {
		return d.decodeError(err)
	}
	field := d.json.StackPointer()
	wrongCount := func() error {
		return &Error{Field: strictjson.Field(field), Reason: fmt.Errorf("must have %s", describeRange(int64(minItems), int64(maxItems), "items"))}
	}
	items := []T{}
	for d.json.PeekKind() != ']' {
		if len(items) == maxItems {
			return wrongCount()
		}
		items = append(items, *new(T))
		if err := decode(d, &items[len(items)-1]); err != nil {
			return err
		}
	}
	if _, err := d.json.ReadToken(); err != nil {
		return d.decodeError(err)
	}
	if len(items) < minItems {
		return wrongCount()
	}
	*into = items
	return nil
}

// Map reads an object of texts under keys of any name. It stops at the first pair too many.
func Map[M ~map[string]string](d *Decoder, into *M, rule *StringMap) error {
	pairs := M{}
	err := d.Object("", nil, false, func(key []byte) (known bool, err error) {
		name, value := string(key), ""
		if len(pairs) == rule.MaxProperties {
			object := d.json.StackPointer().Parent()
			return true, &Error{Field: strictjson.Field(object), Reason: fmt.Errorf("must have at most %d keys", rule.MaxProperties)}
		}
		if err := rule.Key.check(name); err != nil {
			return true, d.errorAtValue(fmt.Errorf("the key %w", err))
		}
		err = Text(d, &value, &rule.Value)
		pairs[name] = value
		return true, err
	})
	*into = pairs
	return err
}

// Integer reads an integer.
func (d *Decoder) Integer(into *int64, rule *Integer) error {
	if err := d.expect('0'); err != nil {
		return err
	}
	text, err := d.json.ReadValue()
	if err != nil {
		return d.decodeError(err)
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return d.errorAtValue(errNotInteger)
	}
	if err := rule.check(n); err != nil {
		return d.errorAtValue(err)
	}
	*into = n
	return nil
}

// Boolean reads true or false.
func (d *Decoder) Boolean(into *bool) error {
	kind := d.json.PeekKind()
	if kind != 't' && kind != 'f' {
		return d.expect('t')
	}
	if _, err := d.json.ReadToken(); err != nil {
		return d.decodeError(err)
	}
	*into = kind == 't'
	return nil
}

func (d *Decoder) text() (string, error) {
	if err := d.expect('"'); err != nil {
		return "", err
	}
	token, err := d.json.ReadToken()
	if err != nil {
		return "", d.decodeError(err)
	}
	return token.String(), nil
}

// Text reads a string into any type of strings.
func Text[T ~string](d *Decoder, into *T, rule *String) error {
	text, err := d.text()
	if err != nil {
		return err
	}
	if err := rule.check(text); err != nil {
		return d.errorAtValue(err)
	}
	*into = T(text)
	return nil
}

// UUID reads a UUID of 36 characters, in upper or lower case.
func (d *Decoder) UUID(into *uuid.UUID) error {
	text, err := d.text()
	if err != nil {
		return err
	}
	id, err := billing.ParseID(text)
	if err != nil {
		return d.errorAtValue(errNotUUID)
	}
	*into = uuid.UUID(id)
	return nil
}

// Time reads a timestamp, which may have any offset and up to nine fractional digits, or be a bare date.
func (d *Decoder) Time(into *time.Time) error {
	text, err := d.text()
	if err != nil {
		return err
	}
	t, err := billing.ParseTime(text)
	if err != nil {
		return d.errorAtValue(err)
	}
	*into = t.Std()
	return nil
}

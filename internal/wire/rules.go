package wire

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

var (
	errNotInteger = errors.New("must be an integer of at most 64 bits")
	errNotUUID    = errors.New("is not a UUID")
)

// Integer has the rules of the contract for an integer. Bounds are inclusive.
type Integer struct {
	Minimum, Maximum int64
	RecordedMaximum  int64 // of values that are recorded already, which the domain tells from new ones; 0 for none
}

func (r *Integer) check(n int64) error {
	if n < r.Minimum || n > r.Maximum && (r.RecordedMaximum == 0 || n > r.RecordedMaximum) {
		return fmt.Errorf("must be %s", describeRange(r.Minimum, r.Maximum, ""))
	}
	return nil
}

// String has the rules of the contract for a string. Lengths are in characters and inclusive.
type String struct {
	MinLength, MaxLength int
	Pattern              *regexp.Regexp // nil for any
	Values               []string       // nil for any
}

func (r *String) check(text string) error {
	if r.MinLength > 0 || r.MaxLength < math.MaxInt {
		if n := utf8.RuneCountInString(text); n < r.MinLength || n > r.MaxLength {
			return fmt.Errorf("must have %s", describeRange(int64(r.MinLength), int64(r.MaxLength), "characters"))
		}
	}
	if r.Values != nil && !slices.Contains(r.Values, text) {
		return fmt.Errorf("must be %s", strings.Join(r.Values, " or "))
	}
	if r.Pattern != nil && !r.Pattern.MatchString(text) {
		return fmt.Errorf("must match %s", r.Pattern)
	}
	return nil
}

// StringMap has the rules of the contract for an object of texts under keys of any name.
type StringMap struct {
	MaxProperties int
	Key, Value    String
}

// describeRange describes a range in words. The extreme values of int64 stand for no bound.
func describeRange(low, high int64, unit string) string {
	var text string
	switch {
	case high == math.MaxInt64:
		text = fmt.Sprintf("at least %d", low)
	case low == math.MinInt64 || low == 0 && unit != "":
		text = fmt.Sprintf("at most %d", high)
	default:
		text = fmt.Sprintf("%d to %d", low, high)
	}
	if unit != "" {
		text += " " + unit
	}
	return text
}

// Parameter has the rules of the contract for a parameter in the query or in a header. At most one of Integer, String, UUID and Boolean is
// set.
type Parameter struct {
	Name     string
	Header   bool // it is in a header, not in the query
	Required bool
	Default  string // empty for none
	Code     string // the error code of a value that is refused
	// Clamped says that the domain moves an integer that is out of bounds to the nearer bound, also one beyond 64 bits.
	Clamped bool
	Integer *Integer
	String  *String
	UUID    bool
	Boolean bool
}

// Check checks the values that a request gives for the parameter and returns the one to use; ok is false where there is
// none. Every error is an *Error.
func (p *Parameter) Check(values []string) (value string, ok bool, err error) {
	fail := func(reason error) (string, bool, error) {
		return "", false, &Error{Code: p.Code, Field: p.Name, Reason: reason}
	}
	switch {
	case len(values) > 1:
		return fail(errors.New("is given more than once"))
	case len(values) == 0 && p.Required:
		return fail(errRequired)
	case len(values) == 0:
		return p.Default, p.Default != "", nil
	}
	value = values[0]
	switch {
	case p.Integer != nil:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil && (!p.Clamped || !errors.Is(err, strconv.ErrRange)) {
			return fail(errors.New("must be an integer"))
		}
		if err := p.Integer.check(n); err != nil {
			return fail(err)
		}
		value = strconv.FormatInt(n, 10)
	case p.String != nil:
		if err := p.String.check(value); err != nil {
			return fail(err)
		}
	case p.UUID:
		id, err := billing.ParseID(value)
		if err != nil {
			return fail(errNotUUID)
		}
		value = id.String()
	case p.Boolean:
		if value != "true" && value != "false" {
			return fail(errors.New("must be true or false"))
		}
	}
	return value, true, nil
}

// Operation has the rules of the contract that are checked before an operation begins.
type Operation struct {
	ID             string
	Method         string
	Path           string // with parameters in braces
	Role           string // the lowest role that a token needs
	InOrganization bool   // the path names an organization
	PathParameters []Parameter
	Parameters     []Parameter // in the query and in headers
	MaxBodyBytes   int64       // 0 for an operation without a body
	Streamed       bool        // the answer takes as long as its receiver does
	Errors         []string    // the codes that it may answer with
}

// Returns reports whether the contract declares the error code for the operation.
func (o *Operation) Returns(code string) bool { return slices.Contains(o.Errors, code) }

// CheckParameters checks the parameters of a request, and puts the values to use where the generated code reads them:
// defaults, and integers beyond 64 bits as the nearest one within. Every error is an *Error.
func (o *Operation) CheckParameters(c echo.Context) error {
	for i := range o.PathParameters {
		p := &o.PathParameters[i]
		if _, _, err := p.Check([]string{c.Param(p.Name)}); err != nil {
			return err
		}
	}
	for i := range o.Parameters {
		p := &o.Parameters[i]
		given := c.QueryParams()[p.Name]
		if p.Header {
			given = c.Request().Header.Values(p.Name)
		}
		value, ok, err := p.Check(given)
		switch {
		case err != nil:
			return err
		case !ok || len(given) > 0 && given[0] == value:
		case p.Header:
			c.Request().Header.Set(p.Name, value)
		default:
			c.QueryParams().Set(p.Name, value)
		}
	}
	return nil
}

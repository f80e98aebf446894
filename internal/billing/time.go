package billing

import (
	"errors"
	"regexp"
	"strings"
	"time"
)

// Time is a moment in microseconds since 1970-01-01T00:00:00Z.
type Time int64

// Spans of time, in microseconds.
const (
	Second Time = 1_000_000
	Minute      = 60 * Second
	Hour        = 60 * Minute
	Day         = 24 * Hour
)

// The moments that RFC 3339 can write in UTC.
var (
	minTime = TimeOf(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC))
	maxTime = TimeOf(time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC))
)

// TimeOf converts from the standard library's time; what is finer than a microsecond is cut off.
func TimeOf(t time.Time) Time { return Time(t.UnixMicro()) }

// Std converts to the standard library's time, in UTC.
func (t Time) Std() time.Time { return time.UnixMicro(int64(t)).UTC() }

// Floor is the latest multiple of unit that is not after t.
func (t Time) Floor(unit Time) Time {
	rest := t % unit
	if rest < 0 {
		rest += unit
	}
	return t - rest
}

// Ceil is the earliest multiple of unit that is not before t.
func (t Time) Ceil(unit Time) Time { return -(-t).Floor(unit) }

// AppendTo appends the RFC 3339 form in UTC, with six fractional digits, to b. It does what time.Time.AppendFormat does, which
// reads its layout anew each time.
func (t Time) AppendTo(b []byte) []byte {
	std := t.Std()
	hour, minute, second := std.Clock()
	b = appendDigits(append(t.AppendDateTo(b), 'T'), hour, 2)
	b = appendDigits(append(b, ':'), minute, 2)
	b = appendDigits(append(b, ':'), second, 2)
	b = appendDigits(append(b, '.'), std.Nanosecond()/1000, 6)
	return append(b, 'Z')
}

// AppendDateTo appends the date in UTC to b.
func (t Time) AppendDateTo(b []byte) []byte {
	year, month, day := t.Std().Date()
	b = appendDigits(b, year, 4)
	b = appendDigits(append(b, '-'), int(month), 2)
	return appendDigits(append(b, '-'), day, 2)
}

// appendDigits appends the last n decimal digits of a number that is not negative.
func appendDigits(b []byte, number, n int) []byte {
	b = append(b, "000000"[:n]...)
	for i := len(b) - 1; n > 0; i, n = i-1, n-1 {
		b[i] += byte(number % 10)
		number /= 10
	}
	return b
}

func (t Time) String() string { return string(t.AppendTo(make([]byte, 0, 27))) }

// The forms of ParseTime. The standard library's parser is laxer than RFC 3339 (it takes a comma for the point, for
// example), so the form is checked first.
var (
	dateForm      = regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)
	timestampForm = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$`)
	spaceForPlus  = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt]\S+ \d\d:\d\d$`)
)

// ParseTime reads an RFC 3339 timestamp with any offset and up to nine fractional digits, or a bare date, which means
// midnight UTC. Digits after the sixth are cut off.
func ParseTime(s string) (Time, error) {
	layout := time.RFC3339Nano
	switch {
	case dateForm.MatchString(s):
		layout = time.DateOnly
	case timestampForm.MatchString(s):
	case spaceForPlus.MatchString(s):
		return 0, errors.New("has a space where its offset begins; send a + as %2B")
	default:
		return 0, errors.New("is neither an RFC 3339 timestamp nor a date")
	}
	std, err := time.Parse(layout, strings.ToUpper(s))
	if err != nil {
		return 0, errors.New("names a day or a time of day that does not exist")
	}
	t := TimeOf(std)
	if t < minTime || t > maxTime {
		return 0, errors.New("is outside the years 1 to 9999")
	}
	return t, nil
}

// MaxWindow is the longest window that a usage call answers.
const MaxWindow = 3660 * Day

// Window is the half-open span of time [From, To).
type Window struct{ From, To Time }

// ParseWindow reads a window from the two texts of a request. Every error is an ErrWindowInvalid.
func ParseWindow(from, to string) (Window, error) {
	var w Window
	for _, p := range []struct {
		name, text string
		time       *Time
	}{{"from", from, &w.From}, {"to", to, &w.To}} {
		t, err := ParseTime(p.text)
		if err != nil {
			return Window{}, Faultf(ErrWindowInvalid, "%s %w", p.name, err)
		}
		*p.time = t
	}
	switch {
	case w.To <= w.From:
		return Window{}, Faultf(ErrWindowInvalid, "to must lie after from")
	case w.To-w.From > MaxWindow:
		return Window{}, Faultf(ErrWindowInvalid, "the window is longer than %d days", MaxWindow/Day)
	}
	return w, nil
}

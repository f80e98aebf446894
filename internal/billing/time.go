package billing

import (
	"errors"
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

// TimeOf converts from the standard library's time. It cuts off fractions of a microsecond.
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

// AppendTo appends the RFC 3339 form in UTC, with six fractional digits, to b. It is faster than time.Time.AppendFormat, which parses its
// layout in each call.
func (t Time) AppendTo(b []byte) []byte {
	b = append(t.AppendDateTo(b), "T00:00:00.000000Z"...)
	clock, rest := b[len(b)-len("00:00:00.000000Z"):], uint64(t-t.Floor(Day))
	putDigits(clock[9:15], rest%uint64(Second))
	rest /= uint64(Second)
	putDigits(clock[6:8], rest%60)
	putDigits(clock[3:5], rest/60%60)
	putDigits(clock[0:2], rest/3600)
	return b
}

// AppendDateTo appends the date in UTC to b.
func (t Time) AppendDateTo(b []byte) []byte {
	year, month, day := t.Std().Date()
	b = append(b, "0000-00-00"...)
	date := b[len(b)-len("0000-00-00"):]
	putDigits(date[0:4], uint64(year))
	putDigits(date[5:7], uint64(month))
	putDigits(date[8:10], uint64(day))
	return b
}

// putDigits fills b with the last decimal digits of a number.
func putDigits(b []byte, number uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = '0' + byte(number%10)
		number /= 10
	}
}

func (t Time) String() string { return string(t.AppendTo(make([]byte, 0, 27))) }

// ParseTime reads an RFC 3339 timestamp with any offset and up to nine fractional digits, or a bare date, which means
// midnight UTC. Digits after the sixth are cut off.
func ParseTime(s string) (Time, error) {
	// The standard library's parser is laxer than RFC 3339: it takes a comma for the point, for example.
	layout := time.RFC3339Nano
	switch {
	case hasForm(s, "0000-00-00"):
		layout = time.DateOnly
	case isTimestamp(s):
	case isTimestamp(strings.Replace(s, " ", "+", 1)):
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

// hasForm reports whether the text has digits at the zeros of the form, and otherwise the same bytes.
func hasForm(s, form string) bool {
	if len(s) != len(form) {
		return false
	}
	for i := range len(s) {
		if form[i] == '0' && (s[i] < '0' || s[i] > '9') || form[i] != '0' && s[i] != form[i] {
			return false
		}
	}
	return true
}

// isTimestamp reports whether the text has the form of RFC 3339, with at most nine fractional digits.
func isTimestamp(s string) bool {
	const seconds = len("0000-00-00T00:00:00")
	if len(s) <= seconds || !hasForm(s[:seconds], "0000-00-00T00:00:00") && !hasForm(s[:seconds], "0000-00-00t00:00:00") {
		return false
	}
	offset := strings.TrimLeft(s[seconds:], ".0123456789")
	fraction := s[seconds : len(s)-len(offset)]
	if fraction != "" && (len(fraction) < 2 || len(fraction) > 10 || !hasForm(fraction, ".000000000"[:len(fraction)])) {
		return false
	}
	switch {
	case offset == "Z", offset == "z":
		return true
	case !hasForm(offset, "+00:00") && !hasForm(offset, "-00:00"):
		return false
	}
	return offset[1:3] < "24" && offset[4:] < "60"
}

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
	case w.To-w.From > WindowMaxDays*Day:
		return Window{}, Faultf(ErrWindowInvalid, "the window is longer than %d days", WindowMaxDays)
	}
	return w, nil
}

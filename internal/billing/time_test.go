package billing

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"2026-06-06", "2026-06-06T00:00:00.000000Z"},
		{"2026-06-06T10:00:00Z", "2026-06-06T10:00:00.000000Z"},
		{"2026-06-06T10:00:00.5Z", "2026-06-06T10:00:00.500000Z"},
		{"2026-06-06T10:00:00.123Z", "2026-06-06T10:00:00.123000Z"},
		{"2026-06-06T10:00:00.123456Z", "2026-06-06T10:00:00.123456Z"},
		{"2026-06-06t10:00:00z", "2026-06-06T10:00:00.000000Z"},
		{"2026-06-06T10:00:00+02:00", "2026-06-06T08:00:00.000000Z"},
		{"2026-06-06T10:00:00-05:30", "2026-06-06T15:30:00.000000Z"},
		{"2026-06-06T00:30:00+23:59", "2026-06-05T00:31:00.000000Z"},
		{"2026-06-06T10:00:00-00:00", "2026-06-06T10:00:00.000000Z"},
		{"2024-02-29", "2024-02-29T00:00:00.000000Z"},
		{"0001-01-01", "0001-01-01T00:00:00.000000Z"},
		{"0001-01-01T00:00:00-01:00", "0001-01-01T01:00:00.000000Z"},
		{"9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999Z"},
		// Cut off, also before 1970, where cutting off is not rounding towards zero.
		{"2026-06-06T10:00:00.123456789Z", "2026-06-06T10:00:00.123456Z"},
		{"2026-06-06T10:00:00.999999999Z", "2026-06-06T10:00:00.999999Z"},
		{"1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999Z"},
		{"0001-01-01T00:00:00.000000001Z", "0001-01-01T00:00:00.000000Z"},
	} {
		got, err := ParseTime(c.text)
		if err != nil || got.String() != c.want {
			t.Errorf("ParseTime(%q) = %s, %v; want %s", c.text, got, err, c.want)
		}
	}
}

func TestParseTimeRefuses(t *testing.T) {
	const (
		form    = "is neither an RFC 3339 timestamp nor a date"
		space   = "send a + as %2B"
		nowhere = "does not exist"
		years   = "is outside the years 1 to 9999"
	)
	for _, c := range []struct{ text, says string }{
		{"", form},
		{"today", form},
		{"1780740000", form},
		{"2026-6-6", form},
		{"2026-06", form},
		{" 2026-06-06", form},
		{"2026-06-06 ", form},
		{"2026-06-06\n", form},
		{"2026-06-06T10:00:00", form},
		{"2026-06-06T10:00Z", form},
		{"2026-06-06T10Z", form},
		{"2026-06-06 10:00:00Z", form},
		{"2026-06-06 10:00", form},
		{"20260606T100000Z", form},
		{"2026-06-06T10:00:00.Z", form},
		{"2026-06-06T10:00:00.5.5Z", form},
		{"2026-06-06T10:00:005Z", form},
		{"2026-06-06T10:00:00,5Z", form},
		{"2026-06-06T10:00:00.1234567890Z", form},
		{"2026-06-06T10:00:00+0200", form},
		{"2026-06-06T10:00:00+02", form},
		{"2026-06-06T10:00:00+24:00", form},
		{"2026-06-06T10:00:00+02:60", form},
		{"2026-06-06T10:00:00ZZ", form},
		{"10000-01-01", form},
		{"-2026-06-06", form},
		{"２０２６-06-06", form},
		{"2026-06-06T10:00:00 02:00", space},
		{"2026-06-06T10:00:00.123456 02:00", space},
		{"2026-02-30", nowhere},
		{"2025-02-29", nowhere},
		{"2026-00-01", nowhere},
		{"2026-13-01", nowhere},
		{"2026-06-00", nowhere},
		{"2026-06-06T24:00:00Z", nowhere},
		{"2026-06-06T10:60:00Z", nowhere},
		{"2016-12-31T23:59:60Z", nowhere},
		{"0000-12-31", years},
		{"0000-01-01T00:00:00Z", years},
		{"0001-01-01T00:59:59.999999999+01:00", years},
		{"9999-12-31T23:59:59-00:01", years},
	} {
		got, err := ParseTime(c.text)
		if err == nil {
			t.Errorf("ParseTime(%q) = %s; want an error", c.text, got)
		} else if !strings.Contains(err.Error(), c.says) {
			t.Errorf("ParseTime(%q): %v; want %q", c.text, err, c.says)
		}
	}
}

func TestParseTimeReadsWhatStringWrites(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2_000 {
		want := minTime + Time(r.Int64N(int64(maxTime-minTime)+1))
		if got, err := ParseTime(want.String()); err != nil || got != want {
			t.Fatalf("ParseTime(%q) = %d, %v; want %d", want, got, err, want)
		}
	}
}

func TestTimeOfCutsOff(t *testing.T) {
	for _, c := range []struct {
		nanoseconds int64
		want        Time
	}{{0, 0}, {999, 0}, {1000, 1}, {-1, -1}, {-1000, -1}, {-1001, -2}} {
		if got := TimeOf(time.Unix(0, c.nanoseconds)); got != c.want {
			t.Errorf("TimeOf(%d ns) = %d; want %d", c.nanoseconds, got, c.want)
		}
	}
}

func TestFloorAndCeil(t *testing.T) {
	for _, c := range []struct{ t, floor, ceil Time }{
		{0, 0, 0},
		{1, 0, Hour},
		{Hour - 1, 0, Hour},
		{Hour, Hour, Hour},
		{Hour + 1, Hour, 2 * Hour},
		{-1, -Hour, 0},
		{-Hour + 1, -Hour, 0},
		{-Hour, -Hour, -Hour},
		{-Hour - 1, -2 * Hour, -Hour},
		{maxTime, maxTime - Hour + 1, maxTime + 1},
		{minTime, minTime, minTime},
	} {
		if floor, ceil := c.t.Floor(Hour), c.t.Ceil(Hour); floor != c.floor || ceil != c.ceil {
			t.Errorf("%d lies between %d and %d; want %d and %d", c.t, floor, ceil, c.floor, c.ceil)
		}
	}
}

func TestParseWindow(t *testing.T) {
	const from = "2026-01-01T00:00:00Z"
	longest := TimeOf(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) + 3660*Day
	for _, c := range []struct {
		name, from, to string
		says           string // empty where the window is valid
	}{
		{"a day", "2026-01-01", "2026-01-02", ""},
		{"a microsecond", from, "2026-01-01T00:00:00.000001Z", ""},
		{"the longest", from, longest.String(), ""},
		{"a microsecond longer", from, (longest + 1).String(), "longer than 3660 days"},
		{"two offsets", "2026-01-01T02:00:00+02:00", "2026-01-01T00:00:00.000001Z", ""},
		{"empty", from, from, "to must lie after from"},
		{"empty once cut off", from, "2026-01-01T00:00:00.000000999Z", "to must lie after from"},
		{"backwards", "2026-01-02", "2026-01-01", "to must lie after from"},
		{"all of time", "0001-01-01", "9999-12-31", "longer than 3660 days"},
		{"no from", "", "2026-01-01", "from is neither"},
		{"no to", "2026-01-01", "", "to is neither"},
		{"a bad from", "x", "y", "from is neither"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, err := ParseWindow(c.from, c.to)
			switch {
			case c.says == "" && err != nil:
				t.Fatal(err)
			case c.says == "":
				if w.To <= w.From {
					t.Errorf("got %v", w)
				}
			case !errors.Is(err, ErrWindowInvalid) || !strings.Contains(err.Error(), c.says):
				t.Errorf("got %v; want an ErrWindowInvalid with %q", err, c.says)
			}
		})
	}
	if w, err := ParseWindow("1970-01-01", "1970-01-02T00:00:00.000001Z"); err != nil || w != (Window{0, Day + 1}) {
		t.Errorf("got %v, %v", w, err)
	}
}

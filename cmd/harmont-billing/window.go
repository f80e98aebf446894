package main

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // for --tz on machines without a database of time zones

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
)

// windowHelp is for the long help of the commands with a window.
const windowHelp = `The window is given in one of three ways, and is this month where it is left
out: as --month 2026-06, --month this or --month last; as --last 30d or 2w,
which are whole days with today among them, or --last 24h, which is the time up
to now; or as --from and --to. A window that today belongs to ends now. A lease
belongs to the window in which it started. A bare date means the midnight at
which that day begins, for --from and --to alike, so that
--from 2026-06-01 --to 2026-07-01 is June. Days and months, bare dates and
times without an offset are those of --tz, or else of UTC.`

// window is the window that a command line asks for.
type window struct {
	client.Window
	before     client.Window // the period before, which ends where this one begins; of a window under way the same part of that period
	unfinished bool          // it has whole days, or an end in the future, and is not over
	toCome     bool          // it has not begun, and so is unfinished as well
	zone       *time.Location
}

// note says of a window that it is not over.
func (w window) note() string {
	switch {
	case w.toCome:
		return "the window is still to come: it begins at " + zoned(w.From, w.zone)
	case !w.unfinished:
		return ""
	}
	return "the window is not over: it is counted up to now, " + zoned(w.To, w.zone)
}

// against says what a window that is under way is compared with. It is empty for other windows, which are compared with all of the period
// before.
func (w window) against() string {
	if !w.unfinished || w.toCome {
		return ""
	}
	layout, part := time.DateOnly, "the same part of the period before"
	if !w.startsDay(w.before.From) {
		layout += " 15:04"
	}
	if w.before.To.Equal(w.From) {
		part = "all of the period before, which is shorter"
	}
	return "Against " + w.before.From.In(w.zone).Format(layout) + " to " + w.before.To.In(w.zone).Format("2006-01-02 15:04 MST") + "\n(" + part + ").\n"
}

// zoned writes a time for people in a time zone, which it names.
func zoned(t time.Time, zone *time.Location) string {
	return t.In(zone).Format("2006-01-02 15:04:05 MST")
}

// windowFlags are the flags for a window of time, the same on all commands that take one.
type windowFlags struct {
	cmd      *cobra.Command
	month    month
	last     span
	from, to when
	zone     *time.Location
}

func newWindowFlags(cmd *cobra.Command) *windowFlags {
	f := &windowFlags{cmd: cmd, zone: time.UTC}
	flags := cmd.Flags()
	flags.Func("month", "the calendar `MONTH`: 2026-06, this or last", parseInto(&f.month, parseMonth))
	flags.Func("last", "the last `TIME`: whole days with today as 30d or 2w, or up to now as 24h or 90m", parseInto(&f.last, parseLast))
	flags.Func("from", "the window's start, included: a `DATE` or an RFC 3339 timestamp", parseInto(&f.from, parseWhen))
	flags.Func("to", "the window's end, excluded: a `DATE` or an RFC 3339 timestamp; now where absent", parseInto(&f.to, parseWhen))
	flags.Func("tz", "the time `ZONE` of months, days and times without an offset, such as Europe/Berlin (default UTC)", parseInto(&f.zone, parseZone))
	for _, name := range []string{"last", "from", "to", "tz"} {
		noFileCompletion(cmd, name)
	}
	if err := cmd.RegisterFlagCompletionFunc("month", cobra.FixedCompletions([]string{monthThis, monthLast}, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is there
	}
	return f
}

// part reads the flags of a list, which has everything where none is given, and may be open at either end. A window up to now is open, so
// that a clock that is slow hides nothing. The note is that of the window.
func (f *windowFlags) part(now time.Time) (part client.Window, note string, err error) {
	given := f.cmd.Flags().Changed
	if !slices.ContainsFunc([]string{"month", "last", "from"}, given) {
		if given("to") {
			part.To, err = f.to.in(f.cmd, "to", f.zone)
		}
		return part, "", err
	}
	w, err := f.window(now)
	if part = w.Window; part.To.Equal(now) {
		part.To = time.Time{}
	}
	return part, w.note(), err
}

// window reads the flags after they were parsed. Where none is given, it is this month.
func (f *windowFlags) window(now time.Time) (window, error) {
	given := f.cmd.Flags().Changed
	w := window{zone: f.zone}
	if err := f.check(); err != nil {
		return w, err
	}
	switch today := now.In(f.zone); {
	case given("last") && f.last.days > 0:
		midnight := func(daysAgo int) time.Time {
			return client.StartOfDay(today.Year(), today.Month(), today.Day()-daysAgo, f.zone)
		}
		w.Window = client.Window{From: midnight(f.last.days - 1), To: midnight(-1)}
	case given("last"):
		w.Window = client.Window{From: now.Add(-f.last.time), To: now}
	case given("from"):
		var err error
		if w.From, err = f.from.in(f.cmd, "from", f.zone); err != nil {
			return w, err
		}
		w.To = now
		if given("to") {
			if w.To, err = f.to.in(f.cmd, "to", f.zone); err != nil {
				return w, err
			}
		}
		if !given("to") && !w.To.After(w.From) {
			return w, usagef("--from, %s, is still to come, and the window ends now unless --to says otherwise", timestamp(w.From))
		}
		if !w.To.After(w.From) {
			return w, usagef("--to, %s, must lie after --from, %s", timestamp(w.To), timestamp(w.From))
		}
	default:
		year, number := f.month.of(today)
		w.Window, w.before = client.Month(year, number, f.zone), client.Month(year, number-1, f.zone)
		w.endNow(now)
		return w, nil
	}
	w.before = w.periodBefore()
	w.endNow(now)
	return w, nil
}

// periodBefore is as long as the window and right before it. Of a window of whole days, it has as many days.
func (w window) periodBefore() client.Window {
	if w.startsDay(w.From) && w.startsDay(w.To) {
		year, month, day := w.From.In(w.zone).Date()
		return client.Window{From: client.StartOfDay(year, month, day-w.daysUntil(w.To), w.zone), To: w.From}
	}
	return client.Window{From: w.From.Add(-w.To.Sub(w.From)), To: w.From}
}

// endNow ends a window now if its end is in the future, and the period before as early. A window that has not begun stays as it is.
func (w *window) endNow(now time.Time) {
	w.unfinished = now.Before(w.To)
	w.toCome = w.unfinished && !w.From.Before(now)
	if w.unfinished && !w.toCome {
		w.To = now
		if part := w.samePart(now); part.Before(w.before.To) {
			w.before.To = part
		}
	}
}

// samePart is the end of the part of the period before that compares with the part of the window until now. Where both periods begin with a
// day, it is the same day of the period, at the same time of the clocks in the time zone. Otherwise, and where the clocks skip that time, the
// parts are equally long.
func (w window) samePart(now time.Time) time.Time {
	if w.startsDay(w.From) && w.startsDay(w.before.From) {
		year, month, day := w.before.From.In(w.zone).Date()
		today := now.In(w.zone)
		part := time.Date(year, month, day+w.daysUntil(now), today.Hour(), today.Minute(), today.Second(), today.Nanosecond(), w.zone)
		if part.Format(time.TimeOnly) == today.Format(time.TimeOnly) {
			return part
		}
	}
	return w.before.From.Add(now.Sub(w.From))
}

// startsDay tells whether a day begins then in the time zone.
func (w window) startsDay(t time.Time) bool {
	year, month, day := t.In(w.zone).Date()
	return client.StartOfDay(year, month, day, w.zone).Equal(t)
}

// daysUntil is how many days a calendar in the time zone has from the day of the window's start to that of a time.
func (w window) daysUntil(t time.Time) int {
	date := func(t time.Time) time.Time {
		year, month, day := t.In(w.zone).Date()
		return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	}
	return int(date(t).Sub(date(w.From)) / day)
}

// check refuses flags that contradict each other.
func (f *windowFlags) check() error {
	given := f.cmd.Flags().Changed
	for _, pair := range [][2]string{{"month", "last"}, {"month", "from"}, {"month", "to"}, {"last", "from"}, {"last", "to"}} {
		if given(pair[0]) && given(pair[1]) {
			return usagef("--%s goes without --%s", pair[0], pair[1])
		}
	}
	if given("to") && !given("from") {
		return usagef("--to needs --from")
	}
	return nil
}

// month is a calendar month, which may be given by its distance from the current one.
type month struct {
	named  bool // year and number are its own
	year   int
	number time.Month
	ago    int // months before the current one
}

const (
	monthThis = "this"
	monthLast = "last"
)

func parseMonth(text string) (month, error) {
	switch text {
	case monthThis:
		return month{}, nil
	case monthLast:
		return month{ago: 1}, nil
	}
	t, err := time.Parse("2006-01", text)
	if err != nil {
		return month{}, errors.New("must be this, last or an existing month, such as 2026-06")
	}
	if t.Year() < 1 || t.AddDate(0, 1, 0).Year() > 9999 { // where the window begins and ends; the API has no other years
		return month{}, errors.New("must be a month from 0001-01 to 9999-11")
	}
	return month{named: true, year: t.Year(), number: t.Month()}, nil
}

// of is the month as seen from a day.
func (m month) of(today time.Time) (year int, number time.Month) {
	if m.named {
		return m.year, m.number
	}
	return today.Year(), today.Month() - time.Month(m.ago)
}

// span is the length of a window up to now: a number of whole days, or else a time.
type span struct {
	days int
	time time.Duration
}

func parseLast(text string) (span, error) {
	length, err := parseSpan(text)
	if err == nil && strings.ContainsAny(text, "dw") {
		return span{days: int(length / day)}, nil
	}
	return span{time: length}, err
}

// when is a time, or the reading of a clock whose zone is not given.
type when struct {
	time  time.Time // a reading stands here as if it were in UTC
	clock clock
}

type clock int

const (
	absolute clock = iota
	date           // midnight of a time zone
	reading        // a date and a time of day
)

// readingLayout is RFC 3339 without an offset.
const readingLayout = "2006-01-02T15:04:05"

func parseWhen(text string) (when, error) {
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return when{t, date}, nil
	}
	if t, err := time.Parse(readingLayout, strings.ToUpper(text)); err == nil {
		return when{t.Truncate(time.Microsecond), reading}, nil
	}
	t, err := parseTime(text)
	return when{time: t}, err
}

// in is the time that a clock in the zone shows so. A bare date means UTC by default, but a time of day needs an offset or --tz.
func (w when) in(cmd *cobra.Command, flag string, zone *time.Location) (time.Time, error) {
	t := w.time
	switch {
	case w.clock == absolute:
		return t, nil
	case w.clock == date:
		return client.StartOfDay(t.Year(), t.Month(), t.Day(), zone), nil
	case !cmd.Flags().Changed("tz"):
		return t, usagef("--%s, %s, needs an offset, such as Z or +02:00, or --tz", flag, t.Format(readingLayout))
	}
	shown := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone)
	if shown.Format(time.DateTime) != t.Format(time.DateTime) {
		return t, usagef("--%s, %s, does not exist: the clocks of %s are put forward over it", flag, t.Format(readingLayout), zone)
	}
	return shown, nil
}

func parseZone(text string) (*time.Location, error) {
	zone, err := time.LoadLocation(text)
	if err != nil || text == "" {
		return time.UTC, errors.New("must be a time zone, such as Europe/Berlin, or UTC")
	}
	return zone, nil
}

// parseTime reads a time to the microsecond, which is how exact the API is.
func parseTime(text string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t, err = time.Parse(time.RFC3339, strings.ToUpper(text))
	}
	if err != nil {
		return t, errors.New("must be an existing date, such as 2026-06-01, or a timestamp with an offset, such as 2026-06-01T08:00:00Z or 2026-06-01T10:00:00+02:00")
	}
	return t.Truncate(time.Microsecond), nil
}

const day = 24 * time.Hour

// parseSpan reads a duration as Go writes it, or a whole number of days or weeks.
func parseSpan(text string) (time.Duration, error) {
	length, err := time.ParseDuration(text)
	for suffix, unit := range map[string]time.Duration{"d": day, "w": 7 * day} {
		if count, ok := strings.CutSuffix(text, suffix); ok {
			var n int64
			if n, err = strconv.ParseInt(count, 10, 64); n > int64(math.MaxInt64/unit) {
				return 0, errors.New("is too long")
			}
			length = time.Duration(n) * unit
		}
	}
	if err != nil || length <= 0 {
		return 0, errors.New("must be a time above 0, such as 30d, 2w, 24h or 90m")
	}
	return length, nil
}

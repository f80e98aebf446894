package main

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
)

// windowHelp is for the long help of the commands with a window.
const windowHelp = `The window is given in one of two ways: as --last 30d, the time up to now, or as
--from and --to. A lease belongs to the window in which it started. A bare date
means midnight UTC, so that --from 2026-06-01 --to 2026-07-01 is June.`

// windowFlags adds the flags for a window of time. It returns a function that reads them after they were parsed.
func windowFlags(cmd *cobra.Command) func() (client.Window, error) {
	var last time.Duration
	var window client.Window
	flags := cmd.Flags()
	flags.Func("last", "the `TIME` up to now: 30d, 2w, 24h, 90m", parseInto(&last, parseSpan))
	flags.Func("from", "the window's start, included: a `DATE` or an RFC 3339 timestamp", parseInto(&window.From, parseTime))
	flags.Func("to", "the window's end, excluded: a `DATE` or an RFC 3339 timestamp; now where absent", parseInto(&window.To, parseTime))
	for _, name := range []string{"last", "from", "to"} {
		noFileCompletion(cmd, name)
	}
	return func() (client.Window, error) {
		switch {
		case flags.Changed("last") && (flags.Changed("from") || flags.Changed("to")):
			return window, usagef("--last goes without --from and --to")
		case flags.Changed("last"):
			return client.Last(last), nil
		case !flags.Changed("from") && flags.Changed("to"):
			return window, usagef("--to needs --from")
		case !flags.Changed("from"):
			return window, usagef("which window? Give --last, such as --last 30d, or --from and --to")
		case !flags.Changed("to"):
			window.To = time.Now()
		}
		if !window.To.After(window.From) {
			return window, usagef("--to, %s, must lie after --from, %s", timestamp(window.To), timestamp(window.From))
		}
		return window, nil
	}
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

// parseSpan reads a duration as Go writes it, or a whole number of days or weeks.
func parseSpan(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	span, err := time.ParseDuration(text)
	for suffix, unit := range map[string]time.Duration{"d": day, "w": 7 * day} {
		if count, ok := strings.CutSuffix(text, suffix); ok {
			var n int64
			if n, err = strconv.ParseInt(count, 10, 64); n > int64(math.MaxInt64/unit) {
				return 0, errors.New("is too long")
			}
			span = time.Duration(n) * unit
		}
	}
	if err != nil || span <= 0 {
		return 0, errors.New("must be a time above 0, such as 30d, 2w, 24h or 90m")
	}
	return span, nil
}

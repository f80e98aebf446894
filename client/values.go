package client

import (
	"strconv"
	"time"
)

// FormatCents writes an amount of cents in dollars: 1234 is $12.34, and -5 is -$0.05.
func FormatCents(cents int64) string {
	sign, magnitude := "", uint64(cents)
	if cents < 0 {
		sign, magnitude = "-", -magnitude // which is right for the smallest int64, too
	}
	fraction := strconv.FormatUint(100+magnitude%100, 10)[1:]
	return sign + "$" + strconv.FormatUint(magnitude/100, 10) + "." + fraction
}

// Value returns what p points to, or the zero value of its type where p is nil. The fields of an answer that may be null are pointers:
//
//	fmt.Println(client.Value(job.JobName)) // an empty line for a lease without a job
func Value[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}

// StartOfDay is the first moment of a day in the time zone. It is midnight, except on a day on which the clocks are put forward over
// midnight. Where they are put back to midnight, it is the first of the two. Month and day may be out of range, as in [time.Date].
func StartOfDay(year int, month time.Month, day int, zone *time.Location) time.Time {
	start := time.Date(year, month, day, 0, 0, 0, 0, zone)
	if start.Day() != time.Date(year, month, day, 12, 0, 0, 0, zone).Day() {
		_, start = start.ZoneBounds() // time.Date returned a time before the change
		return start
	}
	change, _ := start.ZoneBounds()
	if change.IsZero() || change.Day() != start.Day() || start.Sub(change) > 24*time.Hour {
		return start
	}
	// The clocks were changed earlier on this day.
	before := change.Add(-1)
	if before.Day() != start.Day() {
		return change
	}
	_, offset := before.Zone()
	return time.Date(year, month, day, 0, 0, -offset, 0, time.UTC).In(zone)
}

// Month is the window of a calendar month in the time zone. The server counts days and months in UTC, so use [time.UTC] to compare with
// its series per day.
func Month(year int, month time.Month, zone *time.Location) Window {
	return Window{From: StartOfDay(year, month, 1, zone), To: StartOfDay(year, month+1, 1, zone)}
}

// ThisMonth is the window of the current calendar month in the time zone, up to its end.
func ThisMonth(zone *time.Location) Window {
	now := time.Now().In(zone)
	return Month(now.Year(), now.Month(), zone)
}

// LastMonth is the window of the calendar month before the current one in the time zone.
func LastMonth(zone *time.Location) Window {
	now := time.Now().In(zone)
	return Month(now.Year(), now.Month()-1, zone)
}

// Days is the window of the last n whole days in the time zone. It ends at the last midnight, so today is not part of it. n is 1 to 3 660;
// the server refuses other windows. A day on which the clocks change is shorter or longer than 24 hours.
func Days(n int, zone *time.Location) Window {
	year, month, day := time.Now().In(zone).Date()
	return Window{From: StartOfDay(year, month, day-n, zone), To: StartOfDay(year, month, day, zone)}
}

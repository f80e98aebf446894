package client_test

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata" // the same time zones on every machine

	"github.com/harmont-dev/harmont-billing/client"
)

func TestFormatCents(t *testing.T) {
	for cents, want := range map[int64]string{
		0: "$0.00", 5: "$0.05", -5: "-$0.05", 99: "$0.99", 100: "$1.00", 1234: "$12.34", -1234: "-$12.34", -100: "-$1.00",
		math.MaxInt64: "$92233720368547758.07", math.MinInt64: "-$92233720368547758.08",
	} {
		if got := client.FormatCents(cents); got != want {
			t.Errorf("%d is %s, want %s", cents, got, want)
		}
	}
}

func TestValue(t *testing.T) {
	if client.Value[int64](nil) != 0 || client.Value(new(int64(7))) != 7 || client.Value[time.Time](nil) != (time.Time{}) {
		t.Error("a value is another one")
	}
}

// Windows begin and end at midnight of their time zone, also on the days on which its clocks change.
func TestCalendarWindows(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, got client.Window, from, to string) {
		t.Helper()
		if got := got.From.Format(time.RFC3339) + " " + got.To.Format(time.RFC3339); got != from+" "+to {
			t.Errorf("%s: got %s, want %s %s", name, got, from, to)
		}
	}
	check("March", client.Month(2026, time.March, berlin), "2026-03-01T00:00:00+01:00", "2026-04-01T00:00:00+02:00")
	check("December", client.Month(2026, time.December, time.UTC), "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")
	synctest.Test(t, func(t *testing.T) { // it begins at 2000-01-01T00:00:00Z
		check("the month before the first", client.LastMonth(time.UTC), "1999-12-01T00:00:00Z", "2000-01-01T00:00:00Z")
		time.Sleep(time.Until(time.Date(2000, 3, 31, 22, 30, 0, 0, time.UTC))) // the 1st of April in Berlin
		check("this month", client.ThisMonth(time.UTC), "2000-03-01T00:00:00Z", "2000-04-01T00:00:00Z")
		check("this month in Berlin", client.ThisMonth(berlin), "2000-04-01T00:00:00+02:00", "2000-05-01T00:00:00+02:00")
		check("last month, after a day that it does not have", client.LastMonth(time.UTC), "2000-02-01T00:00:00Z", "2000-03-01T00:00:00Z")
		check("last month in Berlin", client.LastMonth(berlin), "2000-03-01T00:00:00+01:00", "2000-04-01T00:00:00+02:00")
		check("a week", client.Days(7, time.UTC), "2000-03-24T00:00:00Z", "2000-03-31T00:00:00Z")
		check("a week in Berlin", client.Days(7, berlin), "2000-03-25T00:00:00+01:00", "2000-04-01T00:00:00+02:00")
	})
}

// StartOfDay returns the first moment at which the clocks of a time zone show the date, for days around each change of the clocks.
func TestStartOfDay(t *testing.T) {
	for _, name := range []string{
		"UTC", "Europe/Berlin", "America/Havana", "Atlantic/Azores", "Asia/Amman", "Asia/Beirut", "Africa/Cairo", "America/Sao_Paulo",
		"America/Asuncion", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Toronto",
	} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		days := map[string]time.Time{} // by the date of the clocks, when they first show it
		end := time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)
		for at := time.Date(1975, 1, 1, 0, 0, 0, 0, time.UTC); at.Before(end); {
			_, change := at.In(zone).ZoneBounds()
			if change.IsZero() || change.After(end) {
				break
			}
			for around := change.Add(-48 * time.Hour); around.Before(change.Add(48 * time.Hour)); around = around.Add(15 * time.Minute) {
				date := around.In(zone).Format(time.DateOnly)
				if days[date].IsZero() {
					days[date] = around
				}
			}
			delete(days, change.Add(-48*time.Hour).In(zone).Format(time.DateOnly)) // which may have begun before
			at = change
		}
		for date, want := range days {
			day, err := time.Parse(time.DateOnly, date)
			if err != nil {
				t.Fatal(err)
			}
			if got := client.StartOfDay(day.Year(), day.Month(), day.Day(), zone); !got.Equal(want) {
				t.Errorf("%s: %s begins at %s, want %s", name, date, got.UTC(), want.UTC())
			}
		}
	}
	amman, err := time.LoadLocation("Asia/Amman")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := client.StartOfDay(2021, time.October, 29, amman), time.Date(2021, 10, 28, 21, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("the day with two midnights begins at %s, want %s", got.UTC(), want)
	}
}

// A month begins with the first moment of its first day, also where the clocks are put forward over midnight.
func TestMonthWithoutMidnight(t *testing.T) {
	havana, err := time.LoadLocation("America/Havana")
	if err != nil {
		t.Fatal(err)
	}
	april, march := client.Month(2012, time.April, havana), client.Month(2012, time.March, havana)
	if want := time.Date(2012, 4, 1, 5, 0, 0, 0, time.UTC); !april.From.Equal(want) || !march.To.Equal(want) {
		t.Errorf("April begins at %s, March ends at %s; want %s", april.From.UTC(), march.To.UTC(), want)
	}
	if got, want := client.StartOfDay(2012, time.March, 32+1, havana), time.Date(2012, 4, 2, 4, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("the day after begins at %s, want %s", got.UTC(), want)
	}
}

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
)

func TestWindowOf(t *testing.T) {
	for _, tt := range []struct {
		now, flags string
		from, to   string
		before     string // its start, and its end where it ends before the window begins
		unfinished bool
	}{
		{"2026-11-29T19:00:00Z", "", "2026-11-01T00:00:00Z", "2026-11-29T19:00:00Z", "2026-10-01T00:00:00Z 2026-10-29T19:00:00Z", true},
		{"2026-11-29T19:00:00Z", "--month this", "2026-11-01T00:00:00Z", "2026-11-29T19:00:00Z", "2026-10-01T00:00:00Z 2026-10-29T19:00:00Z", true},
		{"2026-11-29T19:00:00Z", "--month 2026-11", "2026-11-01T00:00:00Z", "2026-11-29T19:00:00Z", "2026-10-01T00:00:00Z 2026-10-29T19:00:00Z", true},
		{"2026-11-29T19:00:00Z", "--month last", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", "2026-09-01T00:00:00Z", false},
		{"2027-01-15T19:00:00Z", "--month last", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z", "2026-11-01T00:00:00Z", false},
		{"2026-03-31T19:00:00Z", "--month last", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-01-01T00:00:00Z", false},
		{"2026-11-29T19:00:00Z", "--month 2027-01", "2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z", "2026-12-01T00:00:00Z", true},
		{"2026-11-29T19:00:00Z", "--month 2026-10 --tz Europe/Berlin", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z", "2026-08-31T22:00:00Z", false},
		// In Berlin it is December already.
		{"2026-11-30T23:30:00Z", "--tz Europe/Berlin", "2026-11-30T23:00:00Z", "2026-11-30T23:30:00Z", "2026-10-31T23:00:00Z 2026-10-31T23:30:00Z", true},
		{"2026-11-29T19:00:00Z", "--last 1d", "2026-11-29T00:00:00Z", "2026-11-29T19:00:00Z", "2026-11-28T00:00:00Z 2026-11-28T19:00:00Z", true},
		{"2026-11-29T19:00:00Z", "--last 7d", "2026-11-23T00:00:00Z", "2026-11-29T19:00:00Z", "2026-11-16T00:00:00Z 2026-11-22T19:00:00Z", true},
		{"2026-11-29T19:00:00Z", "--last 2w", "2026-11-16T00:00:00Z", "2026-11-29T19:00:00Z", "2026-11-02T00:00:00Z 2026-11-15T19:00:00Z", true},
		{"2026-11-29T19:00:00Z", "--last 24h", "2026-11-28T19:00:00Z", "2026-11-29T19:00:00Z", "2026-11-27T19:00:00Z", false},
		// The clocks of Berlin change on October 25.
		{"2026-10-27T08:00:00Z", "--last 3d --tz Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-27T08:00:00Z", "2026-10-21T22:00:00Z 2026-10-24T07:00:00Z", true},
		// The clocks of Santiago are put forward at midnight, and so were those of Asunción at the start of a month.
		{"2026-09-07T12:00:00Z", "--last 2d --tz America/Santiago", "2026-09-06T04:00:00Z", "2026-09-07T12:00:00Z", "2026-09-04T04:00:00Z 2026-09-05T13:00:00Z", true},
		{"2026-11-29T19:00:00Z", "--from 2026-09-05 --to 2026-09-06 --tz America/Santiago", "2026-09-05T04:00:00Z", "2026-09-06T04:00:00Z", "2026-09-04T04:00:00Z", false},
		{"2026-11-29T19:00:00Z", "--month 2023-10 --tz America/Asuncion", "2023-10-01T04:00:00Z", "2023-11-01T03:00:00Z", "2023-09-01T04:00:00Z", false},
		// The clocks of Havana show this midnight twice.
		{"2026-11-02T12:00:00Z", "--last 2d --tz America/Havana", "2026-11-01T04:00:00Z", "2026-11-02T12:00:00Z", "2026-10-30T04:00:00Z 2026-10-31T11:00:00Z", true},
		{"2026-11-29T19:00:00Z", "--from 2026-11-27", "2026-11-27T00:00:00Z", "2026-11-29T19:00:00Z", "2026-11-24T05:00:00Z", false},
		{"2026-11-29T19:00:00Z", "--from 2026-11-27 --to 2026-12-15", "2026-11-27T00:00:00Z", "2026-11-29T19:00:00Z", "2026-11-09T00:00:00Z 2026-11-11T19:00:00Z", true},
		// It has no days of its own, so what has passed of it counts.
		{"2026-11-29T19:00:00Z", "--from 2026-11-28T12:00:00Z --to 2026-11-30T18:00:00Z", "2026-11-28T12:00:00Z", "2026-11-29T19:00:00Z", "2026-11-26T06:00:00Z 2026-11-27T13:00:00Z", true},
		// The month before is shorter, in days or by its clocks, or longer.
		{"2027-03-31T09:00:00Z", "", "2027-03-01T00:00:00Z", "2027-03-31T09:00:00Z", "2027-02-01T00:00:00Z", true},
		{"2027-03-28T23:30:00Z", "--tz Europe/Berlin", "2027-02-28T23:00:00Z", "2027-03-28T23:30:00Z", "2027-01-31T23:00:00Z", true},
		{"2028-03-29T09:00:00Z", "", "2028-03-01T00:00:00Z", "2028-03-29T09:00:00Z", "2028-02-01T00:00:00Z 2028-02-29T09:00:00Z", true},
		{"2027-02-28T23:59:59.999999Z", "", "2027-02-01T00:00:00Z", "2027-02-28T23:59:59.999999Z", "2027-01-01T00:00:00Z 2027-01-28T23:59:59.999999Z", true},
		// The clocks of Berlin are put back on October 25. Noon stays noon. A time that clocks skip in the period before is replaced by one as long
		// after its start.
		{"2026-11-26T11:00:00Z", "--tz Europe/Berlin", "2026-10-31T23:00:00Z", "2026-11-26T11:00:00Z", "2026-09-30T22:00:00Z 2026-10-26T11:00:00Z", true},
		{"2026-11-15T11:00:00Z", "--tz Europe/Berlin", "2026-10-31T23:00:00Z", "2026-11-15T11:00:00Z", "2026-09-30T22:00:00Z 2026-10-15T10:00:00Z", true},
		{"2027-04-14T06:30:00Z", "--tz America/New_York", "2027-04-01T04:00:00Z", "2027-04-14T06:30:00Z", "2027-03-01T05:00:00Z 2027-03-14T07:30:00Z", true},
		{"2026-09-07T03:30:00Z", "--last 1d --tz America/Santiago", "2026-09-07T03:00:00Z", "2026-09-07T03:30:00Z", "2026-09-06T04:00:00Z 2026-09-06T04:30:00Z", true},
		{"2026-10-28T08:00:00Z", "--from 2026-10-26 --to 2026-10-30 --tz Europe/Berlin", "2026-10-25T23:00:00Z", "2026-10-28T08:00:00Z", "2026-10-21T22:00:00Z 2026-10-24T07:00:00Z", true},
		{"2026-11-29T19:00:00Z", "--from 2026-10-24 --to 2026-10-31 --tz Europe/Berlin", "2026-10-23T22:00:00Z", "2026-10-30T23:00:00Z", "2026-10-16T22:00:00Z", false},
		{"2026-11-29T19:00:00Z", "--from 2026-10-26 --to 2026-11-02 --tz Europe/Berlin", "2026-10-25T23:00:00Z", "2026-11-01T23:00:00Z", "2026-10-18T22:00:00Z", false},
		{"2026-11-29T19:00:00Z", "--from 2026-12-01 --to 2026-12-02", "2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z", "2026-11-30T00:00:00Z", true},
		{"2026-11-29T19:00:00Z", "--from 2026-06-01 --to 2026-06-03", "2026-06-01T00:00:00Z", "2026-06-03T00:00:00Z", "2026-05-30T00:00:00Z", false},
		{"2026-11-29T19:00:00Z", "--from 2026-06-01 --to 2026-06-03 --tz Europe/Berlin", "2026-05-31T22:00:00Z", "2026-06-02T22:00:00Z", "2026-05-29T22:00:00Z", false},
		{"2026-11-29T19:00:00Z", "--from 2026-06-01T08:00:00 --to 2026-06-01T09:00:00.5 --tz Asia/Kolkata", "2026-06-01T02:30:00Z", "2026-06-01T03:30:00.5Z", "2026-06-01T01:29:59.5Z", false},
		{"2026-11-29T19:00:00Z", "--from 2026-06-01T08:00:00Z --to 2026-06-01T08:00:00-01:00 --tz Asia/Kolkata", "2026-06-01T08:00:00Z", "2026-06-01T09:00:00Z", "2026-06-01T07:00:00Z", false},
	} {
		t.Run(tt.flags, func(t *testing.T) {
			cmd := &cobra.Command{}
			flags := newWindowFlags(cmd)
			if err := cmd.ParseFlags(strings.Fields(tt.flags)); err != nil {
				t.Fatal(err)
			}
			at := func(text string) time.Time {
				when, err := time.Parse(time.RFC3339, text)
				if err != nil {
					t.Fatal(err)
				}
				return when
			}
			got, err := flags.window(at(tt.now))
			if err != nil {
				t.Fatal(err)
			}
			show := func(w client.Window) string { return timestamp(w.From) + " " + timestamp(w.To) }
			equal(t, "window", show(got.Window), timestamp(at(tt.from))+" "+timestamp(at(tt.to)))
			from, to, short := strings.Cut(tt.before, " ")
			if !short {
				to = tt.from
			}
			equal(t, "the period before", show(got.before), timestamp(at(from))+" "+timestamp(at(to)))
			if got.unfinished != tt.unfinished || got.note() != "" != tt.unfinished {
				t.Errorf("unfinished is %v, and the note %q", got.unfinished, got.note())
			}
		})
	}
}

// What is compared is said in lines that fit a terminal of 50 columns.
func TestAgainst(t *testing.T) {
	for _, tt := range []struct{ now, flags, want string }{
		{"2026-11-15T08:12:00Z", "", "Against 2026-10-01 to 2026-10-15 08:12 UTC\n(the same part of the period before).\n"},
		{"2027-03-31T08:12:00Z", "", "Against 2027-02-01 to 2027-03-01 00:00 UTC\n(all of the period before, which is shorter).\n"},
		{"2026-11-15T08:12:00Z", "--last 7d --tz Europe/Berlin", "Against 2026-11-02 to 2026-11-08 09:12 CET\n(the same part of the period before).\n"},
		{"2026-11-15T08:12:00Z", "--from 2026-11-15T06:00:00Z --to 2026-11-16T06:00:00Z --tz Asia/Kathmandu", "Against 2026-11-14 11:45 to 2026-11-14 13:57 +0545\n(the same part of the period before).\n"},
		{"2026-11-15T08:12:00Z", "--month last", ""},
		{"2026-11-15T08:12:00Z", "--last 24h", ""},
		{"2026-11-15T08:12:00Z", "--month 2027-01", ""},
	} {
		cmd := &cobra.Command{}
		flags := newWindowFlags(cmd)
		if err := cmd.ParseFlags(strings.Fields(tt.flags)); err != nil {
			t.Fatal(err)
		}
		now, err := time.Parse(time.RFC3339, tt.now)
		if err != nil {
			t.Fatal(err)
		}
		w, err := flags.window(now)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, tt.flags, w.against(), tt.want)
		for line := range strings.Lines(w.against()) {
			if len(line) > 51 {
				t.Errorf("%s: %s has %d characters", tt.flags, line, len(line))
			}
		}
	}
}

func TestParseSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30d": 30 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "24h": 24 * time.Hour, "1h30m": 90 * time.Minute, "1us": time.Microsecond,
		"106751d": 106751 * 24 * time.Hour,
	} {
		if got, err := parseSpan(text); got != want || err != nil {
			t.Errorf("parseSpan(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "30", "d", "w", "0d", "0h", "-1d", "-1h", "1.5d", "1d12h", "30D", "106752d", "99999999999999999999w", "month"} {
		if got, err := parseSpan(text); err == nil {
			t.Errorf("parseSpan(%q) = %v, want an error", text, got)
		}
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]string{
		"2026-06-01":                          "2026-06-01T00:00:00.000000Z",
		"2026-06-01T08:00:00Z":                "2026-06-01T08:00:00.000000Z",
		"2026-06-01t08:00:00z":                "2026-06-01T08:00:00.000000Z",
		"2026-06-01T00:30:00+02:00":           "2026-05-31T22:30:00.000000Z",
		"2026-06-01T08:00:00.123456789-00:30": "2026-06-01T08:30:00.123456Z",
	} {
		if got, err := parseTime(text); err != nil || timestamp(got) != want {
			t.Errorf("parseTime(%q) = %s, %v, want %s", text, timestamp(got), err, want)
		}
	}
	for _, text := range []string{"", "now", "2026-02-30", "2026-6-1", "01.06.2026", "2026-06-01T08:00:00", "2026-06-01 08:00:00Z", "2026-06"} {
		if got, err := parseTime(text); err == nil {
			t.Errorf("parseTime(%q) = %v, want an error", text, got)
		}
	}
}

package main

import (
	"testing"
	"time"
)

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

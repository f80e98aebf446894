package main

import (
	"math"
	"testing"
)

func TestMoney(t *testing.T) {
	for cents, want := range map[int64]string{
		0: "$0.00", 5: "$0.05", -5: "-$0.05", 99: "$0.99", 100: "$1.00", -1234: "-$12.34", 123456789: "$1234567.89",
		math.MaxInt64: "$92233720368547758.07", math.MinInt64: "-$92233720368547758.08",
	} {
		if got := money(cents); got != want {
			t.Errorf("money(%d) = %s, want %s", cents, got, want)
		}
	}
}

func TestAdd(t *testing.T) {
	for _, tt := range []struct{ a, b, want int64 }{
		{1, 2, 3}, {1, -2, -1}, {-3, 0, -3}, {math.MaxInt64, 0, math.MaxInt64}, {math.MaxInt64, math.MinInt64, -1},
		{math.MaxInt64 - 1, 1, math.MaxInt64}, {math.MinInt64 + 1, -1, math.MinInt64},
	} {
		if got, err := add(tt.a, tt.b); got != tt.want || err != nil {
			t.Errorf("add(%d, %d) = %d, %v, want %d", tt.a, tt.b, got, err, tt.want)
		}
	}
	for _, tt := range [][2]int64{{math.MaxInt64, 1}, {1, math.MaxInt64}, {math.MinInt64, -1}, {math.MinInt64, math.MinInt64}} {
		if got, err := add(tt[0], tt[1]); err == nil {
			t.Errorf("add(%d, %d) = %d, want an error", tt[0], tt[1], got)
		}
	}
}

func TestDuration(t *testing.T) {
	for seconds, want := range map[int64]string{
		0: "0s", 59: "59s", 60: "1m 00s", 61: "1m 01s", 3599: "59m 59s", 3600: "1h 00m 00s", 3723: "1h 02m 03s", 360000: "100h 00m 00s",
	} {
		if got := duration(seconds); got != want {
			t.Errorf("duration(%d) = %s, want %s", seconds, got, want)
		}
	}
}

package main

import (
	"math"
	"testing"
)

func TestMoney(t *testing.T) {
	for cents, want := range map[int64]string{
		0: "$0.00", 5: "$0.05", -5: "-$0.05", 99: "$0.99", 100: "$1.00", -1234: "-$12.34", 99999: "$999.99", 100000: "$1,000.00", -12345678: "-$123,456.78",
		123456789: "$1,234,567.89", math.MaxInt64: "$92,233,720,368,547,758.07", math.MinInt64: "-$92,233,720,368,547,758.08",
	} {
		if got := money(cents); got != want {
			t.Errorf("money(%d) = %s, want %s", cents, got, want)
		}
	}
}

func TestCost(t *testing.T) {
	for debited, want := range map[int64]string{0: "$0.00", -312: "$3.12", -123456: "$1,234.56", 5: "-$0.05", math.MinInt64: "$92,233,720,368,547,758.08"} {
		equal(t, "cost", cost(debited), want)
	}
}

func TestThousands(t *testing.T) {
	for number, want := range map[string]string{
		"0": "0", "999": "999", "1000": "1,000", "-100": "-100", "-1000": "-1,000", "123456": "123,456", "1234567": "1,234,567",
		"1234.5678": "1,234.5678", "-999.0": "-999.0", "+1000": "+1,000",
	} {
		equal(t, number, thousands(number), want)
	}
}

func TestDecimalDollars(t *testing.T) {
	for cents, want := range map[string]string{
		"": "", "0": "0.00", "5": "0.05", "-5": "-0.05", "-50": "-0.50", "100": "1.00", "-123456": "-1234.56", "9223372036854775808123": "92233720368547758081.23",
	} {
		equal(t, cents, decimalDollars(cents), want)
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
		0: "0s", 59: "59s", 60: "1m 00s", 61: "1m 01s", 3599: "59m 59s", 3600: "1h 00m 00s", 3723: "1h 02m 03s", 360000: "100h 00m 00s", 3600000: "1,000h 00m 00s",
	} {
		if got := duration(seconds); got != want {
			t.Errorf("duration(%d) = %s, want %s", seconds, got, want)
		}
	}
}

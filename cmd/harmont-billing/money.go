package main

import (
	"errors"
	"fmt"
	"strings"
)

// money writes cents as dollars.
func money(cents int64) string {
	sign, magnitude := "", uint64(cents)
	if cents < 0 {
		sign, magnitude = "-", -magnitude // right also for the smallest int64, which has no positive
	}
	return fmt.Sprintf("%s$%d.%02d", sign, magnitude/100, magnitude%100)
}

// moneyStyle marks positive amounts.
func moneyStyle(amount string) style {
	if strings.HasPrefix(amount, "-") || amount == money(0) {
		return plain
	}
	return green
}

var errTooLarge = errors.New("the total is too large for a 64-bit integer")

// add is a + b, unless that overflows.
func add(a, b int64) (int64, error) {
	sum := a + b
	if (sum > a) != (b > 0) {
		return 0, errTooLarge
	}
	return sum, nil
}

// duration writes seconds as hours, minutes and seconds.
func duration(seconds int64) string {
	switch {
	case seconds < 60:
		return fmt.Sprintf("%ds", seconds)
	case seconds < 3600:
		return fmt.Sprintf("%dm %02ds", seconds/60, seconds%60)
	}
	return fmt.Sprintf("%dh %02dm %02ds", seconds/3600, seconds/60%60, seconds%60)
}

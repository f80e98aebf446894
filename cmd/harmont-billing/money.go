package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// money writes cents as dollars for people. Amounts of the ledger and balances have their sign; costs are shown by cost.
func money(cents int64) string { return dollars(cents < 0, magnitude(cents)) }

// cost writes what a lease was debited as a cost, which people read without the sign of the debit.
func cost(debitedCents int64) string { return dollars(debitedCents > 0, magnitude(debitedCents)) }

// notBilled stands in the place of a cost that is not known before a lease finishes.
const notBilled = "unbilled"

// costSoFar writes the cost of leases of which some may run. Those have no cost yet, so that the sum of the others is only a lower bound.
func costSoFar(debitedCents, leases, running int64) string {
	switch running {
	case 0:
		return cost(debitedCents)
	case leases:
		return notBilled
	}
	return ">" + cost(debitedCents)
}

func dollars(negative bool, cents uint64) string {
	sign := ""
	if negative {
		sign = "-"
	}
	return fmt.Sprintf("%s$%s.%02d", sign, thousands(strconv.FormatUint(cents/100, 10)), cents%100)
}

// magnitude is right also for the smallest int64, which has no positive.
func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// thousands puts a comma before each three digits of a decimal number from its end, or from its decimal point.
func thousands(number string) string {
	first := strings.IndexFunc(number, unicode.IsDigit)
	end := len(number)
	if point := strings.IndexByte(number, '.'); point >= 0 {
		end = point
	}
	for at := end - 3; at > first; at -= 3 {
		number = number[:at] + "," + number[at:]
	}
	return number
}

// decimalDollars writes a whole number of cents, of any size, as dollars for programs. Nothing stays nothing.
func decimalDollars(cents string) string {
	digits, negative := strings.CutPrefix(cents, "-")
	if digits == "" {
		return cents
	}
	for len(digits) < 3 {
		digits = "0" + digits
	}
	whole := len(digits) - 2
	text := digits[:whole] + "." + digits[whole:]
	if negative {
		text = "-" + text
	}
	return text
}

// grouped writes a number for people. A number for programs is written by number.
func grouped(n int64) string { return thousands(number(n)) }

// moneyStyle marks positive amounts.
func moneyStyle(amount string) style {
	if strings.HasPrefix(amount, "-") || amount == money(0) {
		return plain
	}
	return green
}

// balanceStyle marks a balance that is below zero as well.
func balanceStyle(balance string) style {
	if strings.HasPrefix(balance, "-") {
		return red
	}
	return moneyStyle(balance)
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
	return fmt.Sprintf("%sh %02dm %02ds", grouped(seconds/3600), seconds/60%60, seconds%60)
}

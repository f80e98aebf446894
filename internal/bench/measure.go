package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// unit is the unit of a number.
type unit int

const (
	perSecond unit = iota // how many in a second
	nanoseconds
	byteCount
)

// format writes a number with its unit, to some three digits.
func (u unit) format(n int64) string {
	switch u {
	case nanoseconds:
		switch d := time.Duration(n); {
		case d >= 10*time.Second:
			return fmt.Sprintf("%d s", d/time.Second)
		case d >= time.Second:
			return decimal(n, int64(time.Second), 2) + " s"
		case d >= 10*time.Millisecond:
			return fmt.Sprintf("%d ms", d/time.Millisecond)
		case d >= time.Millisecond:
			return decimal(n, int64(time.Millisecond), 1) + " ms"
		default:
			return fmt.Sprintf("%d µs", d/time.Microsecond)
		}
	case byteCount:
		return decimal(n, 1<<20, 1) + " MiB"
	default:
		return groupDigits(n) + "/s"
	}
}

// decimal writes n ÷ unit with the given number of digits after the point, cut off.
func decimal(n, unit int64, digits int) string {
	sign := ""
	if n < 0 {
		sign, n = "−", -n
	}
	scale := int64(1)
	for range digits {
		scale *= 10
	}
	return fmt.Sprintf("%s%s.%0*d", sign, groupDigits(n/unit), digits, n%unit*scale/unit)
}

// groupDigits writes a number in groups of three digits.
func groupDigits(n int64) string {
	text := fmt.Sprint(n)
	var groups []string
	for len(text) > 3 {
		groups = append(groups, text[len(text)-3:])
		text = text[:len(text)-3]
	}
	groups = append(groups, text)
	slices.Reverse(groups)
	return strings.Join(groups, " ")
}

// series has the results of several runs.
type series []int64

func (s series) median() int64 {
	sorted := slices.Sorted(slices.Values(s))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}

// isUnsteady tells whether the runs differ by more than a quarter of their median.
func (s series) isUnsteady() bool {
	return (slices.Max(s)-slices.Min(s))*4 > max(s.median(), -s.median())
}

// ratioOne is the ratio of two equal numbers. Ratios are in millionths.
const ratioOne = 1_000_000

// ratios divides run by run, because both sides of one round ran under the same conditions.
func (s series) ratios(by series) series {
	ratios := make(series, 0, len(s))
	for i := range s {
		ratios = append(ratios, s[i]*ratioOne/max(by[i], 1))
	}
	return ratios
}

// bound is the bound of a ratio, or of a number without a yardstick in its unit. Zero is no bound.
type bound struct{ minimum, maximum int64 }

// atLeast and atMost make the bound of a ratio, given in hundredths.
func atLeast(percent int64) bound { return bound{minimum: percent * ratioOne / 100} }
func atMost(percent int64) bound  { return bound{maximum: percent * ratioOne / 100} }

func (b bound) isSet() bool { return b.minimum != 0 || b.maximum != 0 }

func (b bound) isMet(n int64) bool {
	return (b.minimum == 0 || n >= b.minimum) && (b.maximum == 0 || n <= b.maximum)
}

// row is one line of the report.
type row struct {
	section        string
	label          string
	store          string // "" where there is none
	unit           unit
	measurements   series
	yardstickLabel string // the name of the yardstick; "" if there is none
	yardstick      series
	bound          bound
}

// boundedSeries returns the series that the bound applies to: the ratios to the yardstick, or the measurements if there is none.
func (r row) boundedSeries() series {
	if r.yardstickLabel == "" {
		return r.measurements
	}
	return r.measurements.ratios(r.yardstick)
}

func (r row) format(n int64) string {
	if r.yardstickLabel == "" {
		return r.unit.format(n)
	}
	if n > 0 && n < ratioOne/20 {
		return "1/" + groupDigits(ratioOne/n)
	}
	return decimal(n, ratioOne, 2)
}

// side is one of the things that are measured in turn.
type side func(context.Context) (int64, error)

// alternate runs the sides in turn, A B A B …, so that a machine that gets slower does so for all of them. The first turn
// warms up and does not count, unless it would take too long.
func alternate(ctx context.Context, rounds int, warmUp bool, sides ...side) ([]series, error) {
	measured := make([]series, len(sides))
	if warmUp {
		rounds++
	}
	for round := range rounds {
		for i, side := range sides {
			n, err := side(ctx)
			if err != nil {
				return nil, err
			}
			if round > 0 || !warmUp {
				measured[i] = append(measured[i], n)
			}
		}
	}
	return measured, nil
}

// ratePerSecond returns the rate of n events in the given time, per second.
func ratePerSecond(n int64, elapsed time.Duration) int64 {
	return n * int64(time.Second) / cmp.Or(int64(elapsed), 1)
}

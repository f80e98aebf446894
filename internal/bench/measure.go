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
	nanos                 // nanoseconds
	octets                // bytes
)

// text writes a number with its unit, to some three digits.
func (u unit) text(n int64) string {
	switch u {
	case nanos:
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
	case octets:
		return decimal(n, 1<<20, 1) + " MiB"
	default:
		return grouped(n) + "/s"
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
	return fmt.Sprintf("%s%s.%0*d", sign, grouped(n/unit), digits, n%unit*scale/unit)
}

// grouped writes a number in groups of three digits.
func grouped(n int64) string {
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

// unsteady tells whether the runs differ by more than a quarter of their median.
func (s series) unsteady() bool {
	return (slices.Max(s)-slices.Min(s))*4 > max(s.median(), -s.median())
}

// one is the ratio of two things that are equal; ratios count millionths.
const one = 1_000_000

// ratios divides run by run: both sides of one round had the same weather.
func (s series) ratios(by series) series {
	ratios := make(series, 0, len(s))
	for i := range s {
		ratios = append(ratios, s[i]*one/max(by[i], 1))
	}
	return ratios
}

// bound is the bound of a ratio, or of a number without a yardstick in its unit. Zero is no bound.
type bound struct{ least, most int64 }

// least and most are bounds of a ratio in hundredths.
func least(percent int64) bound { return bound{least: percent * one / 100} }
func most(percent int64) bound  { return bound{most: percent * one / 100} }

func (b bound) wanted() bool { return b.least != 0 || b.most != 0 }

func (b bound) met(n int64) bool {
	return (b.least == 0 || n >= b.least) && (b.most == 0 || n <= b.most)
}

// row is one line of the report.
type row struct {
	section   string
	what      string
	store     string // "" where there is none
	unit      unit
	ours      series
	against   string // the name of the yardstick; "" if there is none
	yardstick series
	bound     bound
}

// judged is the series that the bound is about.
func (r row) judged() series {
	if r.against == "" {
		return r.ours
	}
	return r.ours.ratios(r.yardstick)
}

func (r row) number(n int64) string {
	if r.against == "" {
		return r.unit.text(n)
	}
	if n > 0 && n < one/20 {
		return "1/" + grouped(one/n)
	}
	return decimal(n, one, 2)
}

// side is one of the things that are measured in turn.
type side func(context.Context) (int64, error)

// alternate runs the sides in turn, A B A B …, so that a machine that gets slower does so for all of them. The first turn
// warms up and does not count, unless it would take too long.
func alternate(ctx context.Context, rounds int, warm bool, sides ...side) ([]series, error) {
	measured := make([]series, len(sides))
	if warm {
		rounds++
	}
	for round := range rounds {
		for i, side := range sides {
			n, err := side(ctx)
			if err != nil {
				return nil, err
			}
			if round > 0 || !warm {
				measured[i] = append(measured[i], n)
			}
		}
	}
	return measured, nil
}

// rate is how many a second n in the given time are.
func rate(n int64, elapsed time.Duration) int64 {
	return n * int64(time.Second) / cmp.Or(int64(elapsed), 1)
}

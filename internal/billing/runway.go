package billing

import (
	"context"
	"math"
	"math/bits"
)

// Runway is how long a balance lasts at the pace of the last whole UTC days.
type Runway struct {
	BalanceCents int64
	Last7Days    Pace
	Last30Days   Pace
}

// Pace is what was billed for the leases of some whole UTC days before today, and where that leads.
type Pace struct {
	Window       Window
	Cents        int64 // positive
	AverageCents int64 // for one day, rounded to the nearest cent
	DaysWithCost int64
	Outlook      Outlook
	DaysLeft     *int64 // until ZeroOn; a part of a day counts as one; math.MaxInt64 stands for as many or more; nil unless the balance runs out
	ZeroOn       *Time  // the midnight of the day; nil like DaysLeft, and after the year 9999
}

// Outlook says what becomes of a balance.
type Outlook string

// The outlooks of a balance.
const (
	OutlookRunsOut Outlook = "runs_out" // it reaches zero
	OutlookNoSpend Outlook = "no_spend" // nothing was billed
	OutlookUsedUp  Outlook = "used_up"  // it is not above zero
)

const runwayDays = 30

// RunwayWindow returns the days that NewRunway needs: the longer of the windows, which ends at the midnight before now.
func RunwayWindow(now Time) Window {
	today := now.Floor(Day)
	return Window{today - runwayDays*Day, today}
}

// NewRunway computes a runway from the usage of the days in its window. Days without usage may be left out. It fails where the cents
// overflow.
func NewRunway(balance int64, days []DayUsage, now Time) (r Runway, err error) {
	r.BalanceCents = balance
	today := now.Floor(Day)
	if r.Last7Days, err = newPace(balance, days, 7, today); err != nil {
		return Runway{}, err
	}
	if r.Last30Days, err = newPace(balance, days, runwayDays, today); err != nil {
		return Runway{}, err
	}
	return r, nil
}

func newPace(balance int64, days []DayUsage, number int64, today Time) (p Pace, err error) {
	p.Window = Window{today - Time(number)*Day, today}
	for _, d := range days {
		if d.Day < p.Window.From || d.Day >= p.Window.To {
			continue
		}
		if d.Cents > 0 {
			p.DaysWithCost++
		}
		if p.Cents, err = add(p.Cents, d.Cents); err != nil {
			return Pace{}, err
		}
	}
	p.AverageCents = p.Cents / number
	if p.Cents%number*2 >= number {
		p.AverageCents++
	}
	switch {
	case balance <= 0:
		p.Outlook = OutlookUsedUp
	case p.Cents == 0:
		p.Outlook = OutlookNoSpend
	default:
		p.Outlook = OutlookRunsOut
		left := multiplyDivideUp(balance, number, p.Cents)
		p.DaysLeft = &left
		if left <= int64((maxTime-today)/Day) {
			p.ZeroOn = new(today + Time(left)*Day)
		}
	}
	return p, nil
}

// multiplyDivideUp returns a × b ÷ c, rounded up, for positive numbers. The result is at most math.MaxInt64.
func multiplyDivideUp(a, b, c int64) int64 {
	high, low := bits.Mul64(uint64(a), uint64(b))
	if high >= uint64(c) {
		return math.MaxInt64
	}
	quotient, rest := bits.Div64(high, low, uint64(c))
	if quotient >= math.MaxInt64 {
		return math.MaxInt64
	}
	if rest > 0 {
		quotient++
	}
	return int64(quotient)
}

// Runway tells how long the balance of an organization lasts.
func (s *Service) Runway(ctx context.Context, org ID) (Runway, error) {
	now := s.Now()
	days, err := s.meter.UsageByDay(ctx, org, RunwayWindow(now))
	if err != nil {
		return Runway{}, err
	}
	head, err := s.ledger.Head(ctx, org)
	if err != nil {
		return Runway{}, err
	}
	return NewRunway(head.BalanceCents, days, now)
}

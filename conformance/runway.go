package conformance

import (
	"math"
	"math/big"
	"net/url"
	"time"
)

// The rules about the runway. A server may lack this call; the rules are skipped then.

// runway is the answer to getBillingRunway.
type runway struct {
	BalanceCents int64 `json:"balance_cents"`
	Last7Days    pace  `json:"last_7_days"`
	Last30Days   pace  `json:"last_30_days"`
}

type pace struct {
	From         timestamp `json:"from"`
	To           timestamp `json:"to"`
	TotalCents   int64     `json:"total_cents"`
	AverageCents int64     `json:"average_cents"`
	DaysWithCost int64     `json:"days_with_cost"`
	Outlook      string    `json:"outlook"`
	DaysLeft     *int64    `json:"days_left"`
	ZeroOn       *string   `json:"zero_on"`
}

// eachPace asks for the runway, and calls a function with each of its paces and the number of its days.
func (a *account) eachPace(check func(x *exchange, balance int64, p *pace, days int64) error) error {
	var r runway
	x, err := a.expectOKIfOffered(call{path: "/billing/runway/" + url.PathEscape(a.slug)}, &r)
	if err != nil {
		return err
	}
	if err := check(x, r.BalanceCents, &r.Last7Days, 7); err != nil {
		return err
	}
	return check(x, r.BalanceCents, &r.Last30Days, 30)
}

// runwayUsage compares the days of the runway with the calendar, and their total with the usage, which may have grown since.
func runwayUsage(a *account) error {
	return a.eachPace(func(x *exchange, _ int64, p *pace, days int64) error {
		now := time.Now()
		if p.To.Before(midnight(now.Add(-clockTolerance))) || p.To.After(midnight(now.Add(clockTolerance))) || !p.To.Equal(midnight(p.To.Time)) {
			return breachf(x, "the last %d days end at %s, and not when today begins", days, formatTime(p.To.Time))
		}
		if !p.From.Equal(p.To.Add(-time.Duration(days) * day)) {
			return breachf(x, "the last %d days begin at %s", days, formatTime(p.From.Time))
		}
		var series seriesAnswer
		sx, err := a.expectOK(a.series(window{p.From.Time, p.To.Time}), &series)
		if err != nil {
			return err
		}
		var sum total
		withCost := int64(0)
		for _, b := range series.Data {
			sum.add(b.sums)
			if b.TotalCents > 0 {
				withCost++
			}
		}
		switch {
		case sum.cents.Cmp(big.NewInt(p.TotalCents)) < 0:
			return breachf(sx, "the runway has %d cents in the last %d days, and the series %s", p.TotalCents, days, &sum.cents)
		case p.DaysWithCost > withCost:
			return breachf(sx, "the runway has %d days with a cost, and the series %d", p.DaysWithCost, withCost)
		case sum.cents.Cmp(big.NewInt(p.TotalCents)) == 0 && p.DaysWithCost != withCost:
			return breachf(sx, "the runway has %d days with a cost, and the series %d", p.DaysWithCost, withCost)
		case sum.cents.Cmp(big.NewInt(p.TotalCents)) == 0:
			return nil
		}
		// Leases of these days may have finished between the two answers. Then the runway has grown, too.
		return a.runwayHasGrown(p, days, &sum.cents)
	})
}

// runwayHasGrown checks that a second answer has at least the cents that the series had after the first.
func (a *account) runwayHasGrown(first *pace, days int64, atLeast *big.Int) error {
	return a.eachPace(func(x *exchange, _ int64, p *pace, again int64) error {
		if again == days && p.To.Equal(first.To.Time) && big.NewInt(p.TotalCents).Cmp(atLeast) < 0 {
			return breachf(x, "the runway has %d cents in the last %d days, and the series %s", p.TotalCents, days, atLeast)
		}
		return nil
	})
}

// runwayDays computes from the balance and the totals what follows from them.
func runwayDays(a *account) error {
	return a.eachPace(func(x *exchange, balance int64, p *pace, days int64) error {
		outlook := "runs_out"
		switch {
		case balance <= 0:
			outlook = "used_up"
		case p.TotalCents == 0:
			outlook = "no_spend"
		}
		average := p.TotalCents / days
		if p.TotalCents%days*2 >= days {
			average++
		}
		if p.Outlook != outlook || p.AverageCents != average {
			return breachf(x, "a balance of %d, and %d cents in %d days: the outlook is %s, and the average %d", balance, p.TotalCents, days, p.Outlook, p.AverageCents)
		}
		var left, zero string
		if outlook == "runs_out" {
			// Rounded up, (balance × days + total - 1) ÷ total.
			number := new(big.Int).Mul(big.NewInt(balance), big.NewInt(days))
			number.Add(number, big.NewInt(p.TotalCents-1)).Div(number, big.NewInt(p.TotalCents))
			if most := big.NewInt(math.MaxInt64); number.Cmp(most) > 0 {
				number = most
			}
			left = number.String()
			const mostDays = 4_000_000 // beyond the year 9999
			if number.Cmp(big.NewInt(mostDays)) < 0 {
				if on := p.To.AddDate(0, 0, int(number.Int64())); on.Year() <= 9999 {
					zero = on.Format(time.DateOnly)
				}
			}
		}
		gotLeft, gotZero := "", ""
		if p.DaysLeft != nil {
			gotLeft = big.NewInt(*p.DaysLeft).String()
		}
		if p.ZeroOn != nil {
			gotZero = *p.ZeroOn
		}
		if gotLeft != left || gotZero != zero {
			return breachf(x, "a balance of %d, and %d cents in %d days: days_left is %q, not %q, and zero_on %q, not %q", balance, p.TotalCents, days, gotLeft, left, gotZero, zero)
		}
		return nil
	})
}

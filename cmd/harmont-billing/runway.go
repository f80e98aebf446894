package main

import (
	"context"
	"fmt"
	"math/bits"
	"time"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
)

// runwayDays are the spans over which spend is averaged, in whole UTC days before today.
var runwayDays = []int{7, 30}

func runwayCommand() *cobra.Command {
	return askCommand(&cobra.Command{
		Use:   "runway [ORG]",
		Short: "Tell how long an organization's balance lasts",
		Long: `Shows the average spend per day over the last 7 and the last 30 days, and the
day on which the balance reaches zero at that pace. The days are whole UTC days,
so today's spend so far is not among them; it is in the balance. A lease counts
on the day on which it started, once it is finished. The average is rounded to a
cent, the day is reckoned without rounding.

In JSON and CSV the outlook is runs_out, no_spend, or used_up for a balance that
is not above zero. runs_out_on is null unless the balance runs out, and also
after the year 9999.`,
		Example: `  harmont-billing runway acme
  harmont-billing runway acme -o json`,
	}, func(ctx context.Context, q *question) error {
		now := time.Now().UTC()
		today := now.Truncate(24 * time.Hour)
		series, err := q.GetBillingUsageSeries(ctx, q.org, client.Window{From: today.AddDate(0, 0, -runwayDays[len(runwayDays)-1]), To: today})
		if err != nil {
			return err
		}
		balance, err := q.GetBillingBalance(ctx, q.org)
		if err != nil {
			return err
		}
		var paces []pace
		for _, days := range runwayDays {
			p, err := newPace(balance.BalanceCents, series.Data, days, now)
			if err != nil {
				return err
			}
			paces = append(paces, p)
		}
		return writeRunway(q.out, balance.BalanceCents, paces)
	})
}

// The outlooks of a balance.
const (
	outlookRunsOut = "runs_out"
	outlookNoSpend = "no_spend"
	outlookUsedUp  = "used_up"
)

// pace is the spend of a span of whole days, and where it leads.
type pace struct {
	Days         int64   `json:"days"`
	From         string  `json:"from"` // the first day
	To           string  `json:"to"`   // the day after the last
	DaysSpent    int64   `json:"days_with_spend"`
	SpentCents   int64   `json:"spent_cents"`
	PerDayCents  int64   `json:"spent_per_day_cents"` // to the nearest cent
	Outlook      string  `json:"outlook"`
	DaysLeft     *int64  `json:"days_left"` // whole ones
	RunsOutOn    *string `json:"runs_out_on"`
	BalanceCents int64   `json:"balance_cents"`
}

// newPace looks at the days before now's.
func newPace(balance int64, buckets []client.UsageSeriesBucket, days int, now time.Time) (p pace, err error) {
	today := now.UTC().Truncate(24 * time.Hour)
	from := today.AddDate(0, 0, -days)
	p = pace{Days: int64(days), From: from.Format(time.DateOnly), To: today.Format(time.DateOnly), BalanceCents: balance}
	for _, b := range buckets {
		if b.Date.Before(from) || !b.Date.Before(today) {
			continue
		}
		if b.TotalCents > 0 {
			p.DaysSpent++
		}
		if p.SpentCents, err = add(p.SpentCents, b.TotalCents); err != nil {
			return p, err
		}
	}
	p.PerDayCents = p.SpentCents / p.Days
	if p.SpentCents%p.Days*2 >= p.Days {
		p.PerDayCents++
	}
	switch {
	case balance <= 0:
		p.Outlook = outlookUsedUp
	case p.SpentCents <= 0:
		p.Outlook = outlookNoSpend
	default:
		p.Outlook = outlookRunsOut
		left, date := runsOut(balance, p.SpentCents, p.Days, now)
		p.DaysLeft = &left
		if !date.IsZero() {
			p.RunsOutOn = new(date.Format(time.DateOnly))
		}
	}
	return p, nil
}

const secondsPerDay = 24 * 60 * 60

// runsOut tells after how many whole days, and on which day, a balance above 0 is spent at the pace of so many cents, above
// 0, in so many days. The day is zero after the year 9999; the number of days ends at the largest that an int64 holds.
func runsOut(balance, spent, days int64, now time.Time) (left int64, day time.Time) {
	left, rest := muldiv(balance, days, spent)
	latest := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	if left > latest.Unix()/secondsPerDay {
		return left, day
	}
	seconds, _ := muldiv(rest, secondsPerDay, spent)
	at := time.Unix(now.Unix()+left*secondsPerDay+seconds, 0).UTC()
	if at.After(latest) {
		return left, day
	}
	return left, at
}

// muldiv returns a × b ÷ c and the remainder, for numbers that are not negative and a positive c. The result is at most the largest
// int64.
func muldiv(a, b, c int64) (quotient, rest int64) {
	high, low := bits.Mul64(uint64(a), uint64(b))
	const most = 1<<63 - 1
	if high >= uint64(c) {
		return most, 0
	}
	q, r := bits.Div64(high, low, uint64(c))
	return int64(min(q, most)), int64(r)
}

func writeRunway(out *output, balance int64, paces []pace) error {
	switch out.format {
	case formatJSON:
		return out.jsonOf(struct {
			BalanceCents int64  `json:"balance_cents"`
			Data         []pace `json:"data"`
		}{balance, paces})
	case formatNDJSON:
		for _, p := range paces {
			if err := out.jsonOf(p); err != nil {
				return err
			}
		}
		return nil
	case formatCSV:
		records := [][]string{{
			"days", "from", "to", "days_with_spend", "spent_cents", "spent_per_day_cents", "outlook", "days_left", "runs_out_on", "balance_cents",
		}}
		for _, p := range paces {
			records = append(records, []string{
				number(p.Days), p.From, p.To, number(p.DaysSpent), number(p.SpentCents), number(p.PerDayCents), p.Outlook,
				orEmpty(p.DaysLeft, number), orEmptyText(p.RunsOutOn), number(p.BalanceCents),
			})
		}
		return out.csv(records...)
	}
	var rows [][]string
	for _, p := range paces {
		rows = append(rows, []string{
			fmt.Sprintf("last %d days", p.Days), money(p.SpentCents), perDay(p), fmt.Sprintf("%d of %d", p.DaysSpent, p.Days), outlook(p),
		})
	}
	newTable(out, column{title: "WHOLE DAYS (UTC)"}, column{title: "SPENT", right: true}, column{title: "PER DAY", right: true},
		column{title: "DAYS WITH SPEND", right: true}, column{title: "BALANCE REACHES ZERO"}).write(rows)
	out.text(out.styled(bold, "The balance is "+money(balance)+".") + "\n")
	return nil
}

// perDay shows amounts below half a cent as more than nothing.
func perDay(p pace) string {
	if p.PerDayCents == 0 && p.SpentCents > 0 {
		return "<" + money(1)
	}
	return money(p.PerDayCents)
}

func outlook(p pace) string {
	switch {
	case p.Outlook == outlookUsedUp:
		return "has reached it"
	case p.Outlook == outlookNoSpend:
		return "never: no spend"
	case p.RunsOutOn == nil:
		return "after the year 9999"
	}
	return fmt.Sprintf("on %s, in %s", *p.RunsOutOn, count(*p.DaysLeft, "day", "days"))
}

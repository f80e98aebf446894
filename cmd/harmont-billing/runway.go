package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
)

func runwayCommand() *cobra.Command {
	return askCommand(&cobra.Command{
		Use:   "runway [ORG]",
		Short: "Tell how long an organization's balance lasts",
		Long: `Shows the average spend per day over the last 7 and the last 30 days, and the
day on which the balance reaches zero at that pace. The days are whole UTC days,
so today's spend so far is not among them; it is in the balance. A lease counts
on the day on which it started, once it is finished. The average is rounded to a
cent, the day is reckoned without rounding, and a part of a day counts as one.

In JSON and CSV the outlook is runs_out, no_spend, or used_up for a balance that
is not above zero. runs_out_on is null unless the balance runs out, and also
after the year 9999.`,
		Example: `  harmont-billing runway acme
  harmont-billing runway acme -o json`,
	}, func(ctx context.Context, q *question) error {
		runway, err := q.GetBillingRunway(ctx, q.org)
		if err != nil {
			return err
		}
		return writeRunway(q.out, runway)
	})
}

// pace is the spend of a span of whole days, and where it leads, as it is written in JSON and CSV.
type pace struct {
	Days         int64                `json:"days"`
	From         string               `json:"from"` // the first day
	To           string               `json:"to"`   // the day after the last
	DaysSpent    int64                `json:"days_with_spend"`
	SpentCents   int64                `json:"spent_cents"`
	PerDayCents  int64                `json:"spent_per_day_cents"` // to the nearest cent
	Outlook      client.RunwayOutlook `json:"outlook"`
	DaysLeft     *int64               `json:"days_left"`
	RunsOutOn    *string              `json:"runs_out_on"`
	BalanceCents int64                `json:"balance_cents"`
}

func newPace(balance, days int64, by *client.RunwayPace) pace {
	p := pace{
		Days: days, From: by.From.Format(time.DateOnly), To: by.To.Format(time.DateOnly), DaysSpent: by.DaysWithCost, SpentCents: by.TotalCents,
		PerDayCents: by.AverageCents, Outlook: by.Outlook, DaysLeft: by.DaysLeft, RunsOutOn: nil, BalanceCents: balance,
	}
	if by.ZeroOn != nil {
		p.RunsOutOn = new(by.ZeroOn.Format(time.DateOnly))
	}
	return p
}

func writeRunway(out *output, r *client.RunwayResponse) error {
	balance := r.BalanceCents
	paces := []pace{newPace(balance, 7, &r.Last7Days), newPace(balance, 30, &r.Last30Days)}
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
				number(p.Days), p.From, p.To, number(p.DaysSpent), number(p.SpentCents), number(p.PerDayCents), string(p.Outlook),
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
	newTable(out, column{title: "WHOLE DAYS"}, column{title: "SPENT", right: true}, column{title: "PER DAY", right: true},
		column{title: "DAYS WITH SPEND", right: true}, column{title: "BALANCE REACHES ZERO", whole: true}).write(rows)
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
	case p.Outlook == client.RunwayOutlookUsedUp:
		return "has reached it"
	case p.Outlook == client.RunwayOutlookNoSpend:
		return "never: no spend"
	case p.RunsOutOn == nil || p.DaysLeft == nil:
		return "after the year 9999"
	}
	return fmt.Sprintf("on %s, in %s", *p.RunsOutOn, count(*p.DaysLeft, "day", "days"))
}

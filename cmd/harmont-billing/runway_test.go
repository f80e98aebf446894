package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/client"
)

func TestRunwayTable(t *testing.T) {
	const huge = math.MaxInt64
	date := func(text string) *client.Date {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return &client.Date{Time: at}
	}
	for _, tt := range []struct {
		runway client.RunwayResponse
		want   string
	}{
		{client.RunwayResponse{
			BalanceCents: 988,
			Last7Days:    client.RunwayPace{TotalCents: 3, DaysWithCost: 1, Outlook: client.RunwayOutlookRunsOut, DaysLeft: new(int64(2306)), ZeroOn: date("2032-10-07")},
			Last30Days:   client.RunwayPace{TotalCents: 29640, AverageCents: 988, DaysWithCost: 30, Outlook: client.RunwayOutlookRunsOut, DaysLeft: new(int64(1)), ZeroOn: date("2026-06-16")},
		}, `WHOLE DAYS      SPENT  PER DAY  DAYS WITH SPEND  BALANCE REACHES ZERO
last 7 days     $0.03   <$0.01           1 of 7  on 2032-10-07, in 2,306 days
last 30 days  $296.40    $9.88         30 of 30  on 2026-06-16, in 1 day
The balance is $9.88.
`},
		{client.RunwayResponse{
			BalanceCents: huge,
			Last7Days:    client.RunwayPace{Outlook: client.RunwayOutlookNoSpend},
			Last30Days:   client.RunwayPace{TotalCents: 1, DaysWithCost: 1, Outlook: client.RunwayOutlookRunsOut, DaysLeft: new(int64(huge))},
		}, `WHOLE DAYS    SPENT  PER DAY  DAYS WITH SPEND  BALANCE REACHES ZERO
last 7 days   $0.00    $0.00           0 of 7  never: no spend
last 30 days  $0.01   <$0.01          1 of 30  after the year 9999
The balance is $92,233,720,368,547,758.07.
`},
		{client.RunwayResponse{
			BalanceCents: -5,
			Last7Days:    client.RunwayPace{Outlook: client.RunwayOutlookUsedUp},
			Last30Days:   client.RunwayPace{TotalCents: 30, AverageCents: 1, DaysWithCost: 1, Outlook: client.RunwayOutlookUsedUp},
		}, `WHOLE DAYS    SPENT  PER DAY  DAYS WITH SPEND  BALANCE REACHES ZERO
last 7 days   $0.00    $0.00           0 of 7  has reached it
last 30 days  $0.30    $0.01          1 of 30  has reached it
The balance is -$0.05.
`},
	} {
		out, written := terminal(80)
		if err := writeRunway(out, &tt.runway); err != nil {
			t.Fatal(err)
		}
		equal(t, "table", written(), tt.want)
	}
}

// TestRunway asks a server about three days of spend, today's among them.
func TestRunway(t *testing.T) {
	// A test that begins just before midnight is about the day before, and is tried again.
	for range 2 {
		today := time.Now().UTC().Truncate(24 * time.Hour)
		var records strings.Builder
		for ago, name := range []string{"today", "yesterday", "", "", "", "", "", "", "", "nine days ago"} {
			if name != "" {
				start := today.AddDate(0, 0, -ago)
				fmt.Fprintf(&records, `{"org":"acme","lease_id":"00000000-0000-4000-8000-%012d","cpu_count":10000,"memory_gb":100000,"disk_gb":9120000,"started_at":%q,"finished_at":%q}`+"\n",
					start.Unix(), timestamp(start), timestamp(start.Add(time.Second))) // 1 512 cents
			}
		}
		records.WriteString(`{"org":"acme","amount_cents":10000,"source":"refund","description":null,"idempotency_key":"1"}` + "\n")
		p := newProgram(t)
		p.reading(records.String()).ok("import", "-")
		p = p.asking()
		var got struct {
			BalanceCents int64  `json:"balance_cents"`
			Data         []pace `json:"data"`
		}
		answer := p.ok("runway", "-o", "json")
		lines := p.ok("runway", "-o", "ndjson")
		csv := p.ok("runway", "-o", "csv")
		after := time.Now().UTC()
		if !after.Truncate(24 * time.Hour).Equal(today) {
			continue
		}
		if err := json.Unmarshal([]byte(answer), &got); err != nil {
			t.Fatal(err)
		}
		const balance = 10000 - 3*1512
		if got.BalanceCents != balance || len(got.Data) != 2 {
			t.Fatal(answer)
		}
		for i, want := range []struct{ days, spent, perDay, daysSpent, left int64 }{{7, 1512, 216, 1, 26}, {30, 3024, 101, 2, 55}} {
			p := got.Data[i]
			if p.Days != want.days || p.SpentCents != want.spent || p.PerDayCents != want.perDay || p.DaysSpent != want.daysSpent || *p.DaysLeft != want.left ||
				p.From != today.AddDate(0, 0, -int(want.days)).Format(time.DateOnly) || p.To != today.Format(time.DateOnly) {
				t.Errorf("%+v", p)
			}
			if want := today.AddDate(0, 0, int(want.left)).Format(time.DateOnly); *p.RunsOutOn != want {
				t.Errorf("runs out on %s, not %s", *p.RunsOutOn, want)
			}
			if !strings.Contains(csv, fmt.Sprintf("\n%d,%s,%s,%d,%d,%d,runs_out,%d,%s,%d\n", p.Days, p.From, p.To, p.DaysSpent, p.SpentCents, p.PerDayCents, *p.DaysLeft, *p.RunsOutOn, balance)) {
				t.Errorf("CSV: %s", csv)
			}
		}
		if n := strings.Count(lines, "\n"); n != 2 || strings.Count(lines, `"balance_cents":5464`) != 2 {
			t.Errorf("%d lines: %s", n, lines)
		}
		return
	}
	t.Fatal("a day ended twice while the test ran")
}

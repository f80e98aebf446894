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

func TestPace(t *testing.T) {
	now := time.Date(2026, 6, 15, 18, 0, 0, 0, time.UTC)
	const huge = math.MaxInt64
	for _, tt := range []struct {
		name         string
		balance      int64
		daysAgo      map[int]int64 // cents that were spent so many days ago
		days         int
		spent        int64
		perDay       int64
		daysSpent    int64
		outlook      string
		left         int64  // where it runs out
		date, people string // no date: after the year 9999
	}{
		{name: "no spend", balance: 100, days: 7, outlook: outlookNoSpend, people: "never: no spend"},
		{name: "only today", balance: 100, daysAgo: map[int]int64{0: 50}, days: 7, outlook: outlookNoSpend, people: "never: no spend"},
		{
			name: "ten days", balance: 1000, daysAgo: map[int]int64{0: 9999, 1: 300, 7: 400, 8: 9999}, days: 7,
			spent: 700, perDay: 100, daysSpent: 2, outlook: outlookRunsOut, left: 10, date: "2026-06-25", people: "on 2026-06-25, in 10 days",
		},
		// Six hours of the day are left, and a quarter of a day's pace.
		{name: "today", balance: 24, daysAgo: map[int]int64{1: 700}, days: 7, spent: 700, perDay: 100, daysSpent: 1, outlook: outlookRunsOut, date: "2026-06-15", people: "on 2026-06-15, in 0 days"},
		{name: "at midnight", balance: 25, daysAgo: map[int]int64{1: 700}, days: 7, spent: 700, perDay: 100, daysSpent: 1, outlook: outlookRunsOut, date: "2026-06-16", people: "on 2026-06-16, in 0 days"},
		{name: "tomorrow", balance: 100, daysAgo: map[int]int64{1: 700}, days: 7, spent: 700, perDay: 100, daysSpent: 1, outlook: outlookRunsOut, left: 1, date: "2026-06-16", people: "on 2026-06-16, in 1 day"},
		{name: "less than a cent a day", balance: 1, daysAgo: map[int]int64{3: 1}, days: 30, spent: 1, daysSpent: 1, outlook: outlookRunsOut, left: 30, date: "2026-07-15", people: "on 2026-07-15, in 30 days"},
		{name: "rounded to the nearest cent", balance: 15, daysAgo: map[int]int64{3: 15}, days: 30, spent: 15, perDay: 1, daysSpent: 1, outlook: outlookRunsOut, left: 30, date: "2026-07-15", people: "on 2026-07-15, in 30 days"},
		{name: "zero", balance: 0, daysAgo: map[int]int64{1: 7}, days: 7, spent: 7, perDay: 1, daysSpent: 1, outlook: outlookUsedUp, people: "has reached it"},
		{name: "debt", balance: math.MinInt64, days: 7, outlook: outlookUsedUp, people: "has reached it"},
		{name: "the last day of all", balance: 2912277 * 7, daysAgo: map[int]int64{1: 49}, days: 7, spent: 49, perDay: 7, daysSpent: 1, outlook: outlookRunsOut, left: 2912277, date: "9999-12-31", people: "on 9999-12-31, in 2912277 days"},
		{name: "after the year 9999", balance: 2912278 * 7, daysAgo: map[int]int64{1: 49}, days: 7, spent: 49, perDay: 7, daysSpent: 1, outlook: outlookRunsOut, left: 2912278, people: "after the year 9999"},
		{name: "longer than can be told", balance: huge, daysAgo: map[int]int64{1: 1}, days: 30, spent: 1, daysSpent: 1, outlook: outlookRunsOut, left: huge, people: "after the year 9999"},
		{name: "huge and soon", balance: huge, daysAgo: map[int]int64{1: huge}, days: 30, spent: huge, perDay: 307445734561825860, daysSpent: 1, outlook: outlookRunsOut, left: 30, date: "2026-07-15", people: "on 2026-07-15, in 30 days"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var buckets []client.UsageSeriesBucket
			for ago, cents := range tt.daysAgo {
				buckets = append(buckets, client.UsageSeriesBucket{Date: client.Date{Time: time.Date(2026, 6, 15-ago, 0, 0, 0, 0, time.UTC)}, TotalCents: cents})
			}
			got, err := newPace(tt.balance, buckets, tt.days, now)
			if err != nil {
				t.Fatal(err)
			}
			if got.SpentCents != tt.spent || got.PerDayCents != tt.perDay || got.DaysSpent != tt.daysSpent || got.Outlook != tt.outlook {
				t.Errorf("%+v", got)
			}
			if tt.outlook == outlookRunsOut != (got.DaysLeft != nil) || orEmpty(got.DaysLeft, number) != number(tt.left) && got.DaysLeft != nil {
				t.Errorf("%s days left", orEmpty(got.DaysLeft, number))
			}
			equal(t, "date", orEmptyText(got.RunsOutOn), tt.date)
			equal(t, "people", outlook(got), tt.people)
		})
	}

	day := client.UsageSeriesBucket{Date: client.Date{Time: time.Date(2026, 6, 14, 0, 0, 0, 0, time.UTC)}, TotalCents: huge}
	if _, err := newPace(1, []client.UsageSeriesBucket{day, day}, 7, now); err == nil {
		t.Error("a sum wrapped")
	}
}

func TestRunwayTable(t *testing.T) {
	out, written := terminal(80)
	var paces []pace
	for _, days := range runwayDays {
		bucket := client.UsageSeriesBucket{Date: client.Date{Time: time.Date(2026, 6, 10, 0, 0, 0, 0, time.UTC)}, TotalCents: 3}
		p, err := newPace(988, []client.UsageSeriesBucket{bucket}, days, time.Date(2026, 6, 15, 18, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		paces = append(paces, p)
	}
	if err := writeRunway(out, 988, paces); err != nil {
		t.Fatal(err)
	}
	equal(t, "table", written(), `WHOLE DAYS (UTC)  SPENT  PER DAY  DAYS WITH SPEND  BALANCE REACHES ZERO
last 7 days       $0.03   <$0.01           1 of 7  on 2032-10-07, in 2305 days
last 30 days      $0.03   <$0.01          1 of 30  on 2053-07-03, in 9880 days
The balance is $9.88.
`)
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
		for i, want := range []struct{ days, spent, perDay, daysSpent, left int64 }{{7, 1512, 216, 1, 25}, {30, 3024, 101, 2, 54}} {
			p := got.Data[i]
			if p.Days != want.days || p.SpentCents != want.spent || p.PerDayCents != want.perDay || p.DaysSpent != want.daysSpent || *p.DaysLeft != want.left ||
				p.From != today.AddDate(0, 0, -int(want.days)).Format(time.DateOnly) || p.To != today.Format(time.DateOnly) {
				t.Errorf("%+v", p)
			}
			// Within the day of the answer, whole days end on one of two days.
			if first := today.AddDate(0, 0, int(want.left)).Format(time.DateOnly); *p.RunsOutOn != first && *p.RunsOutOn != today.AddDate(0, 0, int(want.left)+1).Format(time.DateOnly) {
				t.Errorf("runs out on %s, not %s", *p.RunsOutOn, first)
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

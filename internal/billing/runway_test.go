package billing_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

func dayBefore(now time.Time, days int) billing.Time {
	return billing.TimeOf(now.UTC().Truncate(24*time.Hour).AddDate(0, 0, -days))
}

func TestRunwayPace(t *testing.T) {
	now := time.Date(2026, 6, 15, 18, 0, 0, 1000, time.UTC)
	const huge = math.MaxInt64
	runsOut, noSpend, usedUp := billing.OutlookRunsOut, billing.OutlookNoSpend, billing.OutlookUsedUp
	const toLastDay = 2912277 // from today to 9999-12-31
	for _, tt := range []struct {
		name     string
		balance  int64
		daysAgo  map[int]int64 // cents that were billed so many days ago
		month    bool          // look at 30 days, not 7
		cents    int64
		average  int64
		withCost int64
		outlook  billing.Outlook
		left     int64  // where it runs out
		date     string // empty: after the year 9999
	}{
		{name: "no spend", balance: 100, outlook: noSpend},
		{name: "only today", balance: 100, daysAgo: map[int]int64{0: 50}, outlook: noSpend},
		{name: "only before", balance: 100, daysAgo: map[int]int64{8: 50}, outlook: noSpend},
		{name: "only before, of 30 days", balance: 100, daysAgo: map[int]int64{31: 50}, month: true, outlook: noSpend},
		{name: "the edges of 7 days", balance: 1000, daysAgo: map[int]int64{0: 9999, 1: 300, 7: 400, 8: 9999}, cents: 700, average: 100, withCost: 2, outlook: runsOut, left: 10, date: "2026-06-25"},
		{name: "the edges of 30 days", balance: 1000, daysAgo: map[int]int64{0: 9999, 1: 300, 30: 2700, 31: 9999}, month: true, cents: 3000, average: 100, withCost: 2, outlook: runsOut, left: 10, date: "2026-06-25"},
		{name: "a part of a day", balance: 1, daysAgo: map[int]int64{1: 700}, cents: 700, average: 100, withCost: 1, outlook: runsOut, left: 1, date: "2026-06-16"},
		{name: "a whole day", balance: 100, daysAgo: map[int]int64{1: 700}, cents: 700, average: 100, withCost: 1, outlook: runsOut, left: 1, date: "2026-06-16"},
		{name: "a day and a part", balance: 101, daysAgo: map[int]int64{1: 700}, cents: 700, average: 100, withCost: 1, outlook: runsOut, left: 2, date: "2026-06-17"},
		{name: "a day and the smallest part", balance: 1, daysAgo: map[int]int64{1: 29}, month: true, cents: 29, average: 1, withCost: 1, outlook: runsOut, left: 2, date: "2026-06-17"},
		{name: "a day that cost nothing", balance: 100, daysAgo: map[int]int64{1: 700, 2: 0}, cents: 700, average: 100, withCost: 1, outlook: runsOut, left: 1, date: "2026-06-16"},
		{name: "less than half a cent a day", balance: 1, daysAgo: map[int]int64{3: 1}, month: true, cents: 1, withCost: 1, outlook: runsOut, left: 30, date: "2026-07-15"},
		{name: "half a cent a day", balance: 15, daysAgo: map[int]int64{3: 15}, month: true, cents: 15, average: 1, withCost: 1, outlook: runsOut, left: 30, date: "2026-07-15"},
		{name: "zero", daysAgo: map[int]int64{1: 7}, cents: 7, average: 1, withCost: 1, outlook: usedUp},
		{name: "debt", balance: math.MinInt64, outlook: usedUp},
		{name: "the last day of all", balance: toLastDay, daysAgo: map[int]int64{1: 7}, cents: 7, average: 1, withCost: 1, outlook: runsOut, left: toLastDay, date: "9999-12-31"},
		{name: "after the year 9999", balance: toLastDay + 1, daysAgo: map[int]int64{1: 7}, cents: 7, average: 1, withCost: 1, outlook: runsOut, left: toLastDay + 1},
		{name: "as many days as there may be", balance: huge, daysAgo: map[int]int64{1: 7}, cents: 7, average: 1, withCost: 1, outlook: runsOut, left: huge},
		{name: "more than a number holds", balance: huge, daysAgo: map[int]int64{1: 4}, cents: 4, average: 1, withCost: 1, outlook: runsOut, left: huge},
		{name: "more than an unsigned number holds", balance: huge, daysAgo: map[int]int64{1: 3}, cents: 3, withCost: 1, outlook: runsOut, left: huge},
		{name: "as many days as there may be, and a part", balance: 8915926302292949947, daysAgo: map[int]int64{1: 29}, month: true, cents: 29, average: 1, withCost: 1, outlook: runsOut, left: huge},
		{name: "huge and soon", balance: huge, daysAgo: map[int]int64{1: huge}, month: true, cents: huge, average: 307445734561825860, withCost: 1, outlook: runsOut, left: 30, date: "2026-07-15"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var days []billing.DayUsage
			for ago, cents := range tt.daysAgo {
				days = append(days, billing.DayUsage{Day: dayBefore(now, ago), Usage: billing.Usage{Cents: cents}})
			}
			runway, err := billing.NewRunway(tt.balance, days, billing.TimeOf(now))
			if err != nil {
				t.Fatal(err)
			}
			got, number := runway.Last7Days, 7
			if tt.month {
				got, number = runway.Last30Days, 30
			}
			want := billing.Pace{
				Window: billing.Window{From: dayBefore(now, number), To: dayBefore(now, 0)},
				Cents:  tt.cents, AverageCents: tt.average, DaysWithCost: tt.withCost, Outlook: tt.outlook,
			}
			if tt.outlook == runsOut {
				want.DaysLeft = &tt.left
			}
			if tt.date != "" {
				date, err := billing.ParseTime(tt.date)
				if err != nil {
					t.Fatal(err)
				}
				want.ZeroOn = &date
			}
			if d := cmp.Diff(want, got); d != "" || runway.BalanceCents != tt.balance {
				t.Errorf("of %d: %s", runway.BalanceCents, d)
			}
		})
	}

	for _, ago := range []int{1, 20} {
		day := billing.DayUsage{Day: dayBefore(now, ago), Usage: billing.Usage{Cents: huge}}
		if _, err := billing.NewRunway(1, []billing.DayUsage{day, day}, billing.TimeOf(now)); err == nil {
			t.Errorf("the sum of two days, %d days ago, wrapped", ago)
		}
	}
}

// The runway of an organization has its balance, and the usage of its whole days before the time of the service.
func TestRunway(t *testing.T) {
	s, orgs := openService(t, "acme", "globex")
	acme, globex := orgs[0].ID, orgs[1].ID
	now := time.Date(2026, 6, 15, 18, 0, 0, 0, time.UTC)
	s.SetClock(func() time.Time { return now })
	today, day := dayBefore(now, 0), billing.Day
	var leases []billing.Lease
	for _, start := range []billing.Time{today - 30*day - 1, today - 30*day, today - 7*day - 1, today - 7*day, today - 1, today} {
		leases = append(leases, billing.Lease{
			ID: new(billing.NewID()), CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: start, FinishedAt: new(start + 1000*billing.Second), // 42 cents
		})
	}
	running := billing.Lease{ID: new(billing.NewID()), CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: today - day}
	if _, err := s.RecordLeases(t.Context(), acme, append(leases, running)); err != nil {
		t.Fatal(err)
	}
	if err := s.PostCredit(t.Context(), acme, &billing.PostCredit{AmountCents: 1000, Source: billing.SourceRefund, IdempotencyKey: "1"}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Runway(t.Context(), acme)
	if err != nil {
		t.Fatal(err)
	}
	const balance = 1000 - 6*42
	week := billing.Pace{
		Window: billing.Window{From: today - 7*day, To: today}, Cents: 2 * 42, AverageCents: 12, DaysWithCost: 2, Outlook: billing.OutlookRunsOut,
		DaysLeft: new(int64(63)), ZeroOn: new(today + 63*day), // 748 × 7 ÷ 84 is 62.3
	}
	month := billing.Pace{
		Window: billing.Window{From: today - 30*day, To: today}, Cents: 4 * 42, AverageCents: 6, DaysWithCost: 4, Outlook: billing.OutlookRunsOut,
		DaysLeft: new(int64(134)), ZeroOn: new(today + 134*day), // 748 × 30 ÷ 168 is 133.6
	}
	if d := cmp.Diff(billing.Runway{BalanceCents: balance, Last7Days: week, Last30Days: month}, got); d != "" {
		t.Error(d)
	}
	if other, err := s.Runway(t.Context(), globex); err != nil || other.BalanceCents != 0 || other.Last30Days.Cents != 0 || other.Last7Days.Outlook != billing.OutlookUsedUp {
		t.Errorf("of an organization without leases: %+v, %v", other, err)
	}
}

package billing

import (
	"math"
	"reflect"
	"testing"
)

func TestExplainCost(t *testing.T) {
	l := validLease() // 2 CPUs, 4 GB and 20 GB for 300 seconds
	l.DurationSeconds, l.AmountCents = new(int64(300)), new(int64(-12))
	want := &Cost{
		Seconds: 300, CPU: ResourceCost{2, 10_000, 6_000_000}, MemoryGB: ResourceCost{4, 5_000, 6_000_000},
		DiskGB: ResourceCost{20, 100, 600_000}, PerSecond: 42_000, MicroCents: 12_600_000, Cents: 12,
	}
	card := RateCard{ID: ID{1}, Seq: 1}
	card.SetRates(StandardRates)
	cards := NewRateCards([]RateCard{card})
	if by, got := cards.Explain(ID{}, &l); by == nil || by.ID != card.ID || !reflect.DeepEqual(got, want) {
		t.Errorf("the cost by the card %v is %+v, want %+v", by, got, want)
	}
	other := l
	other.AmountCents = new(int64(-13))
	if by, got := cards.Explain(ID{}, &other); by != nil || got != nil {
		t.Errorf("a lease that was billed at other prices costs %+v", got)
	}
	running := l
	running.DurationSeconds, running.AmountCents = nil, nil
	if by, got := cards.Explain(ID{}, &running); by != nil || got != nil {
		t.Errorf("a running lease costs %+v", got)
	}
	for name, rates := range map[string]Rates{
		"a rate per second that overflows": {CPU: math.MaxInt64},
		"a rate that overflows":            {CPU: math.MaxInt64 / 2},
		"a sum that overflows":             {CPU: math.MaxInt64 / 600, MemoryGB: 1},
		"a sum per second that overflows":  {CPU: math.MaxInt64 / 2, MemoryGB: 1},
	} {
		if got := rates.Explain(&l); got != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A cursor is valid only for the organization and the filter that it was made for.
func TestLeaseFilterScope(t *testing.T) {
	a, b := ID{1}, ID{2}
	scopes := map[string]bool{}
	filters := []LeaseFilter{
		{}, {State: LeaseStateRunning}, {State: LeaseStateBilled}, {LeaseID: &a}, {LeaseID: &b}, {JobID: &a}, {JobID: &b},
		{LeaseID: &a, JobID: &b}, {LeaseID: &b, JobID: &a}, {State: LeaseStateRunning, JobID: &a},
	}
	for _, org := range []ID{{3}, {4}} {
		for _, f := range filters {
			scopes[string(f.scope(org))] = true
		}
	}
	if len(scopes) != 2*len(filters) {
		t.Errorf("%d organizations and filters share %d scopes", 2*len(filters), len(scopes))
	}
}

// A running lease accrues whole seconds from its start on, at most as many as a lease may have.
func TestAccrued(t *testing.T) {
	l := validLease() // 2 CPUs, 4 GB and 20 GB, of which 1000 seconds cost 42 cents
	l.FinishedAt = nil
	for _, c := range []struct {
		now  Time
		want int64
	}{
		{0, 0}, {l.StartedAt - 1, 0}, {l.StartedAt, 0}, {l.StartedAt + 1000*Second - 1, -41}, {l.StartedAt + 1000*Second, -42}, {l.StartedAt + 1001*Second, -42},
		{l.StartedAt + LeaseDurationSecondsMaximum*Second, -1_328_140}, {math.MaxInt64, -1_328_140},
	} {
		got := StandardRates.Accrued(&l, c.now)
		if got == nil {
			t.Fatal("the cost is not known")
		}
		if *got != c.want {
			t.Errorf("%d microseconds after the start: %d, want %d", c.now-l.StartedAt, *got, c.want)
		}
	}
	now := l.StartedAt + Hour
	if got := (Rates{MemoryGB: math.MaxInt64}).Accrued(&l, now); got != nil {
		t.Errorf("a cost that no lease may have is %d", *got)
	}
	l.FinishedAt = &now
	if got := StandardRates.Accrued(&l, now); got != nil {
		t.Errorf("a finished lease has accrued %d", *got)
	}
}

package billing

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// cardAt is a card for all leases, or for those with the label pool=gpu, at n micro-cents a CPU. A negative n means no prices.
func cardAt(name string, from, created Time, labelled bool, n int64) RateCard {
	c := RateCard{Name: name, EffectiveFrom: from, CreatedAt: created}
	if n >= 0 {
		c.SetRates(Rates{CPU: n})
	}
	if labelled {
		c.LabelKey, c.LabelValue = new("pool"), new("gpu")
	}
	c.Seq, c.ID = int64(created), c.Identify()
	return c
}

// billedLease has a CPU for a million seconds, so that n micro-cents a second cost n cents.
func billedLease(started Time, labels string, cents int64) *Lease {
	l := &Lease{ID: new(NewID()), CPUCount: 1, MemoryGB: 1, DiskGB: 1, StartedAt: started, FinishedAt: new(started + 1), DurationSeconds: new(int64(1_000_000)), AmountCents: new(-cents)}
	if labels != "" {
		l.Labels = &labels
	}
	return l
}

func TestCardStates(t *testing.T) {
	imported := cardAt("imported", 0, 9, false, 1)
	imported.ImportedAt = new(Time(9))
	cards := NewRateCards([]RateCard{
		cardAt("first", 0, 1, false, 1), cardAt("now", 50, 2, false, 2), cardAt("later", 200, 3, false, 3), cardAt("instead of later", 200, 4, false, 4),
		cardAt("before now", 40, 5, false, 5), cardAt("gpu", 100, 6, true, 6), cardAt("gpu ends", 150, 7, true, -1), imported,
	})
	for at, want := range map[Time]string{
		49:  "first ended, now future, later ended, instead of later future, before now in_force, gpu future, gpu ends future, imported imported",
		50:  "first ended, now in_force, later ended, instead of later future, before now ended, gpu future, gpu ends future, imported imported",
		149: "first ended, now in_force, later ended, instead of later future, before now ended, gpu in_force, gpu ends future, imported imported",
		200: "first ended, now ended, later ended, instead of later in_force, before now ended, gpu ended, gpu ends in_force, imported imported",
	} {
		var got []string
		for i := range cards.All() {
			c := &cards.All()[i]
			got = append(got, c.Name+" "+string(cards.State(c, at)))
		}
		if got := strings.Join(got, ", "); got != want {
			t.Errorf("at %d:\n%s\nwant\n%s", at, got, want)
		}
	}
}

func TestWhatIf(t *testing.T) {
	const gpu = `{"pool":"gpu"}`
	books := []RateCard{cardAt("first", 0, 1, false, 10), cardAt("gpu", 0, 2, true, 20), cardAt("second", 500, 3, false, 30)}
	leases := []*Lease{billedLease(100, "", 10), billedLease(100, gpu, 20), billedLease(500, "", 30), billedLease(500, "", 99)}
	whole := func(card RateCard) NewCard { return NewCard{Card: card} }
	from := func(card RateCard, at Time) NewCard { return NewCard{Card: card, EffectiveFrom: &at} }
	for _, tt := range []struct {
		name  string
		books []RateCard
		cards []NewCard
		would int64
		rest  [3]int64 // running, priced elsewhere, unpriced
	}{
		{"no further card", books, nil, 159, [3]int64{0, 1, 0}},
		{"for all, over the whole window", books, []NewCard{whole(cardAt("x", 0, 0, false, 1))}, 1 + 20 + 1 + 1, [3]int64{0, 1, 0}},
		{"for all, from a time on", books, []NewCard{from(cardAt("x", 0, 0, false, 1), 101)}, 159, [3]int64{0, 1, 0}},
		{"for all, after the last card", books, []NewCard{from(cardAt("x", 0, 0, false, 1), 500)}, 10 + 20 + 1 + 1, [3]int64{0, 1, 0}},
		{"for a label", books, []NewCard{whole(cardAt("x", 0, 0, true, 1))}, 10 + 1 + 30 + 99, [3]int64{0, 1, 0}},
		{"an end for a label", books, []NewCard{whole(cardAt("x", 0, 0, true, -1))}, 10 + 10 + 30 + 99, [3]int64{0, 1, 0}},
		{"two cards", books, []NewCard{whole(cardAt("x", 0, 0, false, 1)), from(cardAt("y", 0, 0, false, 2), 500)}, 1 + 20 + 2 + 2, [3]int64{0, 1, 0}},
		{"the latter of two for the same leases", books, []NewCard{whole(cardAt("x", 0, 0, false, 1)), whole(cardAt("y", 0, 0, false, 2))}, 2 + 20 + 2 + 2, [3]int64{0, 1, 0}},
		{"books without cards", nil, []NewCard{whole(cardAt("x", 0, 0, true, 1))}, 10 + 1 + 30 + 99, [3]int64{0, 4, 0}},
		{"an end that leaves no card", books[1:2], []NewCard{whole(cardAt("x", 0, 0, true, -1))}, 159, [3]int64{0, 3, 1}},
	} {
		run := WhatIf{Window: Window{From: 50, To: 1000}, Cards: tt.cards, Now: 2000}.begin()
		if err := run.RateCards(NewRateCards(tt.books)); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		for _, l := range leases {
			if err := run.Lease(Organization{ID: ID{1}}, l); err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
		}
		r := run.finish()
		if r.Total.Leases != 4 || r.Total.BilledCents != 159 || r.Total.WouldCostCents != tt.would || [3]int64{r.Running, r.PricedElsewhere, r.Unpriced} != tt.rest {
			t.Errorf("%s: %+v", tt.name, r)
		}
	}
}

func TestWhatIfRefuses(t *testing.T) {
	begin := func(by WhatIfGroups, prices Rates) *whatIfRun {
		t.Helper()
		card := RateCard{Name: "x"}
		card.SetRates(prices)
		run := WhatIf{By: by, Cards: []NewCard{{Card: card}}}.begin()
		if err := run.RateCards(NewRateCards(nil)); err != nil {
			t.Fatal(err)
		}
		return run
	}
	add := func(run *whatIfRun, l *Lease) error { return run.Lease(Organization{ID: ID{1}}, l) }

	large := billedLease(0, "", 1)
	large.CPUCount = math.MaxInt64
	if err := add(begin(ByNothing, Rates{CPU: 1_000_000}), large); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), large.ID.String()) {
		t.Errorf("a cost beyond 64 bits: %v", err)
	}
	sum := begin(ByNothing, Rates{})
	if err := errors.Join(add(sum, billedLease(0, "", math.MaxInt64)), add(sum, billedLease(0, "", 1))); !errors.Is(err, ErrInvalid) {
		t.Errorf("a sum beyond 64 bits: %v", err)
	}
	many := begin("label.n", Rates{})
	for i := range maxWhatIfGroups {
		if err := add(many, billedLease(0, fmt.Sprintf(`{"n":"%d"}`, i), 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := add(many, billedLease(0, `{"n":"7"}`, 0)); err != nil {
		t.Errorf("another lease of a group: %v", err)
	}
	if err := add(many, billedLease(0, "", 0)); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "more than 100000 groups by label.n") {
		t.Errorf("too many groups: %v", err)
	}
	if err := (WhatIf{Cards: []NewCard{{Card: RateCard{}}}}).begin().RateCards(NewRateCards(nil)); !errors.Is(err, ErrRateCardInvalid) {
		t.Errorf("a bad card: %v", err)
	}
	for _, by := range []string{"month", "label", "label.", "label.-x", "Pipeline"} {
		if _, err := ParseWhatIfGroups(by); !errors.Is(err, ErrInvalid) {
			t.Errorf("by %s: %v", by, err)
		}
	}
}

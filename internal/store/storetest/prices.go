package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

var priceTests = []test{
	{"AtAnInstant", testPricesAtAnInstant},
	{"MostSpecificCard", testMostSpecificCard},
	{"EndOfACard", testEndOfACard},
	{"SameKey", testRateCardWithTheSameKey},
	{"Refused", testRefusedRateCards},
	{"FirstCard", testFirstRateCard},
	{"SetWhileWritersWrite", testSetRateCardWhileWritersWrite},
	{"Imported", testImportedRateCards},
}

// cpuCard is a card at the given price of a CPU, and with the standard prices otherwise.
func cpuCard(microcents int64, change func(*billing.RateCard)) billing.RateCard {
	card := billing.RateCard{Name: fmt.Sprint("CPU at ", microcents)}
	rates := billing.StandardRates
	rates.CPU = microcents
	card.SetRates(rates)
	if change != nil {
		change(&card)
	}
	return card
}

// setCard adds a card that is effective from the time, which may be in the past.
func (s *suite) setCard(card billing.RateCard, from billing.Time) billing.RateCard {
	s.Helper()
	added, known, err := s.service.SetRateCard(s.Context(), billing.NewCard{Card: card, EffectiveFrom: &from, Backdated: true})
	s.must(err)
	s.same("whether a new card is known", false, known)
	s.same("the id of a card", added.Identify(), added.ID)
	return added
}

// Leases that start a microsecond before and after the prices change are billed at the old and the new ones.
func testPricesAtAnInstant(s *suite) {
	acme := s.organization("acme")
	open := running(someDay - 1)
	s.record(acme, open)
	s.setCard(cpuCard(110_000, nil), someDay)
	for _, c := range []struct {
		lease billing.Lease
		cents int64
	}{
		{finished(someDay-1, 300), -12}, {finished(someDay, 300), -72}, {finished(someDay+1, 300), -72}, {finish(open, 300), -12},
	} {
		s.same(fmt.Sprint("a lease from ", c.lease.StartedAt), c.cents, s.record(acme, c.lease)[0].AmountCents)
	}
	many := []billing.Lease{finished(someDay-1, 600), finished(someDay, 600)}
	s.same("both in one request", []int64{-25, -145}, []int64{s.record(acme, many[0])[0].AmountCents, s.record(acme, many[1])[0].AmountCents})
	s.audit()
}

// Of the cards that are for a lease, the most specific one bills it.
func testMostSpecificCard(s *suite) {
	acme, globex := s.organization("acme"), s.organization("globex")
	forAcme := func(c *billing.RateCard) { c.OrgID = &acme.ID }
	shape := func(c *billing.RateCard) {
		c.CPUCount, c.MemoryGB, c.DiskGB = new(int64(2)), new(int64(4)), new(int64(20))
	}
	mac := func(c *billing.RateCard) { c.LabelKey, c.LabelValue = new("os"), new("mac") }
	gpu := func(c *billing.RateCard) { c.LabelKey, c.LabelValue = new("gpu"), new("a100") }
	both := func(changes ...func(*billing.RateCard)) func(*billing.RateCard) {
		return func(c *billing.RateCard) {
			for _, change := range changes {
				change(c)
			}
		}
	}
	// In order of their rank, the lowest first. The last ones were effective first, so the time does not decide.
	ranks := []func(*billing.RateCard){
		nil, shape, mac, both(mac, shape), forAcme, both(forAcme, shape), both(forAcme, mac), both(forAcme, mac, shape),
	}
	cards := make([]billing.RateCard, len(ranks))
	for _, at := range rand.Perm(len(ranks)) {
		cards[at] = s.setCard(cpuCard(int64(at+1)*100_000, ranks[at]), someDay-billing.Time(at)*billing.Hour)
	}
	late := s.setCard(cpuCard(900_000, gpu), someDay-billing.Hour)
	for _, c := range []struct {
		org    billing.Organization
		labels string
		cpus   int64
		want   billing.RateCard
	}{
		{globex, ``, 3, cards[0]}, {globex, ``, 2, cards[1]}, {globex, `{"os":"mac"}`, 3, cards[2]}, {globex, `{"os":"mac"}`, 2, cards[3]},
		{acme, ``, 3, cards[4]}, {acme, ``, 2, cards[5]}, {acme, `{"os":"mac"}`, 3, cards[6]}, {acme, `{"os":"mac"}`, 2, cards[7]},
		{globex, `{"os":"linux"}`, 3, cards[0]}, {globex, `{"OS":"mac"}`, 2, cards[1]}, {acme, `{"mac":"os"}`, 3, cards[4]},
		// Of two labels, the card that became effective later counts.
		{globex, `{"gpu":"a100","os":"mac"}`, 3, late}, {globex, `{"gpu":"a100","os":"mac"}`, 2, cards[3]},
	} {
		l := finished(someDay, 300)
		l.CPUCount = c.cpus
		if c.labels != "" {
			l.Labels = &c.labels
		}
		result := s.record(c.org, l)[0]
		cost, err := c.want.Rates().Cost(l.CPUCount, l.MemoryGB, l.DiskGB, 300)
		s.must(err)
		s.same(fmt.Sprintf("%s with %d CPUs and %s", c.org.Slug, c.cpus, c.labels), -cost, result.AmountCents)
		page, err := s.service.Leases(s.Context(), c.org.ID, billing.LeaseFilter{LeaseID: &result.ID}, nil, nil)
		s.must(err)
		s.same("its card", &c.want.ID, page.Items[0].Lease.CardID)
	}
	s.audit()
}

// A card without prices ends those before it, and less specific cards are in force then.
func testEndOfACard(s *suite) {
	acme := s.organization("acme")
	forAcme := func(c *billing.RateCard) { c.OrgID = &acme.ID }
	s.setCard(cpuCard(110_000, forAcme), someDay)
	end := billing.RateCard{Name: "the end", OrgID: &acme.ID}
	s.setCard(end, someDay+billing.Hour)
	s.setCard(cpuCard(210_000, forAcme), someDay+2*billing.Hour)
	for i, cents := range []int64{-12, -72, -72, -12, -12, -132} {
		start := someDay - 1 + billing.Time(i%2) + billing.Time(i/2)*billing.Hour
		s.same(fmt.Sprint("a lease from ", start), cents, s.record(acme, finished(start, 300))[0].AmountCents)
	}
	s.audit()
}

func testRateCardWithTheSameKey(s *suite) {
	acme, globex := s.organization("acme"), s.organization("globex")
	set := func(org billing.ID, price int64, from *billing.Time) (billing.RateCard, bool, error) {
		return s.service.SetRateCard(s.Context(), billing.NewCard{Card: cpuCard(price, func(c *billing.RateCard) {
			c.OrgID, c.IdempotencyKey = &org, new("key")
		}), EffectiveFrom: from})
	}
	first, known, err := set(acme.ID, 5, nil)
	s.must(err)
	s.same("the first time", false, known)
	s.same("when it is effective", first.CreatedAt, first.EffectiveFrom)
	again, known, err := set(acme.ID, 5, nil)
	s.must(err)
	s.same("the second time", true, known)
	s.same("the card", first, again)
	_, _, err = set(acme.ID, 6, nil)
	s.wantError("another price", err, billing.ErrKeyReused)
	later := first.EffectiveFrom + billing.Day
	_, _, err = set(acme.ID, 5, &later)
	s.wantError("another time", err, billing.ErrKeyReused)
	other, known, err := set(globex.ID, 5, nil)
	s.must(err)
	s.same("of another organization", false, known || other.ID == first.ID)
	s.audit()
}

func testRefusedRateCards(s *suite) {
	acme := s.organization("acme")
	now := billing.TimeOf(time.Now())
	good := func() billing.RateCard { return cpuCard(5, func(c *billing.RateCard) { c.OrgID = &acme.ID }) }
	before, err := s.service.RateCards(s.Context())
	s.must(err)
	for what, change := range map[string]func(*billing.NewCard){
		"in the past":              func(c *billing.NewCard) { c.EffectiveFrom = new(now - billing.Minute) },
		"before 1970":              func(c *billing.NewCard) { c.EffectiveFrom, c.Backdated = new(billing.Time(-1)), true },
		"without a name":           func(c *billing.NewCard) { c.Card.Name = "" },
		"a long name":              func(c *billing.NewCard) { c.Card.Name = strings.Repeat("é", 256) },
		"a name with NUL":          func(c *billing.NewCard) { c.Card.Name = "a\x00" },
		"half a shape":             func(c *billing.NewCard) { c.Card.CPUCount = new(int64(2)) },
		"half a shape without CPU": func(c *billing.NewCard) { c.Card.DiskGB = new(int64(2)) },
		"no CPUs": func(c *billing.NewCard) {
			c.Card.CPUCount, c.Card.MemoryGB, c.Card.DiskGB = new(int64(0)), new(int64(1)), new(int64(1))
		},
		"a negative price":        func(c *billing.NewCard) { c.Card.DiskGBMicrocents = new(int64(-1)) },
		"too high a price":        func(c *billing.NewCard) { c.Card.CPUMicrocents = new(int64(100_000_001)) },
		"a missing price":         func(c *billing.NewCard) { c.Card.MemoryGBMicrocents = nil },
		"half a label":            func(c *billing.NewCard) { c.Card.LabelKey = new("os") },
		"a wrong key of a label":  func(c *billing.NewCard) { c.Card.LabelKey, c.Card.LabelValue = new("a b"), new("x") },
		"a label without a value": func(c *billing.NewCard) { c.Card.LabelKey, c.Card.LabelValue = new("a"), new("") },
		"no prices for all": func(c *billing.NewCard) {
			c.Card = billing.RateCard{Name: "x"}
		},
	} {
		add := billing.NewCard{Card: good()}
		change(&add)
		_, _, err := s.service.SetRateCard(s.Context(), add)
		s.wantError(what, err, billing.ErrRateCardInvalid)
	}
	after, err := s.service.RateCards(s.Context())
	s.must(err)
	s.same("the cards", before.All(), after.All())
	_, _, err = s.service.SetRateCard(s.Context(), billing.NewCard{Card: good(), EffectiveFrom: new(now + billing.Hour)})
	s.must(err)
}

// Prices that are given when the books have prices must agree with them.
func testFirstRateCard(s *suite) {
	ctx := s.Context()
	dear := billing.Rates{CPU: 77, MemoryGB: 5_000, DiskGB: 100}
	s.must(s.service.EnsureRateCard(ctx, nil))
	s.must(s.service.EnsureRateCard(ctx, &billing.StandardRates))
	s.wantError("other prices", s.service.EnsureRateCard(ctx, &dear), billing.ErrInvalid)
	s.setRates(dear)
	s.must(s.service.EnsureRateCard(ctx, &dear))
	s.must(s.service.EnsureRateCard(ctx, &billing.StandardRates)) // those of the first card
	s.setRates(billing.Rates{CPU: 78})
	s.wantError("prices that were in force between", s.service.EnsureRateCard(ctx, &dear), billing.ErrInvalid)
	cards, err := s.service.RateCards(ctx)
	s.must(err)
	s.same("the number of cards", 3, len(cards.All()))
}

// While two servers bill leases, cards are set through both. Each lease is billed by the card that is in force at its start.
func testSetRateCardWhileWritersWrite(s *suite) {
	acme, globex := s.organization("acme"), s.organization("globex")
	stores := []billing.Store{s.store, s.open()}
	ctx, stop := context.WithCancel(s.Context())
	var writing sync.WaitGroup
	const writers = 4 // of each organization
	var recorded [2]atomic.Int64
	for w := range writers * len(recorded) {
		writing.Go(func() {
			org := []billing.Organization{acme, globex}[w%len(recorded)]
			for ctx.Err() == nil {
				start := billing.TimeOf(time.Now())
				l := finished(start, 300)
				l.FinishedAt, l.DurationSeconds = &start, new(int64(0))
				// A store may have to wait too long for the other one.
				_, err := service(stores[w/len(recorded)%len(stores)]).RecordLeases(context.Background(), org.ID, []billing.Lease{l})
				switch {
				case err == nil:
					recorded[w%len(recorded)].Add(1)
				case !errors.Is(err, billing.ErrUnavailable):
					s.Errorf("a lease: %v", err)
					return
				}
				time.Sleep(time.Millisecond) // so that the stores take turns
			}
		})
	}
	const sets = 12
	for i := range sets {
		billed := 1 // globex, which has no cards of its own
		card := cpuCard(int64(i), func(c *billing.RateCard) {
			if i%3 == 0 {
				c.OrgID, billed = &acme.ID, 0
			}
		})
		err := billing.ErrUnavailable
		for errors.Is(err, billing.ErrUnavailable) {
			_, _, err = service(stores[i%2]).SetRateCard(ctx, billing.NewCard{Card: card})
		}
		s.must(err)
		// Of so many reports, one has begun after the card was set.
		for enough := recorded[billed].Load() + writers + 1; recorded[billed].Load() < enough && !s.Failed(); {
			time.Sleep(time.Millisecond)
		}
	}
	stop()
	writing.Wait()
	cards, err := stores[1].RateCards(s.Context())
	s.must(err)
	c, err := export(s.Context(), s.store)
	s.must(err)
	used := map[billing.ID]bool{}
	for _, org := range []billing.Organization{acme, globex} {
		for _, l := range c.Leases[org.Slug] {
			if want := cards.For(org.ID, &l); l.CardID == nil || *l.CardID != want.ID {
				s.Errorf("a lease from %s is billed by the card %s; want %s, in force from %s", l.StartedAt, l.CardID, want.ID, want.EffectiveFrom)
			}
			used[*l.CardID] = true
		}
	}
	if len(used) < sets {
		s.Errorf("leases were billed by %d cards, want all %d that were set", len(used), sets)
	}
	s.audit()
}

// A card of other books does not change what leases of these books cost, unless they have no leases.
func testImportedRateCards(s *suite) {
	acme := s.organization("acme")
	other := cpuCard(110_000, func(c *billing.RateCard) { c.CreatedAt = 5 })
	stored, known, err := s.service.ImportRateCard(s.Context(), other, true)
	s.must(err)
	s.same("whether it is known", false, known)
	s.same("a lease of these books", int64(-12), s.record(acme, finished(someDay, 300))[0].AmountCents)
	again, known, err := s.service.ImportRateCard(s.Context(), stored, true)
	s.must(err)
	s.same("whether it is known then", true, known)
	s.same("the card", stored, again)

	lease := billedAs(finished(someDay, 300), -72)
	lease.CardID = &stored.ID
	wrong := billedAs(finished(someDay, 300), -73)
	wrong.CardID = &stored.ID
	nobodys := billedAs(finished(someDay, 300), -72)
	nobodys.CardID = new(billing.NewID())
	errs := s.try(acme, &billing.ImportLease{Lease: lease}, &billing.ImportLease{Lease: wrong}, &billing.ImportLease{Lease: nobodys})
	s.must(errs[0])
	s.wantError("a lease with another amount than its card gives", errs[1], billing.ErrLeaseInvalid)
	s.wantError("a lease with an unknown card", errs[2], billing.ErrLeaseInvalid)
	lease.CardID = new(s.firstCard().ID)
	s.wantError("the lease with another card", s.try(acme, &billing.ImportLease{Lease: lease})[0], billing.ErrLeaseConflict)

	changed := stored
	changed.Name = "other"
	_, _, err = s.service.ImportRateCard(s.Context(), changed, true)
	s.wantError("a card with another id than its contents give", err, billing.ErrRateCardInvalid)
	ahead := cpuCard(1, func(c *billing.RateCard) { c.CreatedAt = billing.TimeOf(time.Now()) + 11*billing.Minute })
	_, _, err = s.service.ImportRateCard(s.Context(), ahead, true)
	s.wantError("a card that is created later", err, billing.ErrRateCardInvalid)
	fresh := cpuCard(210_000, func(c *billing.RateCard) { c.CreatedAt = 6 })
	_, _, err = s.service.ImportRateCard(s.Context(), fresh, false)
	s.must(err)
	s.same("a lease in books that had no leases", int64(-132), s.record(acme, finished(someDay, 300))[0].AmountCents)
}

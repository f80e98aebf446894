package billing

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
)

// NewCard is a rate card that is to be added.
type NewCard struct {
	Card          RateCard // without an id and a time
	EffectiveFrom *Time    // nil: from now on
	// Backdated allows a time in the past. Leases that are billed already keep their prices.
	Backdated bool
}

// SetRateCard adds a rate card, unless an earlier call with the same idempotency key has added it. It fails with ErrRateCardInvalid,
// ErrInvalid and ErrKeyReused.
func (s *Service) SetRateCard(ctx context.Context, add NewCard) (card RateCard, known bool, err error) {
	return s.directory.AddRateCard(ctx, func(cards *RateCards, now Time) (RateCard, bool, error) {
		return cards.Add(add.Card, add.EffectiveFrom, add.Backdated, now)
	})
}

// HasLeases reports whether any organization has a lease.
func (s *Service) HasLeases(ctx context.Context) (bool, error) { return s.ledger.HasLeases(ctx) }

// ImportRateCard takes over a card of other books; see RateCards.Import. It fails with ErrRateCardInvalid.
func (s *Service) ImportRateCard(ctx context.Context, card RateCard, hasLeases bool) (stored RateCard, known bool, err error) {
	return s.directory.AddRateCard(ctx, func(cards *RateCards, now Time) (RateCard, bool, error) { return cards.Import(card, hasLeases, now) })
}

// RateCards returns all rate cards.
func (s *Service) RateCards(ctx context.Context) (*RateCards, error) {
	return s.directory.RateCards(ctx)
}

// firstCardName is the name of the card that books get with their first prices.
const firstCardName = "First prices"

// EnsureRateCard adds a card for all leases of any time to books that lack one, with the given rates, or the standard rates if none are given.
// Books lack such a card at first, and after an import whose cards bill only imported leases. If the books have one, the given rates must be
// those of the first general card or of the general card in force now; EnsureRateCard fails with ErrInvalid otherwise.
func (s *Service) EnsureRateCard(ctx context.Context, rates *Rates) error {
	cards, err := s.directory.RateCards(ctx)
	if err != nil {
		return err
	}
	if cards.complete() {
		return cards.checkRates(rates, s.Now())
	}
	first := RateCard{Name: firstCardName}
	first.SetRates(StandardRates)
	if rates != nil {
		first.SetRates(*rates)
	}
	_, _, err = s.directory.AddRateCard(ctx, func(cards *RateCards, now Time) (RateCard, bool, error) {
		// Another process may have been faster.
		if err := cards.checkRates(rates, now); err != nil || cards.complete() {
			return RateCard{}, true, err
		}
		return cards.Add(first, new(Time), true, now)
	})
	return err
}

// complete reports whether there is a card for each lease, whenever it started.
func (c *RateCards) complete() bool { return c.inForce(selector{}, 0) != nil }

// checkRates checks that rates are those of the first card for all leases or of the one that is in force. Nil passes, and so does any rate if
// no such card is in force. It fails with ErrInvalid.
func (c *RateCards) checkRates(rates *Rates, now Time) error {
	inForce := c.inForce(selector{}, now)
	if rates == nil || inForce == nil || *c.bySelector[selector{}][0].Rates() == *rates || *inForce.Rates() == *rates {
		return nil
	}
	return Faultf(ErrInvalid, "the prices that are given (%s) are not those of the books (%s, by the rate card %q, which is in force for all "+
		"leases without a card of their own); leave the prices out to bill by the books, or change the books with 'harmont-billing price set'",
		rates, inForce.Rates(), inForce.Name)
}

// String returns the rates for people.
func (r Rates) String() string {
	return fmt.Sprintf("in micro-cents a second: CPU %d, GB of memory %d, GB of disk %d", r.CPU, r.MemoryGB, r.DiskGB)
}

const rateCardList = "rate cards"

// OrganizationRateCards returns a page of the cards that may bill leases of the organization: its own cards and the cards for all
// organizations, newest first. It fails with ErrCursorInvalid.
func (s *Service) OrganizationRateCards(ctx context.Context, org ID, limit *int64, cursor *string) (Page[RateCard], error) {
	cards, err := s.directory.RateCards(ctx)
	if err != nil {
		return Page[RateCard]{}, err
	}
	all := cards.All()
	if cursor != nil {
		place, err := DecodeCursor(rateCardList, org[:], *cursor)
		if err != nil {
			return Page[RateCard]{}, err
		}
		if len(place) != 8 {
			return Page[RateCard]{}, errCursor
		}
		for before := binary.BigEndian.Uint64(place); len(all) > 0 && uint64(all[len(all)-1].Seq) >= before; {
			all = all[:len(all)-1]
		}
	}
	size := clamp(limit, ListBillingRateCardsLimitClampMinimum, ListBillingRateCardsLimitClampMaximum, ListBillingRateCardsLimitDefault)
	var page Page[RateCard]
	for _, card := range slices.Backward(all) {
		if card.ImportedAt != nil || !card.BillsLeasesOf(org) {
			continue
		}
		if len(page.Items) == size {
			next := EncodeCursor(rateCardList, org[:], binary.BigEndian.AppendUint64(nil, uint64(page.Items[size-1].Seq)))
			page.Next = &next
			break
		}
		page.Items = append(page.Items, card)
	}
	return page, nil
}

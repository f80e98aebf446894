package store

import (
	"context"
	"slices"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

// newestCard finds the id of the card that was added last. Cards never change, so cards that end with the same id are the same cards.
const newestCard = `SELECT card_id FROM rate_cards ORDER BY seq DESC LIMIT 1`

var allCards = `SELECT ` + cardTable.columns + ` FROM rate_cards ORDER BY seq`

func readCards(ctx context.Context, q driver.Querier) (*billing.RateCards, error) {
	var list []billing.RateCard
	err := q.Query(ctx, allCards, nil, collectCards(&list))
	return billing.NewRateCards(list), err
}

func collectCards(into *[]billing.RateCard) func(*driver.Row) error {
	return func(r *driver.Row) error {
		var card billing.RateCard
		err := cardTable.scan(r, &card)
		*into = append(*into, card)
		return err
	}
}

// RateCards implements billing.Store.
func (s *Store) RateCards(ctx context.Context) (*billing.RateCards, error) {
	var newest billing.ID
	err := s.db.Query(ctx, newestCard, nil, func(r *driver.Row) error { return r.Scan(&newest) })
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	if kept := s.cards.Load(); kept.Newest() == newest {
		return kept, nil
	}
	cards, err := readCards(ctx, s.db)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	s.cards.Store(cards)
	return cards, nil
}

// lockCards locks the rate cards until the transaction ends, and reads the id of the newest one: for a transaction that bills leases, many
// of which may run at the same time, or for the only one that adds a card.
func (s *Store) lockCards(tx driver.Tx, toAdd bool, newest *billing.ID) {
	for text, args := range s.db.LockRateCards(toAdd) {
		tx.Query(text, args, func(*driver.Row) error { return nil })
	}
	tx.Query(newestCard, nil, func(r *driver.Row) error { return r.Scan(newest) })
}

// cardsAt returns the cards that end with the newest one. The transaction has locked them.
func (s *Store) cardsAt(ctx context.Context, tx driver.Tx, newest billing.ID) (*billing.RateCards, error) {
	if kept := s.cards.Load(); kept.Newest() == newest {
		return kept, nil
	}
	var list []billing.RateCard
	tx.Query(allCards, nil, collectCards(&list))
	if err := tx.Run(ctx); err != nil {
		return nil, err
	}
	return billing.NewRateCards(list), nil
}

// AddRateCard implements billing.Store.
func (s *Store) AddRateCard(ctx context.Context, add func(*billing.RateCards, billing.Time) (billing.RateCard, bool, error)) (card billing.RateCard, known bool, err error) {
	err = s.transact(ctx, func(tx driver.Tx) error {
		var newest billing.ID
		s.lockCards(tx, true, &newest)
		if err := tx.Run(ctx); err != nil {
			return err
		}
		cards, err := s.cardsAt(ctx, tx, newest)
		if err != nil {
			return err
		}
		if card, known, err = add(cards, billing.TimeOf(s.clock())); err != nil || known {
			return err
		}
		s.insert(tx, &cardTable.Table, [][]any{cardTable.values(&card, nil)}, ``)
		return nil
	})
	return card, known, err
}

// cardsOf hands over the cards of a snapshot with the organizations that they are for.
func (s snapshot) cardsOf(ctx context.Context, orgs []billing.Organization, take func(*billing.RateCard, *billing.Organization) error) error {
	cards, err := readCards(ctx, s)
	if err != nil {
		return err
	}
	for _, card := range cards.All() {
		var of *billing.Organization
		if card.OrgID != nil {
			i := slices.IndexFunc(orgs, func(o billing.Organization) bool { return o.ID == *card.OrgID })
			if i < 0 {
				continue // the books are damaged, which the audit reports
			}
			of = &orgs[i]
		}
		if err := take(&card, of); err != nil {
			return err
		}
	}
	return nil
}

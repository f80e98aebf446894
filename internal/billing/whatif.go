package billing

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// WhatIfGroups says by what a WhatIf groups leases.
type WhatIfGroups string

// The groups of a WhatIf. The rest of a text that begins with ByLabel is the key of a label.
const (
	ByNothing      WhatIfGroups = ""
	ByOrganization WhatIfGroups = "organization"
	ByPipeline     WhatIfGroups = "pipeline" // of one organization
	ByShape        WhatIfGroups = "shape"
	ByCard         WhatIfGroups = "card" // the card that would give the cost
	ByLabel        WhatIfGroups = "label."
)

// ParseWhatIfGroups checks the text. It fails with ErrInvalid.
func ParseWhatIfGroups(text string) (WhatIfGroups, error) {
	by := WhatIfGroups(text)
	key, labelled := strings.CutPrefix(text, string(ByLabel))
	switch {
	case slices.Contains([]WhatIfGroups{ByNothing, ByOrganization, ByPipeline, ByShape, ByCard}, by):
		return by, nil
	case labelled && CheckLabelKey(key) == nil:
		return by, nil
	}
	return by, Faultf(ErrInvalid, "leases are grouped by organization, pipeline, shape, card or label.KEY, not by %q", text)
}

// WhatIf computes what the leases of a window would have cost by the cards of the books and further ones, and writes nothing. A lease that
// the further cards do not concern costs what it was billed, so that each difference is one that the further cards make.
type WhatIf struct {
	Window Window
	By     WhatIfGroups
	Org    *ID // the organization whose leases count; nil: all
	// Cards are the further cards. One without a time is in force over the whole window, and takes the place of the cards of the books for
	// the same leases. One with a time is added to those of the books.
	Cards []NewCard
	// Now is when the further cards are taken to be added.
	Now Time
}

// WhatIfSum is the sum over the billed leases of a group.
type WhatIfSum struct {
	Organization   string  // the slug, if the leases are grouped by organization or pipeline
	Group          *string // what the leases have in common; nil if they lack it
	Leases         int64
	BilledCents    int64
	WouldCostCents int64
}

// WhatIfResult is the result of a WhatIf.
type WhatIfResult struct {
	Groups          []WhatIfSum // by BilledCents, highest first, then by their names; none if they are not grouped
	Total           WhatIfSum
	Running         int64 // leases that run and do not count
	PricedElsewhere int64 // leases that count, and whose amounts the cards of the books do not give
	Unpriced        int64 // leases that would have no card; they count as billed
}

// maxWhatIfGroups bounds the memory of a WhatIf.
const maxWhatIfGroups = 100_000

// Run reads the books. It fails with ErrRateCardInvalid, and with ErrInvalid if there are too many groups or a cost is too large.
func (w WhatIf) Run(ctx context.Context, books Archive) (WhatIfResult, error) {
	run := w.begin()
	if err := books.LeasesIn(ctx, w.Org, w.Window, run); err != nil {
		return WhatIfResult{}, err
	}
	return run.finish(), nil
}

func (w WhatIf) begin() *whatIfRun {
	return &whatIfRun{WhatIf: w, groups: map[whatIfKey]*WhatIfSum{}, cards: map[whatIfKey]*RateCard{}}
}

// whatIfKey is what the leases of a group have in common.
type whatIfKey struct {
	org   ID
	text  string
	known bool
}

type whatIfRun struct {
	WhatIf

	books, tried *RateCards
	groups       map[whatIfKey]*WhatIfSum
	cards        map[whatIfKey]*RateCard // of the groups if they are by card
	result       WhatIfResult
}

var _ LeaseSink = (*whatIfRun)(nil)

// RateCards implements LeaseSink.
func (r *whatIfRun) RateCards(books *RateCards) error {
	r.books = books
	with := slices.Clone(books.All())
	replaced := map[selector]bool{}
	for _, add := range r.Cards {
		if add.EffectiveFrom == nil {
			replaced[add.Card.selector()] = true
		}
	}
	with = slices.DeleteFunc(with, func(c RateCard) bool { return c.EffectiveFrom > r.Window.From && replaced[c.selector()] })
	for _, add := range r.Cards {
		from := cmp.Or(add.EffectiveFrom, &r.Window.From)
		card, _, err := NewRateCards(with).Add(add.Card, from, true, r.Now)
		if err != nil {
			return err
		}
		with = append(with, card)
	}
	r.tried = NewRateCards(with)
	return nil
}

// Lease implements LeaseSink.
func (r *whatIfRun) Lease(org Organization, l *Lease) error {
	if l.AmountCents == nil || l.DurationSeconds == nil {
		r.result.Running++
		return nil
	}
	billedBy, wouldBe := r.books.In(org.ID, l), r.tried.For(org.ID, l)
	if billedBy == nil {
		r.result.PricedElsewhere++
	}
	billed := -*l.AmountCents
	cost, by := billed, billedBy
	switch before := r.books.For(org.ID, l); {
	case wouldBe == nil && before != nil:
		r.result.Unpriced++
	case wouldBe != nil && (before == nil || before.ID != wouldBe.ID):
		var err error
		if cost, err = wouldBe.Rates().Cost(l.CPUCount, l.MemoryGB, l.DiskGB, *l.DurationSeconds); err != nil {
			return Faultf(ErrInvalid, "the cost of the lease %s: %w", l.ID, err)
		}
		by = wouldBe
	}
	if err := r.result.Total.add(billed, cost); err != nil || r.By == ByNothing {
		return err
	}
	key, name := r.groupOf(org, l, by)
	group := r.groups[key]
	if group == nil {
		if len(r.groups) == maxWhatIfGroups {
			return Faultf(ErrInvalid, "there are more than %d groups by %s", maxWhatIfGroups, r.By)
		}
		group = new(WhatIfSum)
		if r.By == ByOrganization || r.By == ByPipeline {
			group.Organization = org.Slug
		}
		r.groups[key] = group
	}
	if key.known {
		group.Group = &name // the latest name of a pipeline
		if r.By == ByCard {
			r.cards[key] = by
		}
	}
	return group.add(billed, cost)
}

func (s *WhatIfSum) add(billed, cost int64) (err error) {
	s.Leases++
	if s.BilledCents, err = add(s.BilledCents, billed); err == nil {
		s.WouldCostCents, err = add(s.WouldCostCents, cost)
	}
	if err != nil {
		return Faultf(ErrInvalid, "%w", err)
	}
	return nil
}

// groupOf returns the group of a lease, which costs what the card gives, and its name.
func (r *whatIfRun) groupOf(org Organization, l *Lease, card *RateCard) (key whatIfKey, name string) {
	switch r.By {
	case ByOrganization:
		return whatIfKey{org.ID, "", true}, org.Slug
	case ByPipeline:
		id := ""
		if l.PipelineID != nil {
			id = l.PipelineID.String()
		}
		slug, name := textOf(l.PipelineSlug), textOf(l.PipelineName)
		same := cmp.Or(id, slug, name)
		return whatIfKey{org.ID, same, same != ""}, cmp.Or(name, slug, id)
	case ByShape:
		name = fmt.Sprintf("%dx%dx%d", l.CPUCount, l.MemoryGB, l.DiskGB)
		return whatIfKey{text: name, known: true}, name
	case ByCard:
		if card == nil {
			return whatIfKey{}, ""
		}
		return whatIfKey{text: card.ID.String(), known: true}, card.Name
	case ByNothing, ByLabel:
	}
	value, known := labelsOf(l)[strings.TrimPrefix(string(r.By), string(ByLabel))]
	return whatIfKey{text: value, known: known}, value
}

// finish puts the groups in order. Cards that have the same name get their ids as well.
func (r *whatIfRun) finish() WhatIfResult {
	named := map[string]int{}
	for _, card := range r.cards {
		named[card.Name]++
	}
	for key, card := range r.cards {
		if named[card.Name] > 1 {
			r.groups[key].Group = new(card.Name + " " + card.ID.String())
		}
	}
	for _, group := range r.groups {
		r.result.Groups = append(r.result.Groups, *group)
	}
	slices.SortFunc(r.result.Groups, func(a, b WhatIfSum) int {
		return cmp.Or(cmp.Compare(b.BilledCents, a.BilledCents), strings.Compare(a.Organization, b.Organization),
			strings.Compare(textOf(a.Group), textOf(b.Group)), cmp.Compare(b.Leases, a.Leases))
	})
	return r.result
}

func textOf(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// CardState says whether a card bills leases that start now.
type CardState string

// The states of a card.
const (
	CardInForce  CardState = "in_force"
	CardFuture   CardState = "future"
	CardEnded    CardState = "ended"    // a later card for the same leases has taken its place
	CardImported CardState = "imported" // it is only for the imported leases that name it
)

// State returns the state of a card of the books at the time.
func (c *RateCards) State(card *RateCard, now Time) CardState {
	if card.ImportedAt != nil {
		return CardImported
	}
	for _, other := range c.bySelector[card.selector()] {
		if card.compare(other) < 0 && other.EffectiveFrom <= max(card.EffectiveFrom, now) {
			return CardEnded
		}
	}
	if card.EffectiveFrom > now {
		return CardFuture
	}
	return CardInForce
}

// BillsLeasesOf reports whether the card may bill leases of the organization.
func (c *RateCard) BillsLeasesOf(org ID) bool { return c.OrgID == nil || *c.OrgID == org }

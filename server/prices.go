package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/gen/httpserver"
	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/models"
)

// ErrRateCardInvalid is the error of a rate card with a value out of bounds, or one that would change prices of the past.
var ErrRateCardInvalid = billing.ErrRateCardInvalid

// RateCardState says whether a rate card bills leases that start now.
type RateCardState = billing.CardState

// The states of a rate card.
const (
	RateCardInForce  = billing.CardInForce
	RateCardFuture   = billing.CardFuture
	RateCardEnded    = billing.CardEnded    // a later card for the same leases has taken its place
	RateCardImported = billing.CardImported // it is only for the imported leases that name it
)

// RateCardOptions describe a rate card to add. The three counts are given together or not at all, and so are the key and the value of a label,
// and the three prices.
type RateCardOptions struct {
	Organization         string  // slug; empty: all organizations
	CPUCount             *int64  // with MemoryGB and DiskGB, the shape of the machines; nil: every shape
	MemoryGB             *int64  // nil like CPUCount
	DiskGB               *int64  // nil like CPUCount
	LabelKey, LabelValue *string // a label of the leases; nil: any labels
	CPUMicrocents        *int64  // nil: the card ends earlier cards for the same leases, and less specific cards bill them from then on
	MemoryGBMicrocents   *int64  // for a gigabyte of memory
	DiskGBMicrocents     *int64  // for a gigabyte of disk
	Name                 string  // for people
	// EffectiveFrom says that the card is for leases that start then or later; nil: from now on.
	EffectiveFrom *time.Time
	// AllowPast allows an EffectiveFrom in the past. Leases that are billed keep their prices.
	AllowPast bool
}

// RateCard is a rate card of the books. It applies to leases that start at EffectiveFrom or later.
type RateCard struct {
	ID                   string
	Name                 string
	Organization         string  // slug; empty: all organizations
	CPUCount             *int64  // with MemoryGB and DiskGB, the shape of the machines; nil: every shape
	MemoryGB             *int64  // nil like CPUCount
	DiskGB               *int64  // nil like CPUCount
	LabelKey, LabelValue *string // nil: any labels
	CPUMicrocents        *int64  // for one second; nil, like the prices below, for a card that ends earlier cards
	MemoryGBMicrocents   *int64  // for a gigabyte of memory
	DiskGBMicrocents     *int64  // for a gigabyte of disk
	EffectiveFrom        time.Time
	CreatedAt            time.Time
	State                RateCardState
}

// SetRateCard adds a rate card. If the books have no card for all leases of any time, it first adds the one that Open adds, so that the
// prices of no lease are missing. It fails with ErrRateCardInvalid and ErrOrganizationNotFound.
func (s *Server) SetRateCard(ctx context.Context, options RateCardOptions) (RateCard, error) {
	add, err := s.newCard(ctx, &options)
	if err != nil {
		return RateCard{}, err
	}
	if err := s.service.EnsureRateCard(ctx, s.rates); err != nil {
		return RateCard{}, err
	}
	card, _, err := s.service.SetRateCard(ctx, add)
	if err != nil {
		return RateCard{}, err
	}
	cards, err := s.service.RateCards(ctx)
	if err != nil {
		return RateCard{}, err
	}
	return toRateCard(cards, &card, options.Organization, s.service.Now()), nil
}

// RateCards lists the cards that may bill leases of the organization with the slug, or all cards if it is empty, in the order in which they
// were added. It fails with ErrOrganizationNotFound.
func (s *Server) RateCards(ctx context.Context, organization string) ([]RateCard, error) {
	of, err := s.organizationID(ctx, organization)
	if err != nil {
		return nil, err
	}
	cards, err := s.service.RateCards(ctx)
	if err != nil {
		return nil, err
	}
	orgs, err := s.service.Organizations(ctx)
	if err != nil {
		return nil, err
	}
	slugs := make(map[billing.ID]string, len(orgs))
	for _, org := range orgs {
		slugs[org.ID] = org.Slug
	}
	var list []RateCard
	now := s.service.Now()
	for i := range cards.All() {
		card := &cards.All()[i]
		if of != nil && !card.BillsLeasesOf(*of) {
			continue
		}
		slug := ""
		if card.OrgID != nil {
			slug = slugs[*card.OrgID]
		}
		list = append(list, toRateCard(cards, card, slug, now))
	}
	return list, nil
}

// A RateCardTrial says for which leases TryRateCards computes what they would have cost. A RateCardTrialResult has the sums over them, and a
// RateCardTrialSum the sums over a group.
type (
	RateCardTrial struct {
		Organization string // slug; empty: all organizations
		From, To     time.Time
		// By is what leases are grouped by: organization, pipeline, shape, card or label.KEY; empty: nothing.
		By string
	}
	RateCardTrialResult = billing.WhatIfResult
	RateCardTrialSum    = billing.WhatIfSum
)

// TryRateCards computes what the leases of a window would have cost if the books had further cards, and writes nothing. A card without an
// EffectiveFrom is taken to be in force over the whole window, in the place of those of the books for the same leases. A lease that the
// further cards do not concern costs what it was billed. The leases are read one by one, as of one moment. TryRateCards fails with
// ErrRateCardInvalid, ErrOrganizationNotFound and ErrInvalid.
func (s *Server) TryRateCards(ctx context.Context, further []RateCardOptions, trial RateCardTrial) (RateCardTrialResult, error) {
	by, err := billing.ParseWhatIfGroups(trial.By)
	if err != nil {
		return RateCardTrialResult{}, err
	}
	what := billing.WhatIf{
		Window: billing.Window{From: billing.TimeOf(trial.From), To: billing.TimeOf(trial.To)}, By: by, Now: s.service.Now(),
	}
	if what.Org, err = s.organizationID(ctx, trial.Organization); err != nil {
		return RateCardTrialResult{}, err
	}
	for i := range further {
		add, err := s.newCard(ctx, &further[i])
		if err != nil {
			return RateCardTrialResult{}, err
		}
		what.Cards = append(what.Cards, add)
	}
	return what.Run(ctx, s.store)
}

// ParseRateCards reads rate cards from JSON: an object, an array of objects, or objects one after another. An object has the keys of the body
// of the operation setRateCard, and may have the slug of an organization under the key organization. ParseRateCards fails with
// ErrRateCardInvalid.
func ParseRateCards(text []byte) (cards []RateCardOptions, err error) {
	// Keys that come twice are for the decoder of a card to refuse.
	dec := jsontext.NewDecoder(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))), jsontext.AllowDuplicateNames(true))
	inArray := false
	for {
		switch kind := dec.PeekKind(); {
		case kind == '[' && len(cards) == 0 && !inArray:
			inArray = true
			_, _ = dec.ReadToken() // it was peeked at
			continue
		case kind == ']' && inArray:
			_, _ = dec.ReadToken() // it was peeked at
			if dec.PeekKind() != 0 {
				return nil, billing.Faultf(ErrRateCardInvalid, "there is something after the list of rate cards")
			}
		}
		value, err := dec.ReadValue()
		switch {
		case errors.Is(err, io.EOF) && len(cards) > 0:
			return cards, nil
		case errors.Is(err, io.EOF):
			return nil, billing.Faultf(ErrRateCardInvalid, "there is no rate card")
		case err != nil:
			return nil, billing.Faultf(ErrRateCardInvalid, "the rate cards are not valid JSON: %s", strings.TrimPrefix(err.Error(), "jsontext: "))
		}
		card, err := parseRateCard(value)
		if err != nil {
			return nil, billing.Faultf(ErrRateCardInvalid, "rate card %d: %w", len(cards)+1, err)
		}
		cards = append(cards, card)
	}
}

// keyOrganization is the key of a rate card that the path has in a request.
var keyOrganization = func() string {
	field, _ := reflect.TypeFor[gen.RateCard]().FieldByName("Organization")
	key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return key
}()

func parseRateCard(object jsontext.Value) (options RateCardOptions, err error) {
	body := object
	if object.Kind() == '{' {
		if options.Organization, body, err = withoutOrganization(object); err != nil {
			return options, err
		}
	}
	var card gen.SetRateCardRequest
	if err := httpserver.DecodeBody(body, &card); err != nil {
		return options, err
	}
	return RateCardOptions{
		Organization: options.Organization, CPUCount: card.CPUCount, MemoryGB: card.MemoryGB, DiskGB: card.DiskGB,
		LabelKey: card.LabelKey, LabelValue: card.LabelValue, CPUMicrocents: card.CPUMicrocents, MemoryGBMicrocents: card.MemoryGBMicrocents,
		DiskGBMicrocents: card.DiskGBMicrocents, Name: card.Name, EffectiveFrom: card.EffectiveFrom, AllowPast: false,
	}, nil
}

// withoutOrganization splits an object into the slug of the organization, empty for none, and the other keys.
func withoutOrganization(object jsontext.Value) (slug string, rest jsontext.Value, err error) {
	var out bytes.Buffer
	in := jsontext.NewDecoder(bytes.NewReader(object), jsontext.AllowDuplicateNames(true))
	enc := jsontext.NewEncoder(&out, jsontext.AllowDuplicateNames(true))
	for found := false; ; {
		token, err := in.ReadToken()
		if errors.Is(err, io.EOF) {
			return slug, out.Bytes(), nil
		}
		if err != nil {
			return "", nil, err
		}
		if in.StackDepth() == 1 && token.Kind() == '"' && token.String() == keyOrganization && isKey(in) {
			value, err := in.ReadToken()
			switch {
			case err != nil:
				return "", nil, err
			case found:
				return "", nil, errors.New("organization: comes twice")
			case value.Kind() == '"' && value.String() != "":
				slug = value.String()
			case value.Kind() != 'n':
				return "", nil, errors.New("organization: must be the slug of an organization")
			}
			found = true
			continue
		}
		if err := enc.WriteToken(token); err != nil {
			return "", nil, err
		}
	}
}

// isKey reports whether the decoder has just read a key of an object.
func isKey(dec *jsontext.Decoder) bool {
	kind, length := dec.StackIndex(dec.StackDepth())
	return kind == '{' && length%2 == 1
}

// newCard converts the options of a card. It fails with ErrOrganizationNotFound.
func (s *Server) newCard(ctx context.Context, options *RateCardOptions) (billing.NewCard, error) {
	org, err := s.organizationID(ctx, options.Organization)
	return billing.NewCard{
		Card: billing.RateCard{
			OrgID: org, Name: options.Name, CPUCount: options.CPUCount, MemoryGB: options.MemoryGB, DiskGB: options.DiskGB,
			LabelKey: options.LabelKey, LabelValue: options.LabelValue, CPUMicrocents: options.CPUMicrocents,
			MemoryGBMicrocents: options.MemoryGBMicrocents, DiskGBMicrocents: options.DiskGBMicrocents,
		},
		EffectiveFrom: models.FromTime(options.EffectiveFrom), Backdated: options.AllowPast,
	}, err
}

// organizationID returns the id of the organization with the slug, nil if the slug is empty. It fails with ErrOrganizationNotFound.
func (s *Server) organizationID(ctx context.Context, slug string) (*billing.ID, error) {
	if slug == "" {
		return nil, nil //nolint:nilnil // no organization stands for all
	}
	org, err := s.service.OrganizationBySlug(ctx, slug)
	if errors.Is(err, ErrOrganizationNotFound) {
		err = billing.Faultf(ErrOrganizationNotFound, "there is no organization %q", slug)
	}
	return &org.ID, err
}

// toRateCard converts a card of the books for the organization with the slug, empty for all.
func toRateCard(cards *billing.RateCards, c *billing.RateCard, slug string, now billing.Time) RateCard {
	return RateCard{
		ID: c.ID.String(), Name: c.Name, Organization: slug, CPUCount: c.CPUCount, MemoryGB: c.MemoryGB, DiskGB: c.DiskGB,
		LabelKey: c.LabelKey, LabelValue: c.LabelValue, CPUMicrocents: c.CPUMicrocents, MemoryGBMicrocents: c.MemoryGBMicrocents,
		DiskGBMicrocents: c.DiskGBMicrocents, EffectiveFrom: c.EffectiveFrom.Std(), CreatedAt: c.CreatedAt.Std(), State: cards.State(c, now),
	}
}

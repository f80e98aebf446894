package billing

import (
	"cmp"
	"crypto/sha256"
	"math"
	"slices"
	"sort"
	"unicode/utf8"
)

// RateCard is a list of prices. It applies to leases that start at EffectiveFrom or later, of one organization or of all organizations. A
// card may apply only to machines of one shape, only to leases with one label, or only to both together. Cards are added and never change.
type RateCard struct {
	ID                 ID      // made of the values below, so that it proves them; see Identify
	Seq                int64   // 1, 2, 3 … in the order in which the database has got its cards
	ImportedAt         *Time   // when it was imported into books that had leases; such a card bills only imported leases that name it
	OrgID              *ID     // nil: all organizations
	CPUCount           *int64  // with MemoryGB and DiskGB, the shape of the machines; nil: every shape
	MemoryGB           *int64  // nil like CPUCount
	DiskGB             *int64  // nil like CPUCount
	LabelKey           *string // with LabelValue, a label of the leases; nil: any labels
	LabelValue         *string // nil like LabelKey
	EffectiveFrom      Time    // leases that start at this time or later
	CPUMicrocents      *int64  // the price of one CPU for one second, in micro-cents; nil for a card that ends the earlier cards with the same selector
	MemoryGBMicrocents *int64  // the price of one gigabyte of memory for one second; nil like CPUMicrocents
	DiskGBMicrocents   *int64  // the price of one gigabyte of disk for one second; nil like CPUMicrocents
	Name               string
	CreatedAt          Time
	IdempotencyKey     *string // of the request that added it
}

// Rates returns the prices of the card, nil if it ends the cards before it.
func (c *RateCard) Rates() *Rates {
	if c.CPUMicrocents == nil || c.MemoryGBMicrocents == nil || c.DiskGBMicrocents == nil {
		return nil
	}
	return &Rates{CPU: *c.CPUMicrocents, MemoryGB: *c.MemoryGBMicrocents, DiskGB: *c.DiskGBMicrocents}
}

// SetRates sets the prices of the card.
func (c *RateCard) SetRates(r Rates) {
	c.CPUMicrocents, c.MemoryGBMicrocents, c.DiskGBMicrocents = &r.CPU, &r.MemoryGB, &r.DiskGB
}

// Identify returns the id of the card: the first 16 bytes of the SHA-256 of its form, as a UUID of version 8. A lease names its card by
// this id, and the digest of a ledger covers the lease. A kept digest therefore proves the prices as well.
func (c *RateCard) Identify() (id ID) {
	const idFields = 3 // the number of fields before the contents: the id, and two values that differ between databases
	sum := sha256.Sum256(appendFields([]byte{formVersion, formRateCard}, RateCardFields[idFields:], c))
	copy(id[:], sum[:])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

// selector says which leases a card is for. Zero values stand for all.
type selector struct {
	org                  ID
	shape                [3]int64 // CPUs, gigabytes of memory and of disk
	labelKey, labelValue string
}

func (c *RateCard) selector() (s selector) {
	if c.OrgID != nil {
		s.org = *c.OrgID
	}
	if c.CPUCount != nil && c.MemoryGB != nil && c.DiskGB != nil {
		s.shape = [3]int64{*c.CPUCount, *c.MemoryGB, *c.DiskGB}
	}
	if c.LabelKey != nil && c.LabelValue != nil {
		s.labelKey, s.labelValue = *c.LabelKey, *c.LabelValue
	}
	return s
}

// General reports whether the card is for all leases of all organizations.
func (c *RateCard) General() bool { return c.selector() == selector{} }

// validate checks the bounds of a card. It fails with ErrRateCardInvalid.
func (c *RateCard) validate() error {
	invalid := func(format string, args ...any) error { return Faultf(ErrRateCardInvalid, format, args...) }
	for _, count := range []struct {
		name    string
		value   *int64
		maximum int64
	}{
		{"cpu_count", c.CPUCount, SetRateCardRequestCPUCountMaximum}, {"memory_gb", c.MemoryGB, SetRateCardRequestMemoryGBMaximum},
		{"disk_gb", c.DiskGB, SetRateCardRequestDiskGBMaximum},
	} {
		switch {
		case (count.value == nil) != (c.CPUCount == nil):
			return invalid("cpu_count, memory_gb and disk_gb must be given together")
		case count.value != nil && (*count.value < 1 || *count.value > count.maximum):
			return invalid("%s must be 1 to %d", count.name, count.maximum)
		}
	}
	for _, price := range []struct {
		name    string
		value   *int64
		maximum int64
	}{
		{"cpu_microcents", c.CPUMicrocents, SetRateCardRequestCPUMicrocentsMaximum},
		{"memory_gb_microcents", c.MemoryGBMicrocents, SetRateCardRequestMemoryGBMicrocentsMaximum},
		{"disk_gb_microcents", c.DiskGBMicrocents, SetRateCardRequestDiskGBMicrocentsMaximum},
	} {
		switch {
		case (price.value == nil) != (c.CPUMicrocents == nil):
			return invalid("cpu_microcents, memory_gb_microcents and disk_gb_microcents must be given together")
		case price.value != nil && (*price.value < 0 || *price.value > price.maximum):
			return invalid("%s must be 0 to %d", price.name, price.maximum)
		}
	}
	if (c.LabelKey == nil) != (c.LabelValue == nil) {
		return invalid("label_key and label_value must be given together")
	}
	if c.LabelKey != nil {
		if err := checkLabel(*c.LabelKey, *c.LabelValue); err != nil {
			return invalid("label: %w", err)
		}
	}
	if n := utf8.RuneCountInString(c.Name); n < 1 {
		return invalid("name must have 1 to %d characters", SetRateCardRequestNameMaxLength)
	}
	if err := checkText("name", &c.Name, SetRateCardRequestNameMaxLength); err != nil {
		return invalid("%w", err)
	}
	switch {
	case c.EffectiveFrom < 0 || c.EffectiveFrom > maxTime:
		return invalid("effective_from must be in the years 1970 to 9999")
	case c.CPUMicrocents == nil && c.General():
		return invalid("a card for all leases must have prices")
	}
	if c.IdempotencyKey != nil {
		return checkIdempotencyKey(*c.IdempotencyKey)
	}
	return nil
}

// RateCards are all cards of a database. They do not change, and may be used by several goroutines.
type RateCards struct {
	list       []RateCard // by Seq
	byID       map[ID]*RateCard
	bySelector map[selector][]*RateCard // by EffectiveFrom and then by Seq
}

// NewRateCards takes the cards of a database in the order of their Seq.
func NewRateCards(list []RateCard) *RateCards {
	cards := &RateCards{list: list, byID: make(map[ID]*RateCard, len(list)), bySelector: map[selector][]*RateCard{}}
	for i := range list {
		c := &list[i]
		cards.byID[c.ID] = c
		if c.ImportedAt != nil {
			continue
		}
		cards.bySelector[c.selector()] = append(cards.bySelector[c.selector()], c)
	}
	for _, same := range cards.bySelector {
		slices.SortFunc(same, (*RateCard).compare)
	}
	return cards
}

// compare orders cards with the same selector by EffectiveFrom. If two cards have the same EffectiveFrom, the card that was added later
// comes later, and so is in force.
func (c *RateCard) compare(other *RateCard) int {
	return cmp.Or(cmp.Compare(c.EffectiveFrom, other.EffectiveFrom), cmp.Compare(c.Seq, other.Seq))
}

// All returns the cards in the order of their Seq. The caller must not change them.
func (c *RateCards) All() []RateCard { return c.list }

// Newest returns the id of the card that was added last, and the zero id if there is none.
func (c *RateCards) Newest() ID {
	if len(c.list) == 0 {
		return ID{}
	}
	return c.list[len(c.list)-1].ID
}

// ByID returns the card with the id, nil if there is none.
func (c *RateCards) ByID(id ID) *RateCard { return c.byID[id] }

// For returns the card that bills a lease of the organization: of the cards in force when the lease started the most specific one. A card
// of the organization comes before one for all, then a card for a label before one for any labels, then a card for a shape before one for
// every shape. Of several labels, that of the latest card counts. It returns nil if there is no card.
func (c *RateCards) For(org ID, l *Lease) *RateCard {
	shape := [3]int64{l.CPUCount, l.MemoryGB, l.DiskGB}
	labels := labelsOf(l)
	for _, owner := range [...]ID{org, {}} {
		for _, machines := range [...][3]int64{shape, {}} {
			var latest *RateCard
			for key, value := range labels {
				if card := c.inForce(selector{owner, machines, key, value}, l.StartedAt); card != nil && (latest == nil || latest.compare(card) < 0) {
					latest = card
				}
			}
			if latest != nil {
				return latest
			}
		}
		for _, machines := range [...][3]int64{shape, {}} {
			if card := c.inForce(selector{owner, machines, "", ""}, l.StartedAt); card != nil {
				return card
			}
		}
	}
	return nil
}

// inForce returns the card with the selector that is in force at the time, nil if there is none or it has ended.
func (c *RateCards) inForce(s selector, at Time) *RateCard {
	same := c.bySelector[s]
	n := sort.Search(len(same), func(i int) bool { return same[i].EffectiveFrom > at })
	if n == 0 || same[n-1].Rates() == nil {
		return nil
	}
	return same[n-1]
}

// In returns the card that gave, or gives, the amount of a billed lease of the organization. It is the card that the lease names. A lease
// that names none was billed before the books had cards, or by another system; it is taken to be billed by the card in force when it
// started, if this card gives its amount. In returns nil if the lease runs, or was priced elsewhere.
func (c *RateCards) In(org ID, l *Lease) *RateCard {
	switch {
	case l.AmountCents == nil:
		return nil
	case l.CardID != nil:
		return c.byID[*l.CardID]
	}
	if card := c.For(org, l); card != nil && card.Gives(l) {
		return card
	}
	return nil
}

// Gives reports whether the prices of the card give the amount of a billed lease.
func (c *RateCard) Gives(l *Lease) bool {
	rates := c.Rates()
	if rates == nil {
		return false
	}
	cost, err := rates.Cost(l.CPUCount, l.MemoryGB, l.DiskGB, *l.DurationSeconds)
	return err == nil && cost == -*l.AmountCents
}

// CheckPrice checks that the card which a billed lease of the organization names exists, is for such leases, was effective when the lease
// started, and gives its amount. A lease without a card passes. It fails with ErrLeaseInvalid.
func (c *RateCards) CheckPrice(org ID, l *Lease) error {
	if l.CardID == nil {
		return nil
	}
	card := c.byID[*l.CardID]
	switch {
	case card == nil:
		return Faultf(ErrLeaseInvalid, "the books have no rate card %s", l.CardID)
	case !card.isFor(org, l):
		return Faultf(ErrLeaseInvalid, "the rate card %s is not for this lease", l.CardID)
	case !card.Gives(l):
		return Faultf(ErrLeaseInvalid, "the rate card %s gives another amount than %d cents", l.CardID, *l.AmountCents)
	}
	return nil
}

// isFor reports whether the card is for a lease of the organization, and effective when the lease started.
func (c *RateCard) isFor(org ID, l *Lease) bool {
	s := c.selector()
	value, labelled := labelsOf(l)[s.labelKey]
	return (s.org == ID{} || s.org == org) && (s.shape == [3]int64{} || s.shape == [3]int64{l.CPUCount, l.MemoryGB, l.DiskGB}) &&
		(s.labelKey == "" || labelled && value == s.labelValue) && c.EffectiveFrom <= l.StartedAt
}

// Add returns the card as it is to be stored now, or the card that an earlier call with the same idempotency key and contents has added. A
// card without a time is effective from now on. If backdated is false, one that is effective earlier is refused: leases that started
// since may be billed. Add fails with ErrRateCardInvalid and ErrKeyReused.
func (c *RateCards) Add(card RateCard, effectiveFrom *Time, backdated bool, now Time) (added RateCard, known bool, err error) {
	if old := c.byKey(card.OrgID, card.IdempotencyKey); old != nil {
		again := card
		again.EffectiveFrom, again.CreatedAt = old.CreatedAt, old.CreatedAt
		if effectiveFrom != nil {
			again.EffectiveFrom = *effectiveFrom
		}
		if again.Identify() != old.ID {
			return RateCard{}, false, Faultf(ErrKeyReused, "this Idempotency-Key was used with another body")
		}
		return *old, true, nil
	}
	card.CreatedAt = now
	if n := len(c.list); n > 0 {
		card.CreatedAt = max(now, c.list[n-1].CreatedAt+1)
	}
	card.EffectiveFrom = card.CreatedAt
	if effectiveFrom != nil {
		card.EffectiveFrom = *effectiveFrom
	}
	if card.EffectiveFrom < now && !backdated {
		return RateCard{}, false, Faultf(ErrRateCardInvalid, "effective_from is in the past, and leases that are billed keep their prices")
	}
	added, err = c.put(card)
	return added, false, err
}

// byKey returns the card that was added under an idempotency key, nil if there is none.
func (c *RateCards) byKey(org *ID, key *string) *RateCard {
	i := slices.IndexFunc(c.list, func(old RateCard) bool {
		return key != nil && old.IdempotencyKey != nil && *old.IdempotencyKey == *key && equalIDs(old.OrgID, org)
	})
	if i < 0 {
		return nil
	}
	return &c.list[i]
}

// Import returns a card of other books in the form in which these books store it. A card without an id gets one. If these books have
// leases, the card bills only imported leases that name it, so that the import changes no price. Import fails with ErrRateCardInvalid.
func (c *RateCards) Import(card RateCard, hasLeases bool, now Time) (added RateCard, known bool, err error) {
	if given := card.ID; given != (ID{}) && given != card.Identify() {
		if card.OrgID != nil {
			return RateCard{}, false, Faultf(ErrRateCardInvalid, "the id is not that of a card with these contents, or the organization had another id there")
		}
		return RateCard{}, false, Faultf(ErrRateCardInvalid, "the id is not that of a card with these contents")
	}
	if old := c.byID[card.Identify()]; old != nil {
		return *old, true, nil
	}
	// Each later card is created after this one, and is effective from then on if it has no time of its own.
	if err := checkPast("created_at", card.CreatedAt, now); err != nil {
		return RateCard{}, false, Faultf(ErrRateCardInvalid, "%w", err)
	}
	if hasLeases {
		card.ImportedAt = &now
	}
	added, err = c.put(card)
	return added, false, err
}

// put checks a new card, and gives it its place and its id.
func (c *RateCards) put(card RateCard) (RateCard, error) {
	if err := card.validate(); err != nil {
		return RateCard{}, err
	}
	owned := 0
	for i := range c.list {
		if equalIDs(c.list[i].OrgID, card.OrgID) {
			owned++
		}
	}
	if owned >= MaxRateCards {
		return RateCard{}, Faultf(ErrRateCardInvalid, "there are %d rate cards, which is the most that one organization, and all together, may have", owned)
	}
	card.Seq, card.ID = 1, card.Identify()
	if n := len(c.list); n > 0 {
		if c.list[n-1].Seq == math.MaxInt64 {
			return RateCard{}, errOverflow
		}
		card.Seq = c.list[n-1].Seq + 1
	}
	return card, nil
}

func equalIDs(a, b *ID) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

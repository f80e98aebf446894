package billing

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

// EntryDetail is an entry of the ledger with its source.
type EntryDetail struct {
	Entry Entry
	Lease *Lease    // the lease that a debit bills; nil if the entry names no lease
	Cost  *Cost     // nil without a lease, and if the lease was priced elsewhere
	Card  *RateCard // with the prices of the Cost
}

// Cost is the arithmetic of the cost of one lease.
type Cost struct {
	Seconds    int64 // that were billed
	CPU        ResourceCost
	MemoryGB   ResourceCost
	DiskGB     ResourceCost
	PerSecond  int64 // micro-cents of the machine for one second
	MicroCents int64 // the sum over the resources
	Cents      int64 // the sum rounded down
}

// ResourceCost is the cost of one resource of a machine.
type ResourceCost struct {
	Count      int64 // CPUs or gigabytes
	Rate       int64 // micro-cents for one of them and one second
	MicroCents int64 // count × rate × seconds
}

// Explain returns the arithmetic of the cost of a finished lease at these rates. It returns nil if the lease runs, or a part of the arithmetic
// exceeds an int64.
func (r Rates) Explain(l *Lease) *Cost {
	if l.DurationSeconds == nil {
		return nil
	}
	c := &Cost{
		Seconds: *l.DurationSeconds,
		CPU:     ResourceCost{Count: l.CPUCount, Rate: r.CPU}, MemoryGB: ResourceCost{Count: l.MemoryGB, Rate: r.MemoryGB},
		DiskGB: ResourceCost{Count: l.DiskGB, Rate: r.DiskGB},
	}
	for _, part := range []*ResourceCost{&c.CPU, &c.MemoryGB, &c.DiskGB} {
		perSecond, ok := multiply(part.Count, part.Rate)
		if !ok {
			return nil
		}
		if part.MicroCents, ok = multiply(perSecond, c.Seconds); !ok {
			return nil
		}
		var err error
		if c.PerSecond, err = add(c.PerSecond, perSecond); err != nil {
			return nil
		}
		if c.MicroCents, err = add(c.MicroCents, part.MicroCents); err != nil {
			return nil
		}
	}
	c.Cents = c.MicroCents / microCents
	return c
}

// Explain returns the card that gave the amount of a billed lease of the organization, and the arithmetic. Both are nil if the lease runs, or
// was priced elsewhere.
func (c *RateCards) Explain(org ID, l *Lease) (*RateCard, *Cost) {
	card := c.In(org, l)
	if card == nil || card.Rates() == nil {
		return nil, nil
	}
	cost := card.Rates().Explain(l)
	if cost == nil || cost.Cents != -*l.AmountCents {
		return nil, nil
	}
	return card, cost
}

// multiply multiplies two numbers that are not negative, and reports whether the product fits.
func multiply(a, b int64) (product int64, ok bool) {
	high, low := bits.Mul64(uint64(a), uint64(b))
	return int64(low), high == 0 && low <= math.MaxInt64
}

// Transaction returns an entry of the organization's ledger. It fails with ErrEntryNotFound.
func (s *Service) Transaction(ctx context.Context, org, id ID) (EntryDetail, error) {
	entry, lease, err := s.ledger.Entry(ctx, org, id)
	if err != nil {
		return EntryDetail{}, err
	}
	detail := EntryDetail{Entry: entry, Lease: lease}
	if lease == nil {
		return detail, nil
	}
	cards, err := s.directory.RateCards(ctx)
	if err != nil {
		return EntryDetail{}, err
	}
	if detail.Card, detail.Cost = cards.Explain(org, lease); detail.Card != nil {
		lease.CardID = &detail.Card.ID
	}
	return detail, nil
}

// LeaseState says whether a lease has finished.
type LeaseState string

// The states of a lease.
const (
	LeaseStateRunning LeaseState = "running"
	LeaseStateBilled  LeaseState = "billed"
)

// State returns the state of the lease.
func (l *Lease) State() LeaseState {
	if l.FinishedAt == nil {
		return LeaseStateRunning
	}
	return LeaseStateBilled
}

// LeaseFilter selects leases. A field that is not set selects all.
type LeaseFilter struct {
	State   LeaseState
	LeaseID *ID
	JobID   *ID
}

// LeaseRecord is a stored lease, and the entry that bills it, nil while the lease runs. In a list of a Service, the lease names the card that
// gave its amount also if it was billed before the books had cards, and a running lease has what it has cost so far.
type LeaseRecord struct {
	Lease        Lease
	EntryID      *ID
	AccruedCents *int64 // negative or 0; nil for a billed lease, and where there is no price
}

// Accrued returns the debit that would bill a running lease if it finished now. It returns nil for a billed lease, and if the debit exceeds
// an int64.
func (r Rates) Accrued(l *Lease, now Time) *int64 {
	if l.State() != LeaseStateRunning {
		return nil
	}
	seconds := min(max((now-l.StartedAt)/Second, 0), LeaseDurationSecondsMaximum)
	cents, err := r.Cost(l.CPUCount, l.MemoryGB, l.DiskGB, int64(seconds))
	if err != nil {
		return nil
	}
	return new(-cents)
}

// accrued returns the debit that would bill a running lease of the organization if it finished now.
func (c *RateCards) accrued(org ID, l *Lease, now Time) *int64 {
	card := c.For(org, l)
	if card == nil {
		return nil
	}
	return card.Rates().Accrued(l, now)
}

// LeasePlace is a place in the list of leases, which is ordered by start and then by id, latest first.
type LeasePlace struct {
	StartedAt Time
	ID        ID
}

// endOfLeases is a place after every lease.
var endOfLeases = LeasePlace{math.MaxInt64, ID(bytes.Repeat([]byte{0xff}, len(ID{})))}

const leaseList = "leases"

// Leases returns a page of the leases that the filter selects, latest start first. It fails with ErrCursorInvalid.
func (s *Service) Leases(ctx context.Context, org ID, filter LeaseFilter, limit *int64, cursor *string) (Page[LeaseRecord], error) {
	scope := filter.scope(org)
	before := endOfLeases
	if cursor != nil {
		place, err := DecodeCursor(leaseList, scope, *cursor)
		if err != nil {
			return Page[LeaseRecord]{}, err
		}
		if len(place) != 8+len(ID{}) {
			return Page[LeaseRecord]{}, errCursor
		}
		before = LeasePlace{Time(binary.BigEndian.Uint64(place)), ID(place[8:])}
	}
	size := clamp(limit, ListBillingLeasesLimitClampMinimum, ListBillingLeasesLimitClampMaximum, ListBillingLeasesLimitDefault)
	leases, err := s.ledger.RecordedLeases(ctx, org, filter, before, size+1)
	if err != nil {
		return Page[LeaseRecord]{}, err
	}
	cards, err := s.directory.RateCards(ctx)
	if err != nil {
		return Page[LeaseRecord]{}, err
	}
	now := s.Now()
	for i := range leases {
		if card := cards.In(org, &leases[i].Lease); card != nil {
			leases[i].Lease.CardID = &card.ID
		}
		leases[i].AccruedCents = cards.accrued(org, &leases[i].Lease, now)
	}
	page := Page[LeaseRecord]{Items: leases}
	if len(leases) > size {
		page.Items = leases[:size]
		last := leases[size-1].Lease
		next := EncodeCursor(leaseList, scope, append(binary.BigEndian.AppendUint64(nil, uint64(last.StartedAt)), last.ID[:]...))
		page.Next = &next
	}
	return page, nil
}

// scope binds a cursor to the organization and to the filter.
func (f LeaseFilter) scope(org ID) []byte {
	scope := slices.Concat(org[:], []byte(f.State))
	for _, id := range []*ID{f.LeaseID, f.JobID} {
		scope = append(scope, 0)
		if id != nil {
			scope = append(scope, id[:]...)
		}
	}
	return scope
}

package billing

import (
	"errors"
	"reflect"
	"time"
	"unicode/utf8"
)

// LeaseStatus is the outcome of a report about a lease.
type LeaseStatus string

// The outcomes of a report.
const (
	LeaseRunning   LeaseStatus = "running"   // recorded, not finished
	LeaseBilled    LeaseStatus = "billed"    // finished, and debited by this operation
	LeaseDuplicate LeaseStatus = "duplicate" // already recorded with the same contents
)

// RecordedLease is the outcome of recording one lease.
type RecordedLease struct {
	ID          ID
	Status      LeaseStatus
	AmountCents int64 // the debit, negative or 0; 0 while the lease runs
}

// RecordLeases records leases and bills the finished ones.
type RecordLeases struct {
	Leases []Lease // normalized

	Results []RecordedLease // one for each lease, once applied
}

// Needs implements Operation.
func (op *RecordLeases) Needs() Needs {
	needs := Needs{Leases: make([]ID, 0, len(op.Leases)), Jobs: make([]ID, 0, len(op.Leases))}
	for _, l := range op.Leases {
		needs.addLease(l)
	}
	return needs
}

func (n *Needs) addLease(l Lease) {
	if l.ID != nil {
		n.Leases = append(n.Leases, *l.ID)
	}
	if l.JobID != nil {
		n.Jobs = append(n.Jobs, *l.JobID)
	}
}

// Apply implements Operation.
func (op *RecordLeases) Apply(b *Book) error {
	for i, l := range op.Leases { // before any conflict is reported
		if err := b.checkSize(l); err != nil {
			return atLease(i, err)
		}
	}
	op.Results = make([]RecordedLease, 0, len(op.Leases))
	for i, l := range op.Leases {
		result, err := b.record(l)
		if err != nil {
			return atLease(i, err)
		}
		op.Results = append(op.Results, result)
	}
	return nil
}

// atLease adds the place in the request to a fault, keeping its kind.
func atLease(i int, err error) error {
	if fault, ok := errors.AsType[*Fault](err); ok {
		return Faultf(fault.Kind, "leases[%d]: %w", i, fault.detail)
	}
	return err
}

// Admit returns the lease that a report makes of the stored one, which is nil if the report is the first. If this changes nothing, the
// report is a duplicate. It fails with ErrLeaseConflict.
func Admit(stored *Lease, report Lease) (admitted Lease, duplicate bool, err error) {
	if stored == nil {
		if report.ID == nil {
			id := NewID()
			report.ID = &id
		}
		return report, false, nil
	}
	merged, err := stored.merge(report)
	if err != nil {
		return Lease{}, false, err
	}
	return merged, merged == *stored, nil
}

// admit admits a report to the books.
func (b *Book) admit(report Lease) (admitted Lease, duplicate bool, err error) {
	stored, known, err := b.findLease(report)
	switch {
	case err != nil:
		return Lease{}, false, err
	case !known:
		return Admit(nil, report)
	}
	return Admit(&stored, report)
}

// Record returns the lease that a report makes of the stored one, which is nil if the report is the first, and the outcome. A lease that has
// finished has its cost. It fails with ErrLeaseConflict and ErrLeaseInvalid.
func Record(stored *Lease, report Lease, rates Rates) (Lease, RecordedLease, error) {
	l, duplicate, err := Admit(stored, report)
	if err != nil {
		return Lease{}, RecordedLease{}, err
	}
	return bill(l, duplicate, rates)
}

// bill computes the cost of a lease that has been admitted.
func bill(l Lease, duplicate bool, rates Rates) (Lease, RecordedLease, error) {
	if duplicate {
		result := RecordedLease{ID: *l.ID, Status: LeaseDuplicate}
		if l.AmountCents != nil {
			result.AmountCents = *l.AmountCents
		}
		return l, result, nil
	}
	if l.FinishedAt == nil {
		return l, RecordedLease{ID: *l.ID, Status: LeaseRunning}, nil
	}
	cost, err := rates.Cost(l.CPUCount, l.MemoryGB, l.DiskGB, *l.DurationSeconds)
	if err != nil {
		return Lease{}, RecordedLease{}, Faultf(ErrLeaseInvalid, "%w", err)
	}
	amount := -cost
	l.AmountCents = &amount
	return l, RecordedLease{ID: *l.ID, Status: LeaseBilled, AmountCents: amount}, nil
}

// checkSize checks that the counts of a lease are within the bounds of the contract, or are those with which it is recorded: an earlier
// version had other bounds, and such a lease has to be billed, too.
func (b *Book) checkSize(l Lease) error {
	err := l.checkNewCounts()
	if err == nil {
		return nil
	}
	stored, known, _ := b.findLease(l)
	if known && stored.CPUCount == l.CPUCount && stored.MemoryGB == l.MemoryGB && stored.DiskGB == l.DiskGB {
		return nil
	}
	return err
}

// errNoRateCard is the failure of a lease in books that no server has given their first card.
var errNoRateCard = errors.New("the books have no rate card for all leases")

// record records one lease. A lease that has finished is billed by its rate card.
func (b *Book) record(report Lease) (RecordedLease, error) {
	l, duplicate, err := b.admit(report)
	if err != nil {
		return RecordedLease{}, err
	}
	var rates Rates
	if l.FinishedAt != nil && !duplicate {
		card := b.cards.For(b.org, &l)
		if card == nil {
			return RecordedLease{}, errNoRateCard
		}
		rates, l.CardID = *card.Rates(), &card.ID
	}
	l, result, err := bill(l, duplicate, rates)
	if err != nil || duplicate {
		return result, err
	}
	b.putLease(l)
	if result.Status == LeaseRunning {
		return result, nil
	}
	if err := b.count(l); err != nil {
		return RecordedLease{}, err
	}
	_, err = b.append(Entry{
		ID: NewID(), AmountCents: *l.AmountCents, Source: SourceVMLeaseDebit, Description: l.Describe(), LeaseID: l.ID,
		CreatedAt: b.nextTime(),
	})
	if err != nil {
		return RecordedLease{}, Faultf(ErrLeaseInvalid, "%w", err)
	}
	return result, nil
}

// PostCredit appends one credit.
type PostCredit struct {
	AmountCents    int64
	Source         Source
	Description    *string
	Author         *string // the name of the token that posts it; nil if it is not known
	IdempotencyKey string

	Entry    Entry // the credit, once applied
	Replayed bool  // whether it was there before
}

func checkIdempotencyKey(key string) error {
	if n := utf8.RuneCountInString(key); n < PostCreditIdempotencyKeyMinLength || n > PostCreditIdempotencyKeyMaxLength {
		return Faultf(ErrInvalid, "the idempotency key must have %d to %d characters", PostCreditIdempotencyKeyMinLength, PostCreditIdempotencyKeyMaxLength)
	}
	if err := checkText("the idempotency key", &key, PostCreditIdempotencyKeyMaxLength); err != nil {
		return Faultf(ErrInvalid, "%w", err)
	}
	return nil
}

// Validate checks the bounds of the credit.
func (op *PostCredit) Validate() error {
	if err := checkIdempotencyKey(op.IdempotencyKey); err != nil {
		return err
	}
	switch {
	case op.AmountCents < PostCreditRequestAmountCentsMinimum || op.AmountCents > PostCreditRequestAmountCentsMaximum:
		return Faultf(ErrAmountInvalid, "amount_cents must be %d to %d", PostCreditRequestAmountCentsMinimum, PostCreditRequestAmountCentsMaximum)
	case op.Source != SourceAdminGrant && op.Source != SourceRefund:
		return Faultf(ErrInvalid, "source must be %s or %s", SourceAdminGrant, SourceRefund)
	}
	if op.Author != nil {
		if err := checkName("author", *op.Author); err != nil {
			return err
		}
	}
	if err := checkText("description", op.Description, PostCreditRequestDescriptionMaxLength); err != nil {
		return Faultf(ErrInvalid, "%w", err)
	}
	return nil
}

// Needs implements Operation.
func (op *PostCredit) Needs() Needs { return Needs{IdempotencyKeys: []string{op.IdempotencyKey}} }

// Apply implements Operation.
func (op *PostCredit) Apply(b *Book) (err error) {
	entry := Entry{
		AmountCents: op.AmountCents, Source: op.Source, Description: op.Description, Author: op.Author,
		IdempotencyKey: &op.IdempotencyKey,
	}
	if id, used := b.keys[op.IdempotencyKey]; used {
		stored := b.entries[id]
		if !stored.sameCredit(entry) {
			return Faultf(ErrKeyReused, "this Idempotency-Key was used with another body")
		}
		op.Entry, op.Replayed = stored, true
		return nil
	}
	entry.ID, entry.CreatedAt = NewID(), b.nextTime()
	if op.Entry, err = b.append(entry); err != nil {
		return Faultf(ErrAmountInvalid, "amount_cents: %w", err)
	}
	op.Replayed = false
	return nil
}

// sameCredit reports whether a request for a credit is the one that posted the entry. It may be repeated with another token.
func (e Entry) sameCredit(other Entry) bool {
	return e.AmountCents == other.AmountCents && e.Source == other.Source &&
		reflect.DeepEqual(e.Description, other.Description)
}

// ImportLease takes over one lease. If it has AmountCents, another system has billed it, and no entry is made for it; otherwise it is
// recorded as by RecordLeases.
type ImportLease struct {
	Lease Lease

	Duplicate       bool // whether nothing was done, once applied
	PricedElsewhere bool // whether the lease is new, and no rate card of the books gives its amount, once applied
}

// Validate checks the lease independently of the books, and computes a missing duration. It fails with ErrLeaseInvalid.
func (op *ImportLease) Validate() error {
	if amount := op.Lease.AmountCents; amount != nil {
		switch {
		case op.Lease.FinishedAt == nil:
			return Faultf(ErrLeaseInvalid, "amount_cents is given, but finished_at is not")
		case *amount > 0 || *amount < -billedMaxCents:
			return Faultf(ErrLeaseInvalid, "amount_cents of a lease is a debit and must be -%d to 0", billedMaxCents)
		}
		return op.Lease.normalizeBilled(TimeOf(time.Now()))
	}
	if op.Lease.CardID != nil {
		return Faultf(ErrLeaseInvalid, "card_id is given, but amount_cents is not")
	}
	if err := op.Lease.normalize(TimeOf(time.Now())); err != nil || op.Lease.FinishedAt == nil { // other books may have larger leases that are running
		return err
	}
	return op.Lease.checkNewCounts()
}

// Needs implements Operation.
func (op *ImportLease) Needs() (needs Needs) {
	needs.addLease(op.Lease)
	return needs
}

// Apply implements Operation.
func (op *ImportLease) Apply(b *Book) error {
	op.PricedElsewhere = false
	if op.Lease.AmountCents == nil {
		result, err := b.record(op.Lease)
		op.Duplicate = result.Status == LeaseDuplicate
		return err
	}
	l, duplicate, err := b.admit(op.Lease)
	op.Duplicate = duplicate
	if err != nil {
		return err
	}
	if duplicate {
		switch {
		case *l.AmountCents != *op.Lease.AmountCents:
			return Faultf(ErrLeaseConflict, "lease %s was billed %d cents, not %d", l.ID, *l.AmountCents, *op.Lease.AmountCents)
		case !equalIDs(l.CardID, op.Lease.CardID):
			return Faultf(ErrLeaseConflict, "lease %s was billed by another rate card", l.ID)
		}
		return nil
	}
	l.AmountCents, l.CardID = op.Lease.AmountCents, op.Lease.CardID
	if err := b.cards.CheckPrice(b.org, &l); err != nil {
		return err
	}
	op.PricedElsewhere = b.cards.In(b.org, &l) == nil
	b.putLease(l)
	return b.count(l)
}

// ImportEntry takes over an entry of another ledger, with its id and time. Only an entry of another system may be a debit without a
// lease.
type ImportEntry struct {
	Entry Entry

	Duplicate bool // whether nothing was done, once applied
}

// Validate checks the entry independently of the books.
func (op *ImportEntry) Validate() error {
	e := op.Entry
	switch {
	case !e.Source.valid():
		return Faultf(ErrInvalid, "source is not one of a ledger")
	case e.Source == SourceVMLeaseDebit && e.AmountCents > 0:
		return Faultf(ErrAmountInvalid, "amount_cents of a debit must not be above 0")
	case e.Source != SourceVMLeaseDebit && e.AmountCents <= 0:
		return Faultf(ErrAmountInvalid, "amount_cents of a credit must be above 0")
	case e.AmountCents < -billedMaxCents || e.AmountCents > billedMaxCents:
		return Faultf(ErrAmountInvalid, "amount_cents must be -%[1]d to %[1]d", billedMaxCents)
	case e.Source != SourceVMLeaseDebit && e.LeaseID != nil:
		return Faultf(ErrInvalid, "lease_id must be null for a credit")
	case e.Source == SourceVMLeaseDebit && e.Author != nil:
		return Faultf(ErrInvalid, "author must be null for a debit")
	}
	if e.Author != nil {
		if err := checkName("author", *e.Author); err != nil {
			return err
		}
	}
	// Every later entry is dated after the newest one.
	if err := checkPast("created_at", e.CreatedAt, TimeOf(time.Now())); err != nil {
		return Faultf(ErrInvalid, "%w", err)
	}
	if err := checkText("description", e.Description, PostCreditRequestDescriptionMaxLength); err != nil {
		return Faultf(ErrInvalid, "%w", err)
	}
	if e.IdempotencyKey != nil {
		return checkIdempotencyKey(*e.IdempotencyKey)
	}
	return nil
}

// Needs implements Operation.
func (op *ImportEntry) Needs() Needs {
	needs := Needs{Entries: []ID{op.Entry.ID}}
	if op.Entry.LeaseID != nil {
		needs.Leases = []ID{*op.Entry.LeaseID}
		needs.Debits = needs.Leases
	}
	if op.Entry.IdempotencyKey != nil {
		needs.IdempotencyKeys = []string{*op.Entry.IdempotencyKey}
	}
	return needs
}

// Apply implements Operation.
func (op *ImportEntry) Apply(b *Book) error {
	e := op.Entry
	if stored, known := b.entries[e.ID]; known {
		stored.Seq, stored.BalanceAfterCents, stored.Digest = e.Seq, e.BalanceAfterCents, e.Digest // they follow from its place
		if !reflect.DeepEqual(stored, e) {
			return Faultf(ErrEntryConflict, "entry %s is in the ledger with other contents", e.ID)
		}
		op.Duplicate = true
		return nil
	}
	op.Duplicate = false
	if b.Head.Seq > 0 && e.CreatedAt < b.Head.LastAt {
		return Faultf(ErrEntryConflict, "created_at is before the newest entry's, %s", b.Head.LastAt)
	}
	if e.IdempotencyKey != nil {
		if _, used := b.keys[*e.IdempotencyKey]; used {
			return Faultf(ErrKeyReused, "the idempotency key belongs to another entry")
		}
	}
	if e.LeaseID != nil {
		lease, known := b.leases[*e.LeaseID]
		debit, billed := b.debits[*e.LeaseID]
		switch {
		case !known || lease.AmountCents == nil:
			return Faultf(ErrEntryConflict, "lease %s is not recorded as billed", e.LeaseID)
		case billed:
			return Faultf(ErrEntryConflict, "lease %s is debited by entry %s", e.LeaseID, debit)
		case *lease.AmountCents != e.AmountCents:
			return Faultf(ErrEntryConflict, "lease %s was billed %d cents, not %d", e.LeaseID, *lease.AmountCents, e.AmountCents)
		}
	}
	if _, err := b.append(e); err != nil {
		return Faultf(ErrAmountInvalid, "amount_cents: %w", err)
	}
	return nil
}

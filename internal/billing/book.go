package billing

import (
	"fmt"
	"runtime/debug"
	"slices"
)

// Operation is a change to the books of one organization. It takes place as a whole or not at all. It reads the Book and nothing
// else, so that a store can load the rows that several operations need, apply the operations in memory, and write the changes
// in one transaction.
type Operation interface {
	// Needs names the stored rows that Apply must be able to see.
	Needs() Needs
	// Apply changes the book and keeps the result of the operation. If it fails, the caller undoes its changes of the book. A
	// store may apply an operation several times, each time to another book, so Apply must not depend on an earlier call.
	Apply(*Book) error
}

// Needs names stored rows by their keys. A row that does not exist is not loaded.
type Needs struct {
	Leases          []ID     // leases by lease id
	Jobs            []ID     // leases by job id
	Entries         []ID     // entries by their own id
	Debits          []ID     // entries by the lease that they bill
	IdempotencyKeys []string // entries by idempotency key
}

// Add adds the needs of another operation.
func (n *Needs) Add(other Needs) {
	n.Leases = append(n.Leases, other.Leases...)
	n.Jobs = append(n.Jobs, other.Jobs...)
	n.Entries = append(n.Entries, other.Entries...)
	n.Debits = append(n.Debits, other.Debits...)
	n.IdempotencyKeys = append(n.IdempotencyKeys, other.IdempotencyKeys...)
}

// Book has the rows of one organization that a batch of operations needs, and the changes of the operations.
type Book struct {
	Head Head

	org     ID
	now     Time
	cards   *RateCards
	leases  map[ID]Lease
	jobs    map[ID]ID // job id to lease id
	entries map[ID]Entry
	debits  map[ID]ID     // lease id to entry id
	keys    map[string]ID // idempotency key to entry id

	appended []Entry
	changed  []ID        // leases to write, in order of their first change
	stored   map[ID]bool // of these, whether they were stored before
	sums     map[Period]Usage
	undo     []func()
}

// NewBook opens the book of an organization at its head. New entries are dated now, or a microsecond after the newest entry where that is
// later. LoadRateCards follows.
func NewBook(org ID, head Head, now Time) *Book {
	return &Book{
		Head: head, org: org, now: now, cards: NewRateCards(nil),
		leases: map[ID]Lease{}, jobs: map[ID]ID{}, entries: map[ID]Entry{}, debits: map[ID]ID{}, keys: map[string]ID{},
		stored: map[ID]bool{}, sums: map[Period]Usage{},
	}
}

// LoadRateCards tells the book about the rate cards of the database, by which leases are billed.
func (b *Book) LoadRateCards(cards *RateCards) { b.cards = cards }

// LoadLease tells the book about a stored lease.
func (b *Book) LoadLease(l Lease) {
	b.leases[*l.ID] = l
	if l.JobID != nil {
		b.jobs[*l.JobID] = *l.ID
	}
}

// LoadEntry tells the book about a stored entry.
func (b *Book) LoadEntry(e Entry) {
	b.entries[e.ID] = e
	if e.LeaseID != nil {
		b.debits[*e.LeaseID] = e.ID
	}
	if e.IdempotencyKey != nil {
		b.keys[*e.IdempotencyKey] = e.ID
	}
}

// Apply applies an operation, or leaves the book as it was and returns the operation's error.
func (b *Book) Apply(op Operation) (err error) {
	b.undo = b.undo[:0]
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("an operation panicked: %v\n%s", cause, debug.Stack())
		}
		if err != nil {
			for _, undo := range slices.Backward(b.undo) {
				undo()
			}
		}
	}()
	return op.Apply(b)
}

// Changes are the rows that the operations have changed, each in its final state.
type Changes struct {
	Entries []Entry          // new, in order of Seq
	Leases  []Lease          // new
	Changed []Lease          // leases that are stored already
	Sums    map[Period]Usage // to add to the sums of each period
}

// Changes returns the changes of all operations, without the Head. They are empty if no operation has changed anything.
func (b *Book) Changes() Changes {
	c := Changes{Entries: b.appended, Sums: b.sums, Leases: make([]Lease, 0, len(b.changed))}
	for _, id := range b.changed {
		if b.stored[id] {
			c.Changed = append(c.Changed, b.leases[id])
		} else {
			c.Leases = append(c.Leases, b.leases[id])
		}
	}
	return c
}

// Appended returns how many entries the operations have appended.
func (b *Book) Appended() int64 { return int64(len(b.appended)) }

// Empty tells whether there is nothing to write.
func (c Changes) Empty() bool { return len(c.Entries)+len(c.Leases)+len(c.Changed) == 0 }

// findLease returns the stored lease with the key of l. It fails where the two ids of l belong to different leases.
func (b *Book) findLease(l Lease) (Lease, bool, error) {
	var byID, byJob Lease
	var hasID, hasJob bool
	if l.ID != nil {
		byID, hasID = b.leases[*l.ID]
	}
	if l.JobID != nil {
		if id, ok := b.jobs[*l.JobID]; ok {
			byJob, hasJob = b.leases[id], true
		}
	}
	switch {
	case hasJob && l.ID != nil && *byJob.ID != *l.ID:
		return Lease{}, false, Faultf(ErrLeaseConflict, "job %s is recorded as lease %s, not %s", l.JobID, byJob.ID, l.ID)
	case hasJob:
		return byJob, true, nil
	case hasID && (l.JobID != nil || byID.JobID != nil):
		return Lease{}, false, Faultf(ErrLeaseConflict, "lease %s is recorded with another job_id", l.ID)
	}
	return byID, hasID, nil
}

// putLease stores a new or changed lease.
func (b *Book) putLease(l Lease) {
	id := *l.ID
	before, existed := b.leases[id]
	_, changed := b.stored[id]
	b.undo = append(b.undo, func() {
		if existed {
			b.leases[id] = before
		} else {
			delete(b.leases, id)
			if l.JobID != nil {
				delete(b.jobs, *l.JobID)
			}
		}
		if !changed {
			delete(b.stored, id)
			b.changed = b.changed[:len(b.changed)-1]
		}
	})
	b.LoadLease(l)
	if !changed {
		b.stored[id] = existed
		b.changed = append(b.changed, id)
	}
}

// count adds a billed lease to the sums of its day, hour and minute and of the organization's lifetime. It fails where the cents of the
// lifetime overflow.
func (b *Book) count(l Lease) error {
	u, err := l.usage()
	if err != nil {
		return Faultf(ErrLeaseInvalid, "%w", err)
	}
	lifetime, err := b.Head.Lifetime.plus(u)
	if err != nil {
		return Faultf(ErrLeaseInvalid, "%w", err)
	}
	lifetimeBefore := b.Head.Lifetime
	b.undo = append(b.undo, func() { b.Head.Lifetime = lifetimeBefore })
	b.Head.Lifetime = lifetime
	for _, span := range Spans {
		period := Period{span, l.StartedAt.Floor(span)}
		before, counted := b.sums[period]
		b.undo = append(b.undo, func() {
			if counted {
				b.sums[period] = before
			} else {
				delete(b.sums, period)
			}
		})
		// The lifetime holds every period, so no period's cents overflow where the lifetime's did not.
		b.sums[period], _ = before.plus(u)
	}
	return nil
}

// nextTime is when an entry appended now is dated: later than the entry before it, by a microsecond where the clock has not
// moved on. So callers that sort entries by their dates get the order of the ledger.
func (b *Book) nextTime() Time {
	if b.Head.Seq == 0 {
		return b.now
	}
	return After(b.Head.LastAt, b.now)
}

// After returns the time of an entry that is made now and follows one of the time last: now, or later if the clock was ahead before.
func After(last, now Time) Time { return max(now, min(last+1, maxTime)) }

// append gives the entry its place at the end of the ledger. The book has the lease that the entry bills. It fails where the balance would overflow.
func (b *Book) append(e Entry) (Entry, error) {
	balance, err := add(b.Head.BalanceCents, e.AmountCents)
	if err != nil {
		return Entry{}, err
	}
	e.Seq, e.BalanceAfterCents = b.Head.Seq+1, balance
	var billed *Lease
	if e.LeaseID != nil {
		lease := b.leases[*e.LeaseID]
		billed = &lease
	}
	e.Digest = e.Chain(b.Head.Digest, b.org, billed)
	before := b.Head
	b.undo = append(b.undo, func() {
		b.Head = before
		b.appended = b.appended[:len(b.appended)-1]
		delete(b.entries, e.ID)
		if e.LeaseID != nil {
			delete(b.debits, *e.LeaseID)
		}
		if e.IdempotencyKey != nil {
			delete(b.keys, *e.IdempotencyKey)
		}
	})
	b.Head.Seq, b.Head.BalanceCents, b.Head.LastAt, b.Head.Digest = e.Seq, balance, e.CreatedAt, e.Digest
	b.appended = append(b.appended, e)
	b.LoadEntry(e)
	return e, nil
}

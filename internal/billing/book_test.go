package billing

import (
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// newBook opens a book with the standard prices, and with prices that overflow for leases with the label size=huge.
func newBook(head Head) *Book {
	standard, highest := RateCard{ID: ID{1}}, RateCard{ID: ID{2}, LabelKey: new("size"), LabelValue: new("huge")}
	standard.SetRates(StandardRates)
	highest.SetRates(Rates{CPU: math.MaxInt64})
	b := NewBook(ID{}, head, 100)
	b.LoadRateCards(NewRateCards([]RateCard{standard, highest}))
	return b
}

// copyOf is the book as it is now, without what is only kept for undoing.
func copyOf(b *Book) *Book {
	return &Book{
		Head: b.Head, now: b.now, cards: b.cards, leases: maps.Clone(b.leases), jobs: maps.Clone(b.jobs), entries: maps.Clone(b.entries),
		debits: maps.Clone(b.debits), keys: maps.Clone(b.keys), appended: slices.Clone(b.appended),
		changed: slices.Clone(b.changed), stored: maps.Clone(b.stored), sums: maps.Clone(b.sums),
	}
}

// diff tells how the books differ; cmp takes long, so it is asked only where something does.
func diff(before, after *Book) string {
	if reflect.DeepEqual(before, copyOf(after)) {
		return ""
	}
	return cmp.Diff(before, after, cmp.AllowUnexported(Book{}), cmpopts.IgnoreFields(Book{}, "undo", "cards"), cmpopts.EquateEmpty())
}

func normalized(t *testing.T, change func(*Lease)) Lease {
	t.Helper()
	l := validLease()
	change(&l)
	if err := l.normalize(testNow); err != nil {
		t.Fatal(err)
	}
	return l
}

func record(leases ...Lease) *RecordLeases {
	return &RecordLeases{Leases: leases}
}

// sequence is several operations in one.
type sequence []Operation

func (s sequence) Needs() Needs { return Needs{} }

func (s sequence) Apply(b *Book) error {
	for _, op := range s {
		if err := op.Apply(b); err != nil {
			return err
		}
	}
	return nil
}

// Each of these operations changes much before it fails.
func TestBookAfterAFailureIsAsBefore(t *testing.T) {
	unchanged := func(*Lease) {}
	running := normalized(t, func(l *Lease) { l.FinishedAt = nil })
	billed := normalized(t, unchanged)
	billed.AmountCents = new(int64(-12))
	entry := Entry{
		Seq: 7, ID: NewID(), AmountCents: 12, BalanceAfterCents: 12, Source: SourceRefund, CreatedAt: 5, IdempotencyKey: new("used"),
	}

	finish := running
	finish.FinishedAt = new(running.StartedAt + 3600*Second)
	finish.DurationSeconds = new(int64(3600))
	runningStill := running
	runningStill.VMHandle = new("vm-2")
	huge := normalized(t, func(l *Lease) {
		l.StartedAt, l.FinishedAt = 0, new(Time(LeaseDurationSecondsMaximum)*Second)
		l.CPUCount, l.Labels = LeaseCPUCountMaximum, new(`{"size":"huge"}`)
	})
	conflict := billed
	conflict.CPUCount++
	conflict.AmountCents = nil
	twoIDs := billed
	twoIDs.ID = running.ID

	for _, c := range []struct {
		name string
		head Head
		op   Operation
		kind error
	}{
		{"a conflict after new, changed and finished leases", Head{},
			record(normalized(t, unchanged), runningStill, finish, normalized(t, func(l *Lease) { l.FinishedAt = nil }), conflict),
			ErrLeaseConflict},
		{"a conflict of ids", Head{}, record(normalized(t, unchanged), twoIDs), ErrLeaseConflict},
		{"the same lease twice, unlike", Head{}, record(finish, func() Lease { l := finish; l.DiskGB++; return l }()), ErrLeaseConflict},
		{"an overflow of the lifetime's cents", Head{Lifetime: Usage{Cents: math.MaxInt64 - 12}},
			record(normalized(t, unchanged), finish), ErrLeaseInvalid},
		{"an overflow of the balance", Head{Seq: 3, BalanceCents: math.MinInt64 + 12, LastAt: 9},
			record(normalized(t, unchanged), finish), ErrLeaseInvalid},
		{"an overflow of the cost", Head{}, record(huge), ErrLeaseInvalid},
		{"a credit that overflows the balance", Head{Seq: 3, BalanceCents: math.MaxInt64},
			&PostCredit{AmountCents: 1, Source: SourceRefund, IdempotencyKey: "new"}, ErrAmountInvalid},
		{"a key that was used", Head{},
			&PostCredit{AmountCents: 1, Source: SourceRefund, IdempotencyKey: "used"}, ErrKeyReused},
		{"a conflict after everything", Head{Seq: 3, BalanceCents: 9, LastAt: 200}, sequence{
			&PostCredit{AmountCents: 1, Source: SourceRefund, IdempotencyKey: "new"},
			&ImportEntry{Entry: Entry{ID: NewID(), AmountCents: 5, Source: SourceStripeTopup, CreatedAt: 300, IdempotencyKey: new("newer")}},
			&ImportEntry{Entry: Entry{ID: NewID(), AmountCents: -12, Source: SourceVMLeaseDebit, CreatedAt: 300, LeaseID: billed.ID}},
			record(normalized(t, unchanged), finish),
			&ImportLease{Lease: func() Lease { l := normalized(t, unchanged); l.AmountCents = new(int64(-1)); return l }()},
			record(conflict),
		}, ErrLeaseConflict},
		{"an imported lease that overflows", Head{Lifetime: Usage{Cents: math.MaxInt64}},
			&ImportLease{Lease: func() Lease { l := finish; l.AmountCents = new(int64(-1)); return l }()}, ErrLeaseInvalid},
		{"an imported entry that overflows", Head{Seq: 3, BalanceCents: 1},
			&ImportEntry{Entry: Entry{ID: NewID(), AmountCents: math.MaxInt64, Source: SourceRefund, CreatedAt: 9}}, ErrAmountInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBook(c.head)
			b.LoadLease(running)
			b.LoadLease(billed)
			b.LoadEntry(entry)
			// Twice: once on what was loaded, once on what an earlier operation of the same batch left.
			for range 2 {
				before := copyOf(b)
				if err := b.Apply(c.op); !errors.Is(err, c.kind) {
					t.Fatalf("got %v; want %v", err, c.kind)
				} else if isLease, isAmount := errors.Is(err, ErrLeaseInvalid), errors.Is(err, ErrAmountInvalid); isLease && isAmount {
					t.Errorf("%v is of two kinds", err)
				}
				if d := diff(before, b); d != "" {
					t.Fatalf("the book has changed:\n%s", d)
				}
				if err := b.Apply(record(runningStill)); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A book to which failing operations were applied in between is the same as one without them.
func TestBookIgnoresWhatFailed(t *testing.T) {
	failed, succeeded := 0, 0
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 5))
		ids := make([]ID, 6)
		for i := range ids {
			ids[i] = NewID()
		}
		head := Head{Seq: 1, BalanceCents: -math.MaxInt64 + 100, LastAt: 50, Lifetime: Usage{DiskGBSeconds: math.MaxInt64 - 40_000}}
		all, good := newBook(head), newBook(head)
		for range 40 {
			var op, again Operation
			if r.IntN(4) == 0 {
				credit := PostCredit{AmountCents: 1 + r.Int64N(3), Source: SourceRefund, IdempotencyKey: string(rune('a' + r.IntN(5)))}
				op, again = &credit, &PostCredit{AmountCents: credit.AmountCents, Source: credit.Source, IdempotencyKey: credit.IdempotencyKey}
			} else {
				var leases []Lease
				for range 1 + r.IntN(4) {
					leases = append(leases, normalized(t, func(l *Lease) {
						l.ID, l.JobID = &ids[r.IntN(len(ids))], nil
						if r.IntN(3) == 0 {
							l.JobID = &ids[r.IntN(len(ids))]
						}
						l.StartedAt = Time(r.IntN(3)) * Hour
						l.FinishedAt = new(l.StartedAt + 300*Second)
						if r.IntN(2) == 0 {
							l.FinishedAt = nil
						}
					}))
				}
				op, again = record(leases...), record(leases...)
			}
			before := copyOf(all)
			if err := all.Apply(op); err != nil {
				failed++
				if d := diff(before, all); d != "" {
					t.Fatalf("seed %d: %v changed the book:\n%s", seed, err, d)
				}
				continue
			}
			succeeded++
			if err := good.Apply(again); err != nil {
				t.Fatalf("seed %d: without those that failed, an operation fails: %v", seed, err)
			}
		}
		ignoreIDs := cmpopts.IgnoreFields(Entry{}, "ID", "Digest")
		if d := cmp.Diff(good.Changes(), all.Changes(), ignoreIDs, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("seed %d: other changes (-without, +with those that failed):\n%s", seed, d)
		}
		if d := cmp.Diff(good.Head, all.Head, cmpopts.IgnoreFields(Head{}, "Digest")); d != "" {
			t.Fatalf("seed %d: another head (-without, +with those that failed):\n%s", seed, d)
		}
	}
	if failed < 100 || succeeded < 100 {
		t.Errorf("%d operations failed and %d succeeded; that leaves one of them hardly tested", failed, succeeded)
	}
}

// Each entry is dated after the one before it, so that their dates alone order them.
func TestDatesAscend(t *testing.T) {
	credit := func(key string) *PostCredit {
		return &PostCredit{AmountCents: 1, Source: SourceRefund, IdempotencyKey: key}
	}
	for _, c := range []struct {
		name string
		head Head
		want Time
	}{
		{"an empty ledger", Head{}, 100},
		{"an older entry", Head{Seq: 1, LastAt: 99}, 100},
		{"an entry of the same moment", Head{Seq: 1, LastAt: 100}, 101},
		{"a younger entry", Head{Seq: 1, LastAt: 101}, 102},
		{"a clock before 1970, and nothing before", Head{Seq: 0, LastAt: 101}, 100},
	} {
		b := newBook(c.head)
		for i, key := range []string{"a", "b", "c"} {
			op := credit(key)
			if err := b.Apply(op); err != nil || op.Entry.CreatedAt != c.want+Time(i) {
				t.Errorf("after %s, an entry is dated %d, %v; want %d", c.name, op.Entry.CreatedAt, err, c.want+Time(i))
			}
		}
	}
}

func TestChangesHoldTheFinalStateOnce(t *testing.T) {
	running := normalized(t, func(l *Lease) { l.FinishedAt = nil })
	finished := running
	finished.FinishedAt, finished.DurationSeconds = new(running.StartedAt+3600*Second), new(int64(3600))
	b := newBook(Head{})
	for _, l := range []Lease{running, finished, finished} {
		if err := b.Apply(record(l)); err != nil {
			t.Fatal(err)
		}
	}
	c := b.Changes()
	if len(c.Leases) != 1 || c.Leases[0].FinishedAt == nil || *c.Leases[0].AmountCents != -151 {
		t.Errorf("the leases to write are %+v", c.Leases)
	}
	if len(c.Entries) != 1 || c.Entries[0].AmountCents != -151 || c.Entries[0].BalanceAfterCents != -151 || c.Entries[0].Seq != 1 {
		t.Errorf("the entries to write are %+v", c.Entries)
	}
	want := Usage{CPUSeconds: 7200, MemoryGBSeconds: 14_400, DiskGBSeconds: 72_000, Cents: 151}
	sums := map[Period]Usage{}
	for _, span := range []Time{Minute, Hour, Day} {
		sums[Period{span, running.StartedAt.Floor(span)}] = want
	}
	if d := cmp.Diff(sums, c.Sums); d != "" {
		t.Error(d)
	}
	if b.Head.Lifetime != want {
		t.Errorf("the lifetime sums are %+v", b.Head.Lifetime)
	}
	if (Changes{}).Empty() == c.Empty() {
		t.Error("something to write is nothing to write")
	}
}

// A store inserts new leases and updates those that it has.
func TestChangesTellNewLeasesFromStored(t *testing.T) {
	stored := normalized(t, func(l *Lease) { l.FinishedAt = nil })
	finished, other := stored, normalized(t, func(l *Lease) { l.ID, l.JobID = new(NewID()), new(NewID()) })
	finished.FinishedAt, finished.DurationSeconds = new(stored.StartedAt+3600*Second), new(int64(3600))
	tooMuch := other
	tooMuch.CPUCount = math.MaxInt64
	b := newBook(Head{})
	b.LoadLease(stored)
	if err := b.Apply(sequence{record(finished), record(tooMuch)}); err == nil {
		t.Fatal("what cannot be billed was")
	}
	if c := b.Changes(); !c.Empty() {
		t.Errorf("after a failure there is to write %+v", c)
	}
	if err := b.Apply(record(other, finished)); err != nil {
		t.Fatal(err)
	}
	c := b.Changes()
	if len(c.Leases) != 1 || *c.Leases[0].ID != *other.ID || len(c.Changed) != 1 || *c.Changed[0].ID != *stored.ID {
		t.Errorf("new are %+v, stored were %+v", c.Leases, c.Changed)
	}
}

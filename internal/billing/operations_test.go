package billing

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// A store may apply an operation to one book, give that up, and apply it to another.
func TestOperationsAppliedAgain(t *testing.T) {
	fresh := validLease()
	if err := fresh.normalize(testNow); err != nil {
		t.Fatal(err)
	}
	billed := fresh
	billed.AmountCents = new(int64(-12))
	stored := billed
	stored.ID = new(NewID()) // another than the one it is sent with, below
	entry := Entry{ID: NewID(), AmountCents: 7, Source: SourceRefund, CreatedAt: 1, IdempotencyKey: new("key")}

	post := &PostCredit{AmountCents: 7, Source: SourceRefund, IdempotencyKey: "key"}
	importEntry := &ImportEntry{Entry: entry}
	importLease := &ImportLease{Lease: billed}
	sent := fresh
	sent.ID = nil
	record := &RecordLeases{Leases: []Lease{sent}}
	for _, known := range []bool{false, true, false, true, true, false} {
		b := newBook(Head{})
		if known {
			b.LoadEntry(entry)
			b.LoadLease(stored)
			importLease.Lease.ID = stored.ID
		}
		for _, op := range []Operation{record, post} {
			if err := b.Apply(op); err != nil {
				t.Fatal(err)
			}
		}
		b = newBook(Head{})
		if known {
			b.LoadEntry(entry)
			b.LoadLease(stored)
		}
		for _, op := range []Operation{importEntry, importLease} {
			if err := b.Apply(op); err != nil {
				t.Fatal(err)
			}
		}
		if post.Replayed != known || (post.Entry.ID == entry.ID) != known {
			t.Errorf("known %t: the credit is %+v", known, post)
		}
		if importEntry.Duplicate != known || importLease.Duplicate != known {
			t.Errorf("known %t: the imported entry is known: %t, the lease: %t", known, importEntry.Duplicate, importLease.Duplicate)
		}
		if len(record.Results) != 1 || (record.Results[0].Status == LeaseDuplicate) != known || (record.Results[0].ID == *stored.ID) != known {
			t.Errorf("known %t: the lease is %+v", known, record.Results)
		}
	}
}

func TestPostCreditValidate(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*PostCredit)
		kind   error // nil where it is valid
	}{
		{"a refund", func(*PostCredit) {}, nil},
		{"a grant", func(op *PostCredit) { op.Source = SourceAdminGrant }, nil},
		{"the smallest", func(op *PostCredit) { op.AmountCents = 1 }, nil},
		{"the largest", func(op *PostCredit) { op.AmountCents = PostCreditRequestAmountCentsMaximum }, nil},
		{"a long key", func(op *PostCredit) { op.IdempotencyKey = strings.Repeat("é", PostCreditIdempotencyKeyMaxLength) }, nil},
		{"a long description", func(op *PostCredit) {
			op.Description = new(strings.Repeat("é", PostCreditRequestDescriptionMaxLength))
		}, nil},
		{"nothing", func(op *PostCredit) { op.AmountCents = 0 }, ErrAmountInvalid},
		{"a debit", func(op *PostCredit) { op.AmountCents = -1 }, ErrAmountInvalid},
		{"the least", func(op *PostCredit) { op.AmountCents = math.MinInt64 }, ErrAmountInvalid},
		{"too much", func(op *PostCredit) { op.AmountCents = PostCreditRequestAmountCentsMaximum + 1 }, ErrAmountInvalid},
		{"no key", func(op *PostCredit) { op.IdempotencyKey = "" }, ErrInvalid},
		{"too long a key", func(op *PostCredit) { op.IdempotencyKey = strings.Repeat("k", PostCreditIdempotencyKeyMaxLength+1) }, ErrInvalid},
		{"a key with a NUL", func(op *PostCredit) { op.IdempotencyKey = "a\x00" }, ErrInvalid},
		{"a key that is not UTF-8", func(op *PostCredit) { op.IdempotencyKey = "a\xff" }, ErrInvalid},
		{"too long a description", func(op *PostCredit) {
			op.Description = new(strings.Repeat("d", PostCreditRequestDescriptionMaxLength+1))
		}, ErrInvalid},
		{"a description with a NUL", func(op *PostCredit) { op.Description = new("\x00") }, ErrInvalid},
		{"no source", func(op *PostCredit) { op.Source = "" }, ErrInvalid},
		{"a source for machines", func(op *PostCredit) { op.Source = SourceStripeTopup }, ErrInvalid},
		{"the source of debits", func(op *PostCredit) { op.Source = SourceVMLeaseDebit }, ErrInvalid},
	} {
		op := PostCredit{AmountCents: 500, Source: SourceRefund, IdempotencyKey: "key"}
		c.change(&op)
		if err := op.Validate(); !errors.Is(err, c.kind) {
			t.Errorf("%s: got %v; want %v", c.name, err, c.kind)
		}
	}
}

func TestImportEntryValidate(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Entry)
		kind   error // nil where it is valid
	}{
		{"a credit", func(*Entry) {}, nil},
		{"the largest credit", func(e *Entry) { e.AmountCents = billedMaxCents }, nil},
		{"too large a credit", func(e *Entry) { e.AmountCents = billedMaxCents + 1 }, ErrAmountInvalid},
		{"too large a debit", func(e *Entry) { e.Source, e.AmountCents = SourceVMLeaseDebit, -billedMaxCents-1 }, ErrAmountInvalid},
		{"a clock that is ahead", func(e *Entry) { e.CreatedAt = TimeOf(time.Now()) + 9*Minute }, nil},
		{"an entry of the future", func(e *Entry) { e.CreatedAt = TimeOf(time.Now()) + 11*Minute }, ErrInvalid},
		{"a debit", func(e *Entry) { e.Source, e.AmountCents, e.LeaseID = SourceVMLeaseDebit, -1, new(ID) }, nil},
		{"a debit of nothing", func(e *Entry) { e.Source, e.AmountCents, e.LeaseID = SourceVMLeaseDebit, 0, new(ID) }, nil},
		{"no source", func(e *Entry) { e.Source = "" }, ErrInvalid},
		{"an unknown source", func(e *Entry) { e.Source = "gift" }, ErrInvalid},
		{"a debit that adds", func(e *Entry) { e.Source, e.AmountCents, e.LeaseID = SourceVMLeaseDebit, 1, new(ID) }, ErrAmountInvalid},
		{"a debit of another system", func(e *Entry) { e.Source, e.AmountCents = SourceVMLeaseDebit, -1 }, nil},
		{"a credit of nothing", func(e *Entry) { e.AmountCents = 0 }, ErrAmountInvalid},
		{"a credit that takes", func(e *Entry) { e.AmountCents = math.MinInt64 }, ErrAmountInvalid},
		{"a credit with a lease", func(e *Entry) { e.LeaseID = new(ID) }, ErrInvalid},
		{"an empty key", func(e *Entry) { e.IdempotencyKey = new("") }, ErrInvalid},
		{"too long a key", func(e *Entry) { e.IdempotencyKey = new(strings.Repeat("k", PostCreditIdempotencyKeyMaxLength+1)) }, ErrInvalid},
		{"too long a description", func(e *Entry) { e.Description = new(strings.Repeat("d", PostCreditRequestDescriptionMaxLength+1)) }, ErrInvalid},
	} {
		op := ImportEntry{Entry: Entry{ID: NewID(), AmountCents: 500, Source: SourceStripeTopup, IdempotencyKey: new("key")}}
		c.change(&op.Entry)
		if err := op.Validate(); !errors.Is(err, c.kind) {
			t.Errorf("%s: got %v; want %v", c.name, err, c.kind)
		}
	}
}

func TestImportLeaseValidate(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Lease)
		kind   error // nil where it is valid
	}{
		{"a lease to bill", func(*Lease) {}, nil},
		{"a running lease", func(l *Lease) { l.FinishedAt = nil }, nil},
		{"a billed lease", func(l *Lease) { l.AmountCents = new(int64(-5)) }, nil},
		{"one billed with nothing", func(l *Lease) { l.AmountCents = new(int64(0)) }, nil},
		{"the largest debit", func(l *Lease) { l.AmountCents = new(int64(-billedMaxCents)) }, nil},
		{"too large a debit", func(l *Lease) { l.AmountCents = new(int64(-billedMaxCents - 1)) }, ErrLeaseInvalid},
		{"a billed lease of the future", func(l *Lease) {
			l.AmountCents, l.StartedAt, l.FinishedAt = new(int64(-5)), TimeOf(time.Now())+11*Minute, new(TimeOf(time.Now())+12*Minute)
		}, ErrLeaseInvalid},
		{"a debit whose cost is no int64", func(l *Lease) { l.AmountCents = new(int64(math.MinInt64)) }, ErrLeaseInvalid},
		{"a billed lease that adds", func(l *Lease) { l.AmountCents = new(int64(1)) }, ErrLeaseInvalid},
		{"a billed lease that runs", func(l *Lease) { l.FinishedAt, l.AmountCents = nil, new(int64(-5)) }, ErrLeaseInvalid},
		{"no CPU", func(l *Lease) { l.CPUCount, l.AmountCents = 0, new(int64(-5)) }, ErrLeaseInvalid},
	} {
		op := ImportLease{Lease: validLease()}
		c.change(&op.Lease)
		if err := op.Validate(); !errors.Is(err, c.kind) {
			t.Errorf("%s: got %v; want %v", c.name, err, c.kind)
		}
	}
}

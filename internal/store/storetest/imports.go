package storetest

import (
	"fmt"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

var importTests = []test{
	{"Leases", testImportLeases},
	{"Entries", testImportEntries},
	{"EntriesOfEverySize", testImportEntriesOfEverySize},
}

func debitOf(l billing.Lease, at billing.Time) *billing.ImportEntry {
	return &billing.ImportEntry{Entry: billing.Entry{
		ID: billing.NewID(), AmountCents: *l.AmountCents, Source: billing.SourceVMLeaseDebit, Description: new("debit"),
		CreatedAt: at, LeaseID: l.ID,
	}}
}

// A lease that was billed elsewhere keeps its amount and gets no entry; any other is recorded as always.
func testImportLeases(s *suite) {
	acme := s.organization("acme")
	dear := billedAs(finished(someDay, 300), -9_999)
	open := running(someDay)
	fresh := finished(someDay, 300)
	s.record(acme, open)
	done := billedAs(finish(open, 300), -5)
	done.ID = nil

	ops := []*billing.ImportLease{{Lease: dear}, {Lease: done}, {Lease: fresh}}
	s.write(acme, ops[0], ops[1], ops[2])
	for i, op := range ops {
		if op.Duplicate {
			s.Errorf("lease %d is known", i)
		}
	}
	s.same("the head", billing.Head{
		Seq: 1, BalanceCents: -12, LastAt: s.head(acme).LastAt, Digest: s.ledger(acme)[0].Digest,
		Lifetime: billing.Usage{CPUSeconds: 1800, MemoryGBSeconds: 3600, DiskGBSeconds: 18_000, Cents: 9_999 + 5 + 12},
	}, s.head(acme))

	s.unchanged("importing them again", func() {
		s.write(acme, ops[0], ops[1], ops[2])
		for i, op := range ops {
			if !op.Duplicate {
				s.Errorf("lease %d is new", i)
			}
		}
		other := *ops[0]
		other.Lease.AmountCents = new(int64(-9_998))
		s.wantError("another amount", s.try(acme, &other)[0], billing.ErrLeaseConflict)
		changed := *ops[0]
		changed.Lease.CPUCount++
		s.wantError("other contents", s.try(acme, &changed)[0], billing.ErrLeaseConflict)
		sent := dear
		sent.AmountCents = nil
		s.same("recording it", billing.RecordedLease{ID: *dear.ID, Status: billing.LeaseDuplicate, AmountCents: -9_999},
			s.record(acme, sent)[0])
	})
}

func testImportEntries(s *suite) {
	acme := s.organization("acme")
	lease, another, open := billedAs(finished(someDay, 300), -5), billedAs(finished(someDay, 300), -7), running(someDay)
	open.ID = new(billing.NewID())
	s.write(acme, &billing.ImportLease{Lease: lease}, &billing.ImportLease{Lease: another}, &billing.ImportLease{Lease: open})
	topUp := &billing.ImportEntry{Entry: billing.Entry{
		ID: billing.NewID(), AmountCents: 1000, Source: billing.SourceCouponRedemption, CreatedAt: someDay, IdempotencyKey: new("key"), Author: new("Ops"),
	}}
	debit := debitOf(lease, someDay+1)
	plain := &billing.ImportEntry{Entry: billing.Entry{
		ID: billing.NewID(), AmountCents: 3, Source: billing.SourceStripeTopup, CreatedAt: someDay + 1,
	}}
	s.write(acme, topUp, debit, plain)
	want := []billing.Entry{topUp.Entry, debit.Entry, plain.Entry}
	want[0].Seq, want[0].BalanceAfterCents = 1, 1000
	want[1].Seq, want[1].BalanceAfterCents = 2, 995
	want[2].Seq, want[2].BalanceAfterCents = 3, 998
	want[0].Digest = want[0].Chain(acme.Digest(), acme.ID, nil)
	want[1].Digest = want[1].Chain(want[0].Digest, acme.ID, &lease)
	want[2].Digest = want[2].Chain(want[1].Digest, acme.ID, nil)
	s.same("the ledger", want, s.ledger(acme))

	s.unchanged("what does not fit", func() {
		s.write(acme, topUp, debit, plain)
		if !topUp.Duplicate || !debit.Duplicate || !plain.Duplicate {
			s.Error("entries that are known count as new")
		}
		for _, c := range []struct {
			what   string
			entry  billing.Entry
			change func(*billing.Entry)
			kind   error
		}{
			{"another amount", topUp.Entry, func(e *billing.Entry) { e.AmountCents++ }, billing.ErrEntryConflict},
			{"another date", topUp.Entry, func(e *billing.Entry) { e.CreatedAt++ }, billing.ErrEntryConflict},
			{"another author", topUp.Entry, func(e *billing.Entry) { e.Author = nil }, billing.ErrEntryConflict},
			{"another key", topUp.Entry, func(e *billing.Entry) { e.IdempotencyKey = nil }, billing.ErrEntryConflict},
			{"another lease", debit.Entry, func(e *billing.Entry) { e.LeaseID = another.ID }, billing.ErrEntryConflict},
			{"a date that goes back", topUp.Entry, func(e *billing.Entry) {
				e.ID, e.IdempotencyKey = billing.NewID(), nil
			}, billing.ErrEntryConflict},
			{"a key that is used", topUp.Entry, func(e *billing.Entry) {
				e.ID, e.CreatedAt = billing.NewID(), endOfTime
			}, billing.ErrKeyReused},
			{"a second debit", debit.Entry, func(e *billing.Entry) { e.ID = billing.NewID() }, billing.ErrEntryConflict},
			{"a debit of another amount", debitOf(another, endOfTime).Entry, func(e *billing.Entry) { e.AmountCents-- }, billing.ErrEntryConflict},
			{"a debit of nothing known", debitOf(another, endOfTime).Entry, func(e *billing.Entry) {
				e.LeaseID = new(billing.NewID())
			}, billing.ErrEntryConflict},
			{"a debit of a running lease", debitOf(another, endOfTime).Entry, func(e *billing.Entry) {
				e.LeaseID = open.ID
			}, billing.ErrEntryConflict},
		} {
			c.change(&c.entry)
			s.wantError(c.what, s.try(acme, &billing.ImportEntry{Entry: c.entry})[0], c.kind)
		}
	})

	// A credit that was imported with its key is known under it.
	s.unchanged("the imported credit's key", func() {
		s.wantError("with another body", s.service.PostCredit(s.Context(), acme.ID, Credit(1000, "key")), billing.ErrKeyReused)
	})
	s.write(acme, debitOf(another, someDay+1))
	s.audit()
}

func testImportEntriesOfEverySize(s *suite) {
	acme := s.organization("acme")
	s.credit(acme, 1, "before")
	total := int64(1)
	for _, size := range sizes {
		leases, entries := make([]billing.Operation, size), make([]billing.Operation, size)
		for i := range size {
			lease := billedAs(finished(someDay+billing.Time(i)*billing.Second, int64(i)), -int64(i))
			leases[i], entries[i] = &billing.ImportLease{Lease: lease}, debitOf(lease, endOfTime)
			total -= int64(i)
		}
		s.write(acme, leases...)
		s.write(acme, entries...)
		s.write(acme, leases...)
		s.write(acme, entries...)
		for i := range size {
			lease, entry := leases[i].(*billing.ImportLease), entries[i].(*billing.ImportEntry) //nolint:errcheck // made above
			if !lease.Duplicate || !entry.Duplicate {
				s.Fatalf("%d at once: number %d, imported again, counts as new: %s", size, i, fmt.Sprint(lease.Duplicate, entry.Duplicate))
			}
		}
	}
	s.same("the balance", total, s.head(acme).BalanceCents)
	s.audit()
}

package httpapi_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/httpapi"
)

// Each report of a lease does to the record of the one before what the contract says.
func TestRecordLease(t *testing.T) {
	start := time.Date(2026, 6, 6, 10, 0, 0, 0, time.UTC)
	running := gen.Lease{JobID: new(uuid.New()), CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: start}
	with := func(change func(*gen.Lease)) gen.Lease {
		report := running
		change(&report)
		return report
	}
	finish := func(l *gen.Lease) {
		l.FinishedAt, l.DurationSeconds = new(start.Add(5*time.Minute)), new(int64(300))
	}
	var stored *gen.LeaseRecord
	for _, c := range []struct {
		name   string
		report gen.Lease
		status gen.LeaseStatus // empty for a conflict
	}{
		{"first", running, gen.LeaseStatusRunning},
		{"again", running, gen.LeaseStatusDuplicate},
		{"with a name", with(func(l *gen.Lease) { l.JobName = new("Build") }), gen.LeaseStatusRunning},
		{"without the name again", running, gen.LeaseStatusDuplicate},
		{"with another name", with(func(l *gen.Lease) { l.JobName = new("Test") }), ""},
		{"with fewer CPUs", with(func(l *gen.Lease) { l.CPUCount = 1 }), ""},
		{"finished", with(finish), gen.LeaseStatusBilled},
		{"finished again", with(finish), gen.LeaseStatusDuplicate},
		{"started again", running, gen.LeaseStatusDuplicate},
		{"with a name after the finish", with(func(l *gen.Lease) { l.StepKey = new("build") }), ""},
		{"with another finish", with(func(l *gen.Lease) { finish(l); l.FinishedAt = new(start.Add(time.Hour)) }), ""},
	} {
		record, status, err := httpapi.RecordLease(stored, c.report, httpapi.StandardRates)
		if c.status == "" {
			if httpapi.CodeOf(err) != gen.CodeLeaseConflict {
				t.Errorf("%s: got %+v, %v", c.name, record, err)
			}
			continue
		}
		if err != nil || status != c.status {
			t.Fatalf("%s: got %s, %v", c.name, status, err)
		}
		if stored != nil && record.LeaseID != stored.LeaseID {
			t.Errorf("%s: the id changes", c.name)
		}
		if status == gen.LeaseStatusBilled {
			record.TransactionID = new(uuid.New())
		} else if stored != nil && stored.TransactionID != nil && (record.TransactionID == nil || *record.TransactionID != *stored.TransactionID) {
			t.Errorf("%s: the entry is lost", c.name)
		}
		stored = &record
	}
	if stored.AmountCents != -12 || stored.State != gen.LeaseStateBilled || *stored.JobName != "Build" {
		t.Errorf("got %+v", stored)
	}
	long := with(func(l *gen.Lease) { finish(l); l.CPUCount, l.DurationSeconds = 10_000, new(int64(30_000_000)) })
	_, _, err := httpapi.RecordLease(nil, long, httpapi.Rates{CPU: math.MaxInt64})
	if httpapi.CodeOf(err) != gen.CodeLeaseInvalid {
		t.Errorf("a cost that is too large: got %v", err)
	}
}

// Entries have balances, and times that ascend also when the clock does not.
func TestAppend(t *testing.T) {
	now := time.Date(2026, 6, 6, 10, 0, 0, 1_999, time.UTC)
	var ledger []gen.TransactionDetail
	for i, c := range []struct {
		cents, balance int64
		now, at        time.Time
	}{
		{700, 700, now, now.Truncate(time.Microsecond)},
		{-12, 688, now, now.Truncate(time.Microsecond).Add(time.Microsecond)},
		{0, 688, now.Add(-time.Hour), now.Truncate(time.Microsecond).Add(2 * time.Microsecond)},
		{math.MaxInt64 - 688, math.MaxInt64, now.Add(time.Hour), now.Add(time.Hour).Truncate(time.Microsecond)},
	} {
		lease := new(gen.LeaseRecord)
		before := len(ledger)
		var err error
		ledger, err = httpapi.Append(ledger, gen.TransactionDetail{AmountCents: c.cents, Lease: lease}, c.now)
		if err != nil || len(ledger) != before+1 {
			t.Fatalf("entry %d: %d entries, %v", i, len(ledger), err)
		}
		e := ledger[0]
		if e.BalanceAfterCents != c.balance || !e.CreatedAt.Equal(c.at) || e.ID == uuid.Nil || *lease.TransactionID != e.ID {
			t.Errorf("entry %d: got %+v", i, e)
		}
	}
	for _, beyond := range []struct {
		ledger []gen.TransactionDetail
		cents  int64
	}{{ledger, 1}, {[]gen.TransactionDetail{{BalanceAfterCents: math.MinInt64}}, -1}} {
		if got, err := httpapi.Append(beyond.ledger, gen.TransactionDetail{AmountCents: beyond.cents}, now); httpapi.CodeOf(err) != gen.CodeAmountInvalid || len(got) != len(beyond.ledger) {
			t.Errorf("got %d entries, %v", len(got), err)
		}
	}
}

func TestCheckReplay(t *testing.T) {
	body := gen.PostCreditRequest{AmountCents: 700, Source: "refund", Description: new("x")}
	posted := gen.Transaction{AmountCents: 700, Source: "refund", Description: new("x")}
	if err := httpapi.CheckReplay(posted, body); err != nil {
		t.Error(err)
	}
	for _, other := range []gen.PostCreditRequest{
		{AmountCents: 701, Source: "refund", Description: new("x")}, {AmountCents: 700, Source: "admin_grant", Description: new("x")},
		{AmountCents: 700, Source: "refund", Description: new("y")}, {AmountCents: 700, Source: "refund"},
	} {
		if err := httpapi.CheckReplay(posted, other); httpapi.CodeOf(err) != gen.CodeIdempotencyKeyReused {
			t.Errorf("%+v: got %v", other, err)
		}
	}
	posted.Description = nil
	if httpapi.CheckReplay(posted, body) == nil || httpapi.CheckReplay(posted, gen.PostCreditRequest{AmountCents: 700, Source: "refund"}) != nil {
		t.Error("a missing description is one")
	}
}

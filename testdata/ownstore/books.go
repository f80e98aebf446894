package ownstore

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/httpapi"
)

// Store has the books of organizations by their slugs. Stored books never change: a write puts changed copies in their place.
type Store struct {
	created time.Time
	mu      sync.Mutex
	orgs    map[string]books
}

type books struct {
	entries []gen.TransactionDetail // newest first
	leases  map[string]lease        // by the id of the job, or of the lease where there is no job
	credits map[string]credit       // by idempotency key
}

type lease struct {
	gen.LeaseRecord
	report gen.Lease // the last one
}

// start returns the report that the lease has started.
func (l lease) start() gen.Lease {
	l.report.FinishedAt, l.report.DurationSeconds = nil, nil
	return l.report
}

type credit struct {
	request gen.PostCreditRequest
	entry   gen.TransactionDetail
}

// New returns a store with empty books.
func New(slugs ...string) *Store {
	s := &Store{created: time.Now(), orgs: map[string]books{}}
	for _, slug := range slugs {
		s.orgs[slug] = books{leases: map[string]lease{}, credits: map[string]credit{}}
	}
	return s
}

func (s *Store) read(org string) books {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.orgs[org]
}

// write changes a copy of the books, and stores the copy unless the change fails.
func (s *Store) write(org string, change func(*books) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.orgs[org]
	b = books{slices.Clone(b.entries), maps.Clone(b.leases), maps.Clone(b.credits)}
	err := change(&b)
	if err == nil {
		s.orgs[org] = b
	}
	return err
}

// append adds an entry to the ledger, later than all others.
func (b *books) append(e gen.TransactionDetail) gen.TransactionDetail {
	e.ID, e.CreatedAt, e.BalanceAfterCents = uuid.Must(uuid.NewV7()), time.Now().Truncate(time.Microsecond), e.AmountCents
	if len(b.entries) > 0 {
		e.BalanceAfterCents += b.entries[0].BalanceAfterCents
		if next := b.entries[0].CreatedAt.Add(time.Microsecond); next.After(e.CreatedAt) {
			e.CreatedAt = next
		}
	}
	if e.Lease != nil {
		e.Lease.TransactionID = &e.ID
	}
	b.entries = slices.Insert(b.entries, 0, e)
	return e
}

// record bills a lease once it has finished. A report of a lease that runs may add its finish; no other report changes anything.
func (b *books) record(report gen.Lease) (recorded gen.RecordedLease, err error) {
	key := cmp.Or(report.JobID, report.LeaseID).String()
	stored, known := b.leases[key]
	if known && (reflect.DeepEqual(stored.report, report) || reflect.DeepEqual(stored.start(), report)) {
		return gen.RecordedLease{LeaseID: stored.LeaseID, Status: gen.LeaseStatusDuplicate, AmountCents: stored.AmountCents}, nil
	}
	if known && !reflect.DeepEqual(stored.report, lease{report: report}.start()) {
		return recorded, errors.New("it was recorded with other contents")
	}
	l := lease{report: report}
	text, _ := json.Marshal(report) // a record has the keys of a report
	_ = json.Unmarshal(text, &l)
	l.LeaseID, l.State = cmp.Or(l.LeaseID, stored.LeaseID, uuid.Must(uuid.NewV7())), gen.LeaseStateRunning
	recorded = gen.RecordedLease{LeaseID: l.LeaseID, Status: gen.LeaseStatusRunning}
	if l.FinishedAt != nil {
		cents, err := httpapi.StandardRates.Cost(l.CPUCount, l.MemoryGB, l.DiskGB, *l.DurationSeconds)
		if err != nil {
			return recorded, err
		}
		l.State, l.AmountCents = gen.LeaseStateBilled, -cents
		recorded.Status, recorded.AmountCents = gen.LeaseStatusBilled, -cents
		b.append(gen.TransactionDetail{AmountCents: -cents, Source: gen.TransactionSourceVMLeaseDebit, Lease: &l.LeaseRecord})
	}
	b.leases[key] = l
	return recorded, nil
}

// started returns the leases that wanted selects, latest start first.
func (s *Store) started(org string, wanted func(*gen.LeaseRecord) bool) (leases []gen.LeaseRecord) {
	for _, l := range s.read(org).leases {
		if wanted(&l.LeaseRecord) {
			leases = append(leases, l.LeaseRecord)
		}
	}
	slices.SortFunc(leases, func(a, b gen.LeaseRecord) int {
		return cmp.Or(b.StartedAt.Compare(a.StartedAt), bytes.Compare(b.LeaseID[:], a.LeaseID[:]))
	})
	return leases
}

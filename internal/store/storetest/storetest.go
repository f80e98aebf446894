// Package storetest is the suite that every billing.Store must pass, and has helpers for other tests of stores.
package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// Create makes a new, empty database and returns a function that opens it. Each call opens the same database once more, like another
// process. Both fail the test where they cannot. The stores are closed when the test ends; the suite may have closed
// them before.
type Create func(t *testing.T) (open func() billing.Store)

// Run runs the suite except for the named tests, such as "Export/OneMoment", of promises that a database does not make.
func Run(t *testing.T, create Create, except ...string) {
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"Access", accessTests},
		{"Write", writeTests},
		{"Import", importTests},
		{"Prices", priceTests},
		{"Concurrency", concurrencyTests},
		{"Read", readTests},
		{"Groups", groupTests},
		{"Export", exportTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, test := range group.tests {
				if slices.Contains(except, group.name+"/"+test.name) {
					continue
				}
				t.Run(test.name, func(t *testing.T) {
					t.Parallel()
					open := create(t)
					store := open()
					Must(t, service(store).EnsureRateCard(t.Context(), nil))
					test.run(&suite{T: t, open: open, store: store, service: service(store)})
				})
			}
		})
	}
}

type test struct {
	name string
	run  func(*suite)
}

// suite is one test's database.
type suite struct {
	*testing.T
	open    func() billing.Store // opens the database once more
	store   billing.Store
	service *billing.Service // over store
}

func service(store billing.Store) *billing.Service {
	return billing.NewService(store)
}

// must ends the test where something failed that the test takes for granted.
func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// wantError checks the kind of an error; nil means none.
func (s *suite) wantError(what string, err, kind error) {
	s.Helper()
	if kind == nil && err != nil || !errors.Is(err, kind) {
		s.Errorf("%s: got the error %v; want %v", what, err, kind)
	}
}

// same compares values; an empty list is as good as none.
func (s *suite) same(what string, want, got any) {
	s.Helper()
	if reflect.DeepEqual(want, got) { // much faster
		return
	}
	if d := gocmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		s.Errorf("%s (-want, +got):\n%s", what, d)
	}
}

func (s *suite) organization(slug string) billing.Organization {
	s.Helper()
	org := billing.Organization{ID: billing.NewID(), Slug: slug, Name: "The " + slug + " company", CreatedAt: someDay}
	s.must(s.store.CreateOrganization(s.Context(), org))
	return org
}

// someDay is a midnight; 2026-06-06.
var someDay = billing.TimeOf(time.Date(2026, 6, 6, 0, 0, 0, 0, time.UTC))

// endOfTime is later than anything that is recorded.
var endOfTime = billing.TimeOf(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC))

// running is a job's lease that has started.
func running(start billing.Time) billing.Lease {
	return billing.Lease{JobID: new(billing.NewID()), CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: start}
}

// finished is a job's lease that has finished; 300 seconds of it cost 12 cents.
func finished(start billing.Time, seconds int64) billing.Lease {
	return finish(running(start), seconds)
}

func finish(l billing.Lease, seconds int64) billing.Lease {
	l.FinishedAt, l.DurationSeconds = new(l.StartedAt+billing.Time(seconds)*billing.Second), new(seconds)
	return l
}

// billedAs is a lease with an id of its own that was billed elsewhere.
func billedAs(l billing.Lease, cents int64) billing.Lease {
	if l.ID == nil {
		l.ID = new(billing.NewID())
	}
	l.AmountCents = new(cents)
	return l
}

func (s *suite) record(org billing.Organization, leases ...billing.Lease) []billing.RecordedLease {
	s.Helper()
	results, err := s.service.RecordLeases(s.Context(), org.ID, leases)
	s.must(err)
	return results
}

func (s *suite) credit(org billing.Organization, cents int64, key string) billing.Entry {
	s.Helper()
	op := Credit(cents, key)
	s.must(s.service.PostCredit(s.Context(), org.ID, op))
	return op.Entry
}

// write applies operations that all must succeed.
func (s *suite) write(org billing.Organization, ops ...billing.Operation) {
	s.Helper()
	for i, err := range s.try(org, ops...) {
		if err != nil {
			s.Fatalf("operation %d of %d: %v", i, len(ops), err)
		}
	}
}

// try applies operations and returns the error of each.
func (s *suite) try(org billing.Organization, ops ...billing.Operation) []error {
	s.Helper()
	errs, err := s.store.Write(s.Context(), org.ID, ops...)
	s.must(err)
	if len(errs) != len(ops) {
		s.Fatalf("%d operations have %d results", len(ops), len(errs))
	}
	return errs
}

func (s *suite) head(org billing.Organization) billing.Head {
	s.Helper()
	head, err := s.store.Head(s.Context(), org.ID)
	s.must(err)
	return head
}

// ledger reads an organization's entries, oldest first.
func (s *suite) ledger(org billing.Organization) []billing.Entry {
	s.Helper()
	entries, err := s.store.Entries(s.Context(), org.ID, 1<<62, 1<<30)
	s.must(err)
	slices.Reverse(entries)
	return entries
}

// contents has everything that a store exports.
type contents struct {
	Organizations []billing.Organization
	Tokens        []billing.Token
	RateCards     []billing.RateCard
	Leases        map[string][]billing.Lease // by slug
	Entries       map[string][]billing.Entry
	Heads         map[string]billing.Head
}

var _ billing.ExportSink = (*contents)(nil)

// Organization implements billing.ExportSink.
func (c *contents) Organization(o billing.Organization) error {
	c.Organizations = append(c.Organizations, o)
	return nil
}

// Token implements billing.ExportSink.
func (c *contents) Token(t billing.Token) error {
	c.Tokens = append(c.Tokens, t)
	return nil
}

// RateCard implements billing.ExportSink.
func (c *contents) RateCard(card *billing.RateCard, _ *billing.Organization) error {
	c.RateCards = append(c.RateCards, *card)
	return nil
}

// Lease implements billing.ExportSink.
func (c *contents) Lease(o billing.Organization, l *billing.Lease) error {
	c.Leases[o.Slug] = append(c.Leases[o.Slug], *l)
	return nil
}

// Entry implements billing.ExportSink.
func (c *contents) Entry(o billing.Organization, e *billing.Entry) error {
	c.Entries[o.Slug] = append(c.Entries[o.Slug], *e)
	return nil
}

// Head implements billing.ExportSink.
func (c *contents) Head(o billing.Organization, h *billing.Head) error {
	c.Heads[o.Slug] = *h
	return nil
}

func newContents() *contents {
	return &contents{Leases: map[string][]billing.Lease{}, Entries: map[string][]billing.Entry{}, Heads: map[string]billing.Head{}}
}

func export(ctx context.Context, store billing.Store) (*contents, error) {
	c := newContents()
	return c, store.Export(ctx, c)
}

// state has everything that a store exports and its answers, to compare the store before and after an operation.
type state struct {
	Contents *contents
	Heads    []billing.Head
	Usage    []billing.Usage
	Days     [][]billing.DayUsage
}

func (s *suite) state() state {
	s.Helper()
	c, err := export(s.Context(), s.store)
	s.must(err)
	now := state{Contents: c}
	for _, org := range c.Organizations {
		usage, err := s.store.Usage(s.Context(), org.ID, billing.Window{From: 0, To: endOfTime})
		s.must(err)
		days, err := s.store.UsageByDay(s.Context(), org.ID, billing.Window{From: 0, To: endOfTime})
		s.must(err)
		now.Heads, now.Usage, now.Days = append(now.Heads, s.head(org)), append(now.Usage, usage), append(now.Days, days)
	}
	return now
}

// unchanged checks that do leaves everything as it was.
func (s *suite) unchanged(what string, do func()) {
	s.Helper()
	before := s.state()
	do()
	s.same(what+" changed something", before, s.state())
}

// check finds contradictions within an export.
func (c *contents) check() error {
	for _, org := range c.Organizations {
		leases := map[billing.ID]billing.Lease{}
		jobs := map[billing.ID]billing.ID{}
		for _, l := range c.Leases[org.Slug] {
			if _, twice := leases[*l.ID]; twice {
				return fmt.Errorf("%s: lease %s is there twice", org.Slug, l.ID)
			}
			leases[*l.ID] = l
			if l.JobID != nil {
				if other, twice := jobs[*l.JobID]; twice {
					return fmt.Errorf("%s: job %s has the leases %s and %s", org.Slug, l.JobID, other, l.ID)
				}
				jobs[*l.JobID] = *l.ID
			}
		}
		balance, last := int64(0), billing.Time(0)
		debits, ids, keys := map[billing.ID]bool{}, map[billing.ID]bool{}, map[string]bool{}
		for i, e := range c.Entries[org.Slug] {
			balance += e.AmountCents
			switch {
			case e.Seq != int64(i)+1:
				return fmt.Errorf("%s: the entry at place %d has the seq %d", org.Slug, i+1, e.Seq)
			case e.BalanceAfterCents != balance:
				return fmt.Errorf("%s: after entry %d the balance is %d, not %d", org.Slug, e.Seq, balance, e.BalanceAfterCents)
			case i > 0 && e.CreatedAt < last:
				return fmt.Errorf("%s: entry %d is dated %s, the one before %s", org.Slug, e.Seq, e.CreatedAt, last)
			case ids[e.ID]:
				return fmt.Errorf("%s: entry %s is there twice", org.Slug, e.ID)
			case e.IdempotencyKey != nil && keys[*e.IdempotencyKey]:
				return fmt.Errorf("%s: key %q was used twice", org.Slug, *e.IdempotencyKey)
			case (e.LeaseID != nil) != (e.Source == billing.SourceVMLeaseDebit):
				return fmt.Errorf("%s: entry %d from %s has the lease %v", org.Slug, e.Seq, e.Source, e.LeaseID)
			}
			last, ids[e.ID] = e.CreatedAt, true
			if e.IdempotencyKey != nil {
				keys[*e.IdempotencyKey] = true
			}
			if e.LeaseID == nil {
				continue
			}
			l, known := leases[*e.LeaseID]
			switch {
			case debits[*e.LeaseID]:
				return fmt.Errorf("%s: lease %s is debited twice", org.Slug, e.LeaseID)
			case !known || l.AmountCents == nil || *l.AmountCents != e.AmountCents:
				return fmt.Errorf("%s: entry %d debits %d cents for %+v", org.Slug, e.Seq, e.AmountCents, l)
			}
			debits[*e.LeaseID] = true
		}
		for id, l := range leases {
			if debits[id] != (l.FinishedAt != nil) {
				return fmt.Errorf("%s: lease %s is finished: %t, debited: %t", org.Slug, id, l.FinishedAt != nil, debits[id])
			}
		}
	}
	return nil
}

// audit recomputes everything from the leases and entries, and compares.
func (s *suite) audit() {
	s.Helper()
	now := s.state()
	s.must(now.Contents.check())
	for i, org := range now.Contents.Organizations {
		head := billing.Head{Digest: org.Digest()}
		for _, e := range now.Contents.Entries[org.Slug] {
			head.Seq, head.BalanceCents, head.LastAt, head.Digest = e.Seq, e.BalanceAfterCents, e.CreatedAt, e.Digest
		}
		leases := now.Contents.Leases[org.Slug]
		head.Lifetime = usageOf(leases, billing.Window{From: 0, To: endOfTime})
		s.same(org.Slug+": the head", head, now.Heads[i])
		s.same(org.Slug+": the usage", head.Lifetime, now.Usage[i])
		s.same(org.Slug+": the usage by day", daysOf(leases, billing.Window{From: 0, To: endOfTime}), now.Days[i])
	}
}

func in(w billing.Window, t billing.Time) bool { return w.From <= t && t < w.To }

// usageOf sums leases the naive way.
func usageOf(leases []billing.Lease, w billing.Window) (u billing.Usage) {
	for _, l := range leases {
		if l.FinishedAt != nil && in(w, l.StartedAt) {
			for sum, count := range map[*int64]int64{&u.CPUSeconds: l.CPUCount, &u.MemoryGBSeconds: l.MemoryGB, &u.DiskGBSeconds: l.DiskGB} {
				*sum += min(count**l.DurationSeconds, billing.MaxCounter-*sum)
			}
			u.Cents -= *l.AmountCents
		}
	}
	return u
}

func daysOf(leases []billing.Lease, w billing.Window) (days []billing.DayUsage) {
	byDay := map[billing.Time][]billing.Lease{}
	for _, l := range leases {
		if l.FinishedAt != nil && in(w, l.StartedAt) {
			byDay[l.StartedAt.Floor(billing.Day)] = append(byDay[l.StartedAt.Floor(billing.Day)], l)
		}
	}
	for day, leases := range byDay {
		days = append(days, billing.DayUsage{Day: day, Usage: usageOf(leases, w)})
	}
	slices.SortFunc(days, func(a, b billing.DayUsage) int { return cmp.Compare(a.Day, b.Day) })
	return days
}

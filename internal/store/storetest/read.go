package storetest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

var readTests = []test{
	{"Entries", testEntries},
	{"EntriesWhileAppending", testEntriesWhileAppending},
	{"EntryByID", testEntryByID},
	{"RecordedLeases", testRecordedLeases},
	{"EntriesByFilter", testEntriesByFilter},
	{"Statement", testStatement},
	{"Credits", testCredits},
	{"EntriesIn", testEntriesIn},
	{"Usage", testUsage},
	{"Breakdown", testBreakdown},
	{"BreakdownOrder", testBreakdownOrder},
	{"BreakdownStopped", testBreakdownStopped},
	{"BreakdownCancelled", testBreakdownCancelled},
}

// lastError runs through a breakdown. Nothing may follow an error.
func testEntries(s *suite) {
	acme, globex := s.organization("acme"), s.organization("globex")
	for i := range int64(10) {
		s.credit(acme, i+1, string(rune('a'+i)))
		s.credit(globex, 100, string(rune('a'+i)))
	}
	ledger := s.ledger(acme)
	slices.Reverse(ledger)
	for _, c := range []struct {
		before int64
		limit  int
		want   []billing.Entry
	}{
		{math.MaxInt64, 100, ledger},
		{math.MaxInt64, 3, ledger[:3]},
		{11, 10, ledger},
		{10, 10, ledger[1:]},
		{5, 2, ledger[6:8]},
		{2, 10, ledger[9:]},
		{1, 10, nil},
		{0, 10, nil},
		{-1, 10, nil},
		{math.MinInt64, 10, nil},
	} {
		got, err := s.store.Entries(s.Context(), acme.ID, c.before, c.limit)
		s.must(err)
		s.same("the entries", c.want, got)
	}
}

// A statement adds up what the ledger has, and one begins with the balance with which the one before it ends.
func testStatement(s *suite) {
	acme, empty := s.organization("acme"), s.organization("empty")
	var imported []billing.Operation
	for i := range 90 {
		e := billing.Entry{ID: billing.NewID(), AmountCents: int64(1 + i), CreatedAt: someDay + billing.Time(i/3)*billing.Hour}
		if e.Source = billing.Sources[i*i%len(billing.Sources)]; e.Source == billing.SourceVMLeaseDebit {
			e.AmountCents *= -int64(i % 2)
		}
		imported = append(imported, &billing.ImportEntry{Entry: e})
	}
	s.write(acme, imported...)
	s.record(acme, finished(someDay, 300))
	s.credit(s.organization("globex"), 5, "key")
	ledger := s.ledger(acme)
	heads := []billing.Head{{Digest: acme.Digest()}}
	for _, e := range ledger {
		heads = append(heads, billing.Head{Seq: e.Seq, BalanceCents: e.BalanceAfterCents, Digest: e.Digest})
	}
	before := func(at billing.Time) (n int) {
		for n < len(ledger) && ledger[n].CreatedAt < at {
			n++
		}
		return n
	}
	times := []billing.Time{0, someDay - 1, someDay, someDay + 1, endOfTime, ledger[len(ledger)-1].CreatedAt, ledger[len(ledger)-1].CreatedAt + 1}
	for i := range 30 {
		times = append(times, someDay+billing.Time(i)*billing.Hour+billing.Time(i%3-1))
	}
	slices.Sort(times)
	var last billing.Head
	for i, from := range times[1:] {
		w := billing.Window{From: times[i], To: from}
		got, err := s.store.Statement(s.Context(), acme.ID, w)
		s.must(err)
		if i > 0 {
			s.same("the opening", last, got.Opening)
		}
		last = got.Closing
	}
	for i := range times {
		for _, to := range times[i+1:] {
			w := billing.Window{From: times[i], To: to}
			want := billing.Statement{Opening: heads[before(w.From)], Closing: heads[before(w.To)]}
			for _, source := range billing.Sources {
				sum := billing.SourceSum{Source: source}
				for _, e := range ledger[before(w.From):before(w.To)] {
					if e.Source == source {
						sum.Entries++
						sum.Cents += e.AmountCents
					}
				}
				if sum.Entries > 0 {
					want.Sources = append(want.Sources, sum)
				}
			}
			got, err := s.store.Statement(s.Context(), acme.ID, w)
			s.must(err)
			s.same(fmt.Sprint("the statement of ", w), want, got)
		}
	}
	got, err := s.store.Statement(s.Context(), empty.ID, billing.Window{To: endOfTime})
	s.must(err)
	s.same("the statement of an empty ledger", billing.Statement{Opening: s.head(empty), Closing: s.head(empty)}, got)
	_, err = s.store.Statement(s.Context(), billing.NewID(), billing.Window{To: endOfTime})
	s.wantError("no organization", err, billing.ErrOrganizationNotFound)
}

// Credits are listed in the order of the ledger, whatever their sources, and each once while others are posted.
func testCredits(s *suite) {
	acme := s.organization("acme")
	var imported []billing.Operation
	for i := range 50 {
		e := billing.Entry{ID: billing.NewID(), AmountCents: 1, CreatedAt: someDay + billing.Time(i/2), Author: new(fmt.Sprint("ops ", i))}
		if e.Source = billing.Sources[i*i%len(billing.Sources)]; e.Source == billing.SourceVMLeaseDebit {
			e.AmountCents, e.Author = 0, nil
		}
		imported = append(imported, &billing.ImportEntry{Entry: e})
	}
	s.write(acme, imported...)
	s.credit(s.organization("globex"), 5, "key")
	ledger := s.ledger(acme)
	slices.Reverse(ledger)
	from, to := someDay+5, someDay+20
	for i, filter := range []billing.EntryFilter{
		{Credits: true}, {Credits: true, From: &from}, {Credits: true, To: &to}, {Credits: true, From: &from, To: &to}, {Credits: true, From: &endOfTime},
	} {
		var want, got []billing.Entry
		for _, e := range ledger {
			if filter.Selects(e.CreatedAt, e.Source) {
				want = append(want, e)
			}
		}
		var cursor *string
		for {
			page, err := s.service.Credits(s.Context(), acme.ID, filter, new(int64(7)), cursor)
			s.must(err)
			got = append(got, page.Items...)
			if cursor = page.Next; cursor == nil {
				break
			}
			s.credit(acme, 1, fmt.Sprint(i, *cursor))
		}
		s.same("the credits", want, got)
		ledger = s.ledger(acme)
		slices.Reverse(ledger)
	}
	n := 0
	service := billing.NewService(postingStore{s.store, func() {
		n++
		s.credit(acme, 1, fmt.Sprint("meanwhile ", n)) // from the source that is read last
	}})
	first, err := service.Credits(s.Context(), acme.ID, billing.EntryFilter{Credits: true}, new(int64(3)), nil)
	s.must(err)
	s.same("credits of one moment", ledger[:3], first.Items)
	page, err := s.service.Credits(s.Context(), acme.ID, billing.EntryFilter{Credits: true, From: &from}, new(int64(1)), nil)
	s.must(err)
	_, err = s.service.Transactions(s.Context(), acme.ID, billing.EntryFilter{From: &from}, nil, page.Next)
	s.wantError("a cursor of another list", err, billing.ErrCursorInvalid)
}

// postingStore is a store in which something is posted between any two reads of entries.
type postingStore struct {
	billing.Store
	post func()
}

func (p postingStore) WalkEntries(ctx context.Context, org billing.ID, walk billing.EntryWalk, limit int) ([]billing.Entry, error) {
	entries, err := p.Store.WalkEntries(ctx, org, walk, limit)
	p.post()
	return entries, err
}

// Pages do not move while entries are appended.
func testEntriesWhileAppending(s *suite) {
	acme := s.organization("acme")
	for i := range 20 {
		s.credit(acme, 1, string(rune('a'+i)))
	}
	want := s.ledger(acme)
	slices.Reverse(want)
	var got []billing.Entry
	for before := int64(math.MaxInt64); ; before = got[len(got)-1].Seq {
		page, err := s.store.Entries(s.Context(), acme.ID, before, 3)
		s.must(err)
		got = append(got, page...)
		if len(page) == 0 || len(got) > len(want) {
			break
		}
		s.record(acme, finished(someDay, 300), finished(someDay, 0))
	}
	s.same("the pages together", want, got)
}

// An entry is found by its id only in its own ledger, a debit with its lease.
func testEntryByID(s *suite) {
	acme, globex := s.organization("acme"), s.organization("globex")
	credit := s.credit(acme, 5, "key")
	lease := finished(someDay, 300)
	s.record(acme, lease, running(someDay))
	imported := billing.Entry{ID: billing.NewID(), AmountCents: -7, Source: billing.SourceVMLeaseDebit, CreatedAt: endOfTime}
	s.write(acme, &billing.ImportEntry{Entry: imported})
	ledger := s.ledger(acme)
	for i, want := range []*billing.Lease{nil, &lease, nil} {
		entry, got, err := s.store.Entry(s.Context(), acme.ID, ledger[i].ID)
		s.must(err)
		s.same("the entry", ledger[i], entry)
		if want != nil {
			want.ID, want.AmountCents, want.CardID = ledger[i].LeaseID, new(int64(-12)), new(s.firstCard().ID)
		}
		s.same("its lease", want, got)
		_, _, err = s.store.Entry(s.Context(), globex.ID, ledger[i].ID)
		s.wantError("an entry of another ledger", err, billing.ErrEntryNotFound)
	}
	s.same("the balance after the last", int64(5-12-7), ledger[2].BalanceAfterCents)
	_, _, err := s.store.Entry(s.Context(), acme.ID, billing.NewID())
	s.wantError("an unknown entry", err, billing.ErrEntryNotFound)

	// The service adds the rate card and the arithmetic.
	detail, err := s.service.Transaction(s.Context(), acme.ID, ledger[1].ID)
	s.must(err)
	if detail.Cost == nil || detail.Cost.Cents != 12 || detail.Cost.MicroCents != 12_600_000 {
		s.Errorf("the cost is %+v", detail.Cost)
	}
	s.same("the rate card", new(s.firstCard()), detail.Card)
	detail, err = s.service.Transaction(s.Context(), acme.ID, credit.ID)
	s.must(err)
	if detail.Lease != nil || detail.Cost != nil || detail.Entry.ID != credit.ID {
		s.Errorf("the credit is %+v", detail)
	}
}

// Entries are listed as a naive filter of the whole ledger gives, in either order and in pages of any size.
func testEntriesByFilter(s *suite) {
	acme, globex := s.organization("acme"), s.organization("globex")
	// Three entries of each time, so that a time is neither the first nor the last of its entries.
	sources := []billing.Source{
		billing.SourceStripeTopup, billing.SourceCouponRedemption, billing.SourceAdminGrant, billing.SourceRefund, billing.SourceVMLeaseDebit,
		billing.SourceVMLeaseDebit, billing.SourceVMLeaseDebit,
	}
	var imported []billing.Operation
	for i := range 60 {
		e := billing.Entry{
			ID: billing.NewID(), AmountCents: 1, Source: sources[3*i%len(sources)], CreatedAt: someDay + billing.Time(i/3)*billing.Second,
		}
		if e.Source == billing.SourceVMLeaseDebit {
			e.AmountCents = 0
		}
		imported = append(imported, &billing.ImportEntry{Entry: e})
	}
	s.write(acme, imported...)
	foreign := s.credit(globex, 1, "key")
	ledger := s.ledger(acme)
	var times []*billing.Time
	for _, i := range []int{0, 2, 20, 59} {
		at := ledger[i].CreatedAt
		times = append(times, new(at-1), &at, new(at+1))
	}
	for i, at := range append(times, new(billing.Time(0)), &endOfTime) {
		seq, err := s.store.SeqAt(s.Context(), acme.ID, *at)
		s.must(err)
		want := int64(1)
		for want <= int64(len(ledger)) && ledger[want-1].CreatedAt < *at {
			want++
		}
		s.same(fmt.Sprint("the entry at time ", i), want, seq)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 60 {
		filter := billing.EntryFilter{OldestFirst: i%2 == 0}
		if r.IntN(2) == 0 {
			filter.Source = sources[r.IntN(len(sources))]
		}
		if r.IntN(2) == 0 {
			filter.From = times[r.IntN(len(times))]
		}
		if r.IntN(2) == 0 {
			filter.To = times[r.IntN(len(times))]
		}
		if r.IntN(3) == 0 {
			filter.After = &ledger[r.IntN(len(ledger))].ID
		}
		switch i { // the entry lies outside of the times
		case 0:
			filter = billing.EntryFilter{OldestFirst: true, After: &ledger[5].ID, From: &ledger[30].CreatedAt}
		case 1:
			filter = billing.EntryFilter{After: &ledger[50].ID, To: &ledger[20].CreatedAt}
		}
		var want []billing.Entry
		reached := filter.After == nil
		listed := slices.Clone(ledger)
		if !filter.OldestFirst {
			slices.Reverse(listed)
		}
		for _, e := range listed {
			if reached && (filter.Source == "" || filter.Source == e.Source) && (filter.From == nil || e.CreatedAt >= *filter.From) &&
				(filter.To == nil || e.CreatedAt < *filter.To) {
				want = append(want, e)
			}
			reached = reached || e.ID == *filter.After
		}
		var got []billing.Entry
		limit := int64(1 + r.IntN(9))
		for cursor, more := (*string)(nil), true; more; more = cursor != nil {
			page, err := s.service.Transactions(s.Context(), acme.ID, filter, &limit, cursor)
			s.must(err)
			if n := int64(len(page.Items)); n > limit || n < limit && page.Next != nil {
				s.Fatalf("a page of %d entries; the limit is %d", n, limit)
			}
			got, cursor = append(got, page.Items...), page.Next
		}
		s.same(fmt.Sprintf("the entries of %+v", filter), want, got)
	}
	credits, err := s.service.Transactions(s.Context(), acme.ID, billing.EntryFilter{Source: billing.SourceRefund}, new(int64(1)), nil)
	s.must(err)
	_, err = s.service.Transactions(s.Context(), acme.ID, billing.EntryFilter{Source: billing.SourceAdminGrant}, nil, credits.Next)
	s.wantError("a cursor of another source", err, billing.ErrCursorInvalid)
	_, err = s.service.Transactions(s.Context(), acme.ID, billing.EntryFilter{After: &foreign.ID}, nil, nil)
	s.wantError("an entry of another ledger", err, billing.ErrEntryNotFound)
	page, err := s.service.Transactions(s.Context(), acme.ID, billing.EntryFilter{}, new(int64(1)), nil)
	s.must(err)
	for _, other := range []billing.EntryFilter{
		{OldestFirst: true}, {Source: billing.SourceRefund}, {From: &someDay}, {To: &endOfTime}, {After: &ledger[5].ID},
	} {
		_, err = s.service.Transactions(s.Context(), acme.ID, other, nil, page.Next)
		s.wantError("a cursor of another filter", err, billing.ErrCursorInvalid)
	}
}

// Leases are listed as a naive filter and sort of all of them gives, in pages of any size, each with the entry that bills
// it.
func testRecordedLeases(s *suite) {
	acme, globex := s.organization("acme"), s.organization("globex")
	r := rand.New(rand.NewPCG(1, 2))
	leases := anyLeases(r, 250)
	s.record(acme, leases...)
	s.record(globex, anyLeases(r, 20)...)
	c, err := export(s.Context(), s.store)
	s.must(err)
	debits := map[billing.ID]*billing.ID{}
	for _, e := range s.ledger(acme) {
		debits[*e.LeaseID] = &e.ID
	}
	var all []billing.LeaseRecord
	for _, l := range c.Leases["acme"] {
		all = append(all, billing.LeaseRecord{Lease: l, EntryID: debits[*l.ID]})
	}
	slices.SortFunc(all, func(a, b billing.LeaseRecord) int {
		return cmp.Or(cmp.Compare(b.Lease.StartedAt, a.Lease.StartedAt), bytes.Compare(b.Lease.ID[:], a.Lease.ID[:]))
	})
	picked := all[100].Lease
	for what, filter := range map[string]billing.LeaseFilter{
		"all": {}, "running": {State: billing.LeaseStateRunning}, "billed": {State: billing.LeaseStateBilled},
		"a lease": {LeaseID: picked.ID}, "a job": {JobID: picked.JobID}, "a lease and its job": {LeaseID: picked.ID, JobID: picked.JobID},
		"a lease of another job": {LeaseID: picked.ID, JobID: all[101].Lease.JobID}, "no such job": {JobID: new(billing.NewID())},
		"a lease in another state": {LeaseID: picked.ID, State: map[bool]billing.LeaseState{
			true: billing.LeaseStateBilled, false: billing.LeaseStateRunning,
		}[picked.FinishedAt == nil]},
	} {
		var want []billing.LeaseRecord
		for _, record := range all {
			if (filter.State == "" || filter.State == record.Lease.State()) && (filter.LeaseID == nil || *filter.LeaseID == *record.Lease.ID) &&
				(filter.JobID == nil || *filter.JobID == *record.Lease.JobID) {
				want = append(want, record)
			}
		}
		for _, limit := range []int64{1, 7, 100} {
			var got []billing.LeaseRecord
			for cursor, more := (*string)(nil), true; more; more = cursor != nil {
				page, err := s.service.Leases(s.Context(), acme.ID, filter, &limit, cursor)
				s.must(err)
				if n := int64(len(page.Items)); n > limit || n < limit && page.Next != nil {
					s.Fatalf("%s: a page of %d leases; the limit is %d", what, n, limit)
				}
				for i := range page.Items {
					item := &page.Items[i]
					s.same("whether a lease accrues a cost", item.Lease.FinishedAt == nil, item.AccruedCents != nil)
					item.AccruedCents = nil // it grows
				}
				got, cursor = append(got, page.Items...), page.Next
			}
			s.same(what, want, got)
		}
	}
	page, err := s.service.Leases(s.Context(), acme.ID, billing.LeaseFilter{}, new(int64(1)), nil)
	s.must(err)
	for what, ask := range map[string]func() error{
		"a cursor of another organization": func() error {
			_, err := s.service.Leases(s.Context(), globex.ID, billing.LeaseFilter{}, nil, page.Next)
			return err
		},
		"a cursor of another filter": func() error {
			_, err := s.service.Leases(s.Context(), acme.ID, billing.LeaseFilter{State: billing.LeaseStateRunning}, nil, page.Next)
			return err
		},
		"a made-up cursor": func() error {
			_, err := s.service.Leases(s.Context(), acme.ID, billing.LeaseFilter{}, nil, new("AAAA"))
			return err
		},
	} {
		s.wantError(what, ask(), billing.ErrCursorInvalid)
	}
}

// anyLeases makes up leases of a few builds over some days. Many start at the same moment, on the hour or a microsecond
// beside it.
func anyLeases(r *rand.Rand, n int) []billing.Lease {
	builds := make([]*billing.ID, 40)
	for i := range builds[1:] { // the first is no build
		builds[i+1] = new(billing.NewID())
	}
	leases := make([]billing.Lease, n)
	for i := range leases {
		l := running(anyMoment(r))
		build := r.IntN(len(builds))
		l.ID, l.BuildID = new(billing.NewID()), builds[build]
		if build > 0 {
			l.BuildNumber = new(int64(build))
		}
		l.CPUCount, l.MemoryGB, l.DiskGB = 1+r.Int64N(64), 1+r.Int64N(256), 1+r.Int64N(1000)
		if r.IntN(10) > 0 {
			l = finish(l, r.Int64N(20_000))
		}
		leases[i] = l
	}
	return leases
}

// anyMoment lies within five days from someDay.
func anyMoment(r *rand.Rand) billing.Time {
	hour := someDay + billing.Time(r.Int64N(5*24))*billing.Hour
	switch r.IntN(5) {
	case 0:
		return hour
	case 1:
		return hour + 1
	case 2:
		return hour + billing.Hour - 1
	case 3:
		return hour + billing.Time(r.Int64N(60))*60*billing.Second
	default:
		return hour + billing.Time(r.Int64N(int64(billing.Hour)))
	}
}

// windows returns windows that cut hours in every way, and random ones.
func windows(r *rand.Rand) []billing.Window {
	hour := someDay + 30*billing.Hour
	all := []billing.Window{
		{From: 0, To: endOfTime},
		{From: billing.TimeOf(billing.Time(0).Std().AddDate(-1969, 0, 0)), To: 0},
		{From: someDay, To: someDay + 5*billing.Day},
		{From: someDay, To: someDay + 1},
		{From: hour, To: hour + billing.Hour},
		{From: hour, To: hour + billing.Hour - 1},
		{From: hour, To: hour + billing.Hour + 1},
		{From: hour - 1, To: hour + billing.Hour},
		{From: hour + 1, To: hour + billing.Hour},
		{From: hour - 1, To: hour + 1},
		{From: hour - 1, To: hour},
		{From: hour, To: hour + 1},
		{From: hour + 1, To: hour + 2},
		{From: hour + 1, To: hour + billing.Hour - 1},
		{From: hour + billing.Hour - 1, To: hour + billing.Hour},
		{From: hour + 1, To: hour + 2*billing.Hour + 1},
		{From: someDay + billing.Day - 1, To: someDay + billing.Day + 1},
		{From: someDay + 10*billing.Day, To: someDay + 11*billing.Day},
		{From: someDay - billing.Day, To: someDay},
	}
	for range 100 {
		from, to := anyMoment(r), anyMoment(r)
		if from > to {
			from, to = to, from
		}
		all = append(all, billing.Window{From: from, To: to + 1})
	}
	return all
}

// testUsage compares the sums with a loop over the leases.
func testUsage(s *suite) {
	r := rand.New(rand.NewPCG(11, 12))
	acme, globex := s.organization("acme"), s.organization("globex")
	for range 2 {
		s.record(acme, anyLeases(r, 250)...)
		s.record(globex, anyLeases(r, 50)...)
	}
	c, err := export(s.Context(), s.store)
	s.must(err)
	leases := c.Leases["acme"]
	for _, w := range windows(r) {
		want, wantDays := usageOf(leases, w), daysOf(leases, w)
		got, err := s.store.Usage(s.Context(), acme.ID, w)
		s.must(err)
		days, err := s.store.UsageByDay(s.Context(), acme.ID, w)
		s.must(err)
		if got != want {
			s.Errorf("from %s to %s the usage is %+v; want %+v", w.From, w.To, got, want)
		}
		if !slices.Equal(days, wantDays) {
			s.Errorf("from %s to %s the days are %+v; want %+v", w.From, w.To, days, wantDays)
		}
		var sum billing.Usage
		for _, day := range days {
			sum.CPUSeconds += day.CPUSeconds
			sum.MemoryGBSeconds += day.MemoryGBSeconds
			sum.DiskGBSeconds += day.DiskGBSeconds
			sum.Cents += day.Cents
		}
		if sum != got {
			s.Errorf("from %s to %s the days add up to %+v, the usage is %+v", w.From, w.To, sum, got)
		}
	}
	// Leases that run are not in any sum, whichever way it is reached.
	initech := s.organization("initech")
	s.record(initech, running(someDay+1), running(someDay+2*billing.Hour))
	for _, w := range windows(r) {
		got, err := s.store.Usage(s.Context(), initech.ID, w)
		s.must(err)
		days, err := s.store.UsageByDay(s.Context(), initech.ID, w)
		s.must(err)
		if got != (billing.Usage{}) || len(days) > 0 {
			s.Errorf("from %s to %s running leases add up to %+v, %+v", w.From, w.To, got, days)
		}
	}
	nobody, err := s.store.Usage(s.Context(), billing.NewID(), billing.Window{From: 0, To: endOfTime})
	s.must(err)
	s.same("the usage of nobody", billing.Usage{}, nobody)
	s.audit()
}

// breakdownOf groups leases the naive way.
func breakdownOf(leases []billing.Lease, w billing.Window) []billing.BreakdownRow {
	builds := map[billing.ID][]billing.Lease{} // the zero id is none
	for _, l := range leases {
		if in(w, l.StartedAt) {
			id := billing.ID{}
			if l.BuildID != nil {
				id = *l.BuildID
			}
			builds[id] = append(builds[id], l)
		}
	}
	type build struct {
		id  billing.ID
		sum billing.BuildUsage
	}
	var order []build
	for id, leases := range builds {
		b := build{id, billing.BuildUsage{StartedAt: endOfTime, Jobs: int64(len(leases))}}
		for _, l := range leases {
			b.sum.StartedAt = min(b.sum.StartedAt, l.StartedAt)
			if l.FinishedAt != nil {
				b.sum.Cents += *l.AmountCents
				if b.sum.FinishedAt == nil || *b.sum.FinishedAt < *l.FinishedAt {
					b.sum.FinishedAt = l.FinishedAt
				}
			}
		}
		slices.SortFunc(leases, func(a, b billing.Lease) int {
			return cmp.Or(cmp.Compare(a.StartedAt, b.StartedAt), bytes.Compare(a.ID[:], b.ID[:]))
		})
		order = append(order, b)
	}
	slices.SortFunc(order, func(a, b build) int {
		if later := cmp.Compare(b.sum.StartedAt, a.sum.StartedAt); later != 0 {
			return later
		}
		switch none := (billing.ID{}); {
		case a.id == none:
			return 1
		case b.id == none:
			return -1
		}
		return bytes.Compare(a.id[:], b.id[:])
	})
	var rows []billing.BreakdownRow
	for _, b := range order {
		for _, l := range builds[b.id] {
			rows = append(rows, billing.BreakdownRow{Build: b.sum, Lease: l})
		}
	}
	return rows
}

func (s *suite) breakdown(org billing.Organization, w billing.Window) (rows []billing.BreakdownRow) {
	s.Helper()
	for row, err := range s.store.Breakdown(s.Context(), org.ID, w) {
		s.must(err)
		rows = append(rows, *row)
	}
	return rows
}

func testBreakdown(s *suite) {
	r := rand.New(rand.NewPCG(13, 14))
	acme, globex := s.organization("acme"), s.organization("globex")
	s.record(acme, anyLeases(r, 200)...)
	s.record(globex, anyLeases(r, 50)...)
	c, err := export(s.Context(), s.store)
	s.must(err)
	for i, w := range windows(r) {
		if i == 30 {
			break
		}
		s.same("from "+w.From.String()+" to "+w.To.String(), breakdownOf(c.Leases["acme"], w), s.breakdown(acme, w))
	}
}

// A small one, written out.
func testBreakdownOrder(s *suite) {
	acme := s.organization("acme")
	id := func(n byte) *billing.ID { return &billing.ID{15: n} }
	lease := func(lease, build byte, start billing.Time, seconds int64) billing.Lease {
		l := running(someDay + start*billing.Second)
		l.ID, l.JobID = id(lease), nil
		if build > 0 {
			l.BuildID = id(build)
		}
		if seconds >= 0 {
			l = finish(l, seconds)
		}
		return l
	}
	s.record(acme,
		lease(1, 20, 0, 3600), // before the window; build 20 straddles it
		lease(2, 20, 100, 300),
		lease(3, 0, 100, 24), // starts with the builds 20 and 21, and belongs to none
		lease(5, 21, 100, -1),
		lease(4, 21, 100, 0),
		lease(6, 22, 200, -1), // the newest, still running
		lease(7, 20, 300, 24),
		lease(8, 0, 50, 300), // no build either, and the first in the window
		lease(9, 22, 1000, 1),
	)
	type row struct {
		lease, build        byte
		start, end          billing.Time // of the build; -1 for none
		cents, jobs, amount int64        // -1 for none
	}
	var got []row
	for _, r := range s.breakdown(acme, billing.Window{From: someDay + 50*billing.Second, To: someDay + 1000*billing.Second}) {
		g := row{
			lease: r.Lease.ID[15], start: (r.Build.StartedAt - someDay) / billing.Second, end: -1, cents: r.Build.Cents,
			jobs: r.Build.Jobs, amount: -1,
		}
		if r.Lease.BuildID != nil {
			g.build = r.Lease.BuildID[15]
		}
		if r.Build.FinishedAt != nil {
			g.end = (*r.Build.FinishedAt - someDay) / billing.Second
		}
		if r.Lease.AmountCents != nil {
			g.amount = -*r.Lease.AmountCents
		}
		got = append(got, g)
	}
	if want := []row{
		{6, 22, 200, -1, 0, 1, -1},
		{2, 20, 100, 400, -13, 2, 12},
		{7, 20, 100, 400, -13, 2, 1},
		{4, 21, 100, 100, 0, 2, 0},
		{5, 21, 100, 100, 0, 2, -1},
		{8, 0, 50, 350, -13, 2, 12},
		{3, 0, 50, 350, -13, 2, 1},
	}; !slices.Equal(got, want) {
		s.Errorf("got\n%v, want\n%v", got, want)
	}
}

// A receiver that stops early leaves nothing behind, however often: connections are few.
func testBreakdownStopped(s *suite) {
	acme := s.organization("acme")
	s.record(acme, anyLeases(rand.New(rand.NewPCG(15, 16)), 30)...)
	all := s.breakdown(acme, billing.Window{From: 0, To: endOfTime})
	for i := range 50 {
		var got []billing.BreakdownRow
		for row, err := range s.store.Breakdown(s.Context(), acme.ID, billing.Window{From: 0, To: endOfTime}) {
			s.must(err)
			got = append(got, *row)
			if len(got) == 1+i%5 {
				break
			}
		}
		s.same("the first rows", all[:1+i%5], got)
	}
	// Rows are the receiver's, and writing goes on while it reads.
	var got []billing.BreakdownRow
	for row, err := range s.store.Breakdown(s.Context(), acme.ID, billing.Window{From: 0, To: endOfTime}) {
		s.must(err)
		got = append(got, *row)
		if len(got)%10 == 1 {
			s.record(acme, finished(someDay, 300))
		}
	}
	s.same("the rows", all, got)
}

// A breakdown that was cut short is never taken for a whole one.
func testBreakdownCancelled(s *suite) {
	acme := s.organization("acme")
	const leases = 100
	s.record(acme, anyLeases(rand.New(rand.NewPCG(17, 18)), leases)...)
	for range 10 {
		ctx, cancel := context.WithCancel(s.Context())
		rows := 0
		err := Last(func(yield func(*billing.BreakdownRow, error) bool) {
			for row, err := range s.store.Breakdown(ctx, acme.ID, billing.Window{From: 0, To: endOfTime}) {
				cancel()
				if err == nil {
					rows++
				}
				if !yield(row, err) {
					return
				}
			}
		})
		if err == nil && rows != leases || err != nil && !errors.Is(err, context.Canceled) {
			s.Errorf("after %d of %d rows: %v", rows, leases, err)
		}
		cancel()
	}
	s.audit()
}

// entriesSink keeps what a walk over entries hands over.
type entriesSink struct {
	cards   int
	entries map[string][]billing.Entry // by slug
	leases  map[billing.ID]*billing.Lease
	fail    error // is returned for each entry
}

// RateCards implements billing.EntrySink.
func (e *entriesSink) RateCards(cards *billing.RateCards) error {
	e.cards = len(cards.All())
	return nil
}

// Entry implements billing.EntrySink.
func (e *entriesSink) Entry(org billing.Organization, entry *billing.Entry, lease *billing.Lease) error {
	e.entries[org.Slug] = append(e.entries[org.Slug], *entry)
	e.leases[entry.ID] = lease
	return e.fail
}

// A walk over a window has the entries that were created in it, of one organization or all, each with its lease.
func testEntriesIn(s *suite) {
	acme, globex := s.organization("acme"), s.organization("globex")
	s.organization("empty")
	s.fill(acme, 1)
	s.write(acme, &billing.ImportEntry{Entry: billing.Entry{ID: billing.NewID(), Source: billing.SourceVMLeaseDebit, CreatedAt: s.head(acme).LastAt + 1}})
	s.fill(globex, 2)
	ledger := s.ledger(acme)
	leases := map[billing.ID]*billing.Lease{}
	for i := range ledger {
		_, lease, err := s.store.Entry(s.Context(), acme.ID, ledger[i].ID)
		s.must(err)
		leases[ledger[i].ID] = lease
	}
	in := func(org *billing.ID, w billing.Window) *entriesSink {
		s.Helper()
		sink := &entriesSink{entries: map[string][]billing.Entry{}, leases: map[billing.ID]*billing.Lease{}}
		s.must(s.store.EntriesIn(s.Context(), org, w, sink))
		s.same("the number of rate cards", 1, sink.cards)
		return sink
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		first := r.IntN(len(ledger))
		end := first + r.IntN(len(ledger)-first)
		got := in(&acme.ID, billing.Window{From: ledger[first].CreatedAt, To: ledger[end].CreatedAt})
		s.same(fmt.Sprint("the entries from ", first, " to before ", end), ledger[first:end], got.entries["acme"])
		for id, lease := range got.leases {
			s.same("a lease", leases[id], lease)
		}
	}
	all := in(nil, billing.Window{To: endOfTime})
	s.same("all entries", map[string][]billing.Entry{"acme": ledger, "globex": s.ledger(globex)}, all.entries)
	refused := errors.New("the sink is full")
	sink := &entriesSink{entries: map[string][]billing.Entry{}, leases: map[billing.ID]*billing.Lease{}, fail: refused}
	s.wantError("a walk that the sink stops", s.store.EntriesIn(s.Context(), nil, billing.Window{To: endOfTime}, sink), refused)
	s.same("the entries of a walk that the sink stops", 1, len(sink.leases))
}

package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

var concurrencyTests = []test{
	{"ManyWritersToOneOrganization", func(s *suite) { testManyWriters(s, 1, 32, 12) }},
	{"ManyWritersToManyOrganizations", func(s *suite) { testManyWriters(s, 8, 4, 12) }},
	{"AnswersAreVisibleElsewhere", testAnswersAreVisibleElsewhere},
	{"SameJobFromOneStore", func(s *suite) { testSameJob(s, s.store, s.store) }},
	{"SameJobFromTwoStores", func(s *suite) { testSameJob(s, s.store, s.open()) }},
	{"SameKeyFromOneStore", func(s *suite) { testSameKey(s, s.store, s.store) }},
	{"SameKeyFromTwoStores", func(s *suite) { testSameKey(s, s.store, s.open()) }},
	{"OneCommitterOfAnOrganization", testOneCommitter},
	{"RefusedAmongOthers", testRefusedAmongOthers},
	{"CancelledBefore", testCancelledBefore},
	{"CancelledWhileQueued", testCancelledWhileQueued},
	{"CancelledWhileApplied", testCancelledWhileApplied},
	{"CloseUnderLoad", testCloseUnderLoad},
	{"Closed", testClosed},
}

// testManyWriters has several writers to each organization, half of them through a second store. Each operation takes place exactly once,
// and the ledgers add up.
func testManyWriters(s *suite, organizations, writers, operations int) {
	stores := []billing.Store{s.store, s.open()}
	var orgs []billing.Organization
	for i := range organizations {
		orgs = append(orgs, s.organization(fmt.Sprintf("org-%d", i)))
	}
	want := make([]int64, len(orgs)) // balances
	seen := make([]map[int64]bool, len(orgs))
	var mu sync.Mutex
	var all sync.WaitGroup
	for i, org := range orgs {
		seen[i] = map[int64]bool{}
		for w := range writers {
			all.Go(func() {
				service := service(stores[w%2])
				for n := range operations {
					if n%2 == 0 {
						op := Credit(int64(w+1), fmt.Sprintf("%d/%d", w, n))
						if err := service.PostCredit(s.Context(), org.ID, op); err != nil {
							s.Error(err)
							return
						}
						mu.Lock()
						if op.Replayed || seen[i][op.Entry.Seq] {
							s.Errorf("entry %d was appended twice", op.Entry.Seq)
						}
						seen[i][op.Entry.Seq] = true
						want[i] += op.AmountCents
						mu.Unlock()
						continue
					}
					results, err := service.RecordLeases(s.Context(), org.ID, []billing.Lease{
						finished(someDay+billing.Time(n)*billing.Hour, int64(300+n)), running(someDay), finished(someDay, 1),
					})
					if err != nil {
						s.Error(err)
						return
					}
					mu.Lock()
					for _, r := range results {
						want[i] += r.AmountCents
					}
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	for i, org := range orgs {
		head := s.head(org)
		if entries := int64(writers * operations / 2 * 3); head.Seq != entries || head.BalanceCents != want[i] {
			s.Errorf("%s: the head is %+v; want %d entries and %d cents", org.Slug, head, entries, want[i])
		}
	}
	s.audit()
}

// After the answer to a write, every store on the database sees the write.
func testAnswersAreVisibleElsewhere(s *suite) {
	acme := s.organization("acme")
	stores := []billing.Store{s.store, s.open()}
	for i := range 50 {
		writer, reader := stores[i%2], stores[1-i%2]
		op := Credit(1, fmt.Sprint(i))
		s.must(service(writer).PostCredit(s.Context(), acme.ID, op))
		head, err := reader.Head(s.Context(), acme.ID)
		s.must(err)
		if head.Seq != op.Entry.Seq || head.BalanceCents != op.Entry.BalanceAfterCents {
			s.Fatalf("after entry %d the other store's head is %+v", op.Entry.Seq, head)
		}
		entries, err := reader.Entries(s.Context(), acme.ID, head.Seq+1, 1)
		s.must(err)
		s.same("the newest entry, seen elsewhere", []billing.Entry{op.Entry}, entries)
	}
	s.audit()
}

// atOnce runs do in many goroutines, which begin together.
func atOnce(n int, do func(i int)) {
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-begin
			do(i)
		})
	}
	close(begin)
	all.Wait()
}

const (
	senders = 32
	rounds  = 10
)

func testSameJob(s *suite, stores ...billing.Store) {
	acme := s.organization("acme")
	for round := range rounds {
		lease := finished(someDay, 300)
		if round%2 == 1 {
			s.record(acme, running(someDay), func() billing.Lease {
				l := lease
				l.FinishedAt, l.DurationSeconds = nil, nil
				return l
			}())
		}
		results, errs := make([]billing.RecordedLease, senders), make([]error, senders)
		atOnce(senders, func(i int) {
			// Among others, so that each request has something of its own to do.
			all, err := service(stores[i%len(stores)]).RecordLeases(s.Context(), acme.ID, []billing.Lease{finished(someDay, 0), lease})
			if errs[i] = err; err == nil {
				results[i] = all[1]
			}
		})
		billed := 0
		for i, r := range results {
			s.must(errs[i])
			if r.ID != results[0].ID || r.AmountCents != -12 {
				s.Errorf("one is told %+v, another %+v", results[0], r)
			}
			switch r.Status {
			case billing.LeaseBilled:
				billed++
			case billing.LeaseDuplicate:
			default:
				s.Errorf("a finished lease is %s", r.Status)
			}
		}
		if billed != 1 {
			s.Fatalf("a lease was billed %d times", billed)
		}
	}
	s.same("the balance", int64(-12*rounds), s.head(acme).BalanceCents)
	s.audit()
}

func testSameKey(s *suite, stores ...billing.Store) {
	acme := s.organization("acme")
	for round := range rounds {
		ops := make([]*billing.PostCredit, senders)
		errs := make([]error, senders)
		atOnce(senders, func(i int) {
			ops[i] = Credit(7, fmt.Sprint(round))
			errs[i] = service(stores[i%len(stores)]).PostCredit(s.Context(), acme.ID, ops[i])
		})
		posted := 0
		for i, op := range ops {
			s.must(errs[i])
			s.same("the answer", ops[0].Entry, op.Entry)
			if !op.Replayed {
				posted++
			}
		}
		if posted != 1 {
			s.Fatalf("a credit was posted %d times", posted)
		}
	}
	s.same("the balance", int64(7*rounds), s.head(acme).BalanceCents)
	s.audit()
}

// gate is an operation that holds up its store: it changes nothing, and does not return until it is released.
type gate struct {
	once              sync.Once
	entered, released chan struct{}
}

func newGate() *gate { return &gate{entered: make(chan struct{}), released: make(chan struct{})} }

// Needs implements billing.Operation.
func (*gate) Needs() billing.Needs { return billing.Needs{} }

// Apply implements billing.Operation.
func (g *gate) Apply(*billing.Book) error {
	g.once.Do(func() {
		close(g.entered)
		<-g.released
	})
	return nil
}

// exclusive is an operation that fails if another one of its organization is applied at the same time.
type exclusive struct{ applying *atomic.Int32 }

// Needs implements billing.Operation.
func (exclusive) Needs() billing.Needs { return billing.Needs{} }

// Apply implements billing.Operation.
func (e exclusive) Apply(*billing.Book) error {
	defer e.applying.Add(-1)
	if e.applying.Add(1) > 1 {
		return errors.New("two operations of an organization are applied at the same time")
	}
	for range 100 {
		runtime.Gosched()
	}
	return nil
}

// testOneCommitter has many callers write to a few organizations. No organization is in two transactions at once.
func testOneCommitter(s *suite) {
	orgs := []billing.Organization{s.organization("acme"), s.organization("globex"), s.organization("initech")}
	applying := make([]atomic.Int32, len(orgs))
	atOnce(senders, func(i int) {
		for n := range rounds {
			at := (i + n) % len(orgs)
			errs, err := s.store.Write(s.Context(), orgs[at].ID, exclusive{&applying[at]}, Credit(1, fmt.Sprint(i, "/", n)))
			if err := errors.Join(append(errs, err)...); err != nil {
				s.Error(err)
			}
		}
	})
	s.audit()
}

// testRefusedAmongOthers writes behind a gate, so that writes of several organizations wait together and may share a
// transaction, one of which the database refuses.
func testRefusedAmongOthers(s *suite) {
	acme, globex := s.organization("acme"), s.organization("globex")
	s.credit(acme, 100, "taken")
	held := newGate()
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := s.store.Write(s.Context(), acme.ID, held); err != nil {
			s.Error(err)
		}
	})
	<-held.entered
	for i := range senders {
		all.Go(func() {
			org := []billing.Organization{acme, globex}[i%2]
			if err := s.service.PostCredit(s.Context(), org.ID, Credit(1, fmt.Sprint(i))); err != nil {
				s.Error(err)
			}
		})
		if i%8 != 0 {
			continue
		}
		all.Go(func() {
			if err := s.service.PostCredit(s.Context(), billing.NewID(), Credit(1, "nobody")); !errors.Is(err, billing.ErrOrganizationNotFound) {
				s.Errorf("a write to nobody: %v", err)
			}
		})
		all.Go(func() {
			errs, err := s.store.Write(s.Context(), acme.ID, blind{Credit(1, "taken")}, Credit(5, fmt.Sprint("beside ", i)))
			if err != nil || errs[0] == nil || errs[1] != nil {
				s.Errorf("beside a refused operation: %v, %v", errs, err)
			}
		})
	}
	close(held.released)
	all.Wait()
	s.same("acme's balance", int64(100+senders/2+5*senders/8), s.head(acme).BalanceCents)
	s.same("globex's balance", int64(senders/2), s.head(globex).BalanceCents)
	s.audit()
}

func testCancelledBefore(s *suite) {
	acme := s.organization("acme")
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	s.unchanged("a write whose context has ended", func() {
		for range 100 {
			s.wantError("it", s.service.PostCredit(ctx, acme.ID, Credit(1, "key")), context.Canceled)
		}
		s.wantError("an organization", s.store.CreateOrganization(ctx, billing.Organization{ID: billing.NewID(), Slug: "x", Name: "x"}),
			context.Canceled)
	})
	for what, read := range map[string]func() error{
		"Head":         func() error { _, err := s.store.Head(ctx, acme.ID); return err },
		"Entries":      func() error { _, err := s.store.Entries(ctx, acme.ID, 10, 10); return err },
		"Usage":        func() error { _, err := s.store.Usage(ctx, acme.ID, billing.Window{From: 0, To: 1}); return err },
		"UsageByDay":   func() error { _, err := s.store.UsageByDay(ctx, acme.ID, billing.Window{From: 0, To: 1}); return err },
		"Grant":        func() error { _, err := s.store.Grant(ctx, billing.TokenHash{}, "acme"); return err },
		"Export":       func() error { return s.store.Export(ctx, newContents()) },
		"Ping":         func() error { return s.store.Ping(ctx) },
		"a breakdown":  func() error { return Last(s.store.Breakdown(ctx, acme.ID, billing.Window{From: 0, To: 1})) },
		"organization": func() error { _, err := s.store.OrganizationBySlug(ctx, "acme"); return err },
	} {
		s.wantError(what, read(), context.Canceled)
	}
	s.credit(acme, 1, "key")
}

// A caller that gives up in the queue is answered immediately, and its write does not take place.
func testCancelledWhileQueued(s *suite) {
	acme := s.organization("acme")
	held := newGate()
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := s.store.Write(s.Context(), acme.ID, held); err != nil {
			s.Error(err)
		}
	})
	<-held.entered
	ctx, cancel := context.WithCancel(s.Context())
	var cancelled sync.WaitGroup
	for i := range senders {
		cancelled.Go(func() {
			if err := s.service.PostCredit(ctx, acme.ID, Credit(1, fmt.Sprint(i))); !errors.Is(err, context.Canceled) {
				s.Errorf("a write that was given up: %v", err)
			}
		})
		all.Go(func() {
			if err := s.service.PostCredit(s.Context(), acme.ID, Credit(100, fmt.Sprint("kept ", i))); err != nil {
				s.Error(err)
			}
		})
	}
	cancel()
	cancelled.Wait()
	close(held.released)
	all.Wait()
	s.same("the balance", int64(100*senders), s.head(acme).BalanceCents)
	s.audit()
}

// An operation that is applied takes place as a whole or not at all, even if its caller gives up.
func testCancelledWhileApplied(s *suite) {
	acme := s.organization("acme")
	held := newGate()
	ctx, cancel := context.WithCancel(s.Context())
	var all sync.WaitGroup
	var err error
	all.Go(func() { _, err = s.store.Write(ctx, acme.ID, Credit(1, "before"), held, Credit(1, "after")) })
	<-held.entered
	cancel()
	close(held.released)
	all.Wait()
	if err != nil && !errors.Is(err, context.Canceled) {
		s.Error(err)
	}
	// A later write follows it.
	s.credit(acme, 10, "later")
	if seq := s.head(acme).Seq; seq != 1 && seq != 3 || err == nil && seq != 3 {
		s.Errorf("after the error %v there are %d entries", err, seq)
	}
	s.credit(acme, 1, "before")
	s.credit(acme, 1, "after")
	s.same("the balance", int64(12), s.head(acme).BalanceCents)
	s.audit()
}

// Of the writes that run during a Close, exactly the acknowledged ones are stored.
func testCloseUnderLoad(s *suite) {
	acme := s.organization("acme")
	second := s.open()
	errs := make([]error, senders)
	atOnce(senders+1, func(i int) {
		if i == senders {
			if err := second.Close(); err != nil {
				s.Error(err)
			}
			return
		}
		errs[i] = service(second).PostCredit(s.Context(), acme.ID, Credit(1, fmt.Sprint(i)))
	})
	answered := int64(0)
	for _, err := range errs {
		if err == nil {
			answered++
		} else if !errors.Is(err, billing.ErrUnavailable) {
			s.Errorf("a write at the time of Close: %v", err)
		}
	}
	s.same("the balance", answered, s.head(acme).BalanceCents)
	s.audit()
}

func testClosed(s *suite) {
	acme := s.organization("acme")
	s.credit(acme, 1, "key")
	s.must(s.store.Close())
	for what, err := range map[string]error{
		"Write":              s.service.PostCredit(s.Context(), acme.ID, Credit(1, "later")),
		"CreateOrganization": s.store.CreateOrganization(s.Context(), billing.Organization{ID: billing.NewID(), Slug: "x", Name: "x"}),
		"RevokeToken":        s.store.RevokeToken(s.Context(), billing.TokenHash{}, 1),
		"Head":               func() error { _, err := s.store.Head(s.Context(), acme.ID); return err }(),
		"Grant":              func() error { _, err := s.store.Grant(s.Context(), billing.TokenHash{}, "acme"); return err }(),
		"Usage":              func() error { _, err := s.store.Usage(s.Context(), acme.ID, billing.Window{}); return err }(),
		"Breakdown":          Last(s.store.Breakdown(s.Context(), acme.ID, billing.Window{})),
		"Export":             s.store.Export(s.Context(), newContents()),
	} {
		s.wantError(what, err, billing.ErrUnavailable)
	}
	s.must(s.store.Close()) // once more does no harm
	head, err := s.open().Head(s.Context(), acme.ID)
	s.must(err)
	s.same("the balance", int64(1), head.BalanceCents)
}

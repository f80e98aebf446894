package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

var exportTests = []test{
	{"Everything", testExportEverything},
	{"OneMoment", testExportOneMoment},
	{"WhileWritersWrite", testExportWhileWritersWrite},
	{"Stopped", testExportStopped},
}

// exported is how many leases fill writes.
const exported = 40

// fill writes leases and entries of all kinds into an organization.
func (s *suite) fill(org billing.Organization, seed uint64) {
	s.Helper()
	s.credit(org, 1_000_000, "first")
	s.record(org, anyLeases(rand.New(rand.NewPCG(seed, seed)), exported)...)
	s.credit(org, 5, "last")
}

func testExportEverything(s *suite) {
	c, err := export(s.Context(), s.store)
	s.must(err)
	empties := newContents()
	empties.RateCards = c.RateCards // the first prices
	s.same("an empty store", empties, c)
	s.same("the number of rate cards", 1, len(c.RateCards))

	globex, acme, empty := s.organization("globex"), s.organization("acme"), s.organization("empty")
	token := billing.Token{Hash: billing.TokenHash{1}, Name: "ci", Role: billing.RoleAdmin, Organizations: []string{"acme", "globex"}}
	s.must(s.store.CreateToken(s.Context(), token))
	s.fill(acme, 1)
	s.fill(globex, 2)

	var order orderSink
	s.must(s.store.Export(s.Context(), &order))
	want := []string{"organization acme", "organization empty", "organization globex", "token ci", "card First prices"}
	want = append(want, "lease acme", "entry acme", "head acme", "head empty", "lease globex", "entry globex", "head globex")
	s.same("the order", want, []string(order))

	c, err = export(s.Context(), s.store)
	s.must(err)
	s.same("the organizations", []billing.Organization{acme, empty, globex}, c.Organizations)
	s.same("the tokens", []billing.Token{token}, c.Tokens)
	s.same("the entries", s.ledger(acme), c.Entries["acme"])
	s.same("the head", s.head(acme), c.Heads["acme"])
	s.same("the number of leases", exported, len(c.Leases["acme"]))
	again, err := export(s.Context(), s.open())
	s.must(err)
	s.same("an export from another process", c, again)
	s.audit()
}

// orderSink notes the order of the exported kinds; a run of one kind counts once.
type orderSink []string

func (o *orderSink) note(what string) error {
	if n := len(*o); n == 0 || (*o)[n-1] != what {
		*o = append(*o, what)
	}
	return nil
}

// Organization implements billing.ExportSink.
func (o *orderSink) Organization(org billing.Organization) error {
	return o.note("organization " + org.Slug)
}

// Token implements billing.ExportSink.
func (o *orderSink) Token(t billing.Token) error { return o.note("token " + t.Name) }

// RateCard implements billing.ExportSink.
func (o *orderSink) RateCard(c *billing.RateCard, _ *billing.Organization) error {
	return o.note("card " + c.Name)
}

// Lease implements billing.ExportSink.
func (o *orderSink) Lease(org billing.Organization, _ *billing.Lease) error {
	return o.note("lease " + org.Slug)
}

// Entry implements billing.ExportSink.
func (o *orderSink) Entry(org billing.Organization, _ *billing.Entry) error {
	return o.note("entry " + org.Slug)
}

// Head implements billing.ExportSink.
func (o *orderSink) Head(org billing.Organization, _ *billing.Head) error {
	return o.note("head " + org.Slug)
}

// meddler writes whenever it is handed something.
type meddler struct {
	*contents
	meddle func()
}

// Organization implements billing.ExportSink.
func (m *meddler) Organization(o billing.Organization) error {
	m.meddle()
	return m.contents.Organization(o)
}

// Token implements billing.ExportSink.
func (m *meddler) Token(t billing.Token) error {
	m.meddle()
	return m.contents.Token(t)
}

// RateCard implements billing.ExportSink.
func (m *meddler) RateCard(c *billing.RateCard, o *billing.Organization) error {
	m.meddle()
	return m.contents.RateCard(c, o)
}

// Lease implements billing.ExportSink.
func (m *meddler) Lease(o billing.Organization, l *billing.Lease) error {
	if len(m.Leases[o.Slug])%15 == 0 {
		m.meddle()
	}
	return m.contents.Lease(o, l)
}

// An export does not have writes that come after its beginning.
func testExportOneMoment(s *suite) {
	acme, globex := s.organization("acme"), s.organization("globex")
	s.must(s.store.CreateToken(s.Context(), billing.Token{
		Hash: billing.TokenHash{1}, Name: "ci", Role: billing.RoleAdmin, Organizations: []string{"acme"},
	}))
	s.fill(acme, 3)
	s.fill(globex, 4)
	open := running(someDay)
	s.record(globex, open)
	before, err := export(s.Context(), s.store)
	s.must(err)

	n := 0
	m := &meddler{newContents(), func() {
		n++
		s.record(acme, finished(someDay, 300), finished(someDay+5*billing.Day, 300))
		s.record(globex, finish(open, 300))
		s.credit(globex, 1, fmt.Sprint(n))
		s.organization(fmt.Sprintf("new-%d", n))
		s.must(s.store.CreateToken(s.Context(), billing.Token{
			Hash: billing.TokenHash{2, byte(n)}, Name: "new", Role: billing.RoleRead, Organizations: []string{"acme", "globex"},
		}))
		s.must(s.store.RevokeToken(s.Context(), billing.TokenHash{1}, 1))
	}}
	s.must(s.store.Export(s.Context(), m))
	s.same("the export", before, m.contents)
	s.audit()
}

func testExportWhileWritersWrite(s *suite) {
	orgs := []billing.Organization{s.organization("acme"), s.organization("globex")}
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for n := range 8 {
				start := running(someDay)
				for _, leases := range [][]billing.Lease{{start, finished(someDay, int64(n))}, {finish(start, 300)}} {
					if _, err := s.service.RecordLeases(s.Context(), orgs[w%2].ID, leases); err != nil {
						s.Error(err)
						return
					}
				}
				if err := s.service.PostCredit(s.Context(), orgs[w%2].ID, Credit(1, fmt.Sprintf("%d/%d", w, n))); err != nil {
					s.Error(err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		writers.Wait()
		close(done)
	}()
	for exports := 1; ; exports++ {
		c, err := export(s.Context(), s.store)
		s.must(err)
		if err := c.check(); err != nil {
			s.Fatalf("export %d: %v", exports, err)
		}
		select {
		case <-done:
			s.audit()
			return
		default:
		}
	}
}

var errFull = errors.New("the receiver is full")

// stopSink takes so much and no more.
type stopSink struct {
	left  int
	after func() error // is called at its end
}

func (s *stopSink) take() error {
	if s.left == 0 {
		return s.after()
	}
	s.left--
	return nil
}

// Organization implements billing.ExportSink.
func (s *stopSink) Organization(billing.Organization) error { return s.take() }

// Token implements billing.ExportSink.
func (s *stopSink) Token(billing.Token) error { return s.take() }

// RateCard implements billing.ExportSink.
func (s *stopSink) RateCard(*billing.RateCard, *billing.Organization) error { return s.take() }

// Lease implements billing.ExportSink.
func (s *stopSink) Lease(billing.Organization, *billing.Lease) error { return s.take() }

// Entry implements billing.ExportSink.
func (s *stopSink) Entry(billing.Organization, *billing.Entry) error { return s.take() }

// Head implements billing.ExportSink.
func (s *stopSink) Head(billing.Organization, *billing.Head) error { return nil }

func testExportStopped(s *suite) {
	acme := s.organization("acme")
	s.must(s.store.CreateToken(s.Context(), billing.Token{
		Hash: billing.TokenHash{1}, Name: "ci", Role: billing.RoleAdmin, Organizations: []string{"acme"},
	}))
	s.fill(acme, 5)
	for left := range exported + 20 {
		calls := 0
		sink := &stopSink{left, func() error {
			calls++
			return errFull
		}}
		s.wantError("the export", s.store.Export(s.Context(), sink), errFull)
		if calls != 1 {
			s.Fatalf("after its error the receiver got %d more", calls-1)
		}
	}
	ctx, cancel := context.WithCancel(s.Context())
	sink := &stopSink{1, func() error {
		cancel()
		return nil
	}}
	s.wantError("an export that was cancelled", s.store.Export(ctx, sink), context.Canceled)
	cancel()
	s.audit()
}

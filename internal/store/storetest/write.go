package storetest

import (
	"fmt"
	"math"
	"strings"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

var writeTests = []test{
	{"LeaseLifeByJob", func(s *suite) { testLeaseLife(s, func(*billing.Lease) {}) }},
	{"LeaseLifeByJobAndID", func(s *suite) {
		testLeaseLife(s, func(l *billing.Lease) { l.ID = new(billing.NewID()) })
	}},
	{"LeaseLifeByID", func(s *suite) {
		testLeaseLife(s, func(l *billing.Lease) { l.ID, l.JobID = new(billing.NewID()), nil })
	}},
	{"LeaseFields", testLeaseFields},
	{"LeaseIDConflicts", testLeaseIDConflicts},
	{"LeaseTwiceInARequest", testLeaseTwiceInARequest},
	{"AllOfARequestOrNone", testAllOfARequestOrNone},
	{"RequestsOfEverySize", testRequestsOfEverySize},
	{"DebitOfNothing", testDebitOfNothing},
	{"RatesDoNotChangeHistory", testRatesDoNotChangeHistory},
	{"Credit", testCredit},
	{"CreditsOfEverySize", testCreditsOfEverySize},
	{"OperationsInOrder", testOperationsInOrder},
	{"UnknownOrganization", testUnknownOrganization},
	{"DatesAscend", testDatesAscend},
	{"OverflowOfBalance", testOverflowOfBalance},
	{"FullCounters", testFullCounters},
	{"LargestCost", testLargestCost},
	{"LargestDebit", testLargestDebit},
	{"RefusedByTheDatabase", testRefusedByTheDatabase},
}

// A lease runs, finishes and is billed once, however often it is sent, and cannot be changed after that.
func testLeaseLife(s *suite, key func(*billing.Lease)) {
	acme := s.organization("acme")
	start := running(someDay)
	key(&start)

	first := s.record(acme, start)[0]
	if start.ID != nil && first.ID != *start.ID {
		s.Errorf("lease %s is recorded as %s", start.ID, first.ID)
	}
	s.same("started", billing.RecordedLease{ID: first.ID, Status: billing.LeaseRunning}, first)
	s.same("a running lease's head", billing.Head{Digest: acme.Digest()}, s.head(acme))
	s.unchanged("the same again", func() {
		s.same("still running", billing.RecordedLease{ID: first.ID, Status: billing.LeaseDuplicate}, s.record(acme, start)[0])
	})

	stored := func(l billing.Lease, cents *int64) {
		if l.ID, l.AmountCents = &first.ID, cents; cents != nil {
			l.CardID = new(s.firstCard().ID)
		}
		c, err := export(s.Context(), s.store)
		s.must(err)
		s.same("what is stored", []billing.Lease{l}, c.Leases["acme"])
	}
	s.unchanged("what a running lease keeps", func() {
		for what, change := range map[string]func(*billing.Lease){
			"fewer CPUs":   func(l *billing.Lease) { l.CPUCount-- },
			"less memory":  func(l *billing.Lease) { l.MemoryGB-- },
			"less disk":    func(l *billing.Lease) { l.DiskGB-- },
			"a late start": func(l *billing.Lease) { l.StartedAt += billing.Hour },
		} {
			done := start
			done.FinishedAt = new(start.StartedAt + 2*billing.Hour)
			for _, changed := range []billing.Lease{start, done} {
				change(&changed)
				_, err := s.service.RecordLeases(s.Context(), acme.ID, []billing.Lease{changed})
				s.wantError(what, err, billing.ErrLeaseConflict)
				s.wantError(what+", imported", s.try(acme, &billing.ImportLease{Lease: changed})[0], billing.ErrLeaseConflict)
			}
		}
	})
	known := start
	known.JobName, known.StepKey, known.VMHandle, known.BuildID = new("a"), new("b"), new("c"), new(billing.NewID())
	known.BuildNumber, known.BuildExternalID, known.PipelineID = new(int64(1)), new(billing.NewID().String()), new(billing.NewID())
	s.same("filled in", billing.RecordedLease{ID: first.ID, Status: billing.LeaseRunning}, s.record(acme, known)[0])
	stored(known, nil)
	s.unchanged("what is known of a running lease", func() {
		s.same("left out", billing.RecordedLease{ID: first.ID, Status: billing.LeaseDuplicate}, s.record(acme, start)[0])
		other := known
		other.BuildNumber = new(int64(2))
		_, err := s.service.RecordLeases(s.Context(), acme.ID, []billing.Lease{other})
		s.wantError("another build number", err, billing.ErrLeaseConflict)
	})

	// The report of the finish leaves out known values and adds unknown ones.
	done := finish(start, 3600)
	done.PipelineName, done.PipelineSlug = new("e"), new("f")
	s.same("finished", billing.RecordedLease{ID: first.ID, Status: billing.LeaseBilled, AmountCents: -151}, s.record(acme, done)[0])
	all := finish(known, 3600)
	all.PipelineName, all.PipelineSlug = done.PipelineName, done.PipelineSlug
	stored(all, new(int64(-151)))
	s.audit()
	ledger := s.ledger(acme)
	if len(ledger) != 1 || ledger[0].AmountCents != -151 || ledger[0].Source != billing.SourceVMLeaseDebit || *ledger[0].LeaseID != first.ID ||
		ledger[0].Description == nil || ledger[0].IdempotencyKey != nil {
		s.Errorf("the ledger is %+v", ledger)
	}

	s.unchanged("sending a billed lease again", func() {
		duplicate := billing.RecordedLease{ID: first.ID, Status: billing.LeaseDuplicate, AmountCents: -151}
		s.same("the same", duplicate, s.record(acme, done)[0])
		s.same("with all that is known", duplicate, s.record(acme, all)[0])
		defaulted := done
		defaulted.DurationSeconds = nil
		s.same("without the duration, which is the same", duplicate, s.record(acme, defaulted)[0])
		s.same("its start", duplicate, s.record(acme, start)[0])

		for what, change := range map[string]func(*billing.Lease){
			"another CPU count":   func(l *billing.Lease) { l.CPUCount++ },
			"another end":         func(l *billing.Lease) { l.FinishedAt = new(*l.FinishedAt + 1) },
			"another start":       func(l *billing.Lease) { l.StartedAt-- },
			"another duration":    func(l *billing.Lease) { l.DurationSeconds = new(int64(3599)) },
			"another name":        func(l *billing.Lease) { l.JobName = new("") },
			"another duration, 0": func(l *billing.Lease) { l.DurationSeconds = new(int64(0)) },
		} {
			changed := done
			change(&changed)
			_, err := s.service.RecordLeases(s.Context(), acme.ID, []billing.Lease{changed})
			s.wantError(what, err, billing.ErrLeaseConflict)
		}
	})

	// Another organization's lease with the same ids is another lease.
	globex := s.organization("globex")
	s.same("elsewhere", billing.LeaseBilled, s.record(globex, done)[0].Status)
	s.audit()
}

// A lease is stored as it was sent.
func testLeaseFields(s *suite) {
	acme := s.organization("acme")
	full := billing.Lease{
		ID: new(billing.NewID()), JobID: new(billing.NewID()), JobName: new("Ünit “Tests” 🧪\n\t'; --"), StepKey: new(""),
		VMHandle: new(strings.Repeat("é", billing.LeaseVMHandleMaxLength)),
		BuildID:  new(billing.ID), BuildNumber: new(int64(math.MaxInt64)), BuildExternalID: new("2e34238d-bbfc-420e-b419-75e1a004d32b"),
		PipelineID:   &billing.ID{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255},
		PipelineName: new("p"), PipelineSlug: new("s"),
		CPUCount: billing.LeaseCPUCountMaximum, MemoryGB: 1, DiskGB: billing.LeaseDiskGBMaximum - 1, StartedAt: 1, FinishedAt: &someDay,
		DurationSeconds: new(int64(7)), AmountCents: new(int64(-7_700)), Labels: new(`{"os":"mac","team/x.y-z":"\"\\ 🧪"}`), Author: new("Mara \x1b"),
		CardID: new(s.firstCard().ID),
	}
	least := billing.Lease{
		ID: new(billing.NewID()), BuildNumber: new(int64(math.MinInt64)), CPUCount: 1, MemoryGB: 1, DiskGB: 1, StartedAt: 0,
	}
	sent := full
	sent.AmountCents, sent.CardID = nil, nil
	s.record(acme, least, sent)
	c, err := export(s.Context(), s.store)
	s.must(err)
	s.same("the leases", []billing.Lease{least, full}, c.Leases["acme"])
	s.audit()
}

func testLeaseIDConflicts(s *suite) {
	acme := s.organization("acme")
	withBoth := finished(someDay, 300)
	withBoth.ID = new(billing.NewID())
	other := finished(someDay, 300)
	other.ID = new(billing.NewID())
	onlyID := finished(someDay, 300)
	onlyID.ID, onlyID.JobID = new(billing.NewID()), nil
	onlyJob := finished(someDay, 300)
	stillRunning := running(someDay)
	stillRunning.ID, stillRunning.JobID = new(billing.NewID()), nil
	runningJob := running(someDay)
	runningJob.ID = new(billing.NewID())
	s.record(acme, withBoth, other, onlyID, onlyJob, stillRunning, runningJob)

	for _, c := range []struct {
		what   string
		lease  billing.Lease
		change func(*billing.Lease)
	}{
		{"a job under another lease's id", withBoth, func(l *billing.Lease) { l.ID = other.ID }},
		{"a job under a new id", withBoth, func(l *billing.Lease) { l.ID = new(billing.NewID()) }},
		{"a lease of a new job", withBoth, func(l *billing.Lease) { l.JobID = new(billing.NewID()) }},
		{"a lease of another lease's job", withBoth, func(l *billing.Lease) { l.JobID = other.JobID }},
		{"a lease that had a job, without it", withBoth, func(l *billing.Lease) { l.JobID = nil }},
		{"a lease that had no job, with one", onlyID, func(l *billing.Lease) { l.JobID = new(billing.NewID()) }},
		{"a running lease that had a job, without it", runningJob, func(l *billing.Lease) { l.JobID = nil }},
		{"a running lease of a job, under a new id", runningJob, func(l *billing.Lease) { l.ID = new(billing.NewID()) }},
		{"a running lease that had no job, with one", stillRunning, func(l *billing.Lease) { l.JobID = new(billing.NewID()) }},
	} {
		c.change(&c.lease)
		s.unchanged(c.what, func() {
			_, err := s.service.RecordLeases(s.Context(), acme.ID, []billing.Lease{c.lease})
			s.wantError(c.what, err, billing.ErrLeaseConflict)
		})
	}
	s.unchanged("a job without the lease's id", func() {
		l := withBoth
		l.ID = nil
		s.same("it", billing.RecordedLease{ID: *withBoth.ID, Status: billing.LeaseDuplicate, AmountCents: -12}, s.record(acme, l)[0])
	})
}

func testLeaseTwiceInARequest(s *suite) {
	acme := s.organization("acme")
	start := running(someDay)
	done := finish(start, 300)
	results := s.record(acme, start, start, done, done, start)
	id := results[0].ID
	s.same("started, started, finished, finished, started", []billing.RecordedLease{
		{ID: id, Status: billing.LeaseRunning},
		{ID: id, Status: billing.LeaseDuplicate},
		{ID: id, Status: billing.LeaseBilled, AmountCents: -12},
		{ID: id, Status: billing.LeaseDuplicate, AmountCents: -12},
		{ID: id, Status: billing.LeaseDuplicate, AmountCents: -12},
	}, results)

	another := finished(someDay, 300)
	changed := another
	changed.DiskGB++
	otherStart := changed
	otherStart.FinishedAt, otherStart.DurationSeconds = nil, nil
	for what, leases := range map[string][]billing.Lease{
		"finished, finished otherwise": {another, changed},
		"finished, started otherwise":  {another, otherStart},
	} {
		s.unchanged(what, func() {
			_, err := s.service.RecordLeases(s.Context(), acme.ID, leases)
			s.wantError(what, err, billing.ErrLeaseConflict)
			if err != nil && !strings.HasPrefix(err.Error(), "leases[1]: ") {
				s.Errorf("%s: the error does not say where: %v", what, err)
			}
		})
	}
	s.audit()
}

func testAllOfARequestOrNone(s *suite) {
	acme := s.organization("acme")
	old, conflict, open := finished(someDay, 300), finished(someDay, 300), running(someDay)
	s.record(acme, old, conflict, open)
	conflict.MemoryGB++
	for place := range 6 {
		leases := []billing.Lease{finished(someDay, 3600), running(someDay), old, finish(open, 24), finished(someDay+billing.Hour, 24)}
		leases = append(leases[:place:place], append([]billing.Lease{conflict}, leases[place:]...)...)
		s.unchanged(fmt.Sprintf("a request with a bad lease at place %d", place), func() {
			_, err := s.service.RecordLeases(s.Context(), acme.ID, leases)
			s.wantError("the request", err, billing.ErrLeaseConflict)
		})
	}
	s.audit()
}

// sizes are around the sizes at which statements for many rows are split.
var sizes = []int{1, 8, 9, 71, 513}

func testRequestsOfEverySize(s *suite) {
	acme := s.organization("acme")
	// Other rows, among which the rows in question must be found.
	s.record(acme, finished(someDay, 24), running(someDay))
	want := int64(1)
	for round, size := range sizes {
		start, done := make([]billing.Lease, size), make([]billing.Lease, size)
		for i := range size {
			start[i] = running(someDay + billing.Time(i%50)*billing.Hour/7)
			switch i % 3 {
			case 0:
				start[i].ID = new(billing.NewID())
			case 1:
				start[i].ID, start[i].JobID = new(billing.NewID()), nil
			}
			done[i] = finish(start[i], int64(round+i))
		}
		for _, r := range s.record(acme, start...) {
			if r.Status != billing.LeaseRunning {
				s.Fatalf("%d leases at once: one that starts is %s", size, r.Status)
			}
		}
		billed := s.record(acme, done...)
		for _, r := range billed {
			if r.Status != billing.LeaseBilled {
				s.Fatalf("%d leases at once: one that finishes is %s", size, r.Status)
			}
		}
		for i, r := range s.record(acme, done...) {
			if r.Status != billing.LeaseDuplicate || r.ID != billed[i].ID || r.AmountCents != billed[i].AmountCents {
				s.Fatalf("%d leases at once: lease %d, sent again, is %+v; it was %+v", size, i, r, billed[i])
			}
		}
		want += int64(size)
	}
	if head := s.head(acme); head.Seq != want {
		s.Errorf("%d leases have %d debits", want, head.Seq)
	}
	s.audit()
}

func testDebitOfNothing(s *suite) {
	acme := s.organization("acme")
	for i, seconds := range []int64{0, 1, 23} {
		got := s.record(acme, finished(someDay, seconds))[0]
		s.same("the lease", billing.RecordedLease{ID: got.ID, Status: billing.LeaseBilled}, got)
		if head := s.head(acme); head.Seq != int64(i)+1 || head.BalanceCents != 0 {
			s.Errorf("after %d seconds the head is %+v", seconds, head)
		}
	}
	s.audit()
}

func testRatesDoNotChangeHistory(s *suite) {
	acme := s.organization("acme")
	rates := billing.StandardRates
	rates.CPU *= 1000
	done, open := finished(someDay, 300), running(someDay)
	s.record(acme, done, open)
	s.setRates(rates)
	results, err := s.service.RecordLeases(s.Context(), acme.ID, []billing.Lease{done})
	s.must(err)
	s.same("the billed lease", billing.RecordedLease{ID: results[0].ID, Status: billing.LeaseDuplicate, AmountCents: -12}, results[0])
	results, err = s.service.RecordLeases(s.Context(), acme.ID, []billing.Lease{finish(open, 300)})
	s.must(err)
	s.same("what finishes now", int64(-6006), results[0].AmountCents)
	s.setRates(billing.Rates{})
	results, err = s.service.RecordLeases(s.Context(), acme.ID, []billing.Lease{finished(someDay, 1_000_000)})
	s.must(err)
	s.same("what finishes for nothing", int64(0), results[0].AmountCents)
	s.audit()
}

func testCredit(s *suite) {
	acme, globex := s.organization("acme"), s.organization("globex")
	post := func(org billing.Organization, op billing.PostCredit) (billing.PostCredit, error) {
		err := s.service.PostCredit(s.Context(), org.ID, &op)
		return op, err
	}
	op := billing.PostCredit{
		AmountCents: billing.PostCreditRequestAmountCentsMaximum, Source: billing.SourceRefund, Description: new("Für “alles”\n🎁"),
		Author: new("Ops “1”"), IdempotencyKey: strings.Repeat("Ключ ", 51),
	}
	first, err := post(acme, op)
	s.must(err)
	if first.Replayed || first.Entry.CreatedAt == 0 || first.Entry.ID == (billing.ID{}) {
		s.Errorf("a new credit is %+v", first)
	}
	s.same("the entry", billing.Entry{
		Seq: 1, ID: first.Entry.ID, AmountCents: op.AmountCents, BalanceAfterCents: op.AmountCents, Source: op.Source,
		Description: op.Description, CreatedAt: first.Entry.CreatedAt, IdempotencyKey: &op.IdempotencyKey, Digest: s.head(acme).Digest,
		Author: op.Author,
	}, first.Entry)
	s.same("the ledger", []billing.Entry{first.Entry}, s.ledger(acme))

	s.credit(acme, 7, "another")
	s.unchanged("a credit sent again", func() {
		again, err := post(acme, op)
		s.must(err)
		s.same("it", first.Entry, again.Entry)
		if !again.Replayed {
			s.Error("it counts as new")
		}
		by := op
		by.Author = new("another token")
		again, err = post(acme, by)
		s.must(err)
		s.same("it, with another token", first.Entry, again.Entry)
		for what, change := range map[string]func(*billing.PostCredit){
			"amount":      func(op *billing.PostCredit) { op.AmountCents-- },
			"source":      func(op *billing.PostCredit) { op.Source = billing.SourceAdminGrant },
			"description": func(op *billing.PostCredit) { op.Description = new("") },
			"lack of one": func(op *billing.PostCredit) { op.Description = nil },
		} {
			changed := op
			change(&changed)
			_, err := post(acme, changed)
			s.wantError("the key with another "+what, err, billing.ErrKeyReused)
		}
	})

	similar := op
	similar.IdempotencyKey = strings.ToLower(op.IdempotencyKey)
	got, err := post(acme, similar)
	s.must(err)
	if got.Replayed {
		s.Error("keys that differ in case are one")
	}
	elsewhere, err := post(globex, op)
	s.must(err)
	if elsewhere.Replayed || elsewhere.Entry.ID == first.Entry.ID {
		s.Error("a key of one organization is another's")
	}
	s.audit()
}

func testCreditsOfEverySize(s *suite) {
	acme := s.organization("acme")
	s.credit(acme, 1, "before")
	want := int64(1)
	for round, size := range sizes {
		ops, again := make([]billing.Operation, size), make([]billing.Operation, size)
		for i := range size {
			key := fmt.Sprintf("%d/%d", round, i)
			ops[i], again[i] = Credit(int64(i)+1, key), Credit(int64(i)+1, key)
		}
		s.write(acme, ops...)
		s.write(acme, again...)
		for i := range size {
			first, second := ops[i].(*billing.PostCredit), again[i].(*billing.PostCredit) //nolint:errcheck // made above
			if first.Replayed || !second.Replayed || first.Entry.ID != second.Entry.ID {
				s.Fatalf("%d credits at once: credit %d is %+v and then %+v", size, i, first, second)
			}
			if first.Entry.Seq != want+int64(i)+1 {
				s.Fatalf("%d credits at once: credit %d has the seq %d", size, i, first.Entry.Seq)
			}
		}
		want += int64(size)
	}
	s.same("the number of entries", want, s.head(acme).Seq)
	s.audit()
}

// Operations are applied one after another, each as a whole or not at all, and independently of the errors of others.
func testOperationsInOrder(s *suite) {
	acme := s.organization("acme")
	record := func(leases ...billing.Lease) *billing.RecordLeases {
		return &billing.RecordLeases{Leases: leases}
	}
	first, second := finished(someDay, 300), finished(someDay, 300)
	changed := first
	changed.DiskGB++
	kept := finished(someDay, 3600)
	errs := s.try(acme,
		Credit(100, "a"),
		record(first),
		record(second, changed), // fails at its second lease, so its first is not recorded
		Credit(100, "a"),        // there already
		Credit(200, "a"),
		record(second),
		Credit(50, "b"),
		record(first, kept),
	)
	for i, kind := range []error{nil, nil, billing.ErrLeaseConflict, nil, billing.ErrKeyReused, nil, nil, nil} {
		s.wantError(fmt.Sprintf("operation %d", i), errs[i], kind)
	}
	var amounts []int64
	for _, e := range s.ledger(acme) {
		amounts = append(amounts, e.AmountCents)
	}
	s.same("the ledger", []int64{100, -12, -12, 50, -151}, amounts)
	s.audit()

	s.unchanged("no operation", func() {
		if errs := s.try(acme); len(errs) != 0 {
			s.Errorf("no operation has the results %v", errs)
		}
	})
}

func testUnknownOrganization(s *suite) {
	s.organization("acme")
	s.unchanged("writing to an organization that does not exist", func() {
		nobody := billing.NewID()
		s.wantError("a credit", s.service.PostCredit(s.Context(), nobody, Credit(1, "key")), billing.ErrOrganizationNotFound)
		_, err := s.service.RecordLeases(s.Context(), nobody, []billing.Lease{finished(someDay, 1)})
		s.wantError("a lease", err, billing.ErrOrganizationNotFound)
	})
}

func testDatesAscend(s *suite) {
	acme := s.organization("acme")
	early := s.credit(acme, 1, "early")
	s.write(acme, &billing.ImportEntry{Entry: billing.Entry{
		ID: billing.NewID(), AmountCents: 1, Source: billing.SourceStripeTopup, CreatedAt: endOfTime,
	}})
	if late := s.credit(acme, 1, "late"); late.CreatedAt != endOfTime+1 {
		s.Errorf("after an entry of %s there is one of %s", endOfTime, late.CreatedAt)
	}
	s.record(acme, finished(someDay, 300))
	s.same("the newest entry's date", endOfTime+2, s.head(acme).LastAt)
	again := Credit(1, "early")
	s.must(s.service.PostCredit(s.Context(), acme.ID, again))
	s.same("the first, sent again", early, again.Entry)
	s.audit()
}

func testOverflowOfBalance(s *suite) {
	acme := s.organization("acme")
	topUp := func(cents int64) billing.Operation {
		return &billing.ImportEntry{Entry: billing.Entry{
			ID: billing.NewID(), AmountCents: cents, Source: billing.SourceStripeTopup, CreatedAt: someDay,
		}}
	}
	s.write(acme, topUp(math.MaxInt64-5))
	s.unchanged("what would overflow the balance", func() {
		s.wantError("a credit", s.service.PostCredit(s.Context(), acme.ID, Credit(6, "key")), billing.ErrAmountInvalid)
		for _, err := range s.try(acme, topUp(6), topUp(math.MaxInt64)) {
			s.wantError("an entry", err, billing.ErrAmountInvalid)
		}
	})
	s.credit(acme, 5, "key") // the key that failed is free
	s.same("the balance", int64(math.MaxInt64), s.head(acme).BalanceCents)
	s.record(acme, finished(someDay, 24))
	s.credit(acme, 1, "room again")
	s.audit()
}

// A counter that is full refuses no lease. The usage of each window is exact where it fits an int64, and the largest int64 elsewhere.
func testFullCounters(s *suite) {
	acme := s.organization("acme")
	// Leases of another system may be as large as books of earlier versions had them.
	const disk, duration = 1_000_000_000, 1_000_000_000
	take := func(start billing.Time) {
		l := billedAs(finished(start, duration), 0)
		l.CPUCount, l.MemoryGB, l.DiskGB = 1, 2, disk
		s.write(acme, &billing.ImportLease{Lease: l}, &billing.ImportEntry{Entry: billing.Entry{
			ID: billing.NewID(), Source: billing.SourceVMLeaseDebit, CreatedAt: someDay, LeaseID: l.ID,
		}})
	}
	usage := func(leases, fullDisk int64) billing.Usage {
		return billing.Usage{CPUSeconds: leases * duration, MemoryGBSeconds: leases * 2 * duration, DiskGBSeconds: fullDisk}
	}
	hour := func(n billing.Time) billing.Window {
		return billing.Window{From: someDay + n*billing.Hour, To: someDay + (n+1)*billing.Hour}
	}
	day := func(n billing.Time) billing.Window {
		return billing.Window{From: someDay + n*billing.Day, To: someDay + (n+1)*billing.Day}
	}
	for n := range billing.Time(3) {
		for range 4 {
			take(someDay + n*billing.Hour)
		}
	}
	const early = -400 // days before, so that the longest lease of the contract has finished
	for range 9 {      // whose day is not full
		take(someDay + early*billing.Day)
	}
	want := func(what string, w billing.Window, u billing.Usage) {
		s.Helper()
		got, err := s.service.Usage(s.Context(), acme.ID, w)
		s.must(err)
		s.same(what, u, got)
		s.same(what+", by shape", u, addUp(s.groups(acme, billing.GroupQuery{Window: w, Grouping: billing.GroupByShape, Interval: billing.IntervalNone, Limit: 100})))
	}
	want("an hour", hour(1), usage(4, 4*disk*duration))
	want("two hours and the leases of a part of a minute", billing.Window{From: someDay, To: someDay + 2*billing.Hour - 1}, usage(8, 8*disk*duration))
	want("three hours", billing.Window{From: someDay, To: someDay + 3*billing.Hour}, usage(12, billing.MaxCounter))
	want("a full day", day(0), usage(12, billing.MaxCounter))
	want("a day that is not full", day(early), usage(9, 9*disk*duration))
	both := billing.Window{From: day(early).From, To: day(0).To}
	want("both days", both, usage(21, billing.MaxCounter))
	want("most of the full day and the next", billing.Window{From: someDay + 1, To: both.To + billing.Day}, usage(8, 8*disk*duration))
	days, err := s.store.UsageByDay(s.Context(), acme.ID, both)
	s.must(err)
	s.same("the days", []billing.DayUsage{{Day: day(early).From, Usage: usage(9, 9*disk*duration)}, {Day: someDay, Usage: usage(12, billing.MaxCounter)}}, days)
	s.same("the lifetime", usage(21, billing.MaxCounter), s.head(acme).Lifetime)
	s.audit()

	// An honest lease is billed, in a full day and on one that becomes full.
	s.record(acme, finished(someDay+3*billing.Hour, 3600))
	s.same("the balance", int64(-151), s.head(acme).BalanceCents)
	largest := finished(day(early).From, billing.LeaseDurationSecondsMaximum)
	largest.DiskGB = billing.LeaseDiskGBMaximum
	many := make([]billing.Lease, 700)
	for i := range many {
		many[i] = largest
	}
	for range 2 {
		for i := range many {
			many[i].ID, many[i].JobID = new(billing.NewID()), nil
		}
		s.record(acme, many...)
	}
	got, err := s.service.Usage(s.Context(), acme.ID, day(early))
	s.must(err)
	s.same("the disk of the day that has become full", int64(billing.MaxCounter), got.DiskGBSeconds)
	s.same("the CPUs of it", 9*duration+1400*largest.CPUCount**largest.DurationSeconds, got.CPUSeconds)
	s.audit()
}

func testLargestCost(s *suite) {
	acme := s.organization("acme")
	lease := running(0)
	lease.CPUCount, lease.MemoryGB, lease.DiskGB = billing.LeaseCPUCountMaximum, billing.LeaseMemoryGBMaximum, billing.LeaseDiskGBMaximum
	s.setRates(billing.Rates{
		CPU: billing.SetRateCardRequestCPUMicrocentsMaximum, MemoryGB: billing.SetRateCardRequestMemoryGBMicrocentsMaximum,
		DiskGB: billing.SetRateCardRequestDiskGBMicrocentsMaximum,
	})
	s.record(acme, finish(lease, billing.LeaseDurationSecondsMaximum))
	s.audit()
}

func testLargestDebit(s *suite) {
	acme := s.organization("acme")
	lease := billedAs(finished(someDay, 300), -math.MaxInt64)
	s.write(acme,
		&billing.ImportLease{Lease: lease},
		&billing.ImportEntry{Entry: billing.Entry{
			ID: billing.NewID(), AmountCents: -math.MaxInt64, Source: billing.SourceVMLeaseDebit, CreatedAt: someDay, LeaseID: lease.ID,
		}})
	s.same("the balance", int64(-math.MaxInt64), s.head(acme).BalanceCents)
	s.audit()
	s.unchanged("a cent more", func() {
		_, err := s.service.RecordLeases(s.Context(), acme.ID, []billing.Lease{finished(someDay, 24)})
		s.wantError("it", err, billing.ErrLeaseInvalid)
	})
	s.record(acme, finished(someDay, 23))
	s.audit()
}

// blind hides the needs of an operation from a store, so that only the database can refuse it.
type blind struct{ billing.Operation }

// Needs implements billing.Operation.
func (blind) Needs() billing.Needs { return billing.Needs{} }

func testRefusedByTheDatabase(s *suite) {
	acme := s.organization("acme")
	taken := finished(someDay, 300)
	s.record(acme, taken)
	s.credit(acme, 100, "taken")
	open := running(someDay)
	s.record(acme, open)

	for what, refused := range map[string]billing.Operation{
		"a key that is taken":  blind{Credit(1, "taken")},
		"a job that is billed": blind{&billing.RecordLeases{Leases: []billing.Lease{taken}}},
	} {
		s.unchanged(what, func() {
			if err := s.try(acme, refused)[0]; err == nil {
				s.Errorf("%s: the database took it", what)
			}
		})
	}

	lease, more := finished(someDay, 300), finished(someDay, 3600)
	errs := s.try(acme,
		Credit(1, "a"),
		&billing.RecordLeases{Leases: []billing.Lease{lease, finish(open, 300)}},
		blind{Credit(1, "taken")},
		Credit(2, "taken"), // has an error of its own
		blind{&billing.RecordLeases{Leases: []billing.Lease{more, taken}}},
		Credit(1, "a"),
		Credit(3, "b"),
	)
	for i, fails := range []bool{false, false, true, true, true, false, false} {
		if fails != (errs[i] != nil) {
			s.Errorf("operation %d: %v", i, errs[i])
		}
	}
	s.wantError("the one with an error of its own", errs[3], billing.ErrKeyReused)
	var amounts []int64
	for _, e := range s.ledger(acme) {
		amounts = append(amounts, e.AmountCents)
	}
	s.same("the ledger", []int64{-12, 100, 1, -12, -12, 3}, amounts)
	s.audit()
}

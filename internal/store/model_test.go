package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
	"github.com/harmont-dev/harmont-billing/internal/testlong"
)

// The model is compared over modelSteps operations for each store, and over more where an action or a kind of failure has
// not occurred by then, but over no more than maxModelSteps.
const maxModelSteps = 20_000

var modelSteps = testlong.Pick(1_000, 10_000)

// modelMaxCents is the largest amount of an imported entry or lease.
const modelMaxCents = 100_000_000_000_000_000

// Every answer of a store is equal to that of a model, which keeps the books in slices and computes each sum. Each
// history of operations is on organizations of its own, and goes through two stores that have the database open, as two
// servers would.
func TestModel(t *testing.T) {
	for name, value := range map[string]string{"rapid.checks": "10", "rapid.steps": "100"} {
		given := flag.Lookup(name).Value
		before := given.String()
		storetest.Must(t, given.Set(value))
		t.Cleanup(func() { storetest.Must(t, given.Set(before)) })
	}
	onEach(t, func(t *testing.T, database string) {
		d := &duel{t: t, database: database, taken: map[string]int{}, kinds: map[error]int{}}
		for range 2 {
			d.stores = append(d.stores, open(t, database))
		}
		cards, err := d.stores[0].RateCards(t.Context())
		storetest.Must(t, err)
		d.cards = slices.Clone(cards.All())
		// Breakdowns of one have parts of all kinds, however few leases there are.
		d.stores[0].parts = partSize{leases: 3, builds: 2, listed: 3}
		begun := time.Now()
		for (d.steps < modelSteps || len(d.missing()) > 0 && d.steps < maxModelSteps) && !t.Failed() {
			rapid.Check(t, d.history)
		}
		t.Logf("%d operations in %d histories, in %s", d.steps, d.histories, time.Since(begun).Round(time.Second))
		if missing := d.missing(); len(missing) > 0 && !t.Failed() {
			t.Errorf("never seen: %s", strings.Join(missing, ", "))
		}
	})
}

// The kinds of failure that operations can be made to have.
var modelKinds = []error{
	billing.ErrUnauthorized, billing.ErrOrganizationNotFound, billing.ErrTokenNotFound, billing.ErrExists, billing.ErrCursorInvalid,
	billing.ErrLeaseInvalid, billing.ErrAmountInvalid, billing.ErrInvalid, billing.ErrLeaseConflict, billing.ErrEntryConflict,
	billing.ErrKeyReused, billing.ErrRateCardInvalid, context.Canceled,
}

// modelOrg is an organization and its books.
type modelOrg struct {
	billing.Organization
	// Until the model has learnt them, the rows of a write lack the values that the store chooses: the ids and times of entries, and
	// the id of a lease that has a job_id.
	leases  []billing.Lease
	entries []billing.Entry
	cards   *[]billing.RateCard // of the whole database
}

// modelToken is a token, and when its revocation was there for all to see.
type modelToken struct {
	billing.Token
	revoked time.Time
}

// verdict is how an operation may end: with one of the kinds, or well where there is none.
type verdict []error

func (o *modelOrg) clone() modelOrg {
	c := *o
	c.leases, c.entries = slices.Clone(o.leases), slices.Clone(o.entries)
	return c
}

func same[T comparable](a, b *T) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

func sameLease(a, b billing.Lease) bool {
	return same(a.JobID, b.JobID) && same(a.JobName, b.JobName) && same(a.StepKey, b.StepKey) && same(a.VMHandle, b.VMHandle) &&
		same(a.BuildID, b.BuildID) && same(a.BuildNumber, b.BuildNumber) && same(a.BuildExternalID, b.BuildExternalID) &&
		same(a.PipelineID, b.PipelineID) && same(a.PipelineName, b.PipelineName) && same(a.PipelineSlug, b.PipelineSlug) &&
		a.CPUCount == b.CPUCount && a.MemoryGB == b.MemoryGB && a.DiskGB == b.DiskGB && a.StartedAt == b.StartedAt &&
		same(a.FinishedAt, b.FinishedAt) && same(a.DurationSeconds, b.DurationSeconds) && same(a.Labels, b.Labels) && same(a.Author, b.Author)
}

// larger reports whether the lease has more than the contract allows. Only leases that are recorded so, or taken over, may be larger.
func larger(l billing.Lease) bool { return l.CPUCount > 10_000 }

// settled returns the lease with its duration, and whether it is valid apart from being larger. One that was billed elsewhere may be longer,
// and need not name its build by a UUID.
func settled(l billing.Lease) (billing.Lease, bool) {
	billed := l.AmountCents != nil
	latest := billing.TimeOf(time.Now().Add(10 * time.Minute))
	longest := int64(31_622_400)
	if billed {
		longest = 1_000_000_000
	}
	switch {
	case l.ID == nil && l.JobID == nil,
		l.CPUCount < 1, l.CPUCount > 1_000_000_000, l.MemoryGB < 1, l.DiskGB < 1, l.StartedAt < 0,
		l.StartedAt > latest, l.FinishedAt != nil && *l.FinishedAt > latest,
		!billed && l.BuildExternalID != nil && !strings.HasPrefix(*l.BuildExternalID, "00000000-"),
		l.FinishedAt == nil && l.DurationSeconds != nil,
		l.FinishedAt == nil && l.AmountCents != nil, l.AmountCents == nil && l.CardID != nil,
		l.AmountCents != nil && (*l.AmountCents > 0 || *l.AmountCents < -modelMaxCents),
		l.FinishedAt != nil && *l.FinishedAt < l.StartedAt:
		return l, false
	}
	if l.FinishedAt != nil && l.DurationSeconds == nil {
		l.DurationSeconds = new(int64(*l.FinishedAt-l.StartedAt) / 1_000_000)
	}
	if l.DurationSeconds == nil {
		return l, true
	}
	tooLong := !billed && *l.DurationSeconds*1_000_000 >= int64(*l.FinishedAt-l.StartedAt)+1_000_000
	return l, *l.DurationSeconds >= 0 && *l.DurationSeconds <= longest && !tooLong
}

// filled adds a reported value of a running lease if none is known, and reports whether the two agree. A missing value agrees with
// everything.
func filled[T comparable](known **T, reported *T, running bool) bool {
	if reported == nil {
		return true
	}
	if *known == nil && running {
		*known = reported
	}
	return same(*known, reported)
}

func modelCost(l billing.Lease, card billing.RateCard) *big.Int {
	perSecond := new(big.Int)
	for _, part := range [][2]int64{{l.CPUCount, *card.CPUMicrocents}, {l.MemoryGB, *card.MemoryGBMicrocents}, {l.DiskGB, *card.DiskGBMicrocents}} {
		perSecond.Add(perSecond, new(big.Int).Mul(big.NewInt(part[0]), big.NewInt(part[1])))
	}
	return perSecond.Div(perSecond.Mul(perSecond, big.NewInt(*l.DurationSeconds)), big.NewInt(1_000_000))
}

// isFor reports whether the card is for the lease.
func (o *modelOrg) isFor(card billing.RateCard, l billing.Lease) bool {
	return (card.OrgID == nil || *card.OrgID == o.ID) && card.EffectiveFrom <= l.StartedAt &&
		(card.CPUCount == nil || *card.CPUCount == l.CPUCount && *card.MemoryGB == l.MemoryGB && *card.DiskGB == l.DiskGB) &&
		(card.LabelKey == nil || l.Labels != nil && strings.Contains(*l.Labels, fmt.Sprintf("%q:%q", *card.LabelKey, *card.LabelValue)))
}

// card returns the rate card of a lease: of the latest card for each kind of leases the most specific one that has prices.
func (o *modelOrg) card(l billing.Lease) (found billing.RateCard) {
	rank := func(c billing.RateCard) (rank int) {
		for weight, given := range map[int]bool{4: c.OrgID != nil, 2: c.LabelKey != nil, 1: c.CPUCount != nil} {
			if given {
				rank += weight
			}
		}
		return rank
	}
	text := func(c billing.RateCard) string { return fmt.Sprint(rank(c), value(c.LabelKey), value(c.LabelValue)) }
	before := func(a, b billing.RateCard) bool {
		return a.EffectiveFrom < b.EffectiveFrom || a.EffectiveFrom == b.EffectiveFrom && a.Seq < b.Seq
	}
	latest := map[string]billing.RateCard{}
	for _, c := range *o.cards {
		if other, ok := latest[text(c)]; o.isFor(c, l) && (!ok || before(other, c)) {
			latest[text(c)] = c
		}
	}
	best := -1
	for _, c := range latest {
		if c.CPUMicrocents != nil && (rank(c) > best || rank(c) == best && before(found, c)) {
			found, best = c, rank(c)
		}
	}
	return found
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// sum adds up the finished leases that started in the window; it is not ok where a sum is more than can be stored.
func (o *modelOrg) sum(in func(billing.Time) bool) (u billing.Usage, ok bool) {
	var sums [4]big.Int
	for _, l := range o.leases {
		if l.FinishedAt == nil || !in(l.StartedAt) {
			continue
		}
		for i, n := range []int64{l.CPUCount, l.MemoryGB, l.DiskGB} {
			sums[i].Add(&sums[i], new(big.Int).Mul(big.NewInt(n), big.NewInt(*l.DurationSeconds)))
		}
		sums[3].Sub(&sums[3], big.NewInt(*l.AmountCents))
	}
	ok = true
	for i, into := range []*int64{&u.CPUSeconds, &u.MemoryGBSeconds, &u.DiskGBSeconds, &u.Cents} {
		switch *into = sums[i].Int64(); {
		case sums[i].IsInt64():
		case i < 3:
			*into = billing.MaxCounter
		default:
			ok = false
		}
	}
	return u, ok
}

func (o *modelOrg) balance() (int64, bool) {
	sum := new(big.Int)
	for _, e := range o.entries {
		sum.Add(sum, big.NewInt(e.AmountCents))
	}
	return sum.Int64(), sum.IsInt64()
}

func (o *modelOrg) head() billing.Head {
	h := billing.Head{Seq: int64(len(o.entries)), Digest: o.digestBefore(len(o.entries))}
	h.BalanceCents, _ = o.balance()
	h.Lifetime, _ = o.sum(func(billing.Time) bool { return true })
	if len(o.entries) > 0 {
		h.LastAt = o.entries[len(o.entries)-1].CreatedAt
	}
	return h
}

// digestBefore returns the digest of the entry before the one at the place.
func (o *modelOrg) digestBefore(place int) billing.Digest {
	if place == 0 {
		return o.Digest()
	}
	return o.entries[place-1].Digest
}

// append adds an entry, unless the balance then is more than can be stored.
func (o *modelOrg) append(e billing.Entry) bool {
	e.Seq = int64(len(o.entries)) + 1
	o.entries = append(o.entries, e)
	balance, ok := o.balance()
	o.entries[e.Seq-1].BalanceAfterCents = balance
	return ok
}

// record records a lease. If it has an amount, another system has billed it.
func (o *modelOrg) record(l billing.Lease) (at int, duplicate bool, v verdict) {
	at = slices.IndexFunc(o.leases, func(stored billing.Lease) bool {
		if l.JobID != nil {
			return same(stored.JobID, l.JobID)
		}
		return stored.JobID == nil && same(stored.ID, l.ID)
	})
	if l.ID != nil { // no other row may have it
		if owner := slices.IndexFunc(o.leases, func(stored billing.Lease) bool { return same(stored.ID, l.ID) }); owner >= 0 && owner != at {
			return 0, false, verdict{billing.ErrLeaseConflict}
		}
	}
	if at >= 0 {
		stored := o.leases[at]
		switch {
		case l.ID != nil && !same(stored.ID, l.ID):
			return 0, false, verdict{billing.ErrLeaseConflict}
		case stored.StartedAt != l.StartedAt, stored.CPUCount != l.CPUCount, stored.MemoryGB != l.MemoryGB, stored.DiskGB != l.DiskGB:
			return 0, false, verdict{billing.ErrLeaseConflict}
		}
		merged, running := stored, stored.FinishedAt == nil
		agree := true
		for _, text := range [][2]**string{
			{&merged.JobName, &l.JobName}, {&merged.StepKey, &l.StepKey}, {&merged.VMHandle, &l.VMHandle},
			{&merged.BuildExternalID, &l.BuildExternalID}, {&merged.PipelineName, &l.PipelineName}, {&merged.PipelineSlug, &l.PipelineSlug},
			{&merged.Labels, &l.Labels}, {&merged.Author, &l.Author},
		} {
			agree = filled(text[0], *text[1], running) && agree
		}
		agree = filled(&merged.BuildID, l.BuildID, running) && agree
		agree = filled(&merged.PipelineID, l.PipelineID, running) && agree
		agree = filled(&merged.BuildNumber, l.BuildNumber, running) && agree
		if running {
			merged.FinishedAt, merged.DurationSeconds = l.FinishedAt, l.DurationSeconds
		}
		if !agree || l.FinishedAt != nil && (!same(merged.FinishedAt, l.FinishedAt) || !same(merged.DurationSeconds, l.DurationSeconds)) {
			return 0, false, verdict{billing.ErrLeaseConflict}
		}
		if sameLease(stored, merged) {
			if l.AmountCents != nil && (!same(stored.AmountCents, l.AmountCents) || !same(stored.CardID, l.CardID)) {
				return 0, false, verdict{billing.ErrLeaseConflict}
			}
			return at, true, nil
		}
		merged.AmountCents, merged.CardID = l.AmountCents, l.CardID
		l = merged
	} else {
		at = len(o.leases)
		o.leases = append(o.leases, l)
	}
	billed := l.AmountCents != nil
	if l.FinishedAt != nil && !billed {
		card := o.card(l)
		cost := modelCost(l, card)
		if !cost.IsInt64() {
			return 0, false, verdict{billing.ErrLeaseInvalid}
		}
		l.AmountCents, l.CardID = new(-cost.Int64()), &card.ID
	} else if l.CardID != nil {
		named := slices.IndexFunc(*o.cards, func(c billing.RateCard) bool { return c.ID == *l.CardID })
		if named < 0 || !o.isFor((*o.cards)[named], l) || (*o.cards)[named].CPUMicrocents == nil ||
			modelCost(l, (*o.cards)[named]).Cmp(big.NewInt(-*l.AmountCents)) != 0 {
			return 0, false, verdict{billing.ErrLeaseInvalid}
		}
	}
	o.leases[at] = l
	if _, ok := o.sum(func(billing.Time) bool { return true }); !ok {
		return 0, false, verdict{billing.ErrLeaseInvalid}
	}
	if l.FinishedAt != nil && !billed {
		what := "VM lease "
		if l.JobID != nil {
			what = "VM lease of job " + l.JobID.String()
		} else {
			what += l.ID.String()
		}
		what += " started " + time.UnixMicro(int64(l.StartedAt)).UTC().Format("2006-01-02T15:04:05.000000Z")
		if !o.append(billing.Entry{AmountCents: *l.AmountCents, Source: billing.SourceVMLeaseDebit, Description: &what, LeaseID: l.ID}) {
			return 0, false, verdict{billing.ErrLeaseInvalid}
		}
	}
	return at, false, nil
}

// credit returns the seq of a credit, and whether it was there before.
func (o *modelOrg) credit(op *billing.PostCredit) (seq int64, replayed bool, v verdict) {
	if op.AmountCents < 1 || op.AmountCents > 1_000_000_000 {
		v = append(v, billing.ErrAmountInvalid)
	}
	if op.Source != billing.SourceAdminGrant && op.Source != billing.SourceRefund || op.IdempotencyKey == "" {
		v = append(v, billing.ErrInvalid)
	}
	if v != nil {
		return 0, false, v
	}
	for _, e := range o.entries {
		if same(e.IdempotencyKey, &op.IdempotencyKey) {
			if e.AmountCents != op.AmountCents || e.Source != op.Source || !same(e.Description, op.Description) {
				return 0, false, verdict{billing.ErrKeyReused}
			}
			return e.Seq, true, nil
		}
	}
	if !o.append(billing.Entry{AmountCents: op.AmountCents, Source: op.Source, Description: op.Description, IdempotencyKey: &op.IdempotencyKey}) {
		return 0, false, verdict{billing.ErrAmountInvalid}
	}
	return int64(len(o.entries)), false, nil
}

func sameEntry(a, b billing.Entry) bool {
	return a.ID == b.ID && a.AmountCents == b.AmountCents && a.Source == b.Source && a.CreatedAt == b.CreatedAt &&
		same(a.Description, b.Description) && same(a.LeaseID, b.LeaseID) && same(a.IdempotencyKey, b.IdempotencyKey)
}

// importEntry takes over an entry.
func (o *modelOrg) importEntry(e billing.Entry) (duplicate bool, v verdict) {
	if stored := slices.IndexFunc(o.entries, func(stored billing.Entry) bool { return stored.ID == e.ID }); stored >= 0 {
		if sameEntry(o.entries[stored], e) {
			return true, nil
		}
		return false, verdict{billing.ErrEntryConflict}
	}
	if n := len(o.entries); n > 0 && e.CreatedAt < o.entries[n-1].CreatedAt {
		v = append(v, billing.ErrEntryConflict)
	}
	if e.LeaseID != nil {
		lease := slices.IndexFunc(o.leases, func(l billing.Lease) bool { return same(l.ID, e.LeaseID) })
		if lease < 0 || !same(o.leases[lease].AmountCents, &e.AmountCents) {
			v = append(v, billing.ErrEntryConflict)
		}
	}
	for _, stored := range o.entries {
		if e.LeaseID != nil && same(stored.LeaseID, e.LeaseID) {
			v = append(v, billing.ErrEntryConflict)
		}
		if e.IdempotencyKey != nil && same(stored.IdempotencyKey, e.IdempotencyKey) {
			v = append(v, billing.ErrKeyReused)
		}
	}
	if v == nil && !o.append(e) {
		v = verdict{billing.ErrAmountInvalid}
	}
	return false, v
}

func inWindow(w billing.Window) func(billing.Time) bool {
	return func(t billing.Time) bool { return w.From <= t && t < w.To }
}

func (o *modelOrg) series(w billing.Window) []billing.DayUsage {
	series := []billing.DayUsage{}
	day := billing.TimeOf(w.From.Std().Truncate(24 * time.Hour))
	for ; day <= w.To; day += 24 * 3600 * 1_000_000 {
		u, _ := o.sum(func(t billing.Time) bool {
			return inWindow(w)(t) && t.Std().Format(time.DateOnly) == day.Std().Format(time.DateOnly)
		})
		series = append(series, billing.DayUsage{Day: day, Usage: u})
	}
	return series
}

func (o *modelOrg) breakdown(w billing.Window) []billing.BreakdownRow {
	rows := []billing.BreakdownRow{}
	for _, l := range o.leases {
		if !inWindow(w)(l.StartedAt) {
			continue
		}
		row := billing.BreakdownRow{Lease: l, Build: billing.BuildUsage{StartedAt: math.MaxInt64}}
		for _, other := range o.leases {
			if inWindow(w)(other.StartedAt) && same(other.BuildID, l.BuildID) {
				b := &row.Build
				b.Jobs++
				b.StartedAt = min(b.StartedAt, other.StartedAt)
				if other.FinishedAt != nil {
					b.Cents += *other.AmountCents
					if b.FinishedAt == nil || *b.FinishedAt < *other.FinishedAt {
						b.FinishedAt = other.FinishedAt
					}
				}
			}
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b billing.BreakdownRow) int {
		build := 0
		if a.Lease.BuildID != nil && b.Lease.BuildID != nil {
			build = bytes.Compare(a.Lease.BuildID[:], b.Lease.BuildID[:])
		} else if (a.Lease.BuildID == nil) != (b.Lease.BuildID == nil) {
			build = 1
			if b.Lease.BuildID == nil {
				build = -1
			}
		}
		return cmp.Or(cmp.Compare(b.Build.StartedAt, a.Build.StartedAt), build,
			cmp.Compare(a.Lease.StartedAt, b.Lease.StartedAt), bytes.Compare(a.Lease.ID[:], b.Lease.ID[:]))
	})
	return rows
}

// duel does each operation on a store and on the model.
type duel struct {
	t        *testing.T
	database string
	stores   []*Store

	cards []billing.RateCard // of all histories

	steps, histories int
	taken            map[string]int
	kinds            map[error]int

	// Of the history under way.
	*rapid.T
	prefix string
	orgs   []*modelOrg
	tokens []*modelToken
	walks  []*walk
}

// walk is a walk through the pages of a ledger. The ledger grows between its steps.
type walk struct {
	org  *modelOrg
	next *string
	left []billing.Entry // the entries to come
}

type action struct {
	name   string
	weight int
	do     func()
}

// missing lists the actions and the kinds of failure that have not occurred yet.
func (d *duel) missing() (names []string) {
	for _, action := range d.actions() {
		if d.taken[action.name] == 0 {
			names = append(names, action.name)
		}
	}
	for _, kind := range modelKinds {
		if d.kinds[kind] == 0 {
			names = append(names, "a failure of the kind "+kind.Error())
		}
	}
	return names
}

func (d *duel) actions() []action {
	return []action{
		{"create an organization", 1, d.createOrganization},
		{"look up an organization", 1, d.lookUp},
		{"create a token", 1, d.createToken},
		{"revoke a token", 1, d.revokeToken},
		{"authenticate", 2, d.authenticate},
		{"list tokens", 1, d.listTokens},
		{"list organizations", 1, d.listOrganizations},
		{"set a rate card", 2, d.setRateCard},
		{"record leases", 6, d.recordLeases},
		{"post a credit", 3, d.postCredit},
		{"write", 5, d.write},
		{"write for nobody", 1, d.writeForNobody},
		{"write, cancelled", 1, d.writeCancelled},
		{"walk the ledger", 2, d.walkLedger},
		{"walk on", 2, d.walkOn},
		{"send a wrong cursor", 1, d.wrongCursor},
		{"ask for usage", 3, d.usage},
		{"ask for a series", 3, d.series},
		{"ask for a breakdown", 2, d.breakdown},
		{"open a store anew", 1, d.reopen},
	}
}

// history is one sequence of operations.
func (d *duel) history(t *rapid.T) {
	d.T, d.prefix, d.orgs, d.tokens, d.walks = t, strings.ToLower(rand.Text()[:10]), nil, nil, nil
	d.histories++
	d.newOrganization("a")
	repeated := map[string]func(*rapid.T){"": func(*rapid.T) { d.check() }}
	for _, a := range d.actions() {
		for i := range a.weight {
			repeated[fmt.Sprint(a.name, strings.Repeat(" ", i))] = func(*rapid.T) {
				a.do()
				d.steps++
				d.taken[a.name]++
			}
		}
	}
	t.Repeat(repeated)
	d.conclude()
}

func (d *duel) ctx() context.Context { return context.Background() }

// draw draws one of the values.
func draw[T any](d *duel, what string, values ...T) T {
	return rapid.SampledFrom(values).Draw(d.T, what)
}

// pick draws one of the values, by its place: it says less in the log, and shrinks as well.
func pick[T any](d *duel, what string, values []T) T {
	return values[rapid.IntRange(0, len(values)-1).Draw(d.T, what)]
}

// often is true in about n-1 of n cases.
func (d *duel) often(what string, n int) bool { return rapid.IntRange(1, n).Draw(d.T, what) > 1 }

// store picks one of the stores that have the database open.
func (d *duel) store() *Store { return pick(d, "store", d.stores) }

func (d *duel) service() *billing.Service {
	return billing.NewService(d.store())
}

func (d *duel) org() *modelOrg { return pick(d, "organization", d.orgs) }

// ended checks how something ended.
func (d *duel) ended(what string, err error, v verdict) {
	d.Helper()
	if len(v) == 0 {
		if err != nil {
			d.Fatalf("%s: %v", what, err)
		}
		return
	}
	for _, kind := range modelKinds {
		if errors.Is(err, kind) {
			if slices.Contains(v, kind) {
				d.kinds[kind]++
				return
			}
			d.Fatalf("%s: %v, which is a case of %q; want %v", what, err, kind, v)
		}
	}
	d.Fatalf("%s: %v; want %v", what, err, v)
}

func (d *duel) equal(what string, want, got any) {
	d.Helper()
	if !reflect.DeepEqual(want, got) {
		d.Fatalf("%s: want (-), got (+)\n%s", what, gocmp.Diff(want, got))
	}
}

// check compares the state that every operation may change.
func (d *duel) check() {
	store := d.stores[(d.steps+1)%len(d.stores)]
	for _, org := range d.orgs {
		head, err := store.Head(d.ctx(), org.ID)
		d.ended("the head", err, nil)
		d.equal("the head of "+org.Slug, org.head(), head)
	}
}

// conclude compares everything that the history has left.
func (d *duel) conclude() {
	for _, org := range d.orgs {
		for _, store := range d.stores {
			entries, err := store.Entries(d.ctx(), org.ID, math.MaxInt64, len(org.entries)+1)
			d.ended("all entries", err, nil)
			slices.Reverse(entries)
			d.equal("all entries", append([]billing.Entry{}, org.entries...), entries)
			d.breakdownOf(store, org, billing.Window{From: 0, To: math.MaxInt64}, math.MaxInt)
		}
	}
}

func (d *duel) slug(name string) string { return d.prefix + "-" + name }

func (d *duel) find(slug string) *modelOrg {
	for _, org := range d.orgs {
		if org.Slug == slug {
			return org
		}
	}
	return nil
}

func (d *duel) newOrganization(name string) {
	org := billing.Organization{
		ID: billing.NewID(), Slug: d.slug(name), Name: "The name of " + name, CreatedAt: billing.Time(rapid.IntRange(0, 1<<50).Draw(d.T, "created_at")),
	}
	taken := d.find(org.Slug) != nil
	if len(d.orgs) > 0 && !d.often("a new id", 3) {
		org.ID, taken = d.org().ID, true
	}
	err := d.store().CreateOrganization(d.ctx(), org)
	if taken {
		d.ended("create an organization", err, verdict{billing.ErrExists})
		return
	}
	d.ended("create an organization", err, nil)
	d.orgs = append(d.orgs, &modelOrg{Organization: org, cards: &d.cards})
}

func (d *duel) setRateCard() {
	card := billing.RateCard{Name: d.prefix}
	if d.often("for an organization", 3) {
		card.OrgID = &d.org().ID
	}
	if !d.often("for every shape", 2) {
		card.CPUCount, card.MemoryGB, card.DiskGB = new(draw[int64](d, "cpu_count", 1, 2)), new(int64(4)), new(int64(20))
	}
	if !d.often("for any labels", 2) {
		card.LabelKey, card.LabelValue = new(draw(d, "key", "os", "size")), new(draw(d, "value", "mac", "big"))
	}
	if d.often("with prices", 4) {
		card.SetRates(billing.Rates{CPU: draw[int64](d, "price", 0, 10_000, 77_000, 100_000_000), MemoryGB: 5_000, DiskGB: 100})
	}
	if d.often("with a key", 2) {
		card.IdempotencyKey = new(draw(d, "key", d.prefix+"1", d.prefix+"2"))
	}
	from := rapid.SampledFrom(append(modelMoments, 0)).Draw(d.T, "effective_from")
	add := billing.NewCard{Card: card, EffectiveFrom: &from, Backdated: d.often("backdated", 10)}
	got, known, err := d.service().SetRateCard(d.ctx(), add)
	if at := slices.IndexFunc(d.cards, func(old billing.RateCard) bool {
		return same(old.OrgID, card.OrgID) && card.IdempotencyKey != nil && same(old.IdempotencyKey, card.IdempotencyKey)
	}); at >= 0 {
		old := d.cards[at]
		if !same(old.CPUCount, card.CPUCount) || !same(old.LabelKey, card.LabelKey) || !same(old.LabelValue, card.LabelValue) ||
			!same(old.CPUMicrocents, card.CPUMicrocents) || old.EffectiveFrom != from {
			d.ended("set a rate card", err, verdict{billing.ErrKeyReused})
			return
		}
		d.ended("set a rate card", err, nil)
		d.equal("the card that is known", old, got)
		d.equal("whether it is known", true, known)
		return
	}
	general := card.OrgID == nil && card.CPUCount == nil && card.LabelKey == nil
	if !add.Backdated || card.CPUMicrocents == nil && general {
		d.ended("set a rate card", err, verdict{billing.ErrRateCardInvalid})
		return
	}
	d.ended("set a rate card", err, nil)
	want := card
	want.ID, want.Seq, want.EffectiveFrom, want.CreatedAt = got.ID, int64(len(d.cards))+1, from, got.CreatedAt
	d.equal("the card", want, got)
	if last := d.cards[len(d.cards)-1]; got.CreatedAt <= last.CreatedAt || got.ID == last.ID {
		d.Fatalf("a card follows %+v: %+v", last, got)
	}
	d.cards = append(d.cards, got)
}

func (d *duel) createOrganization() { d.newOrganization(draw(d, "name", "a", "b", "c", "A")) }

func (d *duel) lookUp() {
	slug := d.slug(draw(d, "name", "a", "b", "c", "A", "nobody"))
	got, err := d.store().OrganizationBySlug(d.ctx(), slug)
	want := d.find(slug)
	if want == nil {
		d.ended("look up "+slug, err, verdict{billing.ErrOrganizationNotFound})
		return
	}
	d.ended("look up "+slug, err, nil)
	d.equal(slug, want.Organization, got)
}

func (d *duel) hash() billing.TokenHash {
	return sha256.Sum256([]byte(d.slug(draw(d, "token", "1", "2", "3"))))
}

func (d *duel) token(hash billing.TokenHash) *modelToken {
	for _, token := range d.tokens {
		if token.Hash == hash {
			return token
		}
	}
	return nil
}

// timeOrNil draws a time that has passed, one that has not, or none.
func (d *duel) timeOrNil(what string) *billing.Time {
	return draw(d, what, nil, new(billing.Time(1)), new(billing.Time(1)<<60))
}

func (d *duel) createToken() {
	token := billing.Token{
		Hash: d.hash(), Name: d.prefix, Role: draw(d, "role", billing.RoleRead, billing.RoleWrite, billing.RoleAdmin),
		CreatedAt: billing.Time(rapid.IntRange(1, 2).Draw(d.T, "created_at")), ExpiresAt: d.timeOrNil("expires_at"),
	}
	names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "A", "nobody"}), 1, 3, rapid.ID).Draw(d.T, "names")
	slices.Sort(names)
	unknown := false
	for _, name := range names {
		token.Organizations = append(token.Organizations, d.slug(name))
		unknown = unknown || d.find(d.slug(name)) == nil
	}
	var v verdict
	if d.token(token.Hash) != nil {
		v = append(v, billing.ErrExists)
	}
	if unknown {
		v = append(v, billing.ErrOrganizationNotFound)
	}
	d.ended("create a token", d.store().CreateToken(d.ctx(), token), v)
	if v == nil {
		d.tokens = append(d.tokens, &modelToken{Token: token})
	}
}

func (d *duel) revokeToken() {
	hash, at := d.hash(), billing.Time(rapid.IntRange(1, 3).Draw(d.T, "at"))
	err := d.store().RevokeToken(d.ctx(), hash, at)
	token := d.token(hash)
	if token == nil {
		d.ended("revoke a token", err, verdict{billing.ErrTokenNotFound})
		return
	}
	d.ended("revoke a token", err, nil)
	if token.RevokedAt == nil {
		token.RevokedAt, token.revoked = &at, time.Now()
	}
}

func (d *duel) authenticate() {
	hash, slug := d.hash(), d.slug(draw(d, "name", "a", "b", "c", "A", "nobody"))
	service, begun := d.service(), time.Now()
	got, err := service.Authenticate(d.ctx(), hash, slug)
	token := d.token(hash)
	// Another store may not know yet.
	lingers := err == nil && token != nil && token.RevokedAt != nil && begun.Sub(token.revoked) < grantAge
	if token == nil || token.RevokedAt != nil && !lingers || token.ExpiresAt != nil && token.ExpiresAt.Std().Before(time.Now()) {
		d.ended("authenticate", err, verdict{billing.ErrUnauthorized})
		return
	}
	d.ended("authenticate", err, nil)
	want := billing.Grant{Hash: hash, Name: token.Name, Role: token.Role, ExpiresAt: token.ExpiresAt}
	if org := d.find(slug); org != nil && slices.Contains(token.Organizations, slug) {
		want.Organization = &org.Organization
	}
	d.equal("the grant", want, got)
}

func (d *duel) listTokens() {
	all, err := d.store().Tokens(d.ctx())
	d.ended("list tokens", err, nil)
	all = slices.DeleteFunc(all, func(t billing.Token) bool { return t.Name != d.prefix })
	want := make([]billing.Token, 0, len(d.tokens))
	for _, token := range d.tokens {
		want = append(want, token.Token)
	}
	slices.SortFunc(want, func(a, b billing.Token) int {
		return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), bytes.Compare(a.Hash[:], b.Hash[:]))
	})
	d.equal("the tokens", want, append([]billing.Token{}, all...))
}

func (d *duel) listOrganizations() {
	hash, limit := d.hash(), int64(rapid.IntRange(1, 3).Draw(d.T, "limit"))
	service := d.service()
	got := []billing.Organization{}
	for cursor, more := (*string)(nil), true; more; more = cursor != nil {
		page, err := service.VisibleOrganizations(d.ctx(), hash, &limit, cursor)
		d.ended("list organizations", err, nil)
		if n := int64(len(page.Items)); n > limit || n < limit && page.Next != nil {
			d.Fatalf("a page of %d organizations; the limit is %d", n, limit)
		}
		got, cursor = append(got, page.Items...), page.Next
	}
	want := []billing.Organization{}
	if token := d.token(hash); token != nil {
		for _, org := range d.orgs {
			if slices.Contains(token.Organizations, org.Slug) {
				want = append(want, org.Organization)
			}
		}
	}
	slices.SortFunc(want, func(a, b billing.Organization) int { return cmp.Compare(a.Slug, b.Slug) })
	d.equal("the organizations", want, got)
}

// The few moments at which leases start and windows end, so that they meet.
const modelDay = 20_610 * billing.Day // 2026-06-06

var modelMoments = []billing.Time{
	modelDay - 1, modelDay, modelDay + 1, modelDay + billing.Hour/2, modelDay + billing.Hour - 1, modelDay + billing.Hour,
	modelDay + billing.Hour + 1, modelDay + 5*billing.Hour, modelDay + billing.Day - 1, modelDay + billing.Day, modelDay + billing.Day + 1,
	modelDay + 2*billing.Day + billing.Hour,
}

func smallID(kind, n int) *billing.ID {
	return &billing.ID{0: byte(kind), 6: 0x70, 8: 0x80, 15: byte(n)}
}

// lease draws one of few leases, so that some are the same, some alike, and some wrong.
func (d *duel) lease() billing.Lease {
	l := billing.Lease{
		JobName: draw(d, "job_name", nil, new("test"), new("")), CPUCount: draw[int64](d, "cpu_count", 1, 2), MemoryGB: 4, DiskGB: 20,
		StartedAt: rapid.SampledFrom(modelMoments).Draw(d.T, "started_at"),
		Labels:    draw(d, "labels", nil, nil, new(`{"os":"mac"}`), new(`{"os":"mac","size":"big"}`)), Author: draw(d, "author", nil, nil, new("mara")),
	}
	if d.often("job_id is given", 3) {
		l.JobID = smallID(1, rapid.IntRange(1, 8).Draw(d.T, "job_id"))
	}
	if !d.often("lease_id is missing", 3) || l.JobID == nil {
		l.ID = smallID(2, rapid.IntRange(1, 8).Draw(d.T, "lease_id"))
	}
	if build := rapid.IntRange(0, 3).Draw(d.T, "build"); build > 0 {
		l.BuildID, l.BuildNumber, l.StepKey, l.VMHandle = smallID(3, build), new(int64(build)), new("step"), new("vm")
		l.BuildExternalID, l.PipelineName, l.PipelineSlug = new("00000000-0000-4000-8000-000000000001"), new("Main"), new("main")
		if !d.often("the build is known by a UUID", 20) {
			l.BuildExternalID = new("ünï")
		}
		if build > 1 {
			l.PipelineID = smallID(4, build)
		}
	}
	if d.often("it has finished", 3) {
		seconds := draw[billing.Time](d, "seconds", 0, 23, 24, 300, 3600)
		l.FinishedAt = new(l.StartedAt + seconds*billing.Second + draw[billing.Time](d, "microseconds", 0, 999_999))
		l.DurationSeconds = draw(d, "duration_seconds", nil, nil, new(int64(seconds)), new(int64(seconds+1)))
	}
	if !d.often("it is believable", 30) {
		l.CPUCount = draw[int64](d, "how many", 10_000, 10_001, 1_000_000_000)
		if l.FinishedAt != nil {
			l.DurationSeconds = new(draw[int64](d, "how long", 31_622_400, 1_000_000_000))
		}
	}
	if !d.often("it is right", 20) {
		switch rapid.IntRange(1, 7).Draw(d.T, "what is wrong") {
		case 7:
			l.StartedAt, l.FinishedAt, l.DurationSeconds = billing.TimeOf(time.Now().AddDate(1, 0, 0)), nil, nil
		case 1:
			l.ID, l.JobID = nil, nil
		case 2:
			l.CPUCount = 0
		case 3:
			l.FinishedAt = new(l.StartedAt - 1)
		case 4:
			l.FinishedAt, l.DurationSeconds = nil, new(int64(1))
		case 5:
			l.DurationSeconds = new(int64(-1))
			l.FinishedAt = &l.StartedAt
		case 6:
			l.DiskGB = -20
		}
	}
	return l
}

// again draws a lease that was recorded, as it is or finished.
func (d *duel) again(org *modelOrg) billing.Lease {
	l := pick(d, "recorded lease", org.leases)
	l.AmountCents, l.CardID = nil, nil
	if l.JobID != nil && d.often("lease_id is left out", 2) {
		l.ID = nil
	}
	if !d.often("it is told whole", 3) {
		l.JobName, l.StepKey, l.BuildID, l.PipelineName = nil, nil, nil, nil
	}
	if !d.often("it is told as it was", 8) {
		l.JobName = new("another")
	}
	if l.FinishedAt == nil && d.often("it finishes", 3) {
		l.FinishedAt = new(l.StartedAt + 300*billing.Second)
	}
	return l
}

func (d *duel) anyLease(org *modelOrg) billing.Lease {
	if len(org.leases) > 0 && !d.often("a lease of its own", 3) {
		return d.again(org)
	}
	return d.lease()
}

func (d *duel) recordLeases() {
	org := d.org()
	leases := make([]billing.Lease, rapid.IntRange(1, 4).Draw(d.T, "leases"))
	for i := range leases {
		leases[i] = d.anyLease(org)
	}
	begun := billing.TimeOf(time.Now())
	results, err := d.service().RecordLeases(d.ctx(), org.ID, slices.Clone(leases))
	after := org.clone()
	outcomes, v := after.recordAll(leases)
	d.ended("record leases", err, v)
	if v == nil {
		d.learn(org, after, begun)
		d.results(org, outcomes, results)
	}
}

// outcome is the outcome of a lease.
type outcome struct {
	at     int // in the model's leases
	status billing.LeaseStatus
	cents  int64
}

// recordAll records leases, or fails and leaves the model in no state to be used.
func (o *modelOrg) recordAll(leases []billing.Lease) (outcomes []outcome, v verdict) {
	for i := range leases {
		l, ok := settled(leases[i])
		if leases[i] = l; !ok {
			return nil, verdict{billing.ErrLeaseInvalid}
		}
	}
	for _, l := range leases {
		recorded := func(stored billing.Lease) bool {
			return same(stored.JobID, l.JobID) && (l.ID == nil || same(stored.ID, l.ID)) &&
				stored.CPUCount == l.CPUCount && stored.MemoryGB == l.MemoryGB && stored.DiskGB == l.DiskGB
		}
		if larger(l) && !slices.ContainsFunc(o.leases, recorded) {
			return nil, verdict{billing.ErrLeaseInvalid}
		}
	}
	for _, l := range leases {
		at, duplicate, v := o.record(l)
		if v != nil {
			return nil, v
		}
		result := outcome{at: at, status: billing.LeaseRunning}
		if cents := o.leases[at].AmountCents; cents != nil {
			result.status, result.cents = billing.LeaseBilled, *cents
		}
		if duplicate {
			result.status = billing.LeaseDuplicate
		}
		outcomes = append(outcomes, result)
	}
	return outcomes, nil
}

// results checks the answer about leases that were recorded.
func (d *duel) results(org *modelOrg, outcomes []outcome, got []billing.RecordedLease) {
	d.Helper()
	want := []billing.RecordedLease{}
	for _, o := range outcomes {
		want = append(want, billing.RecordedLease{ID: *org.leases[o.at].ID, Status: o.status, AmountCents: o.cents})
	}
	d.equal("the results", want, got)
}

// learn reads the values that the store has chosen for the rows that the model has changed, and copies them to the model.
func (d *duel) learn(org *modelOrg, after modelOrg, begun billing.Time) {
	d.Helper()
	if slices.ContainsFunc(after.leases, func(l billing.Lease) bool { return l.ID == nil }) {
		d.learnLeases(&after)
	}
	old := len(org.entries)
	entries, err := d.store().Entries(d.ctx(), org.ID, math.MaxInt64, len(after.entries)-old+1)
	now := billing.TimeOf(time.Now())
	d.ended("read the new entries", err, nil)
	slices.Reverse(entries)
	if old > 0 && len(entries) > 0 {
		entries = entries[1:]
	}
	if len(entries) != len(after.entries)-old {
		d.Fatalf("there are %d new entries; want %d", len(entries), len(after.entries)-old)
	}
	var last billing.Time
	if old > 0 {
		last = org.entries[old-1].CreatedAt
	}
	for i, got := range entries {
		want := &after.entries[old+i]
		if want.ID == (billing.ID{}) { // not an imported one
			taken := slices.ContainsFunc(after.entries, func(e billing.Entry) bool { return e.ID == got.ID })
			want.ID, want.CreatedAt = d.newID(got.ID, taken), got.CreatedAt
			if old+i > 0 && got.CreatedAt <= last || (old+i == 0 || got.CreatedAt != last+1) && (got.CreatedAt < begun || got.CreatedAt > now) {
				d.Fatalf("entry %d is dated %s, the one before it %s; it was written from %s to %s", got.Seq, got.CreatedAt, last, begun, now)
			}
		}
		last = want.CreatedAt
		if want.Source == billing.SourceVMLeaseDebit && want.LeaseID == nil {
			for _, l := range after.leases {
				if l.JobID != nil && want.Description != nil && strings.HasPrefix(*want.Description, "VM lease of job "+l.JobID.String()) {
					want.LeaseID = l.ID
				}
			}
		}
		var billed *billing.Lease
		if lease := slices.IndexFunc(after.leases, func(l billing.Lease) bool { return want.LeaseID != nil && same(l.ID, want.LeaseID) }); lease >= 0 {
			billed = &after.leases[lease]
		}
		want.Digest = want.Chain(after.digestBefore(old+i), org.ID, billed)
		d.equal(fmt.Sprint("entry ", got.Seq), *want, got)
	}
	*org = after
}

// learnLeases finds the ids of new leases.
func (d *duel) learnLeases(org *modelOrg) {
	for row, err := range d.store().Breakdown(d.ctx(), org.ID, billing.Window{From: 0, To: math.MaxInt64}) {
		d.ended("read the new leases", err, nil)
		for i := range org.leases {
			if l := &org.leases[i]; l.ID == nil && same(l.JobID, row.Lease.JobID) {
				taken := slices.ContainsFunc(org.leases, func(other billing.Lease) bool { return same(other.ID, row.Lease.ID) })
				l.ID = new(d.newID(*row.Lease.ID, taken))
			}
		}
	}
	for _, l := range org.leases {
		if l.ID == nil {
			d.Fatalf("there is no lease of job %s", l.JobID)
		}
	}
}

// newID checks an id that the store has made.
func (d *duel) newID(id billing.ID, taken bool) billing.ID {
	d.Helper()
	if taken || id[6]>>4 != 7 || id[8]>>6 != 2 {
		d.Fatalf("the new id %s is taken, or not a UUID of version 7", id)
	}
	return id
}

func (d *duel) credit() *billing.PostCredit {
	return &billing.PostCredit{
		AmountCents: draw[int64](d, "amount_cents", 1, 2, 500, 1_000_000_000, 1_000_000_001, 0, -1, math.MinInt64),
		Source:      draw(d, "source", billing.SourceAdminGrant, billing.SourceRefund, billing.SourceAdminGrant, billing.SourceStripeTopup),
		Description: draw(d, "description", nil, new("a"), new("")), IdempotencyKey: draw(d, "key", "1", "2", "3", "4", "5", "6", ""),
	}
}

func (d *duel) anyCredit(org *modelOrg) *billing.PostCredit {
	for _, e := range org.entries {
		if e.IdempotencyKey != nil && !d.often("another credit", 4) {
			return &billing.PostCredit{AmountCents: e.AmountCents, Source: e.Source, Description: e.Description, IdempotencyKey: *e.IdempotencyKey}
		}
	}
	return d.credit()
}

func (d *duel) postCredit() {
	org := d.org()
	op := d.anyCredit(org)
	begun := billing.TimeOf(time.Now())
	err := d.service().PostCredit(d.ctx(), org.ID, op)
	after := org.clone()
	seq, replayed, v := after.credit(op)
	d.ended("post a credit", err, v)
	if v == nil {
		d.learn(org, after, begun)
		d.credited(org, seq, replayed, op)
	}
}

// credited checks the answer about a credit.
func (d *duel) credited(org *modelOrg, seq int64, replayed bool, op *billing.PostCredit) {
	d.Helper()
	d.equal("the credit", org.entries[seq-1], op.Entry)
	d.equal("whether it was there before", replayed, op.Replayed)
}

// importedEntry draws an entry to import.
func (d *duel) importedEntry(org *modelOrg) billing.Entry {
	if len(org.entries) > 0 && !d.often("another entry", 4) {
		e := pick(d, "entry", org.entries)
		e.Seq, e.BalanceAfterCents = 0, 0
		if !d.often("it is the same", 3) {
			e.CreatedAt++
		}
		return e
	}
	e := billing.Entry{
		ID: billing.NewID(), AmountCents: draw[int64](d, "amount_cents", 1, 5, 0, -1, modelMaxCents, modelMaxCents+1), CreatedAt: modelDay,
		Source: draw(d, "source", billing.SourceStripeTopup, billing.SourceCouponRedemption, billing.SourceRefund, "gift"),
	}
	if n := len(org.entries); n > 0 {
		e.CreatedAt = org.entries[n-1].CreatedAt + draw[billing.Time](d, "later by", 0, 1, billing.Second, -1)
	}
	if !d.often("it has no key", 3) {
		e.IdempotencyKey = new(draw(d, "key", "1", "2", "7", ""))
	}
	if len(org.leases) > 0 && d.often("it is a debit", 3) {
		l := pick(d, "debited lease", org.leases)
		e.Source, e.LeaseID, e.AmountCents = billing.SourceVMLeaseDebit, l.ID, -12
		if l.AmountCents != nil && d.often("of the right amount", 5) {
			e.AmountCents = *l.AmountCents
		}
		if !d.often("of a lease that is there", 10) {
			e.LeaseID = draw(d, "lease_id", nil, nil, smallID(9, 9)) // none: history of another system
		}
	}
	return e
}

// validEntry returns an error of the entry that does not depend on the books.
func validEntry(e billing.Entry) (v verdict) {
	debit := e.Source == billing.SourceVMLeaseDebit
	if !slices.Contains([]billing.Source{
		billing.SourceStripeTopup, billing.SourceCouponRedemption, billing.SourceAdminGrant, billing.SourceVMLeaseDebit, billing.SourceRefund,
	}, e.Source) || !debit && e.LeaseID != nil || e.IdempotencyKey != nil && *e.IdempotencyKey == "" {
		v = append(v, billing.ErrInvalid)
	}
	if debit != (e.AmountCents <= 0) || max(e.AmountCents, -e.AmountCents) > modelMaxCents {
		v = append(v, billing.ErrAmountInvalid)
	}
	return v
}

// part is one of several operations that are written together.
type part struct {
	billing.Operation
	v     verdict
	check func() // of its answer, once all is learnt
}

// write applies several operations in one call. Each succeeds or fails independently.
func (d *duel) write() {
	org := d.org()
	after := org.clone()
	var parts []part
	var ops []billing.Operation
	for range rapid.IntRange(1, 5).Draw(d.T, "operations") {
		trial := after.clone()
		p, ok := pick(d, "operation", []func(org *modelOrg, known int) (part, bool){
			d.recordPart, d.importLeasePart, d.importEntryPart, d.creditPart,
		})(&trial, len(org.entries))
		if !ok {
			continue
		}
		parts, ops = append(parts, p), append(ops, p.Operation)
		if len(p.v) == 0 {
			after = trial
		}
	}
	begun := billing.TimeOf(time.Now())
	errs, err := d.store().Write(d.ctx(), org.ID, ops...)
	d.ended("write", err, nil)
	if len(errs) != len(ops) {
		d.Fatalf("there are %d errors for %d operations", len(errs), len(ops))
	}
	for i, p := range parts {
		d.ended(fmt.Sprintf("operation %d, a %T", i, p.Operation), errs[i], p.v)
	}
	d.learn(org, after, begun)
	for _, p := range parts {
		if len(p.v) == 0 {
			p.check()
		}
	}
}

// The parts apply an operation to the model, of which the given number of entries is known completely. They are not ok if the operation
// is invalid by itself and would not reach the store.

func (d *duel) recordPart(org *modelOrg, _ int) (part, bool) {
	leases := []billing.Lease{d.anyLease(org), d.anyLease(org)}
	for _, l := range leases {
		if _, ok := settled(l); !ok {
			return part{}, false
		}
	}
	outcomes, v := org.recordAll(leases)
	op := &billing.RecordLeases{Leases: leases}
	return part{op, v, func() { d.results(d.find(org.Slug), outcomes, op.Results) }}, true
}

func (d *duel) importLeasePart(org *modelOrg, _ int) (part, bool) {
	op := &billing.ImportLease{Lease: d.anyLease(org)}
	if op.Lease.FinishedAt != nil && d.often("it is billed already", 4) {
		op.Lease.AmountCents = draw(d, "amount_cents", new(int64(-12)), new(int64(-1)), new(int64(0)), new(int64(1)), new(int64(math.MinInt64)), new(int64(-modelMaxCents)))
		if !d.often("without a card", 3) {
			card := pick(d, "card", d.cards)
			op.Lease.CardID = &card.ID
			if l, ok := settled(op.Lease); ok && card.CPUMicrocents != nil && modelCost(l, card).IsInt64() && d.often("of the right amount", 5) {
				op.Lease.AmountCents = new(-modelCost(l, card).Int64())
			}
		}
	}
	l, ok := settled(op.Lease)
	if !ok || larger(l) && l.FinishedAt != nil && l.AmountCents == nil {
		d.ended("validate a lease", op.Validate(), verdict{billing.ErrLeaseInvalid})
		return part{}, false
	}
	d.ended("validate a lease", op.Validate(), nil)
	_, duplicate, v := org.record(l)
	return part{op, v, func() { d.equal("whether the lease was known", duplicate, op.Duplicate) }}, true
}

func (d *duel) importEntryPart(org *modelOrg, known int) (part, bool) {
	if len(org.entries) > known {
		return part{}, false // it cannot be told whether it comes before the newest entry
	}
	op := &billing.ImportEntry{Entry: d.importedEntry(org)}
	v := validEntry(op.Entry)
	d.ended("validate an entry", op.Validate(), v)
	if v != nil {
		return part{}, false
	}
	duplicate, v := org.importEntry(op.Entry)
	return part{op, v, func() { d.equal("whether the entry was known", duplicate, op.Duplicate) }}, true
}

func (d *duel) creditPart(org *modelOrg, _ int) (part, bool) {
	op := d.anyCredit(org)
	invalid := op.Validate()
	seq, replayed, v := org.credit(op)
	if invalid != nil {
		d.ended("validate a credit", invalid, v)
		return part{}, false
	}
	return part{op, v, func() { d.credited(d.find(org.Slug), seq, replayed, op) }}, true
}

func (d *duel) writeForNobody() {
	nobody, s := billing.NewID(), d.store()
	err := errors.Join(storetest.First(s.Write(d.ctx(), nobody, d.credit()))...)
	d.ended("write", err, verdict{billing.ErrOrganizationNotFound})
	_, err = s.Head(d.ctx(), nobody)
	d.ended("the head", err, verdict{billing.ErrOrganizationNotFound})
	entries, err := s.Entries(d.ctx(), nobody, math.MaxInt64, 10)
	d.ended("the entries", err, nil)
	usage, err := s.Usage(d.ctx(), nobody, d.window())
	d.ended("the usage", err, nil)
	d.equal("what nobody has", []any{0, billing.Usage{}}, []any{len(entries), usage})
}

func (d *duel) writeCancelled() {
	ctx, cancel := context.WithCancel(d.ctx())
	cancel()
	org := d.org()
	_, err := d.store().Write(ctx, org.ID, d.anyCredit(org), &billing.RecordLeases{Leases: []billing.Lease{d.anyLease(org)}})
	d.ended("write", err, verdict{context.Canceled})
}

func (d *duel) walkLedger() {
	w := &walk{org: d.org()}
	w.left = slices.Clone(w.org.entries)
	slices.Reverse(w.left)
	if !d.step(w) {
		return
	}
	if d.often("it goes on at once", 2) {
		for d.step(w) {
		}
		return
	}
	d.walks = append(d.walks, w)
}

func (d *duel) walkOn() {
	if len(d.walks) == 0 {
		d.Skip("nobody walks")
	}
	i := rapid.IntRange(0, len(d.walks)-1).Draw(d.T, "walk")
	if !d.step(d.walks[i]) {
		d.walks = slices.Delete(d.walks, i, i+1)
	}
}

// step asks for a page, and tells whether there is another one.
func (d *duel) step(w *walk) bool {
	limit := draw(d, "limit", new(int64(1)), new(int64(2)), new(int64(3)), new(int64(7)), new(int64(0)), new(int64(-5)), new(int64(1000)), nil)
	size := 50
	if limit != nil {
		size = min(max(int(*limit), 1), 100)
	}
	page, err := d.service().Transactions(d.ctx(), w.org.ID, billing.EntryFilter{}, limit, w.next)
	d.ended("a page of the ledger", err, nil)
	n := min(size, len(w.left))
	d.equal("the page", append([]billing.Entry{}, w.left[:n]...), page.Items)
	w.left, w.next = w.left[n:], page.Next
	if (page.Next != nil) != (len(w.left) > 0) {
		d.Fatalf("%d entries are left, and the page's cursor is %v", len(w.left), page.Next)
	}
	return page.Next != nil
}

func (d *duel) wrongCursor() {
	cursor := draw(d, "cursor", "", "x", "AAAAAAAAAAAAAAAAAAAAAA", "…")
	org := d.org()
	if len(d.walks) > 0 && d.often("of another list", 2) {
		w := pick(d, "walk", d.walks)
		if cursor = *w.next; w.org == org {
			cursor += "A"
		}
	}
	_, err := d.service().Transactions(d.ctx(), org.ID, billing.EntryFilter{}, nil, &cursor)
	d.ended("a wrong cursor", err, verdict{billing.ErrCursorInvalid})
	hash := d.hash()
	_, err = d.service().VisibleOrganizations(d.ctx(), hash, nil, &cursor)
	d.ended("a wrong cursor", err, verdict{billing.ErrCursorInvalid})
}

func (d *duel) window() billing.Window {
	from := rapid.SampledFrom(modelMoments).Draw(d.T, "from") + draw[billing.Time](d, "from later by", 0, 1, -1, billing.Hour)
	to := rapid.SampledFrom(modelMoments).Draw(d.T, "to") + draw[billing.Time](d, "to later by", 0, 1, -1, billing.Hour)
	if from > to {
		from, to = to, from
	}
	return billing.Window{From: from, To: max(to, from+1)}
}

func (d *duel) usage() {
	org, w := d.org(), d.window()
	got, err := d.store().Usage(d.ctx(), org.ID, w)
	d.ended("usage", err, nil)
	want, _ := org.sum(inWindow(w))
	d.equal("the usage", want, got)
}

func (d *duel) series() {
	org, w := d.org(), d.window()
	got, err := d.service().UsageSeries(d.ctx(), org.ID, w)
	d.ended("a series", err, nil)
	d.equal("the series", org.series(w), got)
}

func (d *duel) breakdown() {
	limit := math.MaxInt
	if !d.often("it is read to its end", 4) {
		limit = rapid.IntRange(1, 3).Draw(d.T, "rows")
	}
	d.breakdownOf(d.store(), d.org(), d.window(), limit)
}

// breakdownOf compares the first rows of a breakdown.
func (d *duel) breakdownOf(s *Store, org *modelOrg, w billing.Window, limit int) {
	d.Helper()
	got := []billing.BreakdownRow{}
	for row, err := range s.Breakdown(d.ctx(), org.ID, w) {
		d.ended("a breakdown", err, nil)
		if got = append(got, *row); len(got) == limit {
			break
		}
	}
	want := org.breakdown(w)
	d.equal("the breakdown", want[:min(limit, len(want))], got)
}

func (d *duel) reopen() {
	if d.often("it stays open", 6) { // opening takes long
		d.Skip("not now")
	}
	i := rapid.IntRange(0, len(d.stores)-1).Draw(d.T, "store")
	d.ended("close", d.stores[i].Close(), nil)
	s, err := openStore(d.ctx(), d.database)
	d.ended("open", err, nil)
	d.t.Cleanup(func() { s.Close() })
	d.stores[i] = s
}

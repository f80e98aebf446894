// Package audit recomputes the books from their raw rows.
package audit

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"math/big"
	"slices"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// Report is the result of an audit for one organization.
type Report struct {
	Organization string // slug
	Leases       int64
	Entries      int64
	Hours        int64 // in which leases started that have finished
	BalanceCents int64
	Findings     int64
	// PricedElsewhere is the number of billed leases that name no rate card, and whose amount none of the books gives.
	PricedElsewhere int64
	Notices         int64
	Head            State // of the newest entry
	// Fingerprint is a digest of the organization's leases and entries. It is the same for the same books in every database.
	Fingerprint string
}

// Audit says what an audit is compared with, and takes its results.
type Audit struct {
	// Finding is called for each error, with the row; the organization is empty for damage of the database.
	Finding func(organization, what string)
	// Notice is called for each lease whose billed duration differs from its interval, which is allowed, and for each State of Against
	// that the books contain. It may be nil.
	Notice func(organization, what string)
	// Report is called for each organization.
	Report func(Report)
	// Against are states that the books must still contain.
	Against []State
}

// Verify runs an audit without notices.
func Verify(ctx context.Context, books billing.Archive, finding func(organization, what string), report func(Report)) error {
	return Audit{Finding: finding, Report: report}.Verify(ctx, books)
}

// Verify recomputes the sequence numbers, the running balances, the head, the sums of days, hours and minutes, those of groups, and the
// digests from the leases and entries. It checks that each finished lease has the cost that its rate card gives and one debit of its
// amount. It reads a snapshot, so it can run beside writers, and has at most the sums of one day, and those of the groups of one month, in
// memory. Before that, the database checks its tables and indexes.
func (audit Audit) Verify(ctx context.Context, books billing.Archive) error {
	if audit.Notice == nil {
		audit.Notice = func(string, string) {}
	}
	a := &auditor{Audit: audit, against: map[string][]State{}}
	for _, state := range audit.Against {
		a.against[state.Organization] = append(a.against[state.Organization], state)
	}
	if err := books.Audit(ctx, a); err != nil {
		return err
	}
	a.finish()
	for _, slug := range slices.Sorted(maps.Keys(a.against)) {
		a.Finding(slug, "there is no such organization")
	}
	return nil
}

type auditor struct {
	Audit

	against map[string][]State // of organizations that are still to come
	states  []State            // of the organization, by Seq, as far as their entries are still to come
	kept    int64              // the last entry up to which the ledger is known to be as it was, by a state
	broken  int64              // the first entry whose stored digest is wrong; 0 if all are right
	digests billing.Digest     // of the entries so far, computed without the stored digests

	cards    *billing.RateCards
	current  *Report
	head     *billing.Head
	org      billing.Organization
	last     billing.Entry // with the digest of the organization before the first entry
	lifetime sums
	day      map[billing.Period]*sums // of the leases that started on the day under way, as far as no row has them yet
	groups   groups
	digest   hash.Hash
	buf      []byte
}

var _ billing.AuditSink = (*auditor)(nil)

// sums of CPU seconds, gigabyte seconds of memory and of disk, and cents. They have no bound, so that an overflow of stored values is
// found.
type sums [4]big.Int

var maxCounter = big.NewInt(billing.MaxCounter)

func sumsOf(u billing.Usage) *sums {
	s := new(sums)
	for i, v := range [...]int64{u.CPUSeconds, u.MemoryGBSeconds, u.DiskGBSeconds, u.Cents} {
		s[i].SetInt64(v)
	}
	return s
}

func sumsOfLease(l *billing.Lease) *sums {
	s := new(sums)
	for i, count := range [...]int64{l.CPUCount, l.MemoryGB, l.DiskGB} {
		s[i].Mul(big.NewInt(count), big.NewInt(*l.DurationSeconds))
	}
	s[3].Neg(big.NewInt(*l.AmountCents))
	return s
}

func (s *sums) add(other *sums) {
	for i := range s {
		s[i].Add(&s[i], &other[i])
	}
}

// standFor reports whether the store would keep these sums for leases that add up to other. A full counter of resources stays at
// billing.MaxCounter.
func (s *sums) standFor(other *sums) bool {
	for i := range s {
		full := i < 3 && s[i].Cmp(maxCounter) == 0 && other[i].Cmp(maxCounter) > 0
		if s[i].Cmp(&other[i]) != 0 && !full {
			return false
		}
	}
	return true
}

func (s *sums) String() string {
	return fmt.Sprintf("%v CPU seconds, %v GB seconds of memory, %v of disk, %v cents", &s[0], &s[1], &s[2], &s[3])
}

func (a *auditor) off(format string, args ...any) {
	a.current.Findings++
	a.Finding(a.current.Organization, fmt.Sprintf(format, args...))
}

func (a *auditor) notice(format string, args ...any) {
	a.current.Notices++
	a.Notice(a.current.Organization, fmt.Sprintf(format, args...))
}

func (a *auditor) Damage(what string) error {
	a.Finding("", what)
	return nil
}

func (a *auditor) RateCards(cards *billing.RateCards) error {
	a.cards = cards
	for i, card := range cards.All() {
		if card.Identify() != card.ID {
			a.Finding("", fmt.Sprintf("rate_cards, card_id %s: its contents are not those that the id is made of", card.ID))
		}
		if card.Seq != int64(i)+1 {
			a.Finding("", fmt.Sprintf("rate_cards, card_id %s: it has seq %d, and is card %d", card.ID, card.Seq, i+1))
		}
	}
	return nil
}

func (a *auditor) Organization(o billing.Organization, head *billing.Head) error {
	a.finish()
	a.current = &Report{Organization: o.Slug}
	a.head, a.org, a.last, a.lifetime, a.day, a.digest = head, o, billing.Entry{Digest: o.Digest()}, sums{}, map[billing.Period]*sums{}, sha256.New()
	a.groups = groups{}
	digest(a, billing.OrganizationFields, &o)
	a.states, a.kept, a.broken, a.digests = a.against[o.Slug], 0, 0, a.last.Digest
	delete(a.against, o.Slug)
	slices.SortFunc(a.states, func(x, y State) int { return cmp.Compare(x.Seq, y.Seq) })
	a.compareStates(0)
	return nil
}

func (a *auditor) Lease(l *billing.Lease, debits, seq int64) error {
	a.current.Leases++
	digest(a, billing.LeaseFields, l)

	if (l.FinishedAt == nil) != (l.AmountCents == nil) || (l.FinishedAt == nil) != (l.DurationSeconds == nil) {
		a.off("leases, lease_id %s: finished_at, duration_seconds and amount_cents are not all there or all missing", l.ID)
		return nil
	}
	if l.FinishedAt == nil {
		if debits != 0 {
			a.off("leases, lease_id %s: it is running and has %d debits", l.ID, debits)
		}
		return nil
	}
	if debits != 1 {
		a.off("leases, lease_id %s: it is finished and has %d debits", l.ID, debits)
	}
	// Both whole seconds next to an interval are its length: a report without a duration is rounded down.
	if length := *l.FinishedAt - l.StartedAt; *l.DurationSeconds < int64(length.Floor(billing.Second)/billing.Second) {
		a.notice("leases, lease_id %s: it was billed for %d seconds, which is less than its interval of %s", l.ID, *l.DurationSeconds, time.Duration(length)*time.Microsecond)
	} else if *l.DurationSeconds > int64(length.Ceil(billing.Second)/billing.Second) {
		a.notice("leases, lease_id %s: it was billed for %d seconds, which is more than its interval of %s", l.ID, *l.DurationSeconds, time.Duration(length)*time.Microsecond)
	}
	if err := a.cards.CheckPrice(a.org.ID, l); err != nil {
		a.off("leases, lease_id %s: %v", l.ID, err)
	} else if len(a.cards.All()) > 0 && a.cards.In(a.org.ID, l) == nil {
		a.current.PricedElsewhere++
		a.notice("leases, lease_id %s: its %d cents are not what a rate card of the books gives; it was priced elsewhere", l.ID, *l.AmountCents)
	}
	used := sumsOfLease(l)
	for _, span := range billing.Spans {
		period := billing.Period{Span: span, Start: l.StartedAt.Floor(span)}
		if a.day[period] == nil {
			a.day[period] = new(sums)
		}
		a.day[period].add(used)
	}
	a.lifetime.add(used)
	a.countInGroups(l, seq)
	return nil
}

func (a *auditor) Sum(period billing.Period, u billing.Usage) error {
	if period.Span == billing.Hour {
		a.current.Hours++
	}
	stored, want := sumsOf(u), a.day[period]
	switch {
	case want == nil:
		a.off("%s: it has %s, but no lease has finished that started then", row(period), stored)
	case !stored.standFor(want):
		a.off("%s: it has %s, its leases add up to %s", row(period), stored, want)
	}
	delete(a.day, period)
	return nil
}

func row(period billing.Period) string {
	return fmt.Sprintf("usage_sums, %s of %s", spanNames[period.Span], period.Start)
}

var spanNames = map[billing.Time]string{billing.Day: "day", billing.Hour: "hour", billing.Minute: "minute"}

func (a *auditor) EndOfDay() error {
	for _, period := range slices.SortedFunc(maps.Keys(a.day), billing.Period.Compare) {
		a.off("%s: it is missing, its leases add up to %s", row(period), a.day[period])
	}
	clear(a.day)
	return nil
}

func (a *auditor) Entry(e *billing.Entry, lease *billing.Lease) error {
	a.current.Entries++
	digest(a, billing.EntryFields, e)

	where := fmt.Sprintf("ledger_entries, seq %d", e.Seq)
	if e.Seq != a.last.Seq+1 {
		a.off("%s: the entry before it has seq %d", where, a.last.Seq)
	}
	if want := new(big.Int).Add(big.NewInt(a.last.BalanceAfterCents), big.NewInt(e.AmountCents)); want.Cmp(big.NewInt(e.BalanceAfterCents)) != 0 {
		a.off("%s: balance_after_cents is %d, recomputed %s", where, e.BalanceAfterCents, want)
	}
	if a.last.Seq > 0 && e.CreatedAt < a.last.CreatedAt {
		a.off("%s: created_at %s is before that of the entry before it", where, e.CreatedAt)
	}
	debit := e.Source == billing.SourceVMLeaseDebit
	switch {
	case !debit && e.LeaseID != nil || debit != (e.AmountCents <= 0):
		a.off("%s: source %s with %d cents", where, e.Source, e.AmountCents)
	case e.LeaseID == nil: // a credit, or a debit of another system
	case lease == nil || lease.AmountCents == nil:
		a.off("%s: lease %s does not exist or is not billed", where, e.LeaseID)
	case *lease.AmountCents != e.AmountCents:
		a.off("%s: it debits %d cents, lease %s was billed %d", where, e.AmountCents, e.LeaseID, *lease.AmountCents)
	}
	// The digest before it is the stored one, so a change is found at one place.
	want := e.Chain(a.last.Digest, a.org.ID, lease)
	if e.Digest != want {
		a.off("%s: its digest is not that of the entry, of its lease and of the entry before it", where)
		if a.broken == 0 {
			a.broken = e.Seq
		}
	}
	if a.digests == a.last.Digest {
		a.digests = want
	} else {
		a.digests = e.Chain(a.digests, a.org.ID, lease)
	}
	if lease != nil && e.Seq <= a.groups.progress {
		a.groups.learned.Learn(lease)
	}
	a.compareStates(e.Seq)
	a.last = *e
	return nil
}

// finish closes the books of the organization under way.
func (a *auditor) finish() {
	if a.current == nil {
		return
	}
	if head := a.head; head == nil {
		a.off("ledger_heads: it is missing")
	} else {
		a.current.BalanceCents = head.BalanceCents
		if head.Seq != a.last.Seq || head.BalanceCents != a.last.BalanceAfterCents || head.LastAt != a.last.CreatedAt {
			a.off("ledger_heads: it stands at seq %d with %d cents at %s, the newest entry at seq %d with %d at %s",
				head.Seq, head.BalanceCents, head.LastAt, a.last.Seq, a.last.BalanceAfterCents, a.last.CreatedAt)
		}
		if head.Digest != a.last.Digest {
			a.off("ledger_heads: its digest is not that of the newest entry")
		}
		if lifetime := sumsOf(head.Lifetime); !lifetime.standFor(&a.lifetime) {
			a.off("ledger_heads: the lifetime sums are %s, all leases add up to %s", lifetime, &a.lifetime)
		}
	}
	a.compareValues()
	if len(a.states) > 0 {
		a.off("ledger_entries: the ledger ends with entry %d; the state %s is missing", a.last.Seq, a.states[0])
	}
	a.current.Head = State{a.current.Organization, a.last.Seq, a.last.Digest}
	a.current.Fingerprint = hex.EncodeToString(a.digest.Sum(nil))
	a.Report(*a.current)
	a.current = nil
}

// digest adds a row to the digest, each value with its length, so that no two rows look alike.
func digest[T any](a *auditor, fields []billing.Field[T], v *T) {
	a.buf = a.buf[:0]
	for i := range fields {
		f := &fields[i]
		switch value := f.Known(v); {
		case f.Computed || f.Later && value == nil:
		case f.Later:
			a.buf = appendValue(appendBytes(a.buf, []byte(f.Name)), value)
		default:
			a.buf = appendValue(a.buf, value)
		}
	}
	a.digest.Write(a.buf)
}

// appendValue appends the value of a field.
func appendValue(buf []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(buf, 0)
	case *int64:
		return appendBytes(buf, binary.AppendVarint(nil, *v))
	case *billing.Time:
		return appendBytes(buf, binary.AppendVarint(nil, int64(*v)))
	case *string:
		return appendBytes(buf, []byte(*v))
	case *billing.Source:
		return appendBytes(buf, []byte(*v))
	case *billing.ID:
		return appendBytes(buf, v[:])
	}
	panic(fmt.Sprintf("a field of type %T", value))
}

func appendBytes(buf, b []byte) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(b))+1)
	return append(buf, b...)
}

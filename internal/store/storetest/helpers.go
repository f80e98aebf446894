package storetest

import (
	"database/sql"
	"iter"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/audit"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// Must ends the test where something failed that the test takes for granted.
func Must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// First puts the errors of each operation and that of the whole write into one list.
func First(errs []error, err error) []error { return append(errs, err) }

// Second drops the value.
func Second[T any](_ T, err error) error { return err }

// Last returns the error that ended a breakdown.
func Last(rows iter.Seq2[*billing.BreakdownRow, error]) error {
	var last error
	for _, err := range rows {
		last = err
	}
	return last
}

// CreateOrganization makes an organization in books with the standard prices, and returns its id.
func CreateOrganization(t *testing.T, s billing.Store, slug string) billing.ID {
	t.Helper()
	Must(t, billing.NewService(s).EnsureRateCard(t.Context(), nil))
	id := billing.NewID()
	Must(t, s.CreateOrganization(t.Context(), billing.Organization{ID: id, Slug: slug, Name: slug}))
	return id
}

// Credit is a refund.
func Credit(cents int64, key string) *billing.PostCredit {
	return &billing.PostCredit{AmountCents: cents, Source: billing.SourceRefund, IdempotencyKey: key}
}

// Post appends a credit of one cent.
func Post(t *testing.T, s billing.Store, org billing.ID, key string) error {
	t.Helper()
	return service(s).PostCredit(t.Context(), org, Credit(1, key))
}

// Lease makes a finished lease that costs 12 cents.
func Lease() billing.Lease {
	l := finished(0, 300)
	l.ID = new(billing.NewID())
	return l
}

// Record records leases at the standard rates.
func Record(leases ...billing.Lease) *billing.RecordLeases {
	return &billing.RecordLeases{Leases: leases}
}

// WantBalance fails the test where the ledger does not end with the entry seq and the balance.
func WantBalance(t *testing.T, s billing.Store, org billing.ID, seq, cents int64) {
	t.Helper()
	head, err := s.Head(t.Context(), org)
	if err != nil || head.Seq != seq || head.BalanceCents != cents {
		t.Errorf("the head is %+v, %v; want seq %d and %d cents", head, err, seq, cents)
	}
}

// WantClean fails the test where the books are off.
func WantClean(t *testing.T, s billing.Store) {
	t.Helper()
	Must(t, audit.Verify(t.Context(), s, func(org, what string) { t.Errorf("%s: %s", org, what) }, func(audit.Report) {}))
}

// Patience is how long a test waits for something that takes a moment, however slow the machine is.
const Patience = 2 * time.Minute

// Eventually waits until the condition holds.
func Eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for last := time.Now().Add(Patience); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(last) {
			t.Fatalf("%s: not within %s", what, Patience)
		}
	}
}

// Query hands over the rows of a query.
func Query(t *testing.T, db *sql.DB, text string, args []any, scan func(*sql.Rows) error) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), text, args...)
	Must(t, err)
	defer rows.Close()
	for rows.Next() {
		Must(t, scan(rows))
	}
	Must(t, rows.Err())
}

// Column reads the one column of a query.
func Column[T any](t *testing.T, db *sql.DB, text string, args ...any) (values []T) {
	t.Helper()
	Query(t, db, text, args, func(rows *sql.Rows) error {
		var value T
		err := rows.Scan(&value)
		values = append(values, value)
		return err
	})
	return values
}

// firstCard returns the rate card that the books got first.
func (s *suite) firstCard() billing.RateCard {
	s.Helper()
	cards, err := s.store.RateCards(s.Context())
	s.must(err)
	return cards.All()[0]
}

// setRates adds a rate card for all leases.
func (s *suite) setRates(rates billing.Rates) {
	s.Helper()
	card := billing.RateCard{Name: "for all"}
	card.SetRates(rates)
	_, _, err := s.service.SetRateCard(s.Context(), billing.NewCard{Card: card, EffectiveFrom: new(billing.Time(0)), Backdated: true})
	s.must(err)
}

package store

import (
	"context"
	"strings"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

// Statement implements billing.Store. It reads the head first, and then only entries up to the head, which never change. So the answer is of
// the moment at which the head was read.
func (s *Store) Statement(ctx context.Context, org billing.ID, w billing.Window) (billing.Statement, error) {
	head, err := s.Head(ctx, org)
	if err != nil {
		return billing.Statement{}, err
	}
	closing, err := s.headBefore(ctx, org, w.To, head)
	if err != nil {
		return billing.Statement{}, err
	}
	opening, err := s.headBefore(ctx, org, w.From, closing)
	if err != nil {
		return billing.Statement{}, err
	}
	var credits []billing.SourceSum
	err = s.db.Query(ctx, creditSums(s.db), []any{org[:], opening.Seq, closing.Seq}, func(r *driver.Row) error {
		var sum billing.SourceSum
		err := r.Scan(&sum.Source, &sum.Entries, &sum.Cents)
		credits = append(credits, sum)
		return err
	})
	if err != nil {
		return billing.Statement{}, s.fail(ctx, err)
	}
	return billing.NewStatement(opening, closing, credits)
}

// creditSums returns the statement that sums the credits of the organization $1 after the entry $2 up to the entry $3. The index has no debits,
// and the source of a credit before its number.
func creditSums(db driver.Dialect) string {
	sources := make([]string, len(billing.CreditSources))
	for i, source := range billing.CreditSources {
		sources[i] = `'` + string(source) + `'`
	}
	return `SELECT source, count(*), CAST(sum(amount_cents) AS BIGINT) FROM ledger_entries` + db.ByIndex("ledger_entries_by_source") + `
		WHERE org_id = $1 AND seq > $2 AND seq <= $3 AND source IN (` + strings.Join(sources, `, `) + `) AND source <> 'vm_lease_debit'
		GROUP BY source`
}

// headBefore returns the head of the ledger after its last entry that was created before the time. Entries after the later head do not count.
func (s *Store) headBefore(ctx context.Context, org billing.ID, at billing.Time, later billing.Head) (head billing.Head, err error) {
	next, err := seqAt(ctx, s.db, org, at, later.Seq)
	if err != nil {
		return billing.Head{}, s.fail(ctx, err)
	}
	if head.Seq = next - 1; head.Seq == 0 {
		err = s.db.Query(ctx, `SELECT `+organizationTable.columns+` FROM organizations WHERE org_id = $1`, []any{org[:]}, func(r *driver.Row) error {
			var o billing.Organization
			err := organizationTable.scan(r, &o)
			head.Digest = o.Digest()
			return err
		})
		return head, s.fail(ctx, err)
	}
	err = s.db.Query(ctx, `SELECT balance_after_cents, digest FROM ledger_entries WHERE org_id = $1 AND seq = $2`, []any{org[:], head.Seq},
		func(r *driver.Row) error { return r.Scan(&head.BalanceCents, &head.Digest) })
	return head, s.fail(ctx, err)
}

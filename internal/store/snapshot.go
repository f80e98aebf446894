package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// snapshot is a read transaction, which sees one moment. Its statements run once, so they are not prepared.
type snapshot struct {
	*sql.Tx
	store *Store
}

// query gives the database's errors their kind. Those of scan, which may hand the rows on, are returned as they are.
func (s snapshot) query(ctx context.Context, text string, args []any, scan func(*sql.Rows) error) error {
	rows, err := s.QueryContext(ctx, text, args...)
	if err != nil {
		return s.store.fail(ctx, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return s.store.fail(ctx, rows.Err())
}

// atOneMoment runs do on a snapshot.
func (s *Store) atOneMoment(ctx context.Context, do func(snapshot) error) error {
	tx, err := s.streams.BeginTx(ctx, s.dialect.readTx)
	if err != nil {
		return s.fail(ctx, err)
	}
	defer tx.Rollback() //nolint:errcheck // it only reads
	return do(snapshot{tx, s})
}

func (s snapshot) organizations(ctx context.Context) (orgs []billing.Organization, err error) {
	err = s.query(ctx, `SELECT org_id, slug, name, created_at FROM organizations ORDER BY slug`, nil,
		func(rows *sql.Rows) error {
			org, err := scanOrganization(rows)
			orgs = append(orgs, org)
			return err
		})
	return orgs, err
}

// leases hands over an organization's leases, with one more column if more is given.
func (s snapshot) leases(ctx context.Context, org billing.ID, more string, extra []any, take func(*billing.Lease) error) error {
	return s.query(ctx, `SELECT `+leaseColumns+more+` FROM leases WHERE org_id = $1 ORDER BY started_at, lease_id`, []any{org[:]},
		func(rows *sql.Rows) error {
			var l billing.Lease
			if err := scanLease(rows, &l, extra...); err != nil {
				return err
			}
			return take(&l)
		})
}

// entries hands over an organization's entries, with one more column if more is given.
func (s snapshot) entries(ctx context.Context, org billing.ID, more string, extra []any, take func(*billing.Entry) error) error {
	return s.query(ctx, `SELECT `+entryColumns+more+` FROM ledger_entries WHERE org_id = $1 ORDER BY seq`, []any{org[:]},
		func(rows *sql.Rows) error {
			var e billing.Entry
			if err := scanEntry(rows, &e, extra...); err != nil {
				return err
			}
			return take(&e)
		})
}

// Export implements billing.Store.
func (s *Store) Export(ctx context.Context, sink billing.ExportSink) error {
	return s.atOneMoment(ctx, func(q snapshot) error {
		orgs, err := q.organizations(ctx)
		if err != nil {
			return err
		}
		for _, org := range orgs {
			if err := sink.Organization(org); err != nil {
				return err
			}
		}
		tokens, err := readTokens(ctx, q)
		if err != nil {
			return err
		}
		for _, token := range tokens {
			if err := sink.Token(token); err != nil {
				return err
			}
		}
		for _, org := range orgs {
			if err := q.leases(ctx, org.ID, "", nil, func(l *billing.Lease) error { return sink.Lease(org, l) }); err != nil {
				return err
			}
			if err := q.entries(ctx, org.ID, "", nil, func(e *billing.Entry) error { return sink.Entry(org, e) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// Audit implements billing.Store.
func (s *Store) Audit(ctx context.Context, sink billing.AuditSink) error {
	return s.atOneMoment(ctx, func(q snapshot) error {
		orgs, err := q.organizations(ctx)
		if err != nil {
			return err
		}
		for _, org := range orgs {
			if err := auditOne(ctx, q, org, sink); err != nil {
				return err
			}
		}
		return nil
	})
}

func auditOne(ctx context.Context, q snapshot, org billing.Organization, sink billing.AuditSink) error {
	head, err := readHead(ctx, q, org.ID, "")
	switch {
	case errors.Is(err, billing.ErrOrganizationNotFound):
		err = sink.Organization(org, nil)
	case err == nil:
		err = sink.Organization(org, &head)
	}
	if err != nil {
		return err
	}
	var debits int64
	err = q.leases(ctx, org.ID, `, (SELECT count(*) FROM ledger_entries e WHERE e.org_id = $1 AND e.lease_id = leases.lease_id)`,
		[]any{&debits}, func(l *billing.Lease) error { return sink.Lease(l, debits) })
	if err != nil {
		return err
	}
	err = q.query(ctx, `SELECT hour_start, `+usageColumns+` FROM usage_hours WHERE org_id = $1 ORDER BY hour_start`, []any{org.ID[:]},
		func(rows *sql.Rows) error {
			var hour billing.Time
			var sums billing.Usage
			if err := rows.Scan(append([]any{&hour}, usageInto(&sums)...)...); err != nil {
				return err
			}
			return sink.Hour(hour, sums)
		})
	if err != nil {
		return err
	}
	var leaseAmount *int64
	return q.entries(ctx, org.ID, `, (SELECT l.amount_cents FROM leases l WHERE l.org_id = $1 AND l.lease_id = ledger_entries.lease_id)`,
		[]any{&leaseAmount}, func(e *billing.Entry) error { return sink.Entry(e, leaseAmount) })
}

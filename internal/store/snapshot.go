package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

// snapshot is a driver.Snapshot with a Query that returns errors of the domain.
type snapshot struct {
	driver.Snapshot
	store *Store
}

// Query turns errors of the database into errors of the domain. An error of scan, which may come from a sink, is returned unchanged.
func (s snapshot) Query(ctx context.Context, text string, args []any, scan func(*driver.Row) error) error {
	var refused error
	err := s.Snapshot.Query(ctx, text, args, func(r *driver.Row) error {
		refused = scan(r)
		return refused
	})
	if refused != nil {
		return refused
	}
	return s.store.fail(ctx, err)
}

// snapshot runs do on a snapshot.
func (s *Store) snapshot(ctx context.Context, do func(snapshot) error) error {
	var refused error
	err := s.db.Snapshot(ctx, func(q driver.Snapshot) error {
		refused = do(snapshot{q, s})
		return refused
	})
	if refused != nil {
		return refused
	}
	return s.fail(ctx, err)
}

func (s snapshot) organizations(ctx context.Context) (orgs []billing.Organization, err error) {
	err = s.Query(ctx, `SELECT `+organizationTable.columns+` FROM organizations ORDER BY slug`, nil, func(r *driver.Row) error {
		var org billing.Organization
		err := organizationTable.scan(r, &org)
		orgs = append(orgs, org)
		return err
	})
	return orgs, err
}

// always is a window that nothing lies outside of.
var always = billing.Window{From: math.MinInt64, To: math.MaxInt64}

// leases hands over an organization's leases that started in the window, with one more column if more is given.
func (s snapshot) leases(ctx context.Context, org billing.ID, w billing.Window, more string, extra []any, take func(*billing.Lease) error) error {
	return s.Query(ctx, `SELECT `+leaseTable.columns+more+` FROM leases WHERE org_id = $1 AND started_at >= $2 AND started_at < $3
			ORDER BY started_at, lease_id`, []any{org[:], int64(w.From), int64(w.To)},
		func(r *driver.Row) error {
			var l billing.Lease
			if err := leaseTable.scan(r, &l, extra...); err != nil {
				return err
			}
			return take(&l)
		})
}

// entries hands over an organization's entries.
func (s snapshot) entries(ctx context.Context, org billing.ID, take func(*billing.Entry) error) error {
	return s.Query(ctx, `SELECT `+entryTable.columns+` FROM ledger_entries WHERE org_id = $1 ORDER BY seq`, []any{org[:]},
		func(r *driver.Row) error {
			var e billing.Entry
			if err := entryTable.scan(r, &e); err != nil {
				return err
			}
			return take(&e)
		})
}

// Export implements billing.Store.
func (s *Store) Export(ctx context.Context, sink billing.ExportSink) error {
	return s.snapshot(ctx, func(q snapshot) error {
		orgs, err := q.organizations(ctx)
		if err != nil {
			return err
		}
		for _, org := range orgs {
			if err := sink.Organization(org); err != nil {
				return err
			}
		}
		list, err := readTokens(ctx, q)
		if err != nil {
			return err
		}
		for _, token := range list {
			if err := sink.Token(token); err != nil {
				return err
			}
		}
		if err := q.cardsOf(ctx, orgs, sink.RateCard); err != nil {
			return err
		}
		for _, org := range orgs {
			if err := q.leases(ctx, org.ID, always, "", nil, func(l *billing.Lease) error { return sink.Lease(org, l) }); err != nil {
				return err
			}
			if err := q.entries(ctx, org.ID, func(e *billing.Entry) error { return sink.Entry(org, e) }); err != nil {
				return err
			}
			head, err := readHead(ctx, q, org.ID)
			switch {
			case errors.Is(err, billing.ErrOrganizationNotFound): // the books are damaged
			case err != nil:
				return err
			default:
				if err := sink.Head(org, &head); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Audit implements billing.Store.
func (s *Store) Audit(ctx context.Context, sink billing.AuditSink) error {
	if err := s.db.Check(ctx, func(what string) error { return sink.Damage(what) }); err != nil {
		return s.fail(ctx, err)
	}
	return s.snapshot(ctx, func(q snapshot) error {
		cards, err := readCards(ctx, q)
		if err != nil {
			return err
		}
		if err := sink.RateCards(cards); err != nil {
			return err
		}
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

// LeasesIn implements billing.Store.
func (s *Store) LeasesIn(ctx context.Context, org *billing.ID, w billing.Window, sink billing.LeaseSink) error {
	return s.walk(ctx, org, sink.RateCards, func(q snapshot, o billing.Organization) error {
		return q.leases(ctx, o.ID, w, "", nil, func(l *billing.Lease) error { return sink.Lease(o, l) })
	})
}

// EntriesIn implements billing.Store.
func (s *Store) EntriesIn(ctx context.Context, org *billing.ID, w billing.Window, sink billing.EntrySink) error {
	return s.walk(ctx, org, sink.RateCards, func(q snapshot, o billing.Organization) error {
		head, err := readHead(ctx, q, o.ID)
		if err != nil {
			return err
		}
		first, err := seqAt(ctx, q, o.ID, w.From, head.Seq)
		if err != nil {
			return err
		}
		end, err := seqAt(ctx, q, o.ID, w.To, head.Seq)
		if err != nil {
			return err
		}
		return q.Query(ctx, entriesAndLeases+` AND e.seq >= $2 AND e.seq < $3 ORDER BY e.seq`, []any{o.ID[:], first, end}, func(r *driver.Row) error {
			var b billedEntry
			if err := b.scan(r); err != nil {
				return err
			}
			return sink.Entry(o, &b.entry, b.lease)
		})
	})
}

// walk hands over all rate cards, and then visits the organization, or each one if org is nil, all on one snapshot.
func (s *Store) walk(ctx context.Context, org *billing.ID, cards func(*billing.RateCards) error, visit func(snapshot, billing.Organization) error) error {
	return s.snapshot(ctx, func(q snapshot) error {
		all, err := readCards(ctx, q)
		if err != nil {
			return err
		}
		if err := cards(all); err != nil {
			return err
		}
		orgs, err := q.organizations(ctx)
		if err != nil {
			return err
		}
		for _, o := range orgs {
			if org != nil && *org != o.ID {
				continue
			}
			if err := visit(q, o); err != nil {
				return err
			}
		}
		return nil
	})
}

func auditOne(ctx context.Context, q snapshot, org billing.Organization, sink billing.AuditSink) error {
	head, err := readHead(ctx, q, org.ID)
	switch {
	case errors.Is(err, billing.ErrOrganizationNotFound):
		err = sink.Organization(org, nil)
	case err == nil:
		err = sink.Organization(org, &head)
	}
	if err != nil {
		return err
	}
	if err := auditGroups(ctx, q, org.ID, sink); err != nil {
		return err
	}
	if err := auditDays(ctx, q, org.ID, sink); err != nil {
		return err
	}
	return q.Query(ctx, entriesAndLeases+` ORDER BY e.seq`, []any{org.ID[:]}, func(r *driver.Row) error {
		var b billedEntry
		if err := b.scan(r); err != nil {
			return err
		}
		return sink.Entry(&b.entry, b.lease)
	})
}

// nextUsage is the earliest time from $2 on at which a lease or a period starts.
var nextUsage = func() string {
	starts := []string{`SELECT min(started_at) AS at FROM leases WHERE org_id = $1 AND started_at >= $2`}
	for _, span := range billing.Spans {
		starts = append(starts, fmt.Sprintf(`SELECT min(start_at) FROM usage_sums WHERE org_id = $1 AND span = %d AND start_at >= $2`, span))
	}
	return `SELECT min(at) FROM (` + strings.Join(starts, ` UNION ALL `) + `) AS starts`
}()

// auditGroups hands over the values that leases are grouped by, and how far the sums of groups have come.
func auditGroups(ctx context.Context, q snapshot, org billing.ID, sink billing.AuditSink) error {
	var progress int64
	err := q.Query(ctx, `SELECT seq FROM usage_progress WHERE org_id = $1`, []any{org[:]}, func(r *driver.Row) error { return r.Scan(&progress) })
	if err != nil {
		return err
	}
	var values []billing.GroupValue
	err = q.Query(ctx, groupValuesQuery, []any{org[:]}, func(r *driver.Row) error {
		var v billing.GroupValue
		err := groupValueTable.scan(r, &v)
		values = append(values, v)
		return err
	})
	if err != nil {
		return err
	}
	return sink.Groups(values, progress)
}

// auditGroupSums hands over the sums of groups that start in a window.
func auditGroupSums(ctx context.Context, q snapshot, org billing.ID, groupings []string, w billing.Window, sink billing.AuditSink) error {
	for _, grouping := range groupings {
		for _, span := range []billing.GroupSpan{billing.GroupDay, billing.GroupMonth} {
			args := []any{org[:], grouping, string(span), int64(w.From), int64(w.To)}
			err := q.Query(ctx, `SELECT `+groupSumTable.columns+groupSumsQuery, args, func(r *driver.Row) error {
				var sum billing.GroupSum
				if err := groupSumTable.scan(r, &sum); err != nil {
					return err
				}
				return sink.GroupSum(sum)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// auditDays leaves out the days on which nothing started. The sums of groups follow each month.
func auditDays(ctx context.Context, q snapshot, org billing.ID, sink billing.AuditSink) error {
	var groupings []string
	err := q.Query(ctx, `SELECT DISTINCT grouped_by FROM usage_groups WHERE org_id = $1`, []any{org[:]}, func(r *driver.Row) error {
		var grouping string
		err := r.Scan(&grouping)
		groupings = append(groupings, grouping)
		return err
	})
	if err != nil {
		return err
	}
	month := always.From
	endOfMonth := func(end billing.Time) error {
		if err := auditGroupSums(ctx, q, org, groupings, billing.Window{From: month, To: end}, sink); err != nil {
			return err
		}
		month = end
		return sink.EndOfMonth()
	}
	for from := always.From; ; {
		var next *billing.Time
		err := q.Query(ctx, nextUsage, []any{org[:], int64(from)}, func(r *driver.Row) error { return r.Scan(&next) })
		if err != nil {
			return err
		}
		if next == nil {
			return endOfMonth(always.To)
		}
		if now := billing.GroupMonth.Floor(*next); now != month {
			if err := endOfMonth(now); err != nil {
				return err
			}
		}
		day := billing.Window{From: next.Floor(billing.Day), To: next.Floor(billing.Day) + billing.Day}
		var debits, seq int64
		err = q.leases(ctx, org, day, `, (SELECT count(*) FROM ledger_entries e WHERE e.org_id = $1 AND e.lease_id = leases.lease_id),
			(SELECT coalesce(max(seq), 0) FROM ledger_entries e WHERE e.org_id = $1 AND e.lease_id = leases.lease_id)`,
			[]any{&debits, &seq}, func(l *billing.Lease) error { return sink.Lease(l, debits, seq) })
		if err != nil {
			return err
		}
		for _, span := range billing.Spans {
			err := q.Query(ctx, `SELECT `+sumTable.columns+` FROM usage_sums
					WHERE org_id = $1 AND span = $2 AND start_at >= $3 AND start_at < $4 ORDER BY start_at`,
				[]any{org[:], int64(span), int64(day.From), int64(day.To)}, func(r *driver.Row) error {
					var sum billing.PeriodUsage
					if err := sumTable.scan(r, &sum); err != nil {
						return err
					}
					return sink.Sum(sum.Period, sum.Usage)
				})
			if err != nil {
				return err
			}
		}
		if err := sink.EndOfDay(); err != nil {
			return err
		}
		from = day.To
	}
}

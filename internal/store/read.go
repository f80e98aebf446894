package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// querier is a pool or a transaction.
type querier interface {
	query(ctx context.Context, text string, args []any, scan func(row) error) error
}

const headQuery = `SELECT seq, balance_cents, last_at, ` + usageColumns + ` FROM ledger_heads WHERE org_id = $1`

func scanHead(rows row) (head billing.Head, err error) {
	err = rows.Scan(append([]any{&head.Seq, &head.BalanceCents, &head.LastAt}, usageInto(&head.Lifetime)...)...)
	return head, err
}

func readHead(ctx context.Context, q querier, org billing.ID) (head billing.Head, err error) {
	found := false
	err = q.query(ctx, headQuery, []any{org[:]}, func(rows row) error {
		found = true
		head, err = scanHead(rows)
		return err
	})
	if err == nil && !found {
		err = billing.ErrOrganizationNotFound
	}
	return head, err
}

// Head implements billing.Store.
func (s *Store) Head(ctx context.Context, org billing.ID) (billing.Head, error) {
	return s.heads.read(ctx, org, s.exactly, func() (billing.Head, bool, error) {
		head, err := s.headReads.read(ctx, org, func(ctx context.Context) (billing.Head, error) {
			head, err := readHead(ctx, s.reader, org)
			return head, s.fail(ctx, err)
		})
		return head, true, err
	})
}

// Entries implements billing.Store.
func (s *Store) Entries(ctx context.Context, org billing.ID, before int64, limit int) ([]billing.Entry, error) {
	entries := make([]billing.Entry, 0, min(limit, billing.ListBillingTransactionsLimitClampMaximum))
	err := s.reader.query(ctx, `SELECT `+entryColumns+` FROM ledger_entries WHERE org_id = $1 AND seq < $2
			ORDER BY seq DESC LIMIT $3`, []any{org[:], before, limit},
		func(rows row) error {
			var e billing.Entry
			if err := scanEntry(rows, &e); err != nil {
				return err
			}
			entries = append(entries, e)
			return nil
		})
	return entries, s.fail(ctx, err)
}

// Entry implements billing.Store. Neither an entry nor the lease that it bills ever changes, so two statements see the same.
func (s *Store) Entry(ctx context.Context, org, id billing.ID) (entry billing.Entry, lease *billing.Lease, err error) {
	found := false
	err = s.reader.query(ctx, `SELECT `+entryColumns+` FROM ledger_entries WHERE org_id = $1 AND entry_id = $2`, []any{org[:], id[:]},
		func(rows row) error {
			found = true
			return scanEntry(rows, &entry)
		})
	if err != nil {
		return billing.Entry{}, nil, s.fail(ctx, err)
	}
	if !found {
		return billing.Entry{}, nil, billing.ErrEntryNotFound
	}
	if entry.LeaseID == nil {
		return entry, nil, nil
	}
	err = s.reader.query(ctx, `SELECT `+leaseColumns+` FROM leases WHERE org_id = $1 AND lease_id = $2`, []any{org[:], entry.LeaseID[:]},
		func(rows row) error {
			lease = new(billing.Lease)
			return scanLease(rows, lease)
		})
	return entry, lease, s.fail(ctx, err)
}

// RecordedLeases implements billing.Store.
func (s *Store) RecordedLeases(ctx context.Context, org billing.ID, filter billing.LeaseFilter, before billing.LeasePlace, limit int) ([]billing.LeaseRecord, error) {
	text := `SELECT ` + leaseColumns + `, (SELECT entry_id FROM ledger_entries
			WHERE ledger_entries.org_id = leases.org_id AND ledger_entries.lease_id = leases.lease_id)
		FROM leases WHERE org_id = $1 AND started_at <= $2 AND (started_at < $2 OR lease_id < $3)`
	args := []any{org[:], int64(before.StartedAt), before.ID[:], limit}
	switch filter.State {
	case billing.LeaseStateRunning:
		text += ` AND finished_at IS NULL`
	case billing.LeaseStateBilled:
		text += ` AND finished_at IS NOT NULL`
	}
	if filter.LeaseID != nil {
		args = append(args, filter.LeaseID[:])
		text += fmt.Sprintf(` AND lease_id = $%d`, len(args))
	}
	if filter.JobID != nil {
		args = append(args, filter.JobID[:])
		text += fmt.Sprintf(` AND job_id = $%d`, len(args))
	}
	var leases []billing.LeaseRecord
	err := s.reader.query(ctx, text+` ORDER BY started_at DESC, lease_id DESC LIMIT $4`, args, func(rows row) error {
		var r billing.LeaseRecord
		if err := scanLease(rows, &r.Lease, nullIDColumn{&r.EntryID}); err != nil {
			return err
		}
		leases = append(leases, r)
		return nil
	})
	return leases, s.fail(ctx, err)
}

// usageParts selects all that a window sums: the periods that lie in it, the longest that fit, and the leases of what is left at
// its edges, less than the shortest period each. partOf is what to call the part that a time belongs to, with the time as %[1]s.
// See usageArgs for its parameters. Starts are never negative, so % rounds them down.
func usageParts(partOf string) string {
	var parts []string
	n := 1
	between := func(column string) string {
		n += 2
		return fmt.Sprintf(`%[1]s >= $%[2]d AND %[1]s < $%[3]d`, column, n-1, n)
	}
	for _, span := range billing.Spans {
		for range 2 {
			parts = append(parts, fmt.Sprintf(`SELECT `+partOf+` AS part_of, `+usageColumns+` FROM usage_sums
				WHERE org_id = $1 AND span = %[2]d AND %[3]s`, `start_at`, span, between(`start_at`)))
		}
	}
	for range 2 {
		parts = append(parts, fmt.Sprintf(`SELECT `+partOf+`, cpu_count * duration_seconds, memory_gb * duration_seconds,
				disk_gb * duration_seconds, -amount_cents
			FROM leases WHERE finished_at IS NOT NULL AND org_id = $1 AND %[2]s`, `started_at`, between(`started_at`)))
	}
	return strings.Join(parts, ` UNION ALL `)
}

// usageArgs are the organization and the bounds of each part: before and after what the parts before cover.
func usageArgs(org billing.ID, w billing.Window) []any {
	args := []any{org[:]}
	var covered billing.Window // grows from the inside
	add := func(w billing.Window) {
		if covered == (billing.Window{}) {
			covered = billing.Window{From: w.To, To: w.To}
		}
		args = append(args, int64(w.From), int64(covered.From), int64(covered.To), int64(w.To))
		covered = w
	}
	for _, span := range billing.Spans {
		if whole := (billing.Window{From: w.From.Ceil(span), To: w.To.Floor(span)}); whole.From < whole.To {
			add(whole)
		} else {
			args = append(args, 0, 0, 0, 0)
		}
	}
	add(w)
	return args
}

const usageSums = `CAST(coalesce(sum(cpu_seconds), 0) AS BIGINT), CAST(coalesce(sum(memory_gb_seconds), 0) AS BIGINT),
	CAST(coalesce(sum(disk_gb_seconds), 0) AS BIGINT), CAST(coalesce(sum(total_cents), 0) AS BIGINT)`

var (
	usageQuery = `SELECT ` + usageSums + ` FROM (` + usageParts(`0`) + `) AS parts`
	dailyQuery = `SELECT part_of, ` + usageSums + ` FROM (` + usageParts(fmt.Sprintf(`%%[1]s - %%[1]s %%%% %d`, billing.Day)) + `) AS parts
		GROUP BY part_of ORDER BY part_of`
)

// Usage implements billing.Store.
func (s *Store) Usage(ctx context.Context, org billing.ID, w billing.Window) (sum billing.Usage, err error) {
	err = s.readLately(ctx, usageQuery, usageArgs(org, w), func(rows row) error {
		return rows.Scan(usageInto(&sum)...)
	}, func() { sum = billing.Usage{} })
	return sum, err
}

// UsageByDay implements billing.Store.
func (s *Store) UsageByDay(ctx context.Context, org billing.ID, w billing.Window) (days []billing.DayUsage, err error) {
	err = s.readLately(ctx, dailyQuery, usageArgs(org, w), func(rows row) error {
		var day billing.DayUsage
		if err := rows.Scan(append([]any{&day.Day}, usageInto(&day.Usage)...)...); err != nil {
			return err
		}
		days = append(days, day)
		return nil
	}, func() { days = nil })
	return days, err
}

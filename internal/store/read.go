package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

var headQuery = `SELECT ` + heads.columns + ` FROM ledger_heads WHERE org_id = $1`

func readHead(ctx context.Context, q querier, org billing.ID) (head billing.Head, err error) {
	found := false
	err = q.query(ctx, headQuery, []any{org[:]}, func(r *row) error {
		found = true
		return heads.scan(r, &head)
	})
	if err == nil && !found {
		err = billing.ErrOrganizationNotFound
	}
	return head, err
}

// Head implements billing.Store.
func (s *Store) Head(ctx context.Context, org billing.ID) (billing.Head, error) {
	return s.heads.read(ctx, org, s.headStamp, func() (billing.Head, bool, error) {
		head, err := s.headReads.read(ctx, org, func(ctx context.Context) (billing.Head, error) {
			head, err := readHead(ctx, s.reader, org)
			return head, s.fail(ctx, err)
		})
		return head, true, err
	})
}

// Entries implements billing.Store.
func (s *Store) Entries(ctx context.Context, org billing.ID, before int64, limit int) ([]billing.Entry, error) {
	list := make([]billing.Entry, 0, min(limit, billing.ListBillingTransactionsLimitClampMaximum))
	err := s.reader.query(ctx, `SELECT `+entries.columns+` FROM ledger_entries WHERE org_id = $1 AND seq < $2
			ORDER BY seq DESC LIMIT $3`, []any{org[:], before, int64(limit)},
		func(r *row) error {
			var e billing.Entry
			if err := entries.scan(r, &e); err != nil {
				return err
			}
			list = append(list, e)
			return nil
		})
	return list, s.fail(ctx, err)
}

// Entry implements billing.Store. Neither an entry nor the lease that it bills ever changes, so two statements see the same.
func (s *Store) Entry(ctx context.Context, org, id billing.ID) (entry billing.Entry, lease *billing.Lease, err error) {
	found := false
	err = s.reader.query(ctx, `SELECT `+entries.columns+` FROM ledger_entries WHERE org_id = $1 AND entry_id = $2`, []any{org[:], id[:]},
		func(r *row) error {
			found = true
			return entries.scan(r, &entry)
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
	err = s.reader.query(ctx, `SELECT `+leases.columns+` FROM leases WHERE org_id = $1 AND lease_id = $2`, []any{org[:], entry.LeaseID[:]},
		func(r *row) error {
			lease = new(billing.Lease)
			return leases.scan(r, lease)
		})
	return entry, lease, s.fail(ctx, err)
}

// RecordedLeases implements billing.Store.
func (s *Store) RecordedLeases(ctx context.Context, org billing.ID, filter billing.LeaseFilter, before billing.LeasePlace, limit int) ([]billing.LeaseRecord, error) {
	text := `SELECT ` + leases.columns + `, (SELECT entry_id FROM ledger_entries
			WHERE ledger_entries.org_id = leases.org_id AND ledger_entries.lease_id = leases.lease_id)
		FROM leases WHERE org_id = $1 AND started_at <= $2 AND (started_at < $2 OR lease_id < $3)`
	args := []any{org[:], int64(before.StartedAt), before.ID[:]}
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
	var records []billing.LeaseRecord
	args = append(args, int64(limit))
	text += fmt.Sprintf(` ORDER BY started_at DESC, lease_id DESC LIMIT $%d`, len(args))
	err := s.reader.query(ctx, text, args, func(r *row) error {
		var record billing.LeaseRecord
		if err := leases.scan(r, &record.Lease, &record.EntryID); err != nil {
			return err
		}
		records = append(records, record)
		return nil
	})
	return records, s.fail(ctx, err)
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
			parts = append(parts, fmt.Sprintf(`SELECT `+partOf+` AS part_of, `+usage.columns+` FROM usage_sums
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
			args = append(args, int64(0), int64(0), int64(0), int64(0))
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
	err = s.readFromReplica(ctx, usageQuery, usageArgs(org, w), func(r *row) error {
		return usage.scan(r, &sum)
	}, func() { sum = billing.Usage{} })
	return sum, err
}

// UsageByDay implements billing.Store.
func (s *Store) UsageByDay(ctx context.Context, org billing.ID, w billing.Window) (days []billing.DayUsage, err error) {
	err = s.readFromReplica(ctx, dailyQuery, usageArgs(org, w), func(r *row) error {
		var day billing.DayUsage
		if err := r.Scan(usage.into(&day.Usage, []any{&day.Day})...); err != nil {
			return err
		}
		days = append(days, day)
		return nil
	}, func() { days = nil })
	return days, err
}

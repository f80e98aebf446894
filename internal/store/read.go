package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

var headQuery = `SELECT ` + headTable.columns + ` FROM ledger_heads WHERE org_id = $1`

func readHead(ctx context.Context, q driver.Querier, org billing.ID) (head billing.Head, err error) {
	found := false
	err = q.Query(ctx, headQuery, []any{org[:]}, func(r *driver.Row) error {
		found = true
		return headTable.scan(r, &head)
	})
	if err == nil && !found {
		err = billing.ErrOrganizationNotFound
	}
	return head, err
}

// Head implements billing.Store.
func (s *Store) Head(ctx context.Context, org billing.ID) (billing.Head, error) {
	head, err := readHead(ctx, s.db, org)
	return head, s.fail(ctx, err)
}

// Entries implements billing.Store.
func (s *Store) Entries(ctx context.Context, org billing.ID, before int64, limit int) ([]billing.Entry, error) {
	return s.WalkEntries(ctx, org, billing.EntryWalk{Past: before}, limit)
}

// WalkEntries implements billing.Store.
func (s *Store) WalkEntries(ctx context.Context, org billing.ID, walk billing.EntryWalk, limit int) ([]billing.Entry, error) {
	text, args := walkQuery(s.db, org, walk, limit)
	list := make([]billing.Entry, 0, min(limit, billing.ListBillingTransactionsLimitClampMaximum+1))
	err := s.db.Query(ctx, text, args, func(r *driver.Row) error {
		var e billing.Entry
		if err := entryTable.scan(r, &e); err != nil {
			return err
		}
		list = append(list, e)
		return nil
	})
	return list, s.fail(ctx, err)
}

// walkQuery returns the statement of WalkEntries. Debits of leases are most of a ledger, so those are found among all entries. Entries from
// other sources have an index, which debits cost nothing.
func walkQuery(db driver.Dialect, org billing.ID, walk billing.EntryWalk, limit int) (text string, args []any) {
	past, order := `seq < $2`, `seq DESC`
	if walk.OldestFirst {
		past, order = `seq > $2`, `seq`
	}
	args = []any{org[:], walk.Past}
	index, from := ``, ``
	if walk.Source != "" {
		args, from = append(args, string(walk.Source)), ` AND source = $3`
	}
	if walk.Source != "" && walk.Source != billing.SourceVMLeaseDebit {
		index = db.ByIndex("ledger_entries_by_source")
		from += ` AND source <> 'vm_lease_debit'` // the condition of the index, without which it is not used
	}
	args = append(args, int64(limit))
	text = fmt.Sprintf(`SELECT `+entryTable.columns+` FROM ledger_entries`+index+` WHERE org_id = $1 AND `+past+from+` ORDER BY `+order+` LIMIT $%d`, len(args))
	return text, args
}

// SeqAt implements billing.Store.
func (s *Store) SeqAt(ctx context.Context, org billing.ID, at billing.Time) (int64, error) {
	head, err := s.Head(ctx, org)
	if err != nil {
		return 0, err
	}
	seq, err := seqAt(ctx, s.db, org, at, head.Seq)
	return seq, s.fail(ctx, err)
}

// seqAt returns the number of the first entry, of those up to the number last, that was created at the time or later, and the number after the
// last if there is none. Times ascend with the numbers, which have no gaps, and entries never change, so that the time is found in a few reads
// of single entries.
func seqAt(ctx context.Context, q driver.Querier, org billing.ID, at billing.Time, last int64) (int64, error) {
	low, high := int64(1), last+1
	for low < high {
		middle := low + (high-low)/2
		var createdAt billing.Time
		err := q.Query(ctx, `SELECT created_at FROM ledger_entries WHERE org_id = $1 AND seq = $2`, []any{org[:], middle},
			func(r *driver.Row) error { return r.Scan(&createdAt) })
		if err != nil {
			return 0, err
		}
		if createdAt < at {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, nil
}

// Entry implements billing.Store. Neither an entry nor the lease that it bills ever changes, so two statements see the same.
func (s *Store) Entry(ctx context.Context, org, id billing.ID) (entry billing.Entry, lease *billing.Lease, err error) {
	found := false
	err = s.db.Query(ctx, `SELECT `+entryTable.columns+` FROM ledger_entries WHERE org_id = $1 AND entry_id = $2`, []any{org[:], id[:]},
		func(r *driver.Row) error {
			found = true
			return entryTable.scan(r, &entry)
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
	err = s.db.Query(ctx, `SELECT `+leaseTable.columns+` FROM leases WHERE org_id = $1 AND lease_id = $2`, []any{org[:], entry.LeaseID[:]},
		func(r *driver.Row) error {
			lease = new(billing.Lease)
			return leaseTable.scan(r, lease)
		})
	return entry, lease, s.fail(ctx, err)
}

// HasLeases implements billing.Store.
func (s *Store) HasLeases(ctx context.Context) (has bool, err error) {
	err = s.db.Query(ctx, `SELECT org_id FROM leases LIMIT 1`, nil, func(*driver.Row) error {
		has = true
		return nil
	})
	return has, s.fail(ctx, err)
}

// RecordedLeases implements billing.Store.
func (s *Store) RecordedLeases(ctx context.Context, org billing.ID, filter billing.LeaseFilter, before billing.LeasePlace, limit int) ([]billing.LeaseRecord, error) {
	text := `SELECT ` + leaseTable.columns + `, (SELECT entry_id FROM ledger_entries
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
	err := s.db.Query(ctx, text, args, func(r *driver.Row) error {
		var record billing.LeaseRecord
		if err := leaseTable.scan(r, &record.Lease, &record.EntryID); err != nil {
			return err
		}
		records = append(records, record)
		return nil
	})
	return records, s.fail(ctx, err)
}

// usageParts returns a SELECT of the rows that add up to the usage of a window: the sums of the longest periods that lie in it, and
// the leases that start outside of these periods. The column part_of is the expression partOf, in which %[1]s
// stands for the column with the start. usageArgs has the parameters. Starts are never negative, so % rounds them down.
func usageParts(partOf string) string {
	var parts []string
	n := 1
	between := func(column string) string {
		n += 2
		return fmt.Sprintf(`%[1]s >= $%[2]d AND %[1]s < $%[3]d`, column, n-1, n)
	}
	for _, span := range billing.Spans {
		for range 2 {
			parts = append(parts, fmt.Sprintf(`SELECT `+partOf+` AS part_of, `+usageColumns.columns+` FROM usage_sums
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

// usageArgs returns the organization, and for each period and then for the leases the bounds of the two ranges that lie before and
// after the range that longer periods cover.
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

// usageSums are the sums that scanUsage reads. A sum of counters may exceed what a database adds up, so the upper and the lower 32 bits of
// each are summed separately.
var usageSums = func() string {
	var sums []string
	for _, f := range usageColumns.fields {
		sums = append(sums, f.Name+` >> 32`, f.Name+` & 4294967295`)
	}
	return `CAST(coalesce(sum(` + strings.Join(sums, `), 0) AS BIGINT), CAST(coalesce(sum(`) + `), 0) AS BIGINT)`
}()

// scanUsage reads the columns for first, and then usageSums.
func scanUsage(r *driver.Row, u *billing.Usage, first ...any) error {
	halves := make([]int64, 2*len(usageColumns.fields))
	for i := range halves {
		first = append(first, &halves[i])
	}
	err := r.Scan(first...)
	for i, f := range usageColumns.fields {
		*f.Of(u).(*int64) = counter(halves[2*i], halves[2*i+1]) //nolint:errcheck // each field of a usage is a number
	}
	return err
}

// counter puts a counter together from the sums of its upper and lower 32 bits.
func counter(high, low int64) int64 {
	high += low >> 32
	if high > billing.MaxCounter>>32 {
		return billing.MaxCounter
	}
	return high<<32 | low&(1<<32-1)
}

var (
	usageQuery = `SELECT ` + usageSums + ` FROM (` + usageParts(`0`) + `) AS parts`
	dailyQuery = `SELECT part_of, ` + usageSums + ` FROM (` + usageParts(fmt.Sprintf(`%%[1]s - %%[1]s %%%% %d`, billing.Day)) + `) AS parts
		GROUP BY part_of ORDER BY part_of`
)

// Usage implements billing.Store.
func (s *Store) Usage(ctx context.Context, org billing.ID, w billing.Window) (sum billing.Usage, err error) {
	err = s.db.ReadReplica(ctx, func(ctx context.Context, db driver.Reader) error {
		sum = billing.Usage{}
		return db.Query(ctx, usageQuery, usageArgs(org, w), func(r *driver.Row) error { return scanUsage(r, &sum) })
	})
	return sum, s.fail(ctx, err)
}

// UsageByDay implements billing.Store.
func (s *Store) UsageByDay(ctx context.Context, org billing.ID, w billing.Window) (days []billing.DayUsage, err error) {
	err = s.db.ReadReplica(ctx, func(ctx context.Context, db driver.Reader) error {
		days = nil
		return db.Query(ctx, dailyQuery, usageArgs(org, w), func(r *driver.Row) error {
			var day billing.DayUsage
			err := scanUsage(r, &day.Usage, &day.Day)
			days = append(days, day)
			return err
		})
	})
	return days, s.fail(ctx, err)
}

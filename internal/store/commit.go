package store

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

const (
	// maxBatchRows is about how many rows share a transaction, so that no writer waits long for others.
	maxBatchRows = 4096
	// queueSize is how many writes wait without holding their callers back.
	queueSize = 512
	// commitTimeout bounds a transaction of the committer. It is longer than the time for which a connection waits for
	// another process to finish writing.
	commitTimeout = 15 * time.Second
)

// write is what one caller has put into the queue.
type write struct {
	org   billing.ID
	ops   []billing.Operation
	errs  []error // of each operation
	needs billing.Needs
	taken atomic.Bool // by the committer, or by a caller who no longer waits
	done  chan error  // gets one value, unless the caller was first
}

// Write implements billing.Store. Whatever is waiting is committed together: the cost of making a transaction durable is
// shared, and a writer on its own does not wait for company.
func (s *Store) Write(ctx context.Context, org billing.ID, ops ...billing.Operation) ([]error, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := newWrite(org, ops)
	if err := s.enqueue(ctx, w); err != nil {
		return nil, err
	}
	select {
	case err := <-w.done:
		return w.errs, err
	case <-ctx.Done():
		w.taken.Store(true)
		return nil, ctx.Err()
	}
}

func newWrite(org billing.ID, ops []billing.Operation) *write {
	w := &write{org: org, ops: ops, errs: make([]error, len(ops)), done: make(chan error, 1)}
	for _, op := range ops {
		w.needs.Add(op.Needs())
	}
	return w
}

func (s *Store) enqueue(ctx context.Context, w *write) error {
	s.queueing.RLock()
	defer s.queueing.RUnlock()
	if s.closed.Load() {
		return billing.Faultf(billing.ErrUnavailable, "the store is closed")
	}
	select {
	case s.queue <- w:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// commitAll is the committer. There is one, so two batches never wait for each other's rows.
func (s *Store) commitAll() {
	defer close(s.committed)
	for first := range s.queue {
		batch := s.gather(first)
		err := s.commit(batch)
		if err != nil && !errors.Is(err, billing.ErrUnavailable) {
			s.commitSingly(batch)
			continue
		}
		for _, w := range batch {
			w.done <- err
		}
	}
}

// commitSingly commits each operation on its own after the database refused them together, so that the others do not
// suffer for the one that it objects to. Once the database is out of reach, the rest fails without another try.
func (s *Store) commitSingly(batch []*write) {
	var gone error
	for _, w := range batch {
		for i, op := range w.ops {
			if gone != nil {
				w.errs[i] = gone
				continue
			}
			alone := newWrite(w.org, []billing.Operation{op})
			if w.errs[i] = s.commit([]*write{alone}); w.errs[i] == nil {
				w.errs[i] = alone.errs[0]
			} else if errors.Is(w.errs[i], billing.ErrUnavailable) {
				gone = w.errs[i]
			}
		}
		w.done <- nil
	}
}

// gather takes what is waiting behind the first write, as far as it fits into one transaction.
func (s *Store) gather(first *write) []*write {
	var batch []*write
	rows := 0
	for w := first; ; {
		if w.taken.CompareAndSwap(false, true) {
			batch = append(batch, w)
			rows += len(w.ops) + len(w.needs.Leases) + len(w.needs.Jobs)
		}
		if rows >= maxBatchRows {
			return batch
		}
		select {
		case next, open := <-s.queue:
			if !open {
				return batch
			}
			w = next
		default:
			return batch
		}
	}
}

// commit applies the batch in one transaction. Each operation's own error goes to its write; the error returned is one for
// which none of the batch has happened.
func (s *Store) commit(batch []*write) error {
	if len(batch) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.commitTimeout)
	defer cancel()
	err := s.transact(ctx, func(t tx) error {
		needs := map[billing.ID]*billing.Needs{}
		var orgs []billing.ID
		for _, w := range batch {
			if needs[w.org] == nil {
				needs[w.org] = new(billing.Needs)
				orgs = append(orgs, w.org)
			}
			needs[w.org].Add(w.needs)
		}
		// Several servers lock heads in the same order, so that none waits for one that waits for it.
		slices.SortFunc(orgs, func(a, b billing.ID) int { return slices.Compare(a[:], b[:]) })
		now := billing.TimeOf(time.Now())
		books := map[billing.ID]*billing.Book{}
		for _, org := range orgs {
			book, err := s.load(ctx, t, org, needs[org], now)
			if err != nil {
				return err
			}
			books[org] = book
		}
		for _, w := range batch {
			for i, op := range w.ops {
				w.errs[i] = books[w.org].Apply(op)
			}
		}
		nothing := true
		for _, org := range orgs {
			changes := books[org].Changes()
			if changes.Empty() {
				continue
			}
			nothing = false
			if err := flush(ctx, t, org, books[org].Head, changes); err != nil {
				return err
			}
		}
		if nothing {
			return errNothingToCommit
		}
		return nil
	})
	switch {
	case errors.Is(err, errNothingToCommit):
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return billing.Faultf(billing.ErrUnavailable, "the database took more than %s for a transaction", s.commitTimeout)
	}
	return err
}

// errNothingToCommit spares the disk where no operation changed anything.
var errNothingToCommit = errors.New("nothing to commit")

// load opens the organization's book with all that the operations need.
func (s *Store) load(ctx context.Context, t tx, org billing.ID, needs *billing.Needs, now billing.Time) (*billing.Book, error) {
	head, err := readHead(ctx, t, org, s.dialect.lockHead)
	if err != nil {
		return nil, err
	}
	book := billing.NewBook(head, now)
	for _, by := range []struct {
		column string
		ids    []billing.ID
	}{{"lease_id", needs.Leases}, {"job_id", needs.Jobs}} {
		err := findAll(ctx, t, org, `SELECT `+leaseColumns+` FROM leases WHERE org_id = $1 AND `+by.column, byteKeys(by.ids),
			func(rows *sql.Rows) error {
				var l billing.Lease
				if err := scanLease(rows, &l); err != nil {
					return err
				}
				book.LoadLease(l)
				return nil
			})
		if err != nil {
			return nil, err
		}
	}
	for _, by := range []struct {
		column, index string
		keys          []any
	}{
		{"entry_id", "ledger_entries_by_id", byteKeys(needs.Entries)},
		{"lease_id", "ledger_entries_by_lease", byteKeys(needs.Debits)},
		{"idempotency_key", "ledger_entries_by_key", textKeys(needs.IdempotencyKeys)},
	} {
		err := findAll(ctx, t, org, `SELECT `+entryColumns+` FROM ledger_entries`+t.dialect.byIndex(by.index)+`
				WHERE org_id = $1 AND `+by.column, by.keys,
			func(rows *sql.Rows) error {
				var e billing.Entry
				if err := scanEntry(rows, &e); err != nil {
					return err
				}
				book.LoadEntry(e)
				return nil
			})
		if err != nil {
			return nil, err
		}
	}
	return book, nil
}

func byteKeys(ids []billing.ID) []any {
	keys := make([]any, len(ids))
	for i := range ids {
		keys[i] = ids[i][:]
	}
	return keys
}

func textKeys(texts []string) []any {
	keys := make([]any, len(texts))
	for i := range texts {
		keys[i] = texts[i]
	}
	return keys
}

// findAll runs the query, which ends in the column to compare, for all keys. Only a few sizes of the list of keys occur,
// so that each is prepared once; a list is filled up with its last key.
func findAll(ctx context.Context, t tx, org billing.ID, text string, keys []any, scan func(*sql.Rows) error) error {
	for len(keys) > 0 {
		size := 1
		for size < len(keys) && size < 512 {
			size *= 8
		}
		args := make([]any, 1, size+1)
		args[0] = org[:]
		n := min(size, len(keys))
		args = append(args, keys[:n]...)
		for len(args) <= size {
			args = append(args, keys[n-1])
		}
		if err := t.query(ctx, text+` IN `+t.dialect.parameters(2, 1, size), args, scan); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// flush writes what the operations changed.
func flush(ctx context.Context, t tx, org billing.ID, head billing.Head, c billing.Changes) error {
	err := insertAll(ctx, t, len(c.Leases), 19, func(i int, args []any) []any { return leaseValues(org, &c.Leases[i], args) },
		`INSERT INTO leases (org_id, `+leaseColumns+`) VALUES `,
		` ON CONFLICT (org_id, lease_id) DO UPDATE SET job_name = excluded.job_name, step_key = excluded.step_key,
			vm_handle = excluded.vm_handle, build_id = excluded.build_id, build_number = excluded.build_number,
			build_external_id = excluded.build_external_id, pipeline_id = excluded.pipeline_id,
			pipeline_name = excluded.pipeline_name, pipeline_slug = excluded.pipeline_slug,
			cpu_count = excluded.cpu_count, memory_gb = excluded.memory_gb, disk_gb = excluded.disk_gb,
			started_at = excluded.started_at, finished_at = excluded.finished_at,
			duration_seconds = excluded.duration_seconds, amount_cents = excluded.amount_cents`)
	if err != nil {
		return err
	}
	err = insertAll(ctx, t, len(c.Entries), 10, func(i int, args []any) []any { return entryValues(org, &c.Entries[i], args) },
		`INSERT INTO ledger_entries (org_id, `+entryColumns+`) VALUES `, ``)
	if err != nil {
		return err
	}
	periods := slices.SortedFunc(maps.Keys(c.Sums), billing.Period.Compare)
	err = insertAll(ctx, t, len(periods), 7, func(i int, args []any) []any {
		p, u := periods[i], c.Sums[periods[i]]
		return append(args, org[:], int64(p.Span), int64(p.Start), u.CPUSeconds, u.MemoryGBSeconds, u.DiskGBSeconds, u.Cents)
	},
		`INSERT INTO usage_sums (org_id, span, start_at, `+usageColumns+`) VALUES `,
		` ON CONFLICT (org_id, span, start_at) DO UPDATE SET
			cpu_seconds = usage_sums.cpu_seconds + excluded.cpu_seconds,
			memory_gb_seconds = usage_sums.memory_gb_seconds + excluded.memory_gb_seconds,
			disk_gb_seconds = usage_sums.disk_gb_seconds + excluded.disk_gb_seconds,
			total_cents = usage_sums.total_cents + excluded.total_cents`)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `UPDATE ledger_heads SET seq = $2, balance_cents = $3, last_at = $4,
			cpu_seconds = $5, memory_gb_seconds = $6, disk_gb_seconds = $7, total_cents = $8 WHERE org_id = $1`,
		org[:], head.Seq, head.BalanceCents, int64(head.LastAt),
		head.Lifetime.CPUSeconds, head.Lifetime.MemoryGBSeconds, head.Lifetime.DiskGBSeconds, head.Lifetime.Cents)
	return err
}

// insertAll inserts n rows of the given width, many to a statement. As in findAll, only a few sizes occur.
func insertAll(ctx context.Context, t tx, n, width int, row func(i int, args []any) []any, before, after string) error {
	for at := 0; at < n; {
		size := 1
		for size < 64 && at+size*8 <= n {
			size *= 8
		}
		args := make([]any, 0, size*width)
		for range size {
			args = row(at, args)
			at++
		}
		if _, err := t.exec(ctx, before+t.dialect.parameters(1, size, width)+after, args...); err != nil {
			return err
		}
	}
	return nil
}

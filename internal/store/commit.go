package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

const (
	// maxBatchRows is about how many rows share a transaction, so that no writer waits long for others.
	maxBatchRows = 4096
	// commitTimeout bounds a transaction of waiting writes. It is longer than the time for which a connection waits for another
	// process to finish writing.
	commitTimeout = 15 * time.Second
)

// write is what one caller has put into the queue.
type write struct {
	org   billing.ID
	ops   []billing.Operation
	errs  []error // of each operation
	needs billing.Needs
	done  chan error // gets one value once the outcome is known, and none where the write has left the queue before
}

func newWrite(org billing.ID, ops []billing.Operation) *write {
	w := &write{org: org, ops: ops, errs: make([]error, len(ops)), done: make(chan error, 1)}
	for _, op := range ops {
		w.needs.Add(op.Needs())
	}
	return w
}

// writes are those that wait, in their order.
type writes struct {
	mu      sync.Mutex
	waiting []*write
	served  bool // whether somebody commits until the queue is empty
}

// add puts a write into the queue, and reports whether the caller has to commit the queue, since nobody else does.
func (q *writes) add(w *write) (serve bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, w)
	serve, q.served = !q.served, true
	return serve
}

// more reports whether writes are queued. Where none is, the caller no longer commits, and the next one to add a write does.
func (q *writes) more() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.served = len(q.waiting) > 0
	return q.served
}

// take takes what fits into one transaction.
func (q *writes) take() []*write {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, rows := 0, 0
	for n < len(q.waiting) && rows < maxBatchRows {
		w := q.waiting[n]
		rows += len(w.ops) + len(w.needs.Leases) + len(w.needs.Jobs)
		n++
	}
	batch := q.waiting[:n:n]
	q.waiting = append([]*write(nil), q.waiting[n:]...) // so that what was written is not kept in memory
	return batch
}

// leave takes out a write for which nobody waits any more, and reports whether it was still in the queue.
func (q *writes) leave(w *write) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, w)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	return i >= 0
}

// Write implements billing.Store. Whatever is waiting is committed together: the cost of making a transaction durable is
// shared. A writer on its own neither waits for company nor wakes anybody: whoever finds nobody at it commits for all.
func (s *Store) Write(ctx context.Context, org billing.ID, ops ...billing.Operation) ([]error, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.using.RLock()
	defer s.using.RUnlock()
	if s.closed.Load() {
		return nil, errClosed
	}
	w := newWrite(org, ops)
	if s.queue.add(w) {
		s.commitFirst(ctx)
	}
	select {
	case err := <-w.done:
		return w.errs, err
	default:
	}
	select {
	case err := <-w.done:
		return w.errs, err
	case <-ctx.Done():
		if s.queue.leave(w) {
			return nil, ctx.Err()
		}
		// Its transaction is under way, and ends in time by itself; only its outcome tells whether the write has taken place.
		err := <-w.done
		return w.errs, err
	}
}

// commitFirst commits once what waits, and leaves to others what has come meanwhile.
func (s *Store) commitFirst(ctx context.Context) {
	defer func() {
		if s.queue.more() {
			go s.commitRest()
		}
	}()
	s.commitWaiting(ctx)
}

// commitRest commits until nothing waits. It goes from one batch to the next without a switch between goroutines.
func (s *Store) commitRest() {
	for more := true; more; more = s.queue.more() {
		s.commitWaiting(context.Background())
	}
}

// commitWaiting commits what waits, as far as it fits into one transaction, unless the context ends before it may.
func (s *Store) commitWaiting(ctx context.Context) {
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return
	}
	batch := s.queue.take()
	var err error
	defer func() {
		if cause := recover(); cause != nil { // there may be no request here that could take it
			err = fmt.Errorf("the commit panicked: %v\n%s", cause, debug.Stack())
		}
		for _, w := range batch {
			w.done <- err
		}
	}()
	err = s.commit(batch)
	switch {
	case err == nil || errors.Is(err, billing.ErrUnavailable):
	case len(batch) == 1 && len(batch[0].ops) == 1:
		batch[0].errs[0], err = err, nil
	default:
		s.commitSingly(batch)
		err = nil
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
	}
}

// commit applies the batch in one transaction. Each operation's own error goes to its write. Where commit returns an error, none of
// the batch has taken place, unless the database was lost, or the time was up, during the COMMIT itself. The caller holds
// writing.
func (s *Store) commit(batch []*write) error {
	if len(batch) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.commitTimeout)
	defer cancel()
	var before stamp
	var stamped bool
	var books map[billing.ID]*billing.Book
	err := s.runTransaction(ctx, func(p pipeline) error {
		before, stamped = s.headStamp()
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
		books = map[billing.ID]*billing.Book{}
		heads := 0
		for _, org := range orgs {
			head, known := s.heads.kept(org, before)
			books[org] = billing.NewBook(head, now)
			if known && stamped {
				heads++
			} else {
				s.dialect.loadHead(p, org, books[org], func() { heads++ })
			}
			s.dialect.load(p, org, needs[org], books[org])
		}
		if err := p.run(ctx); err != nil {
			return err
		}
		if heads < len(orgs) {
			return billing.ErrOrganizationNotFound
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
			s.dialect.flush(p, org, books[org].Head, changes)
		}
		if nothing {
			return errNothingToCommit
		}
		return nil
	})
	switch {
	case err == nil && stamped:
		s.noteOwn(before, books)
	case errors.Is(err, errNothingToCommit):
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return billing.Faultf(billing.ErrUnavailable, "the database took more than %s for a transaction", s.commitTimeout)
	}
	return err
}

// errNothingToCommit spares the disk where no operation changed anything.
var errNothingToCommit = errors.New("nothing to commit")

// loadHead puts an organization's head into its book. It calls found where there is one.
func (d dialect) loadHead(p pipeline, org billing.ID, book *billing.Book, found func()) {
	p.query(headQuery+d.lockHead, []any{org[:]}, func(r *row) error {
		found()
		return heads.scan(r, &book.Head)
	})
}

// load puts all that the operations need into an organization's book.
func (d dialect) load(p pipeline, org billing.ID, needs *billing.Needs, book *billing.Book) {
	for _, by := range []struct {
		column string
		ids    []billing.ID
	}{{"lease_id", needs.Leases}, {"job_id", needs.Jobs}} {
		for text, args := range d.lookups(leases.columns, `leases WHERE org_id = $1`, []any{org[:]}, by.column, uuids, byteKeys(by.ids)) {
			p.query(text, args, func(r *row) error {
				var l billing.Lease
				if err := leases.scan(r, &l); err != nil {
					return err
				}
				book.LoadLease(l)
				return nil
			})
		}
	}
	for _, by := range []struct {
		column, of, index string
		keys              []any
	}{
		{"entry_id", uuids, "ledger_entries_by_id", byteKeys(needs.Entries)},
		{"lease_id", uuids, "ledger_entries_by_lease", byteKeys(needs.Debits)},
		{"idempotency_key", texts, "ledger_entries_by_key", textKeys(needs.IdempotencyKeys)},
	} {
		for text, args := range d.lookups(entries.columns, `ledger_entries`+d.byIndex(by.index)+` WHERE org_id = $1`,
			[]any{org[:]}, by.column, by.of, by.keys) {
			p.query(text, args, func(r *row) error {
				var e billing.Entry
				if err := entries.scan(r, &e); err != nil {
					return err
				}
				book.LoadEntry(e)
				return nil
			})
		}
	}
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

// flush writes what the operations changed.
func (d dialect) flush(p pipeline, org billing.ID, head billing.Head, c billing.Changes) {
	insert(d, p, org, leases, c.Leases, ``)
	insert(d, p, org, leases, c.Changed, changeLease)
	insert(d, p, org, entries, c.Entries, ``)
	d.addSums(p, org, c.Sums)
	p.exec(updateHead, append(heads.values(&head, nil), org[:]))
}

var updateHead = func() string {
	n := 0
	set := heads.set(0, func(string) string {
		n++
		return fmt.Sprintf(`$%d`, n)
	})
	return fmt.Sprintf(`UPDATE ledger_heads SET %s WHERE org_id = $%d`, set, n+1)
}()

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

const (
	// maxBatchRows is about how many rows a batch may have. It bounds how much work a caller does for others.
	maxBatchRows = 4096
	// commitTimeout bounds a write transaction. It is longer than the time for which an SQLite connection waits for another process to
	// finish writing.
	commitTimeout = 15 * time.Second
)

// write holds the operations that one caller has put into the queue.
type write struct {
	org   billing.ID
	ops   []billing.Operation
	errs  []error // of each operation
	needs billing.Needs
	done  chan error // receives the outcome, unless the write has left the queue before
}

func newWrite(org billing.ID, ops []billing.Operation) *write {
	w := &write{org: org, ops: ops, errs: make([]error, len(ops)), done: make(chan error, 1)}
	for _, op := range ops {
		w.needs.Add(op.Needs())
	}
	return w
}

// queue has the writes that wait for a transaction, oldest first.
type queue struct {
	mu         sync.Mutex
	waiting    []*write
	committing bool // whether there is a committer
}

// add puts a write into the queue. It reports whether the caller has to become the committer, because there is none.
func (q *queue) add(w *write) (commit bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, w)
	commit, q.committing = !q.committing, true
	return commit
}

// more reports whether writes are queued. If none are, the caller stops being the committer, and the next caller of add becomes it.
func (q *queue) more() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.committing = len(q.waiting) > 0
	return q.committing
}

// take removes a batch from the queue, as many writes as fit into one transaction.
func (q *queue) take() []*write {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, rows := 0, 0
	for n < len(q.waiting) && rows < maxBatchRows {
		w := q.waiting[n]
		rows += len(w.ops) + len(w.needs.Leases) + len(w.needs.Jobs)
		n++
	}
	batch := q.waiting[:n:n]
	q.waiting = append([]*write(nil), q.waiting[n:]...) // a copy, so that the batch does not stay in memory
	return batch
}

// leave removes a write after its caller has given up, and reports whether the write was still in the queue.
func (q *queue) leave(w *write) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, w)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	return i >= 0
}

// Write implements billing.Store. All writes in the queue are committed together, so they share the cost of making a transaction
// durable. If there is no committer, the caller becomes the committer. A single caller therefore waits for no other goroutine.
func (s *Store) Write(ctx context.Context, org billing.ID, ops ...billing.Operation) ([]error, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.closing.Load() { // Close may hold the lock for as long as the queue is not empty
		return nil, errClosed
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
		// Its transaction runs. Only the outcome tells whether the write has taken place.
		err := <-w.done
		return w.errs, err
	}
}

// commitFirst commits one batch. If the queue is not empty afterwards, a goroutine becomes the committer.
func (s *Store) commitFirst(ctx context.Context) {
	defer func() {
		if s.queue.more() {
			go s.commitRest()
		}
	}()
	s.commitNext(ctx)
}

// commitRest commits batches until the queue is empty. One goroutine commits all of them, which saves switches between goroutines.
func (s *Store) commitRest() {
	for more := true; more; more = s.queue.more() {
		s.commitNext(context.Background())
	}
}

// commitNext commits one batch of the queue. It returns without a commit if the context ends while another transaction runs.
func (s *Store) commitNext(ctx context.Context) {
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return
	}
	batch := s.queue.take()
	var err error
	defer func() {
		if cause := recover(); cause != nil { // this may be a goroutine without a request that recovers
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

// commitSingly commits each operation in a transaction of its own after the database has refused the batch. An operation that the
// database refuses then fails without the others. Once the database is out of reach, the remaining operations fail without another
// try.
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

// commit applies the batch in one transaction. The error of an operation goes to its write. If commit returns an error, no operation
// of the batch has taken place, unless the database was lost, or the time was up, during the COMMIT itself. The caller holds
// writing.
func (s *Store) commit(batch []*write) error {
	if len(batch) == 0 {
		return nil
	}
	needs := map[billing.ID]*billing.Needs{}
	for _, w := range batch {
		if needs[w.org] == nil {
			needs[w.org] = new(billing.Needs)
		}
		needs[w.org].Add(w.needs)
	}
	// All servers lock heads in the same order, so two servers never wait for each other in a circle.
	orgs := slices.SortedFunc(maps.Keys(needs), func(a, b billing.ID) int { return bytes.Compare(a[:], b[:]) })
	err := s.runTransaction(func(ctx context.Context, tx driver.Tx) error {
		books, err := s.load(ctx, tx, orgs, needs)
		if err != nil {
			return err
		}
		for _, w := range batch {
			for i, op := range w.ops {
				w.errs[i] = books[w.org].Apply(op)
			}
		}
		changed := false
		for _, org := range orgs {
			if changes := books[org].Changes(); !changes.Empty() {
				changed = true
				s.flush(tx, org, books[org].Head, changes)
			}
		}
		if !changed {
			return errNothingToCommit
		}
		return nil
	})
	if errors.Is(err, errNothingToCommit) {
		return nil
	}
	return err
}

// errNothingToCommit ends a transaction in which no operation has changed anything, which saves a commit.
var errNothingToCommit = errors.New("nothing to commit")

// load reads the books of the organizations in their order. The head of an organization is locked before its other rows are read.
func (s *Store) load(ctx context.Context, tx driver.Tx, orgs []billing.ID, needs map[billing.ID]*billing.Needs) (map[billing.ID]*billing.Book, error) {
	books := make(map[billing.ID]*billing.Book, len(orgs))
	now := billing.TimeOf(time.Now())
	found := 0
	for _, org := range orgs {
		book := billing.NewBook(org, billing.Head{}, now)
		books[org] = book
		tx.Query(headQuery+s.db.ForUpdate(), []any{org[:]}, func(r *driver.Row) error {
			found++
			return headTable.scan(r, &book.Head)
		})
		s.loadRows(tx, org, needs[org], book)
	}
	if err := tx.Run(ctx); err != nil {
		return nil, err
	}
	if found < len(orgs) {
		return nil, billing.ErrOrganizationNotFound
	}
	return books, nil
}

// loadRows reads the leases and entries that the operations need into an organization's book.
func (s *Store) loadRows(tx driver.Tx, org billing.ID, needs *billing.Needs, book *billing.Book) {
	loadInto(s, tx, leaseTable, org, "", "lease_id", driver.UUID, ids(needs.Leases), book.LoadLease)
	loadInto(s, tx, leaseTable, org, "", "job_id", driver.UUID, ids(needs.Jobs), book.LoadLease)
	loadInto(s, tx, entryTable, org, "ledger_entries_by_id", "entry_id", driver.UUID, ids(needs.Entries), book.LoadEntry)
	loadInto(s, tx, entryTable, org, "ledger_entries_by_lease", "lease_id", driver.UUID, ids(needs.Debits), book.LoadEntry)
	loadInto(s, tx, entryTable, org, "ledger_entries_by_key", "idempotency_key", driver.Text, texts(needs.IdempotencyKeys), book.LoadEntry)
}

// loadInto reads an organization's rows of a table that have one of the keys in the column, by the index if one is named.
func loadInto[T any](s *Store, tx driver.Tx, t *table[T], org billing.ID, index, column string, of driver.Type, keys []any, take func(T)) {
	from := t.Name
	if index != "" {
		from += s.db.ByIndex(index)
	}
	for text, args := range s.db.Lookup(driver.Lookup{
		Select: t.columns, From: from + ` WHERE org_id = $1`, Args: []any{org[:]}, Column: column, Type: of, Keys: keys,
	}) {
		tx.Query(text, args, func(r *driver.Row) error {
			var v T
			err := t.scan(r, &v)
			if err == nil {
				take(v)
			}
			return err
		})
	}
}

func ids(ids []billing.ID) []any {
	keys := make([]any, len(ids))
	for i := range ids {
		keys[i] = ids[i][:]
	}
	return keys
}

func texts(texts []string) []any {
	keys := make([]any, len(texts))
	for i := range texts {
		keys[i] = texts[i]
	}
	return keys
}

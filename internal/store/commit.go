package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

const (
	// commitTimeout bounds a write transaction. It is longer than the time for which an SQLite connection waits for another process to
	// finish writing.
	commitTimeout = 15 * time.Second
	// commitPatience is how long a write transaction on a split database may run while other organizations wait for a committer. Without
	// this limit, one node that does not answer could occupy all committers, and block organizations on the other nodes.
	commitPatience = 2 * time.Second
)

// Write implements billing.Store. One transaction commits the queued writes of an organization and, unless the database is split, those of
// other organizations. The writes therefore share the cost of making a transaction durable. If the write needs one more committer, the
// caller becomes it. A single caller therefore waits for no other goroutine.
func (s *Store) Write(ctx context.Context, org billing.ID, ops ...billing.Operation) ([]error, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.closing.Load() { // RLock would block while Close waits for the queued writes
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
		// A batch has taken the write, so only its outcome tells whether the write took place.
		err := <-w.done
		if errors.Is(err, errLeft) {
			return nil, ctx.Err()
		}
		return w.errs, err
	}
}

// commitFirst commits one batch. If there is another batch afterwards, a goroutine becomes the committer.
func (s *Store) commitFirst(ctx context.Context) {
	defer func() {
		if s.queue.keepCommitting() {
			go s.commitRest()
		}
	}()
	s.commitNext(ctx)
}

// commitRest commits batches until there are none. One goroutine commits all of them, which saves switches between goroutines.
func (s *Store) commitRest() {
	for queued := true; queued; queued = s.queue.keepCommitting() {
		s.commitNext(context.Background())
	}
}

// commitNext commits one batch of the queue. It returns without a commit if the context ends while other transactions run.
func (s *Store) commitNext(ctx context.Context) {
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return
	}
	b, needsCommitter := s.queue.take(!s.db.Split())
	if needsCommitter {
		go s.commitRest()
	}
	defer s.queue.finish(b)
	var err error
	defer func() {
		if cause := recover(); cause != nil { // a goroutine of commitRest has no request handler above it that recovers
			err = fmt.Errorf("the commit panicked: %v\n%s", cause, debug.Stack())
		}
		b.answer(err)
	}()
	err = s.commit(b)
	switch {
	case err == nil || errors.Is(err, billing.ErrUnavailable):
	case len(b.shares) > 1:
		// The database has refused the batch. Each organization goes into a batch of its own, so that the others do not suffer.
		for _, share := range b.shares {
			share.retry = true
		}
	case len(b.shares[0].writes) == 1 && len(b.shares[0].writes[0].ops) == 1:
		b.shares[0].writes[0].errs[0], err = err, nil
	default:
		s.commitSingly(b)
		err = nil
	}
}

// commitSingly commits each operation of an organization in a transaction of its own after the database has refused the batch. Only the
// operations that the database refuses then fail. Once the database is out of reach, the remaining operations fail without another try.
func (s *Store) commitSingly(b *batch) {
	var lost error
	refused := b.shares[0]
	for _, w := range refused.writes {
		for i, op := range w.ops {
			if lost != nil {
				w.errs[i] = lost
				continue
			}
			own := newWrite(w.org, []billing.Operation{op})
			single := &batch{shares: []*share{{line: refused.line, writes: []*write{own}, needs: own.needs}}, isolated: b.isolated, waitsForLocks: true}
			if w.errs[i] = s.commit(single); w.errs[i] == nil {
				w.errs[i] = own.errs[0]
			} else if errors.Is(w.errs[i], billing.ErrUnavailable) {
				lost = w.errs[i]
			}
		}
	}
}

// commit applies the batch in one transaction. The error of an operation goes to its write. If commit returns an error, no operation
// of the batch has taken place, unless the database was lost, or the time was up, during the COMMIT itself. The caller holds
// a slot of s.writing.
func (s *Store) commit(b *batch) error {
	if len(b.shares) == 0 {
		return nil
	}
	ctx := context.Background()
	if s.db.Split() {
		var end context.CancelFunc
		ctx, end = context.WithCancel(ctx)
		defer end()
		go s.endIfOthersWait(ctx, end, b.isolated)
	}
	var books map[billing.ID]*billing.Book
	err := s.runTransaction(ctx, func(ctx context.Context, tx driver.Tx) (err error) {
		if books, err = s.load(ctx, tx, b); err != nil {
			return err
		}
		for _, share := range b.shares {
			book := books[share.line.org]
			if book == nil {
				continue
			}
			for _, w := range share.writes {
				for i, op := range w.ops {
					w.errs[i] = book.Apply(op)
				}
			}
		}
		return s.flush(tx, b, books)
	})
	if errors.Is(err, errNothingToCommit) {
		return nil
	}
	b.tookTooLong = s.db.Split() && errors.Is(err, errTooLong)
	if err != nil {
		return err
	}
	for org, book := range books {
		if before := book.Head.Seq - book.Appended(); before/addedTogether != book.Head.Seq/addedTogether {
			s.follow(org)
		}
	}
	return nil
}

// endIfOthersWait checks every commitPatience whether a line of the same kind waits for a committer, and if so ends the transaction.
func (s *Store) endIfOthersWait(transaction context.Context, end context.CancelFunc, isolated bool) {
	ticks := time.NewTicker(s.commitPatience)
	defer ticks.Stop()
	for {
		select {
		case <-transaction.Done():
			return
		case <-ticks.C:
			if s.queue.waitsFor(isolated) {
				end()
			}
		}
	}
}

// errNothingToCommit ends a transaction in which no operation has changed anything, which saves a commit.
var errNothingToCommit = errors.New("nothing to commit")

// load locks the heads of the organizations of a batch, then reads the other rows, and returns the books. If the batch does not wait for
// locks, a head that is locked elsewhere or does not exist gives no book, and its share is marked for retry. If the batch waits for locks,
// a missing head fails with ErrOrganizationNotFound.
func (s *Store) load(ctx context.Context, tx driver.Tx, b *batch) (map[billing.ID]*billing.Book, error) {
	books := make(map[billing.ID]*billing.Book, len(b.shares))
	orgs := make([]any, len(b.shares))
	for i, share := range b.shares {
		orgs[i] = share.line.org[:]
	}
	now := billing.TimeOf(s.clock())
	for text, args := range s.db.Lock(`org_id, `+headTable.columns, headTable.Name, orgs, b.waitsForLocks) {
		tx.Query(text, args, func(r *driver.Row) error {
			var org billing.ID
			var head billing.Head
			err := r.Scan(headTable.into(&head, []any{&org})...)
			books[org] = billing.NewBook(org, head, now)
			return err
		})
	}
	// The heads are locked by now, so no transaction that holds the cards waits for another one.
	var newest billing.ID
	s.lockCards(tx, false, &newest)
	s.loadRows(tx, b, orgs, books)
	if err := tx.Run(ctx); err != nil {
		return nil, err
	}
	cards, err := s.cardsAt(ctx, tx, newest)
	if err != nil {
		return nil, err
	}
	s.cards.Store(cards)
	for _, book := range books {
		book.LoadRateCards(cards)
	}
	for _, share := range b.shares {
		share.retry = books[share.line.org] == nil
		if share.retry && b.waitsForLocks {
			share.retry = false
			return nil, billing.ErrOrganizationNotFound
		}
	}
	return books, nil
}

// loadRows reads the leases and entries that the operations of a batch need into the books.
func (s *Store) loadRows(tx driver.Tx, b *batch, orgs []any, books map[billing.ID]*billing.Book) {
	keys := func(of func(*billing.Needs) []any) (keys [][]any) {
		for _, share := range b.shares {
			keys = append(keys, of(&share.needs))
		}
		return keys
	}
	leases := driver.Find{Select: `org_id, ` + leaseTable.columns, Table: leaseTable.Name, Type: driver.UUID, Orgs: orgs}
	leases.Column, leases.Keys = "lease_id", keys(func(n *billing.Needs) []any { return ids(n.Leases) })
	loadInto(s, tx, leaseTable, leases, books, (*billing.Book).LoadLease)
	leases.Column, leases.Keys = "job_id", keys(func(n *billing.Needs) []any { return ids(n.Jobs) })
	loadInto(s, tx, leaseTable, leases, books, (*billing.Book).LoadLease)

	entries := driver.Find{Select: `org_id, ` + entryTable.columns, Table: entryTable.Name, Type: driver.UUID, Orgs: orgs}
	entries.Column, entries.Index, entries.Keys = "entry_id", "ledger_entries_by_id", keys(func(n *billing.Needs) []any { return ids(n.Entries) })
	loadInto(s, tx, entryTable, entries, books, (*billing.Book).LoadEntry)
	entries.Column, entries.Index, entries.Keys = "lease_id", "ledger_entries_by_lease", keys(func(n *billing.Needs) []any { return ids(n.Debits) })
	loadInto(s, tx, entryTable, entries, books, (*billing.Book).LoadEntry)
	entries.Type = driver.Text
	entries.Column, entries.Index = "idempotency_key", "ledger_entries_by_key"
	entries.Keys = keys(func(n *billing.Needs) []any { return texts(n.IdempotencyKeys) })
	loadInto(s, tx, entryTable, entries, books, (*billing.Book).LoadEntry)
}

// loadInto reads rows of a table. Rows of an organization without a book are dropped.
func loadInto[T any](s *Store, tx driver.Tx, t *table[T], f driver.Find, books map[billing.ID]*billing.Book, load func(*billing.Book, T)) {
	for text, args := range s.db.Find(f) {
		tx.Query(text, args, func(r *driver.Row) error {
			var org billing.ID
			var v T
			err := r.Scan(t.into(&v, []any{&org})...)
			if book := books[org]; book != nil && err == nil {
				load(book, v)
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

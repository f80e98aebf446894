// Package store keeps the books in a database. It commits writes in batches, answers reads, and walks through the whole database for
// exports and audits. A driver.Database executes the statements; the packages sqlite and postgres have one each.
//
// The words of this package:
//
//   - A table describes how values of one type of the domain are stored. It is made from the fields of that type.
//   - A write is a list of operations on the books of one organization, which one caller puts into the queue.
//   - A batch is a number of writes that are committed in one transaction.
//   - A committer is a caller, or a goroutine, that commits batches for all while there are any. There are as many committers as the
//     database runs write transactions at the same time. No two of them have writes of the same organization.
//   - A head is the row with the last sequence number and the balance of a ledger. A transaction that appends to the ledger locks
//     this row until it commits.
//   - A book, a billing.Book, has the head of one organization and the rows that the operations of a batch need. To load a book is to
//     read these rows; to flush it is to write the rows that the operations have changed.
//   - A sum is the usage of the leases that started in one period: a day, hour or minute. A window is answered from the sums
//     of the periods that lie in it, and from the leases at its edges.
//   - A snapshot is a read transaction. All of its statements see the same state of the database.
//   - A part is a piece of a breakdown that is read into memory before it is sent.
package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

// Store implements billing.Store.
type Store struct {
	db     driver.Database
	grants grants

	queue          queue
	writing        chan struct{} // holds a value for each write transaction; unlike a lock of the database, it serves callers in their order
	commitTimeout  time.Duration
	commitPatience time.Duration

	using     sync.RWMutex // held for reading by callers with writes in the queue
	closing   atomic.Bool  // set before Close waits for these callers
	closed    atomic.Bool
	closeOnce func() error

	cards    atomic.Pointer[billing.RateCards] // as they were read last
	clock    func() time.Time
	parts    partSize
	patience time.Duration // of breakdowns with their receivers
	turns    chan struct{} // holds a value for each connection that a breakdown uses
	wanted   chan struct{} // a value asks a breakdown that waits for its receiver for its connection
	listed   atomic.Int64  // how many builds are in lists of breakdowns without a snapshot
	trial    trial

	followers  *followers
	maxUnadded int64
}

var _ billing.Store = (*Store)(nil)

// Open makes a store of a database, which belongs to the store from then on, and completes the digests of books that an earlier version
// has written.
func Open(ctx context.Context, db driver.Database) (*Store, error) {
	s := &Store{
		db:             db,
		queue:          queue{limit: db.Writers()},
		writing:        make(chan struct{}, db.Writers()),
		commitTimeout:  commitTimeout,
		commitPatience: commitPatience,
		closeOnce:      sync.OnceValue(db.Close),
		clock:          time.Now,
		parts:          usualParts,
		patience:       receiverPatience,
		turns:          make(chan struct{}, db.Snapshots()),
		wanted:         make(chan struct{}),
		followers:      newFollowers(ctx),
		maxUnadded:     maxUnadded,
	}
	s.cards.Store(billing.NewRateCards(nil))
	if err := s.chain(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("compute the digests of the ledgers: %w", err), s.Close())
	}
	if err := s.followAll(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close implements billing.Store.
func (s *Store) Close() error {
	s.closing.Store(true)
	s.using.Lock() // after the writes in the queue were committed
	defer s.using.Unlock()
	s.closed.Store(true)
	s.followers.end()
	for range cap(s.writing) { // after the last write transactions
		s.writing <- struct{}{}
	}
	defer func() {
		for range cap(s.writing) {
			<-s.writing
		}
	}()
	return s.closeOnce()
}

// SetClock replaces the clock that entries are dated by. It is called before the first use.
func (s *Store) SetClock(now func() time.Time) { s.clock = now }

// Ping implements billing.Store.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.Organizations(ctx, "", 1, nil)
	return err
}

var errClosed = billing.Faultf(billing.ErrUnavailable, "the store is closed")

// fail turns an error of the database into an error of the domain.
func (s *Store) fail(ctx context.Context, err error) error {
	failure := s.db.Classify(err)
	if s.closed.Load() {
		failure = driver.Unavailable
	}
	return driver.Fault(ctx, failure, err)
}

// transact runs do in a write transaction that does not pass through the queue. If the context ends before the commit, nothing is
// written. The end of the context does not end the commit, because only its outcome tells whether anything was written.
func (s *Store) transact(ctx context.Context, do func(driver.Tx) error) error {
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.closed.Load() {
		return errClosed
	}
	var ended error
	err := s.runTransaction(context.WithoutCancel(ctx), func(_ context.Context, tx driver.Tx) error {
		err := do(tx)
		if err == nil {
			err = cmp.Or(tx.Run(ctx), ctx.Err())
		}
		if err != nil {
			ended = ctx.Err() // libraries report different errors for a statement that its context has ended
		}
		return err
	})
	if err != nil && ended != nil {
		return ended
	}
	return err
}

// errTooLong says that a write transaction was ended because it took too long.
var errTooLong = billing.Faultf(billing.ErrUnavailable, "the database took too long for a transaction")

// runTransaction runs do in a write transaction and commits it. After a driver.Conflict it runs do again. The context of do ends with ctx,
// and after commitTimeout; runTransaction then fails with errTooLong. The caller holds writing.
func (s *Store) runTransaction(ctx context.Context, do func(context.Context, driver.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.commitTimeout)
	defer cancel()
	const tries = 5
	for try := 1; ; try++ {
		err := s.db.Write(ctx, func(tx driver.Tx) error { return do(ctx, tx) })
		switch {
		case err != nil && ctx.Err() != nil:
			return errTooLong
		case err == nil || try == tries || s.db.Classify(err) != driver.Conflict:
			return s.fail(ctx, err)
		}
	}
}

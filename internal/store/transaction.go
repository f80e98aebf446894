package store

import (
	"context"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// querier runs reads, each of one statement, and hands each row to scan. A text has its parameters in the order of their
// numbers.
type querier interface {
	query(ctx context.Context, text string, args []any, scan func(*row) error) error
}

// reading is a read transaction, all of whose statements see one moment.
type reading interface {
	querier
	// begin begins a statement whose rows fetch then hands over, n at a time, between others.
	begin(ctx context.Context, text string, args []any) error
	fetch(ctx context.Context, n int, scan func(*row) error) error
}

// readings are connections for readings.
type readings interface {
	atOneMoment(ctx context.Context, do func(reading) error) error
}

// pipeline takes the statements of a write transaction. They wait until run, so that a database at the other end of a network
// gets many at a time and its answers take one way. A text has its parameters in the order of their numbers.
type pipeline interface {
	query(text string, args []any, scan func(*row) error)
	exec(text string, args []any)
	run(context.Context) error
}

var errClosed = billing.Faultf(billing.ErrUnavailable, "the store is closed")

// transact runs do in a write transaction of its own, past the queue, and commits it where do returns nil.
func (s *Store) transact(ctx context.Context, do func(pipeline) error) error {
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.closed.Load() {
		return errClosed
	}
	return s.runTransaction(ctx, do)
}

// runTransaction runs do in a write transaction and commits it, together with the statements that do has left in the pipeline. Where
// the database gives the transaction up for another's sake, do runs again. The caller holds writing.
func (s *Store) runTransaction(ctx context.Context, do func(pipeline) error) error {
	run := s.committer.commit
	if s.dialect.pipelined {
		run = s.runOnPostgres
	}
	const tries = 5
	for try := 1; ; try++ {
		err := run(ctx, do)
		if err == nil || try == tries || ctx.Err() != nil || !s.dialect.again(err) {
			return s.fail(ctx, err)
		}
	}
}

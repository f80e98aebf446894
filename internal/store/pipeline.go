package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// pipeline takes the statements of a write transaction. They wait until run, so that a database at the other end of a network
// gets many at a time and its answers take one way. A text has its parameters in the order of their numbers.
type pipeline interface {
	query(text string, args []any, scan func(*row) error)
	exec(text string, args []any)
	run(context.Context) error
}

// commitTogether runs do in a write transaction, with all that it leaves waiting, and commits it. The database may have do run
// again.
func (s *Store) commitTogether(ctx context.Context, do func(pipeline) error) error {
	if s.dialect.pipelined {
		return s.untilDone(ctx, func() error { return s.pipelineNow(ctx, do) })
	}
	return s.untilDone(ctx, func() error { return s.committer.commit(ctx, do) })
}

// pipelineNow begins with the first statements of do and commits with the last, so that a transaction takes two ways there and
// back.
func (s *Store) pipelineNow(ctx context.Context, do func(pipeline) error) error {
	return onConnection(ctx, s.writer, func(conn *pgx.Conn) (err error) {
		defer func() {
			if conn.PgConn().TxStatus() != 'I' && !conn.IsClosed() {
				err = errors.Join(err, rollBack(ctx, conn))
			}
		}()
		p := &batch{conn: conn}
		p.exec(`BEGIN`, nil)
		// PostgreSQL plans a statement, and the check of a foreign key, when it first runs on a connection, and keeps to that.
		// On tables that are still empty it plans to read all of them, whatever they have grown to since.
		s.commits++
		if bits.OnesCount64(s.commits) == 1 {
			p.exec(`DISCARD PLANS`, nil)
		}
		if err := do(p); err != nil {
			return err
		}
		p.waiting.Queue(`COMMIT`).Query(func(rows pgx.Rows) error {
			rows.Close()
			// PostgreSQL answers the COMMIT of a transaction that has failed with ROLLBACK, and no error.
			if tag := rows.CommandTag().String(); rows.Err() == nil && tag != "COMMIT" {
				return fmt.Errorf("COMMIT was answered with %s", tag)
			}
			return rows.Err()
		})
		return p.run(ctx)
	})
}

// rollBack gives up a transaction, whose locks others may be waiting for, also where the context has ended.
func rollBack(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if _, err := conn.Exec(ctx, `ROLLBACK`); err != nil {
		return conn.Close(ctx)
	}
	return nil
}

// batch is the pipeline of PostgreSQL. After an error it takes no more statements up to the end of the run.
type batch struct {
	conn    *pgx.Conn
	waiting pgx.Batch
}

func (b *batch) query(text string, args []any, scan func(*row) error) {
	b.queue(text, args).Query(func(rows pgx.Rows) error { return eachRow(rows, scan) })
}

func (b *batch) exec(text string, args []any) { b.queue(text, args) }

func (b *batch) queue(text string, args []any) *pgx.QueuedQuery {
	for i := range args {
		args[i] = plain(args[i])
	}
	return b.waiting.Queue(text, args...)
}

func (b *batch) run(ctx context.Context) error {
	waiting := b.waiting
	b.waiting = pgx.Batch{}
	return b.conn.SendBatch(ctx, &waiting).Close()
}

// eachRow hands over rows. A row is valid until the next one.
func eachRow(rows pgx.Rows, scan func(*row) error) error {
	defer rows.Close()
	r := row{room: new(room)}
	for rows.Next() {
		r.raw, r.next = rows.RawValues(), 0
		if err := scan(&r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// onConnection lets do use a connection of the pool past database/sql, which would handle each value and each statement by
// itself.
func onConnection(ctx context.Context, db *sql.DB, do func(*pgx.Conn) error) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(driver any) error {
		return do(driver.(*stdlib.Conn).Conn()) //nolint:errcheck // the pool has no other driver
	})
}

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

// postgresPool has connections for reads.
type postgresPool struct{ *sql.DB }

// query implements querier.
func (p postgresPool) query(ctx context.Context, text string, args []any, scan func(*row) error) error {
	return onLiveConnection(ctx, p.DB, func(conn *pgx.Conn, live func()) error {
		rows, err := conn.Query(ctx, text, args...)
		if err != nil {
			return err
		}
		return eachRow(rows, func(r *row) error {
			live()
			return scan(r)
		})
	})
}

// onLiveConnection is onConnection for reads on a pool whose connections may have been lost while they were idle, as all are
// when the database is started again: the next one is tried, and at last a new one. Once do has called live it is not run again.
func onLiveConnection(ctx context.Context, db *sql.DB, do func(conn *pgx.Conn, live func()) error) error {
	for lost := 0; ; lost++ {
		begun := false
		err := onConnection(ctx, db, func(conn *pgx.Conn) error { return do(conn, func() { begun = true }) })
		if begun || !connectionLost(err) || ctx.Err() != nil || lost == db.Stats().MaxOpenConnections {
			return err
		}
	}
}

// atOneMoment implements readings, on PostgreSQL.
func (p postgresPool) atOneMoment(ctx context.Context, do func(reading) error) error {
	return onLiveConnection(ctx, p.DB, func(conn *pgx.Conn, live func()) error {
		defer rollBack(ctx, conn) //nolint:errcheck // it only reads
		if _, err := conn.Exec(ctx, `BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY`); err != nil {
			return err
		}
		live()
		return do(&postgresReading{conn: conn})
	})
}

// postgresReading has one statement under way at a time.
type postgresReading struct{ conn *pgx.Conn }

func (r *postgresReading) query(ctx context.Context, text string, args []any, scan func(*row) error) error {
	rows, err := r.conn.Query(ctx, text, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, scan)
}

func (r *postgresReading) begin(ctx context.Context, text string, args []any) error {
	_, err := r.conn.Exec(ctx, `DECLARE begun NO SCROLL CURSOR FOR `+text, args...)
	return err
}

func (r *postgresReading) fetch(ctx context.Context, n int, scan func(*row) error) error {
	return r.query(ctx, fmt.Sprintf(`FETCH %d FROM begun`, n), nil, scan)
}

// runOnPostgres begins with the first statements of do and commits with the last, so that a transaction takes two ways there and
// back.
func (s *Store) runOnPostgres(ctx context.Context, do func(pipeline) error) error {
	return onConnection(ctx, s.writer, func(conn *pgx.Conn) (err error) {
		defer func() {
			if conn.PgConn().TxStatus() != 'I' && !conn.IsClosed() {
				err = errors.Join(err, rollBack(ctx, conn))
			}
		}()
		p := &postgresPipeline{conn: conn}
		p.exec(`BEGIN`, nil)
		// PostgreSQL plans a statement, and the check of a foreign key, when it first runs on a connection, and keeps to that.
		// On tables that are still empty it plans to read all of them, whatever they have grown to since.
		s.begun++
		if bits.OnesCount64(s.begun) == 1 {
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

// postgresPipeline sends statements many at a time. After an error it takes no more statements up to the end of the run.
type postgresPipeline struct {
	conn    *pgx.Conn
	waiting pgx.Batch
}

func (b *postgresPipeline) query(text string, args []any, scan func(*row) error) {
	b.queue(text, args).Query(func(rows pgx.Rows) error { return eachRow(rows, scan) })
}

func (b *postgresPipeline) exec(text string, args []any) { b.queue(text, args) }

func (b *postgresPipeline) queue(text string, args []any) *pgx.QueuedQuery {
	for i := range args {
		args[i] = plain(args[i])
	}
	return b.waiting.Queue(text, args...)
}

func (b *postgresPipeline) run(ctx context.Context) error {
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

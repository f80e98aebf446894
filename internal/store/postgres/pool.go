package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

// pool has connections for reads.
type pool struct{ *pgxpool.Pool }

// Query implements driver.Querier.
func (p pools) Query(ctx context.Context, text string, args []any, scan func(*driver.Row) error) error {
	return p.reads.onLiveConnection(ctx, func(conn *pgx.Conn, live func()) error {
		return query(ctx, conn, p.names.qualify(text), args, func(r *driver.Row) error {
			live()
			return scan(r)
		})
	})
}

// Snapshot implements driver.Reader.
func (p pools) Snapshot(ctx context.Context, do func(driver.Snapshot) error) error {
	return p.snapshots.onLiveConnection(ctx, func(conn *pgx.Conn, live func()) error {
		defer rollBack(ctx, conn) //nolint:errcheck // it only reads
		begin := `BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY`
		if p.pooled {
			begin += `; ` + pooledSnapshot
		}
		if _, err := conn.Exec(ctx, begin); err != nil {
			return err
		}
		return do(snapshot{conn, p.names, live})
	})
}

// Snapshots implements driver.Database.
func (p pools) Snapshots() int { return int(p.snapshots.Config().MaxConns) }

// onLiveConnection calls do with a connection of the pool. A restart of the database breaks all idle connections; if do fails on a
// broken connection, it is called with the next one, and finally with a new one. It is not called again after it has called live.
func (p pool) onLiveConnection(ctx context.Context, do func(conn *pgx.Conn, live func()) error) error {
	for lost := int32(0); ; lost++ {
		begun := false
		err := p.AcquireFunc(ctx, func(c *pgxpool.Conn) error { return do(c.Conn(), func() { begun = true }) })
		// PostgreSQL told the idle connection that it shuts down, or a node of a cluster has told the coordinator.
		lostBefore := connectionLost(err) || hasCode(err, "57P01") || nodeLost(err)
		if begun || !lostBefore || ctx.Err() != nil || lost == p.Config().MaxConns {
			return err
		}
	}
}

// query hands over the rows of one statement.
func query(ctx context.Context, conn *pgx.Conn, text string, args []any, scan func(*driver.Row) error) error {
	rows, err := conn.Query(ctx, text, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, scan)
}

func eachRow(rows pgx.Rows, scan func(*driver.Row) error) error {
	defer rows.Close()
	var r driver.Row
	for rows.Next() {
		if err := scan(r.At(values(rows.RawValues()))); err != nil {
			return err
		}
	}
	return rows.Err()
}

// values implements driver.Values for a row in PostgreSQL's binary format.
type values [][]byte

func (v values) Null(column int) bool { return v[column] == nil }

func (v values) Bigint(column int) (int64, bool) {
	if len(v[column]) != 8 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(v[column])), true
}

func (v values) Text(column int) (string, bool) { return string(v[column]), v[column] != nil }

func (v values) Bytes(column int, into []byte) int {
	copy(into, v[column])
	return len(v[column])
}

// snapshot implements driver.Snapshot.
type snapshot struct {
	conn  *pgx.Conn
	names qualifier
	live  func() // is called when there are rows
}

func (s snapshot) Query(ctx context.Context, text string, args []any, scan func(*driver.Row) error) error {
	return query(ctx, s.conn, s.names.qualify(text), args, func(r *driver.Row) error {
		s.live()
		return scan(r)
	})
}

func (s snapshot) Start(ctx context.Context, text string, args []any) error {
	_, err := s.conn.Exec(ctx, `DECLARE started NO SCROLL CURSOR FOR `+s.names.qualify(text), args...)
	return err
}

func (s snapshot) Next(ctx context.Context, n int, scan func(*driver.Row) error) error {
	return s.Query(ctx, fmt.Sprintf(`FETCH %d FROM started`, n), nil, scan)
}

// writesKey is the key under which a connection has the number of write transactions that were begun on it.
const writesKey = "writes"

// Write implements driver.Database. BEGIN goes with the first statements of do and COMMIT with the last, which saves two round
// trips.
func (d *Database) Write(ctx context.Context, do func(driver.Tx) error) error {
	return d.writer.AcquireFunc(ctx, func(c *pgxpool.Conn) (err error) {
		conn := c.Conn()
		defer func() {
			if conn.PgConn().TxStatus() != 'I' && !conn.IsClosed() {
				err = errors.Join(err, rollBack(ctx, conn))
			}
		}()
		t := &tx{conn: conn, names: d.names}
		t.Exec(`BEGIN`, nil)
		if d.pooled {
			t.Exec(pooledWrite, nil)
		}
		// PostgreSQL plans a statement, and the check of a foreign key, when it first runs on a connection, and keeps the plan.
		// A plan for an empty table reads the whole table, and would do so after the table has grown. So plans are discarded after
		// 1, 2, 4, 8, … transactions.
		writes, _ := conn.PgConn().CustomData()[writesKey].(uint64)
		writes++
		conn.PgConn().CustomData()[writesKey] = writes
		if bits.OnesCount64(writes) == 1 && !d.pooled {
			t.Exec(`DISCARD PLANS`, nil)
		}
		if err := do(t); err != nil {
			switch {
			case hasCode(err, "0A000"):
				// This connection was set up before the database was distributed, and has plans that Citus cannot execute.
				_ = conn.Close(ctx)
				return conflict{err}
			case nodeLost(err):
				return conflict{err}
			}
			return err
		}
		t.batch.Queue(`COMMIT`).Query(func(rows pgx.Rows) error {
			rows.Close()
			// PostgreSQL answers the COMMIT of a transaction that has failed with ROLLBACK, and no error.
			if tag := rows.CommandTag().String(); rows.Err() == nil && tag != "COMMIT" {
				return fmt.Errorf("COMMIT was answered with %s", tag)
			}
			return rows.Err()
		})
		return t.Run(ctx)
	})
}

// rollBack ends a transaction, even if the context has ended, because other servers may wait for its locks.
func rollBack(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if _, err := conn.Exec(ctx, `ROLLBACK`); err != nil {
		return conn.Close(ctx)
	}
	return nil
}

// tx implements driver.Tx. Run sends its statements in one batch. PostgreSQL does not execute the statements after an error.
type tx struct {
	conn  *pgx.Conn
	batch pgx.Batch
	names qualifier
}

func (t *tx) Query(text string, args []any, scan func(*driver.Row) error) {
	t.batch.Queue(t.names.qualify(text), args...).Query(func(rows pgx.Rows) error { return eachRow(rows, scan) })
}

func (t *tx) Exec(text string, args []any) { t.batch.Queue(t.names.qualify(text), args...) }

func (t *tx) Run(ctx context.Context) error {
	batch := t.batch
	t.batch = pgx.Batch{}
	return t.conn.SendBatch(ctx, &batch).Close()
}

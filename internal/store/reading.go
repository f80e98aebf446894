package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// reading is a read transaction, all of whose statements see one moment. It hands over rows without database/sql, which takes
// as long for a row as SQLite does.
type reading interface {
	// query hands each row to scan. The text has the parameters in order of their numbers.
	query(ctx context.Context, text string, args []any, scan func(*columns) error) error
	// begin begins a statement whose rows fetch then hands over, n at a time, between others.
	begin(ctx context.Context, text string, args []any) error
	fetch(ctx context.Context, n int, scan func(*columns) error) error
}

// readings are connections for readings.
type readings interface {
	atOneMoment(ctx context.Context, do func(reading) error) error
	close() error
}

// atOneMoment implements readings, on PostgreSQL.
func (s *statements) atOneMoment(ctx context.Context, do func(reading) error) error {
	return onLiveConnection(ctx, s.db, func(conn *pgx.Conn, live func()) error {
		defer rollBack(ctx, conn) //nolint:errcheck // it only reads
		if _, err := conn.Exec(ctx, `BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY`); err != nil {
			return err
		}
		live()
		return do(&postgresReading{conn: conn})
	})
}

func (s *statements) close() error { return s.db.Close() }

// postgresReading has one statement under way at a time.
type postgresReading struct {
	conn *pgx.Conn
	row  columns
}

func (r *postgresReading) query(ctx context.Context, text string, args []any, scan func(*columns) error) error {
	rows, err := r.conn.Query(ctx, text, args...)
	if err != nil {
		return err
	}
	return eachNative(rows, func(row) error {
		r.row = columns{raw: rows.RawValues()}
		return scan(&r.row)
	})
}

func (r *postgresReading) begin(ctx context.Context, text string, args []any) error {
	_, err := r.conn.Exec(ctx, `DECLARE begun NO SCROLL CURSOR FOR `+text, args...)
	return err
}

func (r *postgresReading) fetch(ctx context.Context, n int, scan func(*columns) error) error {
	return r.query(ctx, fmt.Sprintf(`FETCH %d FROM begun`, n), nil, scan)
}

// sqliteReadings are readings of a file.
type sqliteReadings struct{ pool *sqlitex.Pool }

func openSQLiteReadings(source string, n int) (readings, error) {
	pool, err := sqlitex.NewPool(source, sqlitex.PoolOptions{
		Flags: sqlite.OpenReadWrite | sqlite.OpenURI, PoolSize: n,
		PrepareConn: func(conn *sqlite.Conn) error {
			conn.SetBusyTimeout(sqliteBusyTimeout)
			return sqlitex.ExecuteTransient(conn, `PRAGMA query_only = ON`, nil)
		},
	})
	return sqliteReadings{pool}, err
}

// atOneMoment implements readings.
func (s sqliteReadings) atOneMoment(ctx context.Context, do func(reading) error) (err error) {
	conn, err := s.pool.Take(ctx) // what runs on it is interrupted when the context ends
	if err != nil {
		return err
	}
	defer s.pool.Put(conn)
	r := &sqliteReading{conn: conn}
	defer r.end()
	if err := sqlitex.Execute(conn, `BEGIN`, nil); err != nil {
		return err
	}
	return do(r)
}

func (s sqliteReadings) close() error { return s.pool.Close() }

type sqliteReading struct {
	conn  *sqlite.Conn
	row   columns
	begun *sqlite.Stmt
}

func (r *sqliteReading) prepare(text string, args []any) (*sqlite.Stmt, error) {
	stmt, err := r.conn.Prepare(text)
	if err != nil {
		return nil, err
	}
	for i, arg := range args {
		switch arg := arg.(type) {
		case int64:
			stmt.BindInt64(i+1, arg)
		case []byte:
			stmt.BindBytes(i+1, arg)
		default:
			return nil, fmt.Errorf("a parameter of type %T", arg)
		}
	}
	return stmt, nil
}

func (r *sqliteReading) query(_ context.Context, text string, args []any, scan func(*columns) error) error {
	stmt, err := r.prepare(text, args)
	if err != nil {
		return err
	}
	defer stmt.Reset() //nolint:errcheck // it repeats the error of Step
	for more := true; more; {
		if more, err = r.step(stmt, scan); err != nil {
			return err
		}
	}
	return nil
}

func (r *sqliteReading) step(stmt *sqlite.Stmt, scan func(*columns) error) (more bool, err error) {
	if more, err = stmt.Step(); err == nil && more {
		r.row = columns{stmt: stmt}
		err = scan(&r.row)
	}
	return more, err
}

func (r *sqliteReading) begin(_ context.Context, text string, args []any) (err error) {
	r.begun, err = r.prepare(text, args)
	return err
}

func (r *sqliteReading) fetch(_ context.Context, n int, scan func(*columns) error) error {
	for ; n > 0 && r.begun != nil; n-- {
		more, err := r.step(r.begun, scan)
		if err != nil {
			return err
		}
		if !more { // the next step would begin anew
			r.begun = nil
		}
	}
	return nil
}

// end ends the transaction, also when the context has ended.
func (r *sqliteReading) end() {
	r.conn.SetInterrupt(nil)
	if r.begun != nil {
		_ = r.begun.Reset()
	}
	_ = sqlitex.Execute(r.conn, `ROLLBACK`, nil)
}

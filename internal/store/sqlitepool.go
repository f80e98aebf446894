package store

import (
	"context"
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// sqlitePool has connections to the database in a file that do without database/sql, which takes longer for a row than SQLite
// itself. It is the same engine in the same process.
type sqlitePool struct {
	*sqlitex.Pool
	connections int
	prepared    func(text string) // is told of statements, where it is not nil
}

func openSQLitePool(source string, connections int, pragmas ...sqlitePragma) (sqlitePool, error) {
	pool, err := sqlitex.NewPool(source, sqlitex.PoolOptions{
		Flags: sqlite.OpenReadWrite | sqlite.OpenURI, PoolSize: connections,
		PrepareConn: func(conn *sqlite.Conn) error {
			for _, pragma := range pragmas {
				if err := sqlitex.ExecuteTransient(conn, `PRAGMA `+pragma.name+` = `+pragma.value, nil); err != nil {
					return err
				}
			}
			return nil
		},
	})
	return sqlitePool{Pool: pool, connections: connections}, err
}

// atOneMoment implements readings.
func (p sqlitePool) atOneMoment(ctx context.Context, do func(reading) error) error {
	conn, err := p.Take(ctx) // what runs on it is interrupted when the context ends
	if err != nil {
		return err
	}
	defer p.Put(conn)
	return inTransaction(newSQLiteSession(conn, p.prepared), `BEGIN`, func(s *sqliteSession) error { return do(s) })
}

// query implements querier.
func (p sqlitePool) query(ctx context.Context, text string, args []any, scan func(*row) error) error {
	conn, err := p.Take(ctx)
	if err != nil {
		return err
	}
	defer p.Put(conn)
	return newSQLiteSession(conn, p.prepared).query(ctx, text, args, scan)
}

// inTransaction runs do between the statement begin and a ROLLBACK, which ends what do has not.
func inTransaction(s *sqliteSession, begin string, do func(*sqliteSession) error) error {
	defer s.rollBack()
	if err := s.exec(begin, nil); err != nil {
		return err
	}
	return do(s)
}

// sqliteCommitter has the connection of all write transactions.
type sqliteCommitter struct {
	sqlitePool
	conn *sqlite.Conn
}

func openSQLiteCommitter(ctx context.Context, source string, pragmas ...sqlitePragma) (c sqliteCommitter, err error) {
	if c.sqlitePool, err = openSQLitePool(source, 1, pragmas...); err != nil {
		return c, err
	}
	// It is never interrupted: watching out for that takes longer than a statement, and no statement of a commit is long.
	if c.conn, err = c.Take(context.WithoutCancel(ctx)); err != nil {
		return c, errors.Join(err, c.sqlitePool.Close())
	}
	return c, nil
}

func (c sqliteCommitter) Close() error {
	if c.conn != nil {
		c.Put(c.conn)
	}
	return c.sqlitePool.Close()
}

// commit runs do in a write transaction and commits it, unless the context has ended by then.
func (c sqliteCommitter) commit(ctx context.Context, do func(pipeline) error) error {
	return inTransaction(newSQLiteSession(c.conn, c.prepared), `BEGIN IMMEDIATE`, func(s *sqliteSession) error {
		p := &sqlitePipeline{sqliteSession: s}
		if err := do(p); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		p.exec(`COMMIT`, nil)
		return p.err
	})
}

// sqliteSession is a connection in a transaction.
type sqliteSession struct {
	conn     *sqlite.Conn
	prepared func(text string)
	row      row
	begun    *sqlite.Stmt
}

func newSQLiteSession(conn *sqlite.Conn, prepared func(string)) *sqliteSession {
	return &sqliteSession{conn: conn, prepared: prepared, row: row{room: new(room)}}
}

func (s *sqliteSession) rollBack() {
	if s.begun != nil {
		_ = s.begun.Reset() // it repeats the error of Step
	}
	if !s.conn.AutocommitEnabled() {
		s.conn.SetInterrupt(nil)
		_ = s.exec(`ROLLBACK`, nil)
	}
}

func (s *sqliteSession) prepare(text string, args []any) (*sqlite.Stmt, error) {
	if s.prepared != nil {
		s.prepared(text)
	}
	stmt, err := s.conn.Prepare(text) // once for each text and connection
	if err != nil {
		return nil, err
	}
	for i, arg := range args {
		switch arg := arg.(type) {
		case nil:
			stmt.BindNull(i + 1)
		case *int64:
			stmt.BindInt64(i+1, *arg)
		case *billing.Time:
			stmt.BindInt64(i+1, int64(*arg))
		case *string:
			stmt.BindText(i+1, *arg)
		case *billing.Source:
			stmt.BindText(i+1, string(*arg))
		case *billing.Role:
			stmt.BindText(i+1, string(*arg))
		case *billing.ID:
			stmt.BindBytes(i+1, arg[:])
		case *billing.TokenHash:
			stmt.BindBytes(i+1, arg[:])
		case int64:
			stmt.BindInt64(i+1, arg)
		case string:
			stmt.BindText(i+1, arg)
		case []byte:
			stmt.BindBytes(i+1, arg)
		default:
			return nil, fmt.Errorf("a parameter of type %T", arg)
		}
	}
	return stmt, nil
}

func (s *sqliteSession) exec(text string, args []any) error {
	return s.query(context.Background(), text, args, func(*row) error { return nil })
}

func (s *sqliteSession) query(_ context.Context, text string, args []any, scan func(*row) error) error {
	stmt, err := s.prepare(text, args)
	if err != nil {
		return err
	}
	for {
		more, err := s.step(stmt, scan)
		if err != nil {
			_ = stmt.Reset()
		}
		if err != nil || !more {
			return err
		}
	}
}

// step resets the statement after the last row.
func (s *sqliteSession) step(stmt *sqlite.Stmt, scan func(*row) error) (more bool, err error) {
	if more, err = stmt.Step(); err == nil && more {
		s.row.stmt, s.row.next = stmt, 0
		err = scan(&s.row)
	}
	return more, err
}

func (s *sqliteSession) begin(_ context.Context, text string, args []any) (err error) {
	s.begun, err = s.prepare(text, args)
	return err
}

func (s *sqliteSession) fetch(_ context.Context, n int, scan func(*row) error) error {
	for ; n > 0 && s.begun != nil; n-- {
		more, err := s.step(s.begun, scan)
		if err != nil {
			return err
		}
		if !more { // the next step would begin anew
			s.begun = nil
		}
	}
	return nil
}

// sqlitePipeline runs each statement at once: a database in the same process has nothing to gain from waiting.
type sqlitePipeline struct {
	*sqliteSession
	err error // after which nothing runs
}

func (p *sqlitePipeline) query(text string, args []any, scan func(*row) error) {
	if p.err == nil {
		p.err = p.sqliteSession.query(context.Background(), text, args, scan)
	}
}

func (p *sqlitePipeline) exec(text string, args []any) {
	if p.err == nil {
		p.err = p.sqliteSession.exec(text, args)
	}
}

// update tells whether the statement has changed a row.
func (p *sqlitePipeline) update(text string, args []any) bool {
	p.exec(text, args)
	return p.err == nil && p.conn.Changes() > 0
}

func (p *sqlitePipeline) run(context.Context) error { return p.err }

package sqlite

import (
	"context"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

// openPool makes a pool of connections with the settings.
func (d *Database) openPool(connections int, pragmas []pragma) (*sqlitex.Pool, error) {
	flags := sqlite.OpenReadWrite | sqlite.OpenURI
	if d.readOnly {
		flags = sqlite.OpenReadOnly | sqlite.OpenURI
	}
	return sqlitex.NewPool(d.source, sqlitex.PoolOptions{
		Flags: flags, PoolSize: connections,
		PrepareConn: func(conn *sqlite.Conn) error {
			for _, pragma := range pragmas {
				if err := sqlitex.ExecuteTransient(conn, `PRAGMA `+pragma.name+` = `+pragma.value, nil); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

// Query implements driver.Querier.
func (d *Database) Query(ctx context.Context, text string, args []any, scan func(*driver.Row) error) error {
	if err := d.checkFileOften(); err != nil {
		return err
	}
	conn, err := d.reads.Take(ctx) // the end of the context interrupts a statement on it
	if err != nil {
		return err
	}
	defer d.reads.Put(conn)
	return newSession(conn).query(text, args, scan)
}

// Snapshot implements driver.Reader.
func (d *Database) Snapshot(ctx context.Context, do func(driver.Snapshot) error) error {
	if err := d.checkFileOften(); err != nil {
		return err
	}
	conn, err := d.snapshots.Take(ctx)
	if err != nil {
		return err
	}
	defer d.snapshots.Put(conn)
	return inTransaction(newSession(conn), `BEGIN`, func(s *session) error { return do(snapshot{s}) })
}

// Write implements driver.Database.
func (d *Database) Write(ctx context.Context, do func(driver.Tx) error) error {
	if d.readOnly {
		return billing.Faultf(billing.ErrInvalid, "%s is open for reading only", d.file)
	}
	return inTransaction(newSession(d.writer), `BEGIN IMMEDIATE`, func(s *session) error {
		t := &tx{session: s}
		if err := do(t); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := d.checkFile(); err != nil {
			return err
		}
		t.Exec(`COMMIT`, nil)
		return t.err
	})
}

// inTransaction executes the statement begin and runs do. It rolls the transaction back unless do has committed it.
func inTransaction(s *session, begin string, do func(*session) error) error {
	defer s.rollBack()
	if err := s.exec(begin, nil); err != nil {
		return err
	}
	return do(s)
}

// session is the use of a connection by one caller.
type session struct {
	conn    *sqlite.Conn
	row     driver.Row
	started *sqlite.Stmt // of Start
}

func newSession(conn *sqlite.Conn) *session { return &session{conn: conn} }

func (s *session) rollBack() {
	if s.started != nil {
		reset(s.started)
	}
	if !s.conn.AutocommitEnabled() {
		s.conn.SetInterrupt(nil)
		_ = s.exec(`ROLLBACK`, nil)
	}
}

func (s *session) prepare(text string, args []any) (*sqlite.Stmt, error) {
	stmt, err := s.conn.Prepare(text) // once for each text and connection
	if err != nil {
		return nil, err
	}
	for i, arg := range args {
		switch arg := arg.(type) {
		case nil:
			stmt.BindNull(i + 1)
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

func (s *session) exec(text string, args []any) error {
	return s.query(text, args, func(*driver.Row) error { return nil })
}

func (s *session) query(text string, args []any, scan func(*driver.Row) error) error {
	stmt, err := s.prepare(text, args)
	if err != nil {
		return err
	}
	defer reset(stmt) // also after an error or a panic of scan
	for {
		more, err := s.step(stmt, scan)
		if err != nil || !more {
			return err
		}
	}
}

// step calls scan with the next row, if there is one.
func (s *session) step(stmt *sqlite.Stmt, scan func(*driver.Row) error) (more bool, err error) {
	if more, err = stmt.Step(); err == nil && more {
		err = scan(s.row.At(values{stmt}))
	}
	return more, err
}

// reset ends a statement. Its error is that of the last step, which has been returned before.
func reset(stmt *sqlite.Stmt) { _ = stmt.Reset() }

// snapshot implements driver.Snapshot. The context that the connection was taken with interrupts it.
type snapshot struct{ *session }

func (s snapshot) Query(_ context.Context, text string, args []any, scan func(*driver.Row) error) error {
	return s.query(text, args, scan)
}

func (s snapshot) Start(_ context.Context, text string, args []any) (err error) {
	s.started, err = s.prepare(text, args)
	return err
}

func (s snapshot) Next(_ context.Context, n int, scan func(*driver.Row) error) error {
	for ; n > 0 && s.started != nil; n-- {
		more, err := s.step(s.started, scan)
		if err != nil {
			return err
		}
		if !more { // another step would start the statement again
			s.started = nil
		}
	}
	return nil
}

// tx implements driver.Tx. It executes each statement immediately, because SQLite runs in the same process.
type tx struct {
	*session
	err error // no statement is executed after it
}

func (t *tx) Query(text string, args []any, scan func(*driver.Row) error) {
	if t.err == nil {
		t.err = t.query(text, args, scan)
	}
}

func (t *tx) Exec(text string, args []any) {
	if t.err == nil {
		t.err = t.exec(text, args)
	}
}

func (t *tx) Run(context.Context) error { return t.err }

// values implements driver.Values.
type values struct{ *sqlite.Stmt }

func (v values) Null(column int) bool { return v.ColumnIsNull(column) }

func (v values) Bigint(column int) (int64, bool) {
	return v.ColumnInt64(column), v.ColumnType(column) == sqlite.TypeInteger
}

func (v values) Text(column int) (string, bool) {
	if v.ColumnType(column) != sqlite.TypeText {
		return "", false
	}
	return v.ColumnText(column), true
}

func (v values) Bytes(column int, into []byte) int {
	v.ColumnBytes(column, into)
	return v.ColumnLen(column)
}

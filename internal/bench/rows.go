package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// leaseColumns are the columns that a breakdown shows or is ordered by.
const leaseColumns = `lease_id, job_id, job_name, step_key, vm_handle, build_id, build_number, build_external_id,
	pipeline_id, pipeline_name, pipeline_slug, cpu_count, memory_gb, disk_gb, started_at, finished_at, duration_seconds, amount_cents`

const leasesInWindow = `SELECT ` + leaseColumns + ` FROM leases WHERE org_id = $1 AND started_at >= $2 AND started_at < $3`

// leasesByBuild has the order of a breakdown.
const leasesByBuild = `SELECT ` + leaseColumns + `, min(started_at) OVER (PARTITION BY build_id) AS build_started_at
	FROM leases WHERE org_id = $1 AND started_at >= $2 AND started_at < $3
	ORDER BY build_started_at DESC, build_id, started_at, lease_id`

// rows is a plain program that reads a database past the server.
type rows interface {
	// discardAll reads all rows of a query and throws them away. It returns how many there were and when the first one came.
	discardAll(ctx context.Context, query string, args ...any) (n int64, first time.Duration, err error)
	// readIntoMemory reads all rows of a query into memory.
	readIntoMemory(ctx context.Context, query string, args ...any) error
	// tables reads the rows of the tables that belong to organizations.
	tables(ctx context.Context) ([]table, error)
	// insert writes parts of tables in one transaction.
	insert(ctx context.Context, parts []table) error
	// dropTriggers removes the triggers that protect the tables against changes.
	dropTriggers(ctx context.Context) error
	close() error
}

// table is rows of a table.
type table struct {
	name    string
	columns []string
	rows    [][]any
}

func openRows(ctx context.Context, url string) (rows, error) {
	if strings.HasPrefix(url, "sqlite:") {
		db, err := openSQLite(url)
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(2) // the second one prepares statements while the first one is in a transaction
		return &sqliteRows{db: db, stmts: map[string]*sql.Stmt{}}, nil
	}
	conn, err := pgx.Connect(ctx, url)
	return postgresRows{conn}, err
}

// isAppendedTo reports whether recording leases appends rows to the table.
func isAppendedTo(name string) bool {
	switch name {
	case "organizations", "tokens", "token_organizations", "ledger_heads", "usage_progress", "goose_db_version":
		return false
	}
	return !strings.HasPrefix(name, "sqlite_")
}

// tableOrder puts tables that others refer to first, and leases into the order of their entries.
func tableOrder(columns map[string][]string) (tables []table) {
	for _, name := range []string{"leases", "ledger_entries"} {
		tables = append(tables, table{name: name, columns: columns[name]})
		delete(columns, name)
	}
	for name := range columns {
		if isAppendedTo(name) {
			tables = append(tables, table{name: name, columns: columns[name]})
		}
	}
	return tables
}

func (t table) query() string {
	columns := "t." + strings.Join(t.columns, ", t.")
	if t.name == "leases" {
		return `SELECT ` + columns + ` FROM leases t JOIN ledger_entries e ON e.org_id = t.org_id AND e.lease_id = t.lease_id ORDER BY e.seq`
	}
	return `SELECT ` + columns + ` FROM ` + t.name + ` t ORDER BY 1, 2, 3`
}

// slicesOf returns the i-th of n equal parts of each table.
func slicesOf(tables []table, i, n int) []table {
	parts := make([]table, len(tables))
	for k, t := range tables {
		parts[k] = table{t.name, t.columns, t.rows[len(t.rows)*i/n : len(t.rows)*(i+1)/n]}
	}
	return parts
}

// countRows reads all rows of a result. It returns how many there are, and the time from start to the first one.
func countRows(start time.Time, result interface {
	Next() bool
	Err() error
}) (n int64, first time.Duration, err error) {
	for result.Next() {
		if n++; n == 1 {
			first = time.Since(start)
		}
	}
	return n, first, result.Err()
}

type sqliteRows struct {
	db    *sql.DB
	stmts map[string]*sql.Stmt
}

func (r *sqliteRows) close() error { return r.db.Close() }

func (r *sqliteRows) discardAll(ctx context.Context, query string, args ...any) (n int64, first time.Duration, err error) {
	start := time.Now()
	result, err := r.db.QueryContext(ctx, query, args...) //nolint:rowserrcheck // countRows checks it
	if err != nil {
		return 0, 0, err
	}
	defer result.Close()
	return countRows(start, result)
}

func (r *sqliteRows) readIntoMemory(ctx context.Context, query string, args ...any) error {
	_, err := r.readAll(ctx, query, args...)
	return err
}

func (r *sqliteRows) readAll(ctx context.Context, query string, args ...any) (all [][]any, err error) {
	result, err := r.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer result.Close()
	columns, err := result.Columns()
	if err != nil {
		return nil, err
	}
	for result.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := result.Scan(into...); err != nil {
			return nil, err
		}
		all = append(all, values)
	}
	return all, result.Err()
}

func (r *sqliteRows) tables(ctx context.Context) ([]table, error) {
	return readTables(ctx, r.readAll, `SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY m.name, c.cid`)
}

// readTables finds the tables of a database with the query, and reads the tables that recording leases appends to.
func readTables(ctx context.Context, readAll func(context.Context, string, ...any) ([][]any, error), query string) ([]table, error) {
	result, err := readAll(ctx, query)
	if err != nil {
		return nil, err
	}
	columns := map[string][]string{}
	for _, row := range result {
		name, column := fmt.Sprint(row[0]), fmt.Sprint(row[1])
		columns[name] = append(columns[name], column)
	}
	tables := tableOrder(columns)
	for i := range tables {
		if tables[i].rows, err = readAll(ctx, tables[i].query()); err != nil {
			return nil, err
		}
	}
	return tables, nil
}

// insertRows is how many rows share a statement; more make it no faster.
const insertRows = 64

func (r *sqliteRows) insert(ctx context.Context, parts []table) error {
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, t := range parts {
		for len(t.rows) > 0 {
			n := insertRows
			if len(t.rows) < n {
				n = 1
			}
			stmt, err := r.prepared(ctx, tx, t, n)
			if err != nil {
				return errors.Join(err, tx.Rollback())
			}
			args := make([]any, 0, n*len(t.columns))
			for _, row := range t.rows[:n] {
				args = append(args, row...)
			}
			if _, err := stmt.ExecContext(ctx, args...); err != nil {
				return errors.Join(fmt.Errorf("%s: %w", t.name, err), tx.Rollback())
			}
			t.rows = t.rows[n:]
		}
	}
	return tx.Commit()
}

// prepared prepares each statement once.
func (r *sqliteRows) prepared(ctx context.Context, tx *sql.Tx, t table, n int) (*sql.Stmt, error) {
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", len(t.columns)), ",") + ")"
	text := `INSERT INTO ` + t.name + ` (` + strings.Join(t.columns, ", ") + `) VALUES ` + strings.TrimSuffix(strings.Repeat(row+",", n), ",")
	if r.stmts[text] == nil {
		stmt, err := r.db.PrepareContext(ctx, text)
		if err != nil {
			return nil, err
		}
		r.stmts[text] = stmt
	}
	return tx.StmtContext(ctx, r.stmts[text]), nil
}

func (r *sqliteRows) dropTriggers(ctx context.Context) error {
	names, err := r.readAll(ctx, `SELECT name FROM sqlite_master WHERE type = 'trigger'`)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := r.db.ExecContext(ctx, fmt.Sprint(`DROP TRIGGER `, name[0])); err != nil {
			return err
		}
	}
	return nil
}

type postgresRows struct{ conn *pgx.Conn }

func (r postgresRows) close() error { return r.conn.Close(context.Background()) }

func (r postgresRows) discardAll(ctx context.Context, query string, args ...any) (n int64, first time.Duration, err error) {
	start := time.Now()
	result, err := r.conn.Query(ctx, query, args...)
	if err != nil {
		return 0, 0, err
	}
	defer result.Close()
	return countRows(start, result)
}

func (r postgresRows) readIntoMemory(ctx context.Context, query string, args ...any) error {
	_, err := r.readAll(ctx, query, args...)
	return err
}

func (r postgresRows) readAll(ctx context.Context, query string, args ...any) (all [][]any, err error) {
	result, err := r.conn.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(result, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
}

func (r postgresRows) tables(ctx context.Context) ([]table, error) {
	return readTables(ctx, r.readAll, `SELECT table_name::text, column_name::text FROM information_schema.columns
		WHERE table_schema = 'public' ORDER BY table_name, ordinal_position`)
}

func (r postgresRows) insert(ctx context.Context, parts []table) error {
	return pgx.BeginFunc(ctx, r.conn, func(tx pgx.Tx) error {
		for _, t := range parts {
			if _, err := tx.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromRows(t.rows)); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
		}
		return nil
	})
}

// dropTriggers has nothing to do, because no trigger runs for insertions.
func (r postgresRows) dropTriggers(context.Context) error { return nil }

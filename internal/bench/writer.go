package main

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// sqliteWriter runs one transaction at a time, because SQLite allows one writer. It prepares each statement once.
type sqliteWriter struct {
	db    *sql.DB
	mu    sync.Mutex
	stmts map[string]*sql.Stmt
}

func openSQLiteWriter(url string) (*sqliteWriter, error) {
	db, err := openSQLite(url)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(2) // the second one prepares statements while the first one is in a transaction
	return &sqliteWriter{db: db, stmts: map[string]*sql.Stmt{}}, nil
}

func (w *sqliteWriter) transact(ctx context.Context, run func(transaction) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := run(sqliteTx{w, tx}); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

type sqliteTx struct {
	w  *sqliteWriter
	tx *sql.Tx
}

func (t sqliteTx) idType() string    { return "BLOB" }
func (t sqliteTx) forUpdate() string { return "" }

func (t sqliteTx) prepared(ctx context.Context, text string) (*sql.Stmt, error) {
	stmt := t.w.stmts[text]
	if stmt == nil {
		var err error
		if stmt, err = t.w.db.PrepareContext(ctx, text); err != nil {
			return nil, err
		}
		t.w.stmts[text] = stmt
	}
	return t.tx.StmtContext(ctx, stmt), nil
}

func (t sqliteTx) exec(ctx context.Context, text string, args ...any) error {
	stmt, err := t.prepared(ctx, text)
	if err != nil {
		return err
	}
	_, err = stmt.ExecContext(ctx, args...)
	return err
}

func (t sqliteTx) get(ctx context.Context, text string, args []any, into ...any) (bool, error) {
	stmt, err := t.prepared(ctx, text)
	if err != nil {
		return false, err
	}
	err = stmt.QueryRowContext(ctx, args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// postgresWriter runs each transaction on a connection of a pool. pgx prepares each statement once for each connection.
type postgresWriter struct{ pool *pgxpool.Pool }

func openPostgresWriter(ctx context.Context, url string) (*postgresWriter, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = poolSize
	pool, err := pgxpool.NewWithConfig(ctx, config)
	return &postgresWriter{pool}, err
}

func (w *postgresWriter) transact(ctx context.Context, run func(transaction) error) error {
	return pgx.BeginFunc(ctx, w.pool, func(tx pgx.Tx) error { return run(postgresTx{tx}) })
}

type postgresTx struct{ tx pgx.Tx }

func (t postgresTx) idType() string    { return "UUID" }
func (t postgresTx) forUpdate() string { return " FOR UPDATE" }

func (t postgresTx) exec(ctx context.Context, text string, args ...any) error {
	_, err := t.tx.Exec(ctx, text, args...)
	return err
}

func (t postgresTx) get(ctx context.Context, text string, args []any, into ...any) (bool, error) {
	err := t.tx.QueryRow(ctx, text, args...).Scan(into...)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

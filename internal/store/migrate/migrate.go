// Package migrate brings the schema of a database up to date. It uses database/sql, which
// the library for migrations needs and nothing else in the store uses.
package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/pressly/goose/v3"
)

// Up applies the migrations in the folder "migrations" that the database does not have yet, each in a transaction. It fails if the
// database has a newer schema version than the newest of them.
func Up(ctx context.Context, dialect goose.Dialect, db *sql.DB, files fs.FS, options ...goose.ProviderOption) error {
	migrations, err := read(files, dialect == goose.DialectPostgres)
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(dialect, db, nil,
		append(options, goose.WithDisableGlobalRegistry(true), goose.WithGoMigrations(migrations...))...)
	if err != nil {
		return err
	}
	// Processes that start together on a new database race for each migration. A process that loses finds the migration done on its
	// next try.
	const tries = 5
	for try := 1; ; try++ {
		_, err = provider.Up(ctx)
		if err == nil || try == tries || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("bring the schema up to date: %w", err)
	}
	have, known, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > known {
		return errNewer(have, known)
	}
	return nil
}

// read returns the migrations, each of which runs the whole file in one call, or each of its statements in a call of its own.
func read(files fs.FS, split bool) (migrations []*goose.Migration, err error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, err
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		calls := []string{string(text)}
		if split {
			calls = statements(string(text))
		}
		migrations = append(migrations, goose.NewGoMigration(version, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			for _, call := range calls {
				if _, err := tx.ExecContext(ctx, call); err != nil {
					return fmt.Errorf("%s: %w", path.Base(name), err)
				}
			}
			return nil
		}}, nil))
	}
	return migrations, nil
}

// statements splits a text for PostgreSQL, in which a semicolon at the end of a line ends a statement, except between two $$. The
// coordinator of a Citus cluster needs this: for a statement that changes a distributed table, it has the other nodes execute the text of
// the whole call, and they refuse several statements.
func statements(text string) (all []string) {
	for part := range strings.SplitAfterSeq(strings.TrimSpace(text), ";\n") {
		if n := len(all); n > 0 && strings.Count(all[n-1], "$$")%2 != 0 {
			all[n-1] += part
		} else {
			all = append(all, part)
		}
	}
	return all
}

// Newest returns the version of the newest migration in the folder "migrations".
func Newest(files fs.FS) (version int64) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		panic(err) // the pattern is right
	}
	for _, name := range names {
		n, err := goose.NumericComponent(name)
		if err != nil {
			panic(err) // the files are part of the program
		}
		version = max(version, n)
	}
	return version
}

// Check reports whether a schema of version have is that of this program. It fails if the schema is newer.
func Check(have int64, files fs.FS) (same bool, err error) {
	known := Newest(files)
	if have > known {
		return false, errNewer(have, known)
	}
	return have == known, nil
}

func errNewer(have, known int64) error {
	return fmt.Errorf("the database has schema version %d, this program knows versions up to %d", have, known)
}

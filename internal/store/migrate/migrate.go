// Package migrate brings the schema of a database up to date. It uses database/sql, which
// the library for migrations needs and nothing else in the store uses.
package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

// Up applies the migrations in the folder "migrations" that the database does not have yet. It fails if the database has a newer
// schema version than the newest of them.
func Up(ctx context.Context, dialect goose.Dialect, db *sql.DB, files fs.FS, options ...goose.ProviderOption) error {
	folder, err := fs.Sub(files, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(dialect, db, folder, options...)
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

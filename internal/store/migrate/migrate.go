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
		return fmt.Errorf("the database has schema version %d, this program knows versions up to %d", have, known)
	}
	return nil
}

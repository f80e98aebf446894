package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// Backup writes a copy of an SQLite database, as of one moment, to a new file, also while the database is written. The file
// is complete where it exists. It fails with ErrInvalid where the database is not SQLite, and with ErrExists.
func (s *Store) Backup(ctx context.Context, file string) error {
	if s.dialect.name != sqliteDialect.name {
		return billing.Faultf(billing.ErrInvalid, "only an SQLite database is backed up like this; use pg_dump for PostgreSQL")
	}
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return billing.Faultf(billing.ErrExists, "%s exists", file)
	}
	// A name of its own, so that two backups to the same file cannot mix.
	empty, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*.partial")
	if err != nil {
		return fmt.Errorf("back up to %s: %w", file, err)
	}
	partial := empty.Name()
	defer os.Remove(partial) //nolint:errcheck // it is not there any more where all went well
	if err := empty.Close(); err != nil {
		return err
	}
	if _, err := s.writer.ExecContext(ctx, `VACUUM INTO $1`, partial); err != nil {
		return s.fail(ctx, fmt.Errorf("back up to %s: %w", file, err))
	}
	if err := syncFile(partial); err != nil {
		return err
	}
	// Unlike a renaming, a link does not replace a file that has appeared meanwhile.
	if err := os.Link(partial, file); errors.Is(err, fs.ErrExist) {
		return billing.Faultf(billing.ErrExists, "%s exists", file)
	} else if err != nil { // not every file system has links
		if err := os.Rename(partial, file); err != nil {
			return err
		}
	}
	return syncFile(filepath.Dir(file))
}

// syncFile waits until a file, or a folder's list of files, is on disk.
func syncFile(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

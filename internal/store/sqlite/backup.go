package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

// Backup writes a copy of the database, as of one moment, to a new file, also while the database is written. The file is complete
// where it exists. It fails with ErrExists where there is a file of that name.
func (d *Database) Backup(ctx context.Context, file string) error {
	if _, err := os.Lstat(file); err == nil {
		return billing.Faultf(billing.ErrExists, "%s exists", file)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("back up to %s: %w", file, err)
	}
	// A name of its own, so that two backups to the same file cannot mix.
	empty, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*.partial")
	if err != nil {
		return fmt.Errorf("back up to %s: %w", file, err)
	}
	partial := empty.Name()
	defer os.Remove(partial) //nolint:errcheck // after a rename it does not exist any more
	if err := empty.Close(); err != nil {
		return err
	}
	if err := d.copyTo(ctx, partial); err != nil {
		return driver.Fault(ctx, d.Classify(err), fmt.Errorf("back up to %s: %w", file, err))
	}
	if err := syncFile(partial); err != nil {
		return err
	}
	// Unlike a rename, a link does not replace a file that another process has created in the meantime.
	if err := os.Link(partial, file); errors.Is(err, fs.ErrExist) {
		return billing.Faultf(billing.ErrExists, "%s exists", file)
	} else if err != nil { // not every file system has links
		if err := os.Rename(partial, file); err != nil {
			return err
		}
	}
	return syncFile(filepath.Dir(file))
}

// copyTo copies the database into an empty file. It opens a connection, because the connections for reads cannot write to any file.
func (d *Database) copyTo(ctx context.Context, file string) (err error) {
	settings := pragmas
	if d.readOnly {
		settings = busyPragma
	}
	p, err := d.openPool(1, settings)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	conn, err := p.Take(ctx) // the statement is interrupted when the context ends
	if err != nil {
		return err
	}
	defer p.Put(conn)
	return newSession(conn).exec(`VACUUM INTO $1`, []any{file})
}

// syncFile waits until a file, or a folder's list of files, is on disk.
func syncFile(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

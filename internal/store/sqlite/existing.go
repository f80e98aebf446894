package sqlite

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/migrate"
)

// The log and its index are files beside the database. SQLite deletes them when the last connection is closed.
const (
	logSuffix   = "-wal"
	indexSuffix = "-shm"
)

// readOnlySource returns the URI of a file that is only read. To read a database with a log, SQLite makes the log and its index where they
// do not exist, and another user could then not write them. Without a log nobody writes the file, so it is read as one that does not
// change.
func readOnlySource(file, source string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var header [20]byte
	if _, err := io.ReadFull(f, header[:]); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", err
	}
	const logged = 2 // the version of the format of a file with a log
	if !bytes.HasPrefix(header[:], []byte("SQLite format 3\x00")) || header[18] != logged || exists(file+logSuffix) {
		return source + "?mode=ro", nil
	}
	return source + "?immutable=1", nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// tablesOf returns the tables and views of a file, none where it is empty or does not exist. It changes nothing.
func tablesOf(ctx context.Context, file, source string) (tables []string, err error) {
	if info, err := os.Stat(file); err != nil || info.Size() == 0 || !info.Mode().IsRegular() {
		return nil, nil //nolint:nilerr // whoever opens the file gets the error
	}
	if source, err = readOnlySource(file, source); err != nil {
		return nil, err
	}
	for last := time.Now().Add(busyTimeout); ; { // another process may be switching the file to a log, for which SQLite does not wait
		tables, err = texts(ctx, source, `SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`)
		switch result := resultOf(err).ToPrimary(); {
		case result == sqlite.ResultNotADB:
			return nil, errors.New("file is not a database")
		case result != sqlite.ResultBusy || time.Now().After(last):
			return tables, err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// texts reads the one column of a query, on a connection of its own that only reads.
func texts(ctx context.Context, source, query string) (column []string, err error) {
	conn, err := sqlite.OpenConn(source, sqlite.OpenReadOnly|sqlite.OpenURI)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	conn.SetInterrupt(ctx.Done())
	err = sqlitex.ExecuteTransient(conn, query, &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
		column = append(column, stmt.ColumnText(0))
		return nil
	}})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return column, err
}

// checkVersion fails unless a file that is only read has the schema of this program.
func checkVersion(ctx context.Context, file, source string, migrations embed.FS) error {
	versions, err := texts(ctx, source, `SELECT max(version_id) FROM goose_db_version WHERE is_applied`)
	if err != nil || len(versions) == 0 {
		return fmt.Errorf("open %s: %w", file, err)
	}
	if known := migrate.Newest(migrations); versions[0] != fmt.Sprint(known) {
		return billing.Faultf(billing.ErrInvalid, "%s cannot be written and has schema version %s, not %d; migrate a copy of it first", file, versions[0], known)
	}
	return nil
}

// canWrite reports whether this process can write the database. Nobody is meant to write a file without a write permission, even if the
// system administrator could.
func canWrite(file string) bool {
	info, err := os.Stat(file)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	if info.Mode().Perm()&0o222 == 0 || !accessible(file) {
		return false
	}
	beside := accessible(filepath.Dir(file))
	for _, name := range []string{file + logSuffix, file + indexSuffix} {
		if exists(name) && !accessible(name) || !exists(name) && !beside {
			return false
		}
	}
	return true
}

// filesOf returns those of a database's files that exist.
func filesOf(file string) map[string]os.FileInfo {
	files := map[string]os.FileInfo{}
	for _, name := range []string{file, file + logSuffix, file + indexSuffix} {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			files[name] = info
		}
	}
	return files
}

// checkAccess fails where this process cannot write one of the files. SQLite would open the database all the same, and fail later.
func checkAccess(file string) error {
	for name, info := range filesOf(file) {
		if !accessible(name) {
			return billing.Faultf(billing.ErrInvalid, "%s belongs to %s, and %s cannot write it; its mode is %s", name, owner(info), thisUser(), info.Mode())
		}
	}
	return nil
}

// closeToOthers closes files that everybody can read to everybody but their owner: they have hashes of tokens, and whoever reads the index
// can stop all writes. Access that only the group has was given to it on purpose.
func closeToOthers(file string) error {
	for name, info := range filesOf(file) {
		if info.Mode().Perm()&0o007 == 0 {
			continue
		}
		if err := os.Chmod(name, info.Mode().Perm()&0o700); err != nil {
			return billing.Faultf(billing.ErrInvalid, "%s belongs to %s and is open to everybody; let its owner take the permissions of others away: %w", name, owner(info), err)
		}
	}
	return nil
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // pure Go, so that no C compiler is needed
	sqlite3 "modernc.org/sqlite/lib"
	native "zombiezen.com/go/sqlite"
)

// sqliteDialect is what SQLite does in its own way.
var sqliteDialect = dialect{
	name:       "sqlite",
	goose:      goose.DialectSQLite3,
	lockHead:   "", // the write transaction holds the whole database
	byIndex:    sqliteByIndex,
	unique:     sqliteUnique,
	again:      func(error) bool { return false }, // there is one writer at a time
	outOfReach: sqliteOutOfReach,
}

// Left to itself, SQLite takes eight keys to be more work than all rows that share the index's first column, and reads an
// organization's whole ledger.
func sqliteByIndex(index string) string { return " INDEXED BY " + index }

// SQLite tells uniqueness violations of an index and of a primary key apart.
func sqliteUnique(err error) bool {
	code := native.ErrCode(err)
	return code == native.ResultConstraintUnique || code == native.ResultConstraintPrimaryKey
}

func sqliteOutOfReach(err error) bool {
	code := int(native.ErrCode(err))
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		code = e.Code()
	}
	switch primary := code & 0xff; primary {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL:
		return true
	}
	return false
}

// sqliteBusyTimeout is how long a statement waits for another process to finish writing.
const sqliteBusyTimeout = 5 * time.Second

// sqlitePragma is a setting of a connection.
type sqlitePragma struct{ name, value string }

// sqlitePragmas are those of every connection.
var sqlitePragmas = []sqlitePragma{
	// Another process may be writing. It comes first, so that the next ones wait as well.
	{"busy_timeout", strconv.FormatInt(sqliteBusyTimeout.Milliseconds(), 10)},
	{"journal_mode", "WAL"},
	{"synchronous", "FULL"}, // a commit that was acknowledged survives a power cut
	{"foreign_keys", "ON"},
}

// readPragmas are those of connections that only read.
var readPragmas = slices.Concat(sqlitePragmas, []sqlitePragma{{"query_only", "ON"}})

// openSQLite opens the pools of the database in the file, which is created where it does not exist.
func openSQLite(ctx context.Context, file string) (*Store, error) {
	if file == ":memory:" {
		return nil, errors.New("sqlite::memory: would be a database of its own for each connection; name a file")
	}
	// Connections are opened whenever they are needed, also after a change of the working directory.
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	// SQLite says only that it cannot open the file.
	if _, err := os.Stat(filepath.Dir(file)); err != nil {
		return nil, fmt.Errorf("the folder of the database: %w", err)
	}
	if file, err = followLinks(file); err != nil {
		return nil, err
	}
	source := "file:" + (&url.URL{Path: file}).EscapedPath()
	writer, err := openSQLiteWriter(ctx, source)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", file, err)
	}
	s, err := start(ctx, sqliteDialect, writer)
	if err != nil {
		return nil, err
	}
	if err := s.openSQLitePools(ctx, source); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", file, err), s.Close())
	}
	if err := s.watchCommits(file); err != nil {
		return nil, errors.Join(fmt.Errorf("watch %s: %w", file, err), s.Close())
	}
	return s, nil
}

// openSQLiteWriter opens what migrations and backups use. It creates the file.
func openSQLiteWriter(ctx context.Context, source string) (*sql.DB, error) {
	// Pragmas belong in the DSN: executed as statements they would reach one connection of the pool.
	pragmas := url.Values{}
	for _, p := range sqlitePragmas {
		pragmas.Add("_pragma", p.name+"("+p.value+")")
	}
	// A transaction that reads and then writes takes the write lock at once: one that took it later would fail under load
	// whatever its timeout.
	writer, err := sql.Open("sqlite", source+"?"+pragmas.Encode()+"&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	writer.SetMaxOpenConns(1)
	if err := pingSQLite(ctx, writer); err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	return writer, nil
}

func (s *Store) openSQLitePools(ctx context.Context, source string) (err error) {
	s.committer, err = openSQLiteCommitter(ctx, source, slices.Concat(sqlitePragmas, []sqlitePragma{
		// What a statement would undo where it fails is little, and written to a file takes a tenth of the time of large inserts.
		{"temp_store", "MEMORY"},
	})...)
	if err != nil {
		return err
	}
	s.pools = append(s.pools, s.committer)
	readers := max(4, 2*runtime.GOMAXPROCS(0))
	// A breakdown or an export holds its connection for as long as its receiver takes, so these have a pool of their own.
	reader, err := openSQLitePool(source, readers, readPragmas...)
	if err != nil {
		return err
	}
	s.pools, s.reader = append(s.pools, reader), reader
	streams, err := openSQLitePool(source, readers, readPragmas...)
	if err != nil {
		return err
	}
	s.pools, s.readings = append(s.pools, streams), streams
	return nil
}

// followLinks returns the path of a file without symbolic links. The file need not exist, unless the name itself is a link.
// SQLite keeps the write-ahead log and its index beside the file that a link leads to, so both must be looked for there.
func followLinks(name string) (string, error) {
	// Whether the name exists is asked once, since another process may create the file at any moment.
	if _, err := os.Lstat(name); err == nil {
		file, err := filepath.EvalSymlinks(name)
		if err != nil {
			return "", fmt.Errorf("open %s: the symbolic link leads nowhere: %w", name, err)
		}
		return file, nil
	}
	folder, err := filepath.EvalSymlinks(filepath.Dir(name))
	if err != nil {
		return "", fmt.Errorf("open %s: %w", name, err)
	}
	return filepath.Join(folder, filepath.Base(name)), nil
}

// watchCommits lets what was read be kept until anybody commits.
func (s *Store) watchCommits(file string) (err error) {
	// The committer's connection stays open, and so keeps the index in place. A connection opens the index as it first reads.
	if err := newSQLiteSession(s.committer.conn, nil).exec(`SELECT count(*) FROM sqlite_schema WHERE false`, nil); err != nil {
		return err
	}
	if s.walIndex, err = watchWAL(file); s.walIndex == nil {
		return err
	}
	s.headStamp = func() (stamp, bool) {
		if s.closed.Load() { // nothing keeps the index in place any more
			return stamp{}, false
		}
		return s.walIndex.stamp()
	}
	s.grantStamp = s.sinceOthers
	return nil
}

// pingSQLite opens the first connection. Of several that turn a new file to WAL at once, SQLite lets some fail without
// waiting, whatever the busy_timeout.
func pingSQLite(ctx context.Context, db *sql.DB) error {
	for last := time.Now().Add(sqliteBusyTimeout); ; {
		err := db.PingContext(ctx)
		if e, ok := errors.AsType[*sqlite.Error](err); !ok || e.Code()&0xff != sqlite3.SQLITE_BUSY || time.Now().After(last) {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

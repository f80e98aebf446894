// Package sqlite keeps the tables of the store in a file of SQLite.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pressly/goose/v3"
	modernc "modernc.org/sqlite" // SQLite in pure Go, for migrations through database/sql; zombiezen has the same engine
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
	"github.com/harmont-dev/harmont-billing/internal/store/migrate"
)

// Migrations has a folder "migrations" with the files that make the schema.
//
//go:embed migrations
var Migrations embed.FS

// Database implements driver.Database. Several processes may open the same file.
type Database struct {
	source   string // the file as a URI
	file     string
	readOnly bool
	opened   os.FileInfo  // identifies the open file
	checked  atomic.Int64 // when the file was last compared with it, in nanoseconds

	reads     *sqlitex.Pool // short reads
	snapshots *sqlitex.Pool // reads that last for as long as their receiver takes
	writes    *sqlitex.Pool // one connection: SQLite has one write transaction at a time
	writer    *sqlite.Conn
}

var _ driver.Database = (*Database)(nil)

// busyTimeout is how long a statement waits for another process to finish writing.
const busyTimeout = 5 * time.Second

// pragma is a setting of a connection.
type pragma struct{ name, value string }

// busyPragma is for connections to a file that is only read. The other settings would change it.
var busyPragma = []pragma{{"busy_timeout", strconv.FormatInt(busyTimeout.Milliseconds(), 10)}}

// pragmas are the settings of all other connections. Another process may be writing. The timeout comes first, so that the next pragmas
// wait as well.
var pragmas = slices.Concat(busyPragma, []pragma{
	{"journal_mode", "WAL"},
	{"synchronous", "FULL"}, // a commit that was acknowledged survives a power cut
	{"foreign_keys", "ON"},
})

var (
	readPragmas  = slices.Concat(pragmas, []pragma{{"query_only", "ON"}})
	writePragmas = slices.Concat(pragmas, []pragma{
		// The journal of a statement is small. In a file it would take a tenth of the time of a large insert.
		{"temp_store", "MEMORY"},
	})
)

// Open opens the database in the file and brings its schema up to date. A file is created where it does not exist; its folder is
// not.
func Open(ctx context.Context, file string) (*Database, error) {
	return OpenWith(ctx, file, driver.Opening{Create: true})
}

// OpenWith opens the database in the file as far as the opening allows, and brings its schema up to date. It fails with ErrInvalid where
// there are no books and none may be made, and where this process cannot write the files and the opening is not for reading only.
func OpenWith(ctx context.Context, file string, opening driver.Opening) (*Database, error) {
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
	if err := checkLink(file); err != nil {
		return nil, err
	}
	d := &Database{source: "file:" + (&url.URL{Path: file}).EscapedPath(), file: file}
	if err := d.prepare(ctx, opening); err != nil {
		return nil, err
	}
	if d.opened, err = os.Stat(file); err == nil {
		err = d.openPools(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", file, err), d.Close())
	}
	return d, nil
}

// checkLink fails where the file is a symbolic link that leads nowhere: SQLite would create a database there.
func checkLink(file string) error {
	if _, err := os.Lstat(file); err != nil {
		return nil //nolint:nilerr // the file does not exist yet, so it is no link
	}
	if _, err := filepath.EvalSymlinks(file); err != nil {
		return fmt.Errorf("open %s: the symbolic link leads nowhere: %w", file, err)
	}
	return nil
}

// prepare looks at the file, and makes it ready for the pools.
func (d *Database) prepare(ctx context.Context, opening driver.Opening) error {
	// SQLite keeps the log and its index beside the file that a link leads to.
	file, err := filepath.EvalSymlinks(d.file)
	if errors.Is(err, fs.ErrNotExist) && !opening.Create {
		return billing.Faultf(billing.ErrInvalid, "there is no database %s", d.file)
	}
	if err != nil {
		return create(ctx, d.file, d.source) // SQLite says why it cannot
	}
	if d.readOnly = opening.ReadOnly && !canWrite(file); !d.readOnly {
		if err := checkAccess(file); err != nil {
			return err
		}
	}
	tables, err := tablesOf(ctx, file, d.source)
	if err != nil {
		return fmt.Errorf("open %s: %w", d.file, err)
	}
	if err := opening.Check("the database "+d.file, tables); err != nil {
		return err
	}
	if d.readOnly {
		if d.source, err = readOnlySource(file, d.source); err != nil {
			return err
		}
		return checkVersion(ctx, d.file, d.source, Migrations)
	}
	if err := closeToOthers(file); err != nil {
		return err
	}
	return create(ctx, d.file, d.source)
}

// create creates the file where it does not exist, and brings the schema up to date.
func create(ctx context.Context, file, source string) (err error) {
	// Only the owner may read the file, which has hashes of tokens. SQLite gives its log the same mode. It would make the file readable
	// for everybody, and reports any error of its own.
	if f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err == nil {
		if err := f.Close(); err != nil {
			return err
		}
	}
	// Pragmas belong in the DSN: executed as statements they would reach one connection of the pool.
	settings := url.Values{}
	for _, p := range pragmas {
		settings.Add("_pragma", p.name+"("+p.value+")")
	}
	// A transaction takes the write lock when it begins. If it took the lock after a read, it would fail under load in spite of the
	// busy timeout.
	db, err := sql.Open("sqlite", source+"?"+settings.Encode()+"&_txlock=immediate")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	if err := ping(ctx, db); err != nil {
		return fmt.Errorf("open %s: %w", file, err)
	}
	return migrate.Up(ctx, goose.DialectSQLite3, db, Migrations)
}

// ping opens the first connection. If several connections switch a new file to WAL at the same time, SQLite lets some of them fail
// in spite of the busy timeout, so ping tries again.
func ping(ctx context.Context, db *sql.DB) error {
	for last := time.Now().Add(busyTimeout); ; {
		err := db.PingContext(ctx)
		if resultOf(err).ToPrimary() != sqlite.ResultBusy || time.Now().After(last) {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *Database) openPools(ctx context.Context) (err error) {
	settings := readPragmas
	if d.readOnly {
		settings = busyPragma
	} else {
		if d.writes, err = d.openPool(1, writePragmas); err != nil {
			return err
		}
		// The writer is taken once and for all. Its statements are short, so no context interrupts them.
		if d.writer, err = d.writes.Take(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	}
	if d.reads, err = d.openPool(readers(), settings); err != nil {
		return err
	}
	d.snapshots, err = d.openPool(readers(), settings)
	return err
}

// Snapshots implements driver.Database.
func (*Database) Snapshots() int { return readers() }

// readers is how many connections a pool for reads has.
func readers() int { return max(4, 2*runtime.GOMAXPROCS(0)) }

// Close implements driver.Database. It interrupts running statements, and waits until all connections are returned.
func (d *Database) Close() error {
	if d.writer != nil {
		d.writes.Put(d.writer)
	}
	var errs []error
	for _, pool := range []*sqlitex.Pool{d.snapshots, d.reads, d.writes} {
		if pool != nil { // not all are there where opening them has failed
			errs = append(errs, pool.Close())
		}
	}
	return errors.Join(errs...)
}

// Writers implements driver.Database.
func (*Database) Writers() int { return 1 }

// Split implements driver.Database.
func (*Database) Split() bool { return false }

// Check implements driver.Database. SQLite compares each index with its table. Rows with wrong values are left to the audit, which names
// them.
func (d *Database) Check(ctx context.Context, damaged func(what string) error) error {
	return d.Query(ctx, `SELECT integrity_check FROM pragma_integrity_check
		WHERE integrity_check <> 'ok' AND integrity_check NOT LIKE 'CHECK constraint failed%'`, nil, func(r *driver.Row) error {
		var what string
		if err := r.Scan(&what); err != nil {
			return err
		}
		return damaged(what)
	})
}

// replacedError is the error of checkFile. SQLite itself would go on with the open file, and every write would be lost.
type replacedError struct{ file string }

func (e *replacedError) Error() string {
	return fmt.Sprintf("the database %s was deleted or replaced; start the server again", e.file)
}

// checkFile fails if the open file is not the one at the path any more.
func (d *Database) checkFile() error {
	if now, err := os.Stat(d.file); err != nil || !os.SameFile(now, d.opened) {
		return &replacedError{d.file}
	}
	return nil
}

// checkFileOften is checkFile for reads. It looks at the path once a second.
func (d *Database) checkFileOften() error {
	now := time.Now().UnixNano()
	if now-d.checked.Load() < int64(time.Second) {
		return nil
	}
	if err := d.checkFile(); err != nil {
		return err // and again with the next read
	}
	d.checked.Store(now)
	return nil
}

// ReadReplica implements driver.Database. A file has no replicas.
func (d *Database) ReadReplica(ctx context.Context, do func(context.Context, driver.Reader) error) error {
	return do(ctx, d)
}

// unavailable are the results of a database that could not do its work for now.
var unavailable = []sqlite.ResultCode{
	sqlite.ResultBusy, sqlite.ResultLocked, sqlite.ResultFull, sqlite.ResultIOErr, sqlite.ResultCantOpen, sqlite.ResultReadOnly,
	sqlite.ResultNoMem, sqlite.ResultProtocol,
}

// Classify implements driver.Database.
func (*Database) Classify(err error) driver.Failure {
	result := resultOf(err)
	_, replaced := errors.AsType[*replacedError](err)
	switch {
	case replaced:
		return driver.Unavailable
	case result == sqlite.ResultConstraintUnique || result == sqlite.ResultConstraintPrimaryKey:
		return driver.Duplicate
	case slices.Contains(unavailable, result.ToPrimary()):
		return driver.Unavailable
	}
	return driver.Other
}

func resultOf(err error) sqlite.ResultCode {
	if e, ok := errors.AsType[*modernc.Error](err); ok {
		return sqlite.ResultCode(e.Code())
	}
	return sqlite.ErrCode(err)
}

// Lock implements driver.Dialect. The write transaction holds the whole database.
func (d *Database) Lock(columns, table string, orgs []any, _ bool) iter.Seq2[string, []any] {
	return d.Lookup(driver.Lookup{Select: columns, From: table + ` WHERE TRUE`, Column: "org_id", Type: driver.UUID, Keys: orgs})
}

// LockRateCards implements driver.Dialect. Only one write transaction runs at a time.
func (*Database) LockRateCards(bool) iter.Seq2[string, []any] {
	return func(func(string, []any) bool) {}
}

// ByIndex implements driver.Dialect. Without it, SQLite would estimate that a search for eight keys costs more than a scan of the
// whole ledger of the organization.
func (*Database) ByIndex(index string) string { return " INDEXED BY " + index }

// Lookup implements driver.Dialect. A statement has 1, 8, 64 or 512 keys, so that few statements have to be prepared. The last key is
// repeated to fill the list.
func (*Database) Lookup(l driver.Lookup) iter.Seq2[string, []any] {
	return func(yield func(string, []any) bool) {
		for keys := l.Keys; len(keys) > 0; {
			size := 1
			for size < len(keys) && size < 512 {
				size *= 8
			}
			n := min(size, len(keys))
			args := append(append(make([]any, 0, len(l.Args)+size), l.Args...), keys[:n]...)
			for len(args) < len(l.Args)+size {
				args = append(args, keys[n-1])
			}
			keys = keys[n:]
			if !yield(`SELECT `+l.Select+` FROM `+l.From+` AND `+l.Column+` IN `+placeholders(1, size), args) {
				return
			}
		}
	}
}

// Find implements driver.Dialect. Each organization is searched by itself.
func (d *Database) Find(f driver.Find) iter.Seq2[string, []any] {
	index := ""
	if f.Index != "" {
		index = d.ByIndex(f.Index)
	}
	return func(yield func(string, []any) bool) {
		for org := range f.Orgs {
			for text, args := range d.Lookup(f.Of(org, index)) {
				if !yield(text, args) {
					return
				}
			}
		}
	}
}

// sizes are the numbers of rows that a statement inserts. They are few, so that few statements have to be prepared. A lease changes
// three sums.
var sizes = []int{64, 8, 3, 1}

// Insert implements driver.Dialect.
func (*Database) Insert(into *driver.Table, rows [][]any, conflict string) iter.Seq2[string, []any] {
	names := make([]string, len(into.Columns))
	for i, column := range into.Columns {
		names[i] = column.Name
	}
	before := `INSERT INTO ` + into.Name + ` (` + strings.Join(names, `, `) + `) VALUES `
	return func(yield func(string, []any) bool) {
		for len(rows) > 0 {
			size := sizes[slices.IndexFunc(sizes, func(size int) bool { return size <= len(rows) })]
			args := slices.Concat(rows[:size]...)
			rows = rows[size:]
			if !yield(before+placeholders(size, len(names))+conflict, args) {
				return
			}
		}
	}
}

// placeholders returns rows of parameters, "(?,?),(?,?)" for two rows of two. They have no numbers, because SQLite treats a number as
// a name, and the library searches all names for each parameter: a statement with a thousand names takes twice as long.
func placeholders(rows, width int) string {
	row := `,(` + strings.Repeat(`,?`, width)[1:] + `)`
	return strings.Repeat(row, rows)[1:]
}

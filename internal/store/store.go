// Package store keeps the books in SQL, in a file of SQLite or in PostgreSQL. Both answer the same reads. Lookups by many keys
// and inserts of many rows differ (tables.go), and so do connections (sqlitepool.go, postgrespool.go); a dialect has the
// other differences.
//
// The words of this package:
//
//   - A table describes how values of one type of the domain are stored. It is made from the fields of that type.
//   - A row is what a statement has found. It is read column by column into the places of fields.
//   - A write is what one caller puts into the queue: operations on the books of one organization.
//   - A batch is what is taken from the queue at once, and committed in one transaction.
//   - A book, a billing.Book, is what a batch sees of one organization: its head, and the rows that its operations need.
//   - A head is where a ledger stands. On PostgreSQL, whoever appends to the ledger holds the row of its head until the commit.
//   - A querier runs a read of one statement.
//   - A pipeline takes the statements of a write transaction. PostgreSQL gets many of them at a time.
//   - The committer is the connection of all write transactions on SQLite.
//   - A sum is the usage of the leases that started in one day, hour or minute. A window is answered from the sums that lie in
//     it, and from the leases at its edges.
//   - A reading is a read transaction, all of whose statements see one moment. A part is as much of a breakdown as is read
//     before it is handed on.
//   - A stamp stands for the state of a database. A memo keeps what was read for as long as the stamp is the same.
//   - A shared read answers all who ask for the same before it begins.
//   - A position says how far a server has come in its log, by which a replica is known to be fresh.
package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// dialect is what databases do differently.
type dialect struct {
	name     string // of its folder of migrations
	goose    goose.Dialect
	lockHead string // appended to the query that reads a ledger's head in order to append

	// pipelined tells that statements are sent many at a time, and that one parameter can have many values.
	pipelined bool

	// byIndex is what follows a table's name where its rows are looked up by the keys of an index.
	byIndex func(index string) string

	unique     func(error) bool // whether a row with the same key was there
	again      func(error) bool // whether the transaction was given up for another's sake and may be tried again
	outOfReach func(error) bool // whether the database could not do its work for now

	migrationLock func() (lock.SessionLocker, error) // nil where losing a race to migrate does no harm
}

// Store implements billing.Store.
type Store struct {
	dialect   dialect
	writer    *sql.DB  // of PostgreSQL, all writes; of SQLite, migrations and backups
	reader    querier  // short reads
	readings  readings // reads whose length the receiver decides
	pools     []io.Closer
	committer sqliteCommitter // of SQLite alone

	// headStamp stamps the state of the database, so that what was read before is as fresh as what would be read now.
	// grantStamp stamps what grants depend on, where there is no headStamp to within grantAge.
	headStamp, grantStamp func() (stamp, bool)
	heads                 memo[billing.ID, billing.Head]
	headReads             shared[billing.ID, billing.Head]
	grants                memo[grantKey, billing.Grant]
	own                   atomic.Pointer[ownCommits]
	walIndex              *walIndex // nil where there is none

	address  *postgresAddress // nil for SQLite
	replicas *replicas        // nil where all is read from the database itself

	writing chan struct{} // holds a value during a write transaction; waiting here is fairer than in the database
	queue   writes
	using   sync.RWMutex // held for reading by those whose writes may be in the queue
	closed  atomic.Bool
	begun   uint64 // how many transactions were begun on PostgreSQL; only changed while holding writing

	closeOnce func() error

	commitTimeout time.Duration
	parts         partSize
}

var _ billing.Store = (*Store)(nil)

// Open opens the database, given as sqlite:FILE or postgres://…, and brings its schema up to date. A file is created where
// it does not exist; its folder, or a PostgreSQL database, is not.
func Open(ctx context.Context, database string) (*Store, error) {
	scheme, rest, _ := strings.Cut(database, ":")
	switch {
	case scheme == "sqlite" && rest != "":
		return openSQLite(ctx, rest)
	case scheme == "postgres" || scheme == "postgresql":
		return openPostgres(ctx, database)
	}
	// The rest of the text may hold a password.
	return nil, fmt.Errorf("the database must be given as sqlite:FILE or postgres://…, not %s:…", scheme)
}

// MustExist fails with ErrInvalid where the database is a file that is not there, and that Open would create.
func MustExist(database string) error {
	file, ok := strings.CutPrefix(database, "sqlite:")
	if !ok {
		return nil
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return billing.Faultf(billing.ErrInvalid, "there is no database %s", file)
	}
	return nil
}

// start brings the schema up to date. It owns the writer, also when it fails.
func start(ctx context.Context, d dialect, writer *sql.DB) (*Store, error) {
	s := &Store{
		dialect: d, writer: writer, pools: []io.Closer{writer},
		writing:       make(chan struct{}, 1),
		commitTimeout: commitTimeout,
		headStamp:     func() (stamp, bool) { return stamp{}, false },
		grantStamp:    grantClock(),
		parts:         usualParts,
	}
	s.closeOnce = sync.OnceValue(s.closePools)
	if err := migrate(ctx, d, writer); err != nil {
		return nil, errors.Join(err, s.closeOnce())
	}
	return s, nil
}

//go:embed migrations
var migrations embed.FS

func migrate(ctx context.Context, d dialect, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations/"+d.name)
	if err != nil {
		return err
	}
	var options []goose.ProviderOption
	if d.migrationLock != nil {
		locker, err := d.migrationLock()
		if err != nil {
			return err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(d.goose, db, files, options...)
	if err != nil {
		return err
	}
	// Processes that start together on a new database race for each migration; whoever loses finds it done on its next try.
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

// Close implements billing.Store.
func (s *Store) Close() error {
	s.using.Lock() // those who wait in the queue are served before
	defer s.using.Unlock()
	s.closed.Store(true)
	s.writing <- struct{}{} // the writes that do not pass through the queue
	defer func() { <-s.writing }()
	return s.closeOnce()
}

func (s *Store) closePools() error {
	var errs []error
	if s.replicas != nil {
		errs = append(errs, s.replicas.close())
	}
	for _, pool := range slices.Backward(s.pools) {
		errs = append(errs, pool.Close())
	}
	if s.walIndex != nil {
		errs = append(errs, s.walIndex.close())
	}
	return errors.Join(errs...)
}

// grantAge is for how long a token's rights are taken for granted where it costs too much to see whether they still hold. It
// stays well below the five seconds within which a revocation must hold everywhere.
const grantAge = 2 * time.Second

// grantClock stamps time in steps of grantAge.
func grantClock() func() (stamp, bool) {
	start := time.Now()
	return func() (s stamp, ok bool) {
		s[0] = uint64(time.Since(start) / grantAge)
		return s, true
	}
}

// Ping implements billing.Store.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.Organizations(ctx, "", 1, nil)
	return err
}

// fail gives a database's error its kind.
func (s *Store) fail(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		// Of work that ended with its context, database/sql and the driver report different errors.
		return ctx.Err()
	case s.dialect.outOfReach(err), s.dialect.again(err), errors.Is(err, sql.ErrConnDone), errors.Is(err, driver.ErrBadConn), s.closed.Load():
		return billing.Faultf(billing.ErrUnavailable, "%w", err)
	}
	return err
}

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
	_ "modernc.org/sqlite" // to read and write past the program

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/database"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
)

// databases makes and removes databases of one kind.
type databases interface {
	name() string
	exists(ctx context.Context, name string) (bool, error)
	// create makes a database without tables, in the place of one that may be there.
	create(ctx context.Context, name string) error
	// copyTo replaces a database by a copy of another. Neither is open.
	copyTo(ctx context.Context, from, to string) error
	rename(ctx context.Context, from, to string) error
	remove(ctx context.Context, name string) error
	// settle makes the database do the background work that follows many writes.
	settle(ctx context.Context, name string) error
	size(ctx context.Context, name string) (int64, error)
	// busy tells whether a process of the database's own works for somebody.
	busy(ctx context.Context, name string) (bool, error)
	url(name string) string
}

type sqliteFiles struct{ folder string }

func (f sqliteFiles) name() string            { return "SQLite" }
func (f sqliteFiles) file(name string) string { return filepath.Join(f.folder, name+".db") }
func (f sqliteFiles) url(name string) string  { return "sqlite:" + f.file(name) }

func (f sqliteFiles) exists(_ context.Context, name string) (bool, error) {
	_, err := os.Stat(f.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// create leaves it to the program to make the file.
func (f sqliteFiles) create(ctx context.Context, name string) error { return f.remove(ctx, name) }

func (f sqliteFiles) copyTo(ctx context.Context, from, to string) error {
	if err := f.remove(ctx, to); err != nil {
		return err
	}
	text, err := os.ReadFile(f.file(from))
	if err != nil {
		return err
	}
	return os.WriteFile(f.file(to), text, 0o600)
}

func (f sqliteFiles) rename(_ context.Context, from, to string) error {
	return os.Rename(f.file(from), f.file(to))
}

func (f sqliteFiles) remove(_ context.Context, name string) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(f.file(name) + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// settle has nothing to do: the WAL is written back when the last connection is closed.
func (f sqliteFiles) settle(context.Context, string) error { return nil }

func (f sqliteFiles) size(_ context.Context, name string) (int64, error) {
	info, err := os.Stat(f.file(name))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// busy is never true: SQLite runs within the program.
func (f sqliteFiles) busy(context.Context, string) (bool, error) { return false, nil }

// openSQLite opens a file in the way in which the program does, for the yardsticks.
func openSQLite(url string) (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+url[len("sqlite:"):]+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)"+
		"&_pragma=synchronous(FULL)&_pragma=foreign_keys(ON)&_txlock=immediate")
}

type postgresCluster struct{ cluster *pgtest.Cluster }

func (p postgresCluster) name() string           { return "PostgreSQL" }
func (p postgresCluster) url(name string) string { return p.cluster.URL(name) }

// exec runs a statement beside the databases that are measured.
func (p postgresCluster) exec(ctx context.Context, database, statement string) error {
	conn, err := pgx.Connect(ctx, p.url(database))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

func (p postgresCluster) number(ctx context.Context, query, name string) (n int64, err error) {
	conn, err := pgx.Connect(ctx, p.url("postgres"))
	if err != nil {
		return 0, err
	}
	err = conn.QueryRow(ctx, query, name).Scan(&n)
	return n, errors.Join(err, conn.Close(ctx))
}

func (p postgresCluster) exists(ctx context.Context, name string) (bool, error) {
	n, err := p.number(ctx, `SELECT count(*) FROM pg_database WHERE datname = $1`, name)
	return n > 0, err
}

func (p postgresCluster) create(ctx context.Context, name string) error {
	if err := p.remove(ctx, name); err != nil {
		return err
	}
	return p.exec(ctx, "postgres", `CREATE DATABASE `+name)
}

func (p postgresCluster) copyTo(ctx context.Context, from, to string) error {
	if err := p.remove(ctx, to); err != nil {
		return err
	}
	return p.exec(ctx, "postgres", `CREATE DATABASE `+to+` TEMPLATE `+from)
}

func (p postgresCluster) rename(ctx context.Context, from, to string) error {
	return p.exec(ctx, "postgres", `ALTER DATABASE `+from+` RENAME TO `+to)
}

func (p postgresCluster) remove(ctx context.Context, name string) error {
	return p.exec(ctx, "postgres", `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`)
}

func (p postgresCluster) settle(ctx context.Context, name string) error {
	return errors.Join(p.exec(ctx, name, `VACUUM ANALYZE`), p.exec(ctx, name, `CHECKPOINT`))
}

func (p postgresCluster) size(ctx context.Context, name string) (int64, error) {
	return p.number(ctx, `SELECT pg_database_size($1)`, name)
}

func (p postgresCluster) busy(ctx context.Context, name string) (bool, error) {
	n, err := p.number(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND state = 'active'`, name)
	return n > 0, err
}

// version asks the server itself.
func (p postgresCluster) version(ctx context.Context) (version string, err error) {
	conn, err := pgx.Connect(ctx, p.url("postgres"))
	if err != nil {
		return "", err
	}
	err = conn.QueryRow(ctx, `SHOW server_version`).Scan(&version)
	return version, errors.Join(err, conn.Close(ctx))
}

// The databases that are kept and copied.
const (
	emptyDatabase      = "empty"
	startedDatabase    = "begun"
	unfinishedDatabase = "building"
	scratchDatabase    = "scratch"
)

// makeEmpty makes a database with both organizations and nothing in their books.
func (b *bench) makeEmpty(ctx context.Context, d databases, name string) error {
	if err := d.create(ctx, name); err != nil {
		return err
	}
	_, err := b.run(ctx, organizations(), "import", "--database", d.url(name), "-")
	return err
}

// makeStarted makes a database in which one organization has some leases and the other has none. PostgreSQL then does not plan for empty
// tables.
func (b *bench) makeStarted(ctx context.Context, d databases) error {
	if err := b.makeEmpty(ctx, d, startedDatabase); err != nil {
		return err
	}
	books, err := database.Open(ctx, d.url(startedDatabase))
	if err != nil {
		return err
	}
	if err := errors.Join(recordHistory(ctx, books, yearOf(smallOrg, b.size.smallOrgLeases)), books.Close()); err != nil {
		return err
	}
	return d.settle(ctx, startedDatabase)
}

// filledDatabase returns the name of the database that has the leases of the size in its books, and a token for it. The database is filled
// once and kept for later runs. Opening it updates its schema.
func (b *bench) filledDatabase(ctx context.Context, d databases) (name, token string, err error) {
	name = fmt.Sprintf("filled_%d", b.size.largeOrgLeases)
	exists, err := d.exists(ctx, name)
	if err == nil && !exists {
		err = b.fill(ctx, d, name)
	}
	if err != nil {
		return "", "", err
	}
	token, err = b.newToken(ctx, d.url(name))
	return name, token, err
}

// fill makes a database with the leases of the size. An incomplete one has another name.
func (b *bench) fill(ctx context.Context, d databases, name string) error {
	start := time.Now()
	if err := b.makeEmpty(ctx, d, unfinishedDatabase); err != nil {
		return err
	}
	books, err := database.Open(ctx, d.url(unfinishedDatabase))
	if err != nil {
		return err
	}
	for _, h := range []history{yearOf(smallOrg, b.size.smallOrgLeases), yearOf(largeOrg, b.size.largeOrgLeases)} {
		if err := recordHistory(ctx, books, h); err != nil {
			return errors.Join(err, books.Close())
		}
	}
	if err := books.Close(); err != nil {
		return err
	}
	if b.size.verifyFilled {
		if err := b.verify(ctx, d.url(unfinishedDatabase)); err != nil {
			return err
		}
	}
	if err := d.settle(ctx, unfinishedDatabase); err != nil {
		return err
	}
	b.logf("%s: wrote %s leases in %s", d.name(), groupDigits(int64(b.size.smallOrgLeases+b.size.largeOrgLeases)), time.Since(start).Round(time.Second))
	return d.rename(ctx, unfinishedDatabase, name)
}

// recordHistory records a history through the store, which also writes entries and sums.
func recordHistory(ctx context.Context, books *database.Database, h history) error {
	if err := billing.NewService(books).EnsureRateCard(ctx, nil); err != nil {
		return err
	}
	const leasesPerBatch, writers = 1000, 4 // a few wait while others are committed
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for first := 0; first < h.n; first += leasesPerBatch {
		group.Go(func() error {
			op := &billing.RecordLeases{Leases: h.leases(first, min(first+leasesPerBatch, h.n))}
			errs, err := books.Write(ctx, orgIDs[h.org], op)
			if err != nil {
				return err
			}
			return errs[0]
		})
	}
	return group.Wait()
}

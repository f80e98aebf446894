// Package database opens the database of a server, given by its URL.
package database

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"regexp"
	"strings"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
	"github.com/harmont-dev/harmont-billing/internal/store/postgres"
	"github.com/harmont-dev/harmont-billing/internal/store/sqlite"
)

// Database is a store, and the operations that only one kind of database has.
type Database struct {
	*store.Store
	sqlite   *sqlite.Database   // nil where it is of another kind
	postgres *postgres.Database // nil where it is of another kind
	writes   *writeCounts
}

// Pool is the state of a pool of connections.
type Pool = driver.PoolStats

// Replica is the state of a replica.
type Replica = driver.ReplicaStats

// Open opens the database, given as sqlite:FILE or postgres://…, and brings its schema up to date. A file is created where
// it does not exist; its folder, or a PostgreSQL database, is not.
func Open(ctx context.Context, url string) (*Database, error) {
	scheme, rest, _ := strings.Cut(url, ":")
	switch {
	case scheme == "sqlite" && rest != "":
		db, err := sqlite.Open(ctx, rest)
		if err != nil {
			return nil, err
		}
		writes := new(writeCounts)
		books, err := store.Open(ctx, counted{db, writes})
		if err != nil {
			return nil, err
		}
		return &Database{Store: books, sqlite: db, writes: writes}, nil
	case scheme == "postgres" || scheme == "postgresql":
		db, err := postgres.Open(ctx, url)
		if err != nil {
			return nil, err
		}
		writes := new(writeCounts)
		books, err := store.Open(ctx, counted{db, writes})
		if err != nil {
			return nil, err
		}
		return &Database{Store: books, postgres: db, writes: writes}, nil
	}
	// The text may have a password, so only a scheme is repeated.
	if !regexp.MustCompile(`^[a-z0-9+]{1,16}$`).MatchString(scheme) || !strings.Contains(url, ":") {
		return nil, errors.New("the database must be given as sqlite:FILE or postgres://…")
	}
	return nil, fmt.Errorf("the database must be given as sqlite:FILE or postgres://…, not %s:…", scheme)
}

// MustExist fails with ErrInvalid where the database is a file that is not there, and that Open would create.
func MustExist(url string) error {
	file, ok := strings.CutPrefix(url, "sqlite:")
	if !ok {
		return nil
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return billing.Faultf(billing.ErrInvalid, "there is no database %s", file)
	}
	return nil
}

// FollowReplicas lets usage, series and breakdowns be read from replicas of a PostgreSQL database, given by their URLs, while
// they are at most five seconds behind; anything else, and all of it where no replica is fresh, is read from the database
// itself. It is called before the first read. The log gets a line when a replica is left out and when it is back.
func (d *Database) FollowReplicas(log *slog.Logger, urls []string) error {
	switch {
	case len(urls) == 0:
		return nil
	case d.postgres == nil:
		return errors.New("replicas to read from need a PostgreSQL database")
	}
	return d.postgres.FollowReplicas(log, urls)
}

// Pools returns the state of the pools of connections. SQLite keeps none.
func (d *Database) Pools() []Pool {
	if d.postgres == nil {
		return nil
	}
	return d.postgres.Pools()
}

// Replicas returns the state of the replicas that were given to FollowReplicas.
func (d *Database) Replicas() []Replica {
	if d.postgres == nil {
		return nil
	}
	return d.postgres.Replicas()
}

// Backup writes a copy of an SQLite database, as of one moment, to a new file, also while the database is written. The file
// is complete where it exists. It fails with ErrInvalid where the database is not SQLite, and with ErrExists where there is a file
// of that name.
func (d *Database) Backup(ctx context.Context, file string) error {
	if d.sqlite == nil {
		return billing.Faultf(billing.ErrInvalid, "only an SQLite database is backed up like this; use pg_dump for PostgreSQL")
	}
	return d.sqlite.Backup(ctx, file)
}

// Distribution says how the tables of a PostgreSQL database are spread over the nodes of its Citus cluster.
type Distribution = postgres.Distribution

// Distribute spreads the tables of a PostgreSQL database over the nodes of its Citus cluster, in one transaction, and reads back how they
// are spread. It fails if they are not spread as they should be, and with ErrInvalid where the database has no Citus.
func (d *Database) Distribute(ctx context.Context) (Distribution, error) {
	if d.postgres == nil {
		return Distribution{}, billing.Faultf(billing.ErrInvalid, "only a PostgreSQL database can be distributed")
	}
	return d.postgres.Distribute(ctx)
}

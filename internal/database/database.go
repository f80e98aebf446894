// Package database opens the database of a server, given by its URL.
package database

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

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
	return OpenWith(ctx, url, Opening{Create: true})
}

// Opening has the permissions of an open: whether books may be made or changed.
type Opening = driver.Opening

// OpenWith opens the database, given as for Open, as far as the opening allows, and brings its schema up to date. It fails with ErrInvalid
// where there are no books and none may be made.
func OpenWith(ctx context.Context, url string, opening Opening) (*Database, error) {
	scheme, rest, _ := strings.Cut(url, ":")
	switch {
	case scheme == "sqlite" && rest != "":
		db, err := sqlite.OpenWith(ctx, rest, opening)
		if err != nil {
			return nil, err
		}
		return openOn(ctx, db, &Database{sqlite: db})
	case scheme == "postgres" || scheme == "postgresql":
		db, err := postgres.OpenWith(ctx, url, opening)
		if err != nil {
			return nil, err
		}
		return openOn(ctx, db, &Database{postgres: db})
	}
	if suggested, ok := asFile(url); ok {
		return nil, fmt.Errorf("the database must be given as sqlite:FILE or postgres://…; for this file it is %s", suggested)
	}
	// The text may have a password, so only a scheme is repeated.
	if !regexp.MustCompile(`^[a-z0-9+]{1,16}$`).MatchString(scheme) || !strings.Contains(url, ":") {
		return nil, errors.New("the database must be given as sqlite:FILE or postgres://…")
	}
	return nil, fmt.Errorf("the database must be given as sqlite:FILE or postgres://…, not %s:…", scheme)
}

// OpenPool is OpenWith for the PostgreSQL database that a config describes.
func OpenPool(ctx context.Context, config *pgxpool.Config, opening Opening) (*Database, error) {
	db, err := postgres.OpenPool(ctx, config, opening)
	if err != nil {
		return nil, err
	}
	return openOn(ctx, db, &Database{postgres: db})
}

func openOn(ctx context.Context, db driver.Database, d *Database) (*Database, error) {
	d.writes = new(writeCounts)
	var err error
	if d.Store, err = store.Open(ctx, counted{db, d.writes}); err != nil {
		return nil, err
	}
	return d, nil
}

// asFile returns the URL of a database that was given as the name of its file. It takes nothing for a name that may have a password.
func asFile(text string) (url string, ok bool) {
	return "sqlite:" + text, regexp.MustCompile(`^[^:@=\s]*\.(db|sqlite3?)$`).MatchString(text)
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

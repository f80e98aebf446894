package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// postgresDialect is what PostgreSQL does in its own way.
var postgresDialect = dialect{
	name:     "postgres",
	goose:    goose.DialectPostgres,
	lockHead: " FOR UPDATE",

	pipelined: true,

	byIndex:    func(string) string { return "" }, // its planner finds it
	unique:     func(err error) bool { return hasCode(err, "23505") },
	again:      func(err error) bool { return hasCode(err, "40P01", "40001") }, // deadlock, serialization failure
	outOfReach: postgresOutOfReach,
	// Servers that start together wait for the one that migrates.
	migrationLock: func() (lock.SessionLocker, error) {
		return lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
	},
}

func hasCode(err error, codes ...string) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	for _, code := range codes {
		if strings.HasPrefix(e.Code, code) {
			return true
		}
	}
	return false
}

func postgresOutOfReach(err error) bool {
	if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting {
		return true
	}
	if _, ok := errors.AsType[*pgconn.PgError](err); ok {
		// Connection failures, no resources (a full disk, too many connections), shutdown or a statement that was cancelled,
		// read-only, an abandoned transaction, lock timeout, I/O error.
		return hasCode(err, "08", "53", "57", "25006", "25P03", "55P03", "58030")
	}
	_, network := errors.AsType[net.Error](err)
	return network || connectionLost(err)
}

// connectionLost tells whether an established connection turned out to be dead.
func connectionLost(err error) bool {
	if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting {
		return false
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, pgconn.ErrConnClosed)
}

// postgresAddress is where a PostgreSQL database is.
type postgresAddress struct{ config *pgx.ConnConfig }

func parsePostgres(url string) (*postgresAddress, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		// The error of the parser quotes the URL, which may hold a password.
		return nil, errors.New("the database URL cannot be read; it must be like postgres://user:password@host:5432/database")
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 5 * time.Second
	}
	return &postgresAddress{config}, nil
}

// String has neither user nor password.
func (a *postgresAddress) String() string {
	return net.JoinHostPort(a.config.Host, strconv.Itoa(int(a.config.Port))) + "/" + a.config.Database
}

func (a *postgresAddress) pool(connections int, options ...stdlib.OptionOpenDB) *sql.DB {
	db := stdlib.OpenDB(*a.config, options...)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return db
}

// abandonedAfter is when PostgreSQL takes a transaction to be abandoned that does nothing. Ours go from one statement to the
// next at once.
const abandonedAfter = 5 * time.Second

// prepareToWrite sets up a connection that writes. These are statements, since poolers refuse connections that ask for settings
// as they start.
func prepareToWrite(ctx context.Context, conn *pgx.Conn) error {
	for _, statement := range []string{
		// PostgreSQL gives up the transaction of a server from which it hears nothing more. The end of a process it hears of; a
		// power cut or a broken network it would notice after hours, and until then no other server could write to the ledgers
		// whose heads are locked.
		`SET idle_in_transaction_session_timeout = ` + strconv.FormatInt(abandonedAfter.Milliseconds(), 10),
		// Rows are found by keys, for which there is one good plan. To look for a better one each time takes a quarter of the time
		// of a lease. Citus is left its own way: it looks at the organization in a plan's parameters to find the node.
		`SELECT set_config('plan_cache_mode', 'force_generic_plan', false) WHERE NOT (` + hasCitus + `)`,
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// openPostgres opens the pools of the database at the URL, which must exist.
func openPostgres(ctx context.Context, url string) (*Store, error) {
	address, err := parsePostgres(url)
	if err != nil {
		return nil, err
	}
	writer := address.pool(1, stdlib.OptionAfterConnect(prepareToWrite))
	if err := writer.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to PostgreSQL: %w", err), writer.Close())
	}
	s, err := start(ctx, postgresDialect, writer)
	if err != nil {
		return nil, err
	}
	reader, readings := postgresPool{address.pool(16)}, postgresPool{address.pool(8)}
	s.address, s.reader, s.readings = address, reader, readings
	s.pools = append(s.pools, reader, readings)
	return s, nil
}

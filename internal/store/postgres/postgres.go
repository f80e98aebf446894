// Package postgres keeps the tables of the store in a database of PostgreSQL, which may have replicas and may be a Citus cluster.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
	"github.com/harmont-dev/harmont-billing/internal/store/migrate"
)

// Migrations has a folder "migrations" with the files that make the schema.
//
//go:embed migrations
var Migrations embed.FS

// Database implements driver.Database. Several processes may open the same one.
type Database struct {
	pools
	writer   *pgxpool.Pool
	address  *address
	replicas *replicas // nil if everything is read from the database itself
}

var _ driver.Database = (*Database)(nil)

// pools are the connections for reads of one server.
type pools struct {
	reads     pool // short reads
	snapshots pool // reads that last for as long as their receiver takes
	pooled    bool // whether a pooler is between this program and PostgreSQL
	names     qualifier
}

func (p pools) close() {
	p.reads.Close()
	p.snapshots.Close()
}

// Open connects to the database at the URL, which must exist, and brings its schema up to date.
func Open(ctx context.Context, url string) (*Database, error) {
	return OpenWith(ctx, url, driver.Opening{Create: true})
}

// OpenWith connects to the database at the URL as far as the opening allows, and brings its schema up to date. It fails with ErrInvalid
// where there are no books and none may be made.
func OpenWith(ctx context.Context, url string, opening driver.Opening) (*Database, error) {
	a, err := parse(url)
	if err != nil {
		return nil, err
	}
	return openAt(ctx, a, opening)
}

// OpenPool is OpenWith for a database that a config describes, whose hooks are called for each connection. MaxConns bounds all connections
// together, and must be at least 3.
func OpenPool(ctx context.Context, config *pgxpool.Config, opening driver.Opening) (*Database, error) {
	config = config.Copy()
	mode := config.ConnConfig.DefaultQueryExecMode
	a := &address{config: config, modeIsGiven: mode != pgx.QueryExecModeCacheStatement, maxConnections: int(config.MaxConns)}
	if err := a.complete(mode.String(), "MaxConns", "the pool"); err != nil {
		return nil, err
	}
	return openAt(ctx, a, opening)
}

func openAt(ctx context.Context, a *address, opening driver.Opening) (*Database, error) {
	if err := a.probe(ctx, opening); err != nil {
		return nil, err
	}
	if a.pooled && !a.modeIsGiven {
		// Statements that are prepared on one connection of the pooler would be executed on another.
		a.config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	reads, snapshots, writers := a.sizes()
	writer, err := a.pool(writers, prepareToWrite)
	if err != nil {
		return nil, err
	}
	d := &Database{writer: writer, address: a}
	if err = d.migrate(ctx); err == nil {
		d.pools, err = a.pools(reads, snapshots)
	}
	if err != nil {
		writer.Close()
		return nil, err
	}
	return d, nil
}

func (d *Database) migrate(ctx context.Context) (err error) {
	switch {
	case d.address.upToDate:
		return nil
	case d.address.pooled && !d.address.current: // migrations name tables without their schema
		return billing.Faultf(billing.ErrInvalid, "the schema %s is not the first that exists in the search_path; bring it up to date with "+
			"'harmont-billing migrate' and a URL that does not lead to a pooler", d.address.schema)
	}
	db := stdlib.OpenDBFromPool(d.writer)
	defer func() { err = errors.Join(err, db.Close()) }()
	if d.address.pooled { // a lock of a session would stay with a connection of the pooler
		return migrate.Up(ctx, goose.DialectPostgres, db, Migrations)
	}
	// Only one server migrates. Others that start at the same time wait for it.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
	if err != nil {
		return err
	}
	return migrate.Up(ctx, goose.DialectPostgres, db, Migrations, goose.WithSessionLocker(locker))
}

// Writers implements driver.Database.
func (d *Database) Writers() int { return int(d.writer.Config().MaxConns) }

// Split implements driver.Database.
func (d *Database) Split() bool { return d.address.citus }

// Close implements driver.Database. It waits for running statements.
func (d *Database) Close() error {
	if d.replicas != nil {
		d.replicas.close()
	}
	d.pools.close()
	d.writer.Close()
	return nil
}

// address is the address of a PostgreSQL database.
type address struct {
	config         *pgxpool.Config
	maxConnections int  // of all pools together; 0 where nobody says
	modeIsGiven    bool // whether the caller says how to execute statements
	pooled         bool // whether a pooler is between this program and PostgreSQL
	citus          bool // whether the database has Citus

	schema   string // of the books; empty for a replica
	current  bool   // whether it is the first schema in the search_path
	upToDate bool   // whether it has the version of this program
}

// errURL does not quote the URL, which may hold a password.
var errURL = errors.New("the database URL cannot be read; it must be like postgres://user:password@host:5432/database, " +
	"with %40 for an @ in the password")

func parse(text string) (*address, error) {
	config, err := pgxpool.ParseConfig(text)
	// The parser takes the rest of a password after an @ for a part of the host, which errors name.
	if err != nil || strings.Contains(config.ConnConfig.Host, "@") {
		return nil, errURL
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, errURL
	}
	parameters := u.Query()
	a := &address{config: config, modeIsGiven: parameters.Has("default_query_exec_mode")}
	if parameters.Has("pool_max_conns") {
		a.maxConnections = int(config.MaxConns)
	}
	err = a.complete(parameters.Get("default_query_exec_mode"), "pool_max_conns", "the database URL")
	return a, err
}

// complete checks and completes the config. Errors name the mode, the bound of connections and where they are as the caller knows them.
func (a *address) complete(mode, bound, where string) error {
	c := a.config.ConnConfig
	switch c.DefaultQueryExecMode {
	case pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol:
		return billing.Faultf(billing.ErrInvalid, "default_query_exec_mode=%s of %s is not supported, because it transfers values as text; "+
			"leave it out, or behind a pooler set default_query_exec_mode=cache_describe", mode, where)
	default:
	}
	if n := a.maxConnections; n != 0 && n < 3 {
		return billing.Faultf(billing.ErrInvalid, "%s=%d of %s is too small; a server needs three connections", bound, n, where)
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	a.config.MaxConnIdleTime = 5 * time.Minute
	if c.RuntimeParams == nil {
		c.RuntimeParams = map[string]string{}
	}
	c.RuntimeParams["client_encoding"] = "UTF8"
	return nil
}

// connect makes a connection that is in no pool.
func (a *address) connect(ctx context.Context) (*pgx.Conn, error) {
	config := a.config.ConnConfig.Copy()
	if before := a.config.BeforeConnect; before != nil {
		if err := before(ctx, config); err != nil {
			return nil, err
		}
	}
	return pgx.ConnectConfig(ctx, config)
}

// probe connects to the database and finds the books. It fails with ErrInvalid if the database cannot store every text, or there are no
// books and none may be made. It sets pooled and citus.
func (a *address) probe(ctx context.Context, opening driver.Opening) error {
	conn, err := a.connect(ctx)
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing was written
	if encoding := conn.PgConn().ParameterStatus("server_encoding"); encoding != "UTF8" {
		return billing.Faultf(billing.ErrInvalid, "the database has the encoding %s; create it with the encoding UTF8", encoding)
	}
	// A pooler introduces a connection with another process id than that of the process that executes its statements.
	var id uint32
	if err := conn.QueryRow(ctx, `SELECT pg_backend_pid(), `+hasCitus, pgx.QueryExecModeSimpleProtocol).Scan(&id, &a.citus); err != nil {
		return err
	}
	a.pooled = id != conn.PgConn().PID()
	return a.findBooks(ctx, conn, opening)
}

// sizes returns how many connections the pools for short reads, for snapshots and for writes may have. While one transaction waits for the
// disk, another one is prepared; more of them would have smaller batches, which cost more. A cluster has more of them, because its batches
// are not shared, and organizations on a node that does not answer hold up connections.
func (a *address) sizes() (reads, snapshots, writers int32) {
	reads, snapshots, writers = 16, 8, 2
	if a.citus {
		writers = 16
	}
	if allowed, wanted := int32(a.maxConnections), reads+snapshots+writers; allowed > 0 && allowed < wanted {
		writers = max(1, allowed*writers/wanted)
		snapshots = max(1, (allowed-writers)/3)
		reads = allowed - writers - snapshots
	}
	return reads, snapshots, writers
}

// String returns host, port and database, and neither user nor password.
func (a *address) String() string {
	c := a.config.ConnConfig
	return net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))) + "/" + c.Database
}

// pool makes a pool without a connection. Where prepare is given, it sets up each connection, after the schema.
func (a *address) pool(connections int32, prepare func(context.Context, *pgx.Conn) error) (*pgxpool.Pool, error) {
	config := a.config.Copy()
	config.MaxConns = connections
	after := config.AfterConnect
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if after != nil {
			if err := after(ctx, conn); err != nil {
				return err
			}
		}
		if err := a.pin(ctx, conn); err != nil || prepare == nil {
			return err
		}
		return prepare(ctx, conn)
	}
	return pgxpool.NewWithConfig(context.Background(), config)
}

func (a *address) pools(reads, snapshots int32) (p pools, err error) {
	if p.pooled = a.pooled; p.pooled {
		p.names = newQualifier(a.schema)
	}
	if p.reads.Pool, err = a.pool(reads, prepareToRead); err != nil {
		return pools{}, err
	}
	if p.snapshots.Pool, err = a.pool(snapshots, prepareToRead); err != nil {
		p.reads.Close()
		return pools{}, err
	}
	return p, nil
}

// abandonedAfter is how long a transaction may be idle before PostgreSQL ends it. A transaction of this package is not idle for
// longer than the store takes to apply a batch in memory.
const abandonedAfter = 5 * time.Second

// noTimeouts overrides timeouts of the role. A short read ends with its request, and a snapshot lasts for as long as its receiver
// takes.
//
// A coordinator of Citus that waited for a node for longer would let all writes of its organizations wait.
const noTimeouts = `SELECT set_config('statement_timeout', '0', false), set_config('idle_in_transaction_session_timeout', '0', false),
	CASE WHEN ` + hasCitus + ` THEN set_config('citus.node_connection_timeout', '2000', false) END`

// Behind a pooler, settings of a session stay with a connection of the pooler. Each transaction therefore sets the important ones.
const (
	pooledSnapshot = `SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0`
	pooledWrite    = `SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'`
)

// prepareToRead sets up a connection that reads. Like the settings of prepareToWrite, these are statements, because poolers refuse
// connections that ask for settings when they start.
func prepareToRead(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, noTimeouts)
	return err
}

// prepareToWrite sets up a connection that writes.
func prepareToWrite(ctx context.Context, conn *pgx.Conn) error {
	for _, statement := range []string{
		noTimeouts,
		`SELECT set_config('default_transaction_read_only', 'off', false), set_config('default_transaction_isolation', 'read committed', false)`,
		// An acknowledged write is on disk. Stronger settings of the role, which also wait for replicas, are kept.
		`SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`,
		// PostgreSQL notices the end of a process immediately, but a power cut or a broken network only after hours. Until then no
		// other server could write to the ledgers with locked heads. The timeout ends such a transaction.
		`SET idle_in_transaction_session_timeout = ` + strconv.FormatInt(abandonedAfter.Milliseconds(), 10),
		// All statements find rows by keys, so a generic plan is as good as one for the actual parameters, and saves a quarter of
		// the time of a lease. Citus needs the parameters, because the organization among them determines the node.
		`SELECT set_config('plan_cache_mode', 'force_generic_plan', false) WHERE NOT (` + hasCitus + `)`,
		// Migrations change tables that are on every node together with others, and make triggers. See Distribute.
		`SELECT set_config('citus.multi_shard_modify_mode', 'sequential', false), set_config('citus.enable_unsafe_triggers', 'on', false)
			WHERE ` + hasCitus,
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// Classify implements driver.Database.
func (*Database) Classify(err error) driver.Failure {
	if _, ok := errors.AsType[conflict](err); ok {
		return driver.Conflict
	}
	switch {
	case hasCode(err, "23505"):
		return driver.Duplicate
	case hasCode(err, "40P01", "40001"): // deadlock, serialization failure
		return driver.Conflict
	case outOfReach(err), nodeLost(err), nodeLostAtCommit(err):
		return driver.Unavailable
	}
	return driver.Other
}

// conflict is the error of a transaction that has not begun to commit and may be tried again at once.
type conflict struct{ error }

func (c conflict) Unwrap() error { return c.error }

// nodeLostAtCommit reports whether err says that another node of a cluster was lost during the commit. The transaction may have taken place.
func nodeLostAtCommit(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "XX000" && strings.Contains(e.Message, "could not commit transaction")
}

// nodeLost reports whether err says that the coordinator of a cluster had a connection to another node that is broken. It makes a new
// one for the next statement.
func nodeLost(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || e.Severity != "ERROR" { // or else the coordinator itself speaks
		return false
	}
	return e.Code == "57P01" || e.Code == "57P02" || strings.Contains(e.Message, "connection marked as essential") ||
		strings.Contains(e.Message, "server closed the connection unexpectedly")
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

func outOfReach(err error) bool {
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

// connectionLost reports whether err says that an established connection is broken.
func connectionLost(err error) bool {
	if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting {
		return false
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, pgconn.ErrConnClosed)
}

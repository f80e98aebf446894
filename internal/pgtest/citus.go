package pgtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// citusEnv names the coordinator of a Citus cluster on which tests may create databases: the URL of a superuser, who can connect with it to
// every worker as well.
const citusEnv = "TEST_CITUS_URL"

// Citus is a new database on every node of a Citus cluster.
type Citus struct {
	// URL is that of the database on the coordinator.
	URL   string
	nodes []citusNode // workers
}

type citusNode struct {
	host   string
	port   int
	server string // the URL of another database on the node
	name   string // of the database
}

// database is the URL of the database on the node.
func (n citusNode) database(t testing.TB) string {
	t.Helper()
	return withDatabase(t, n.server, n.name)
}

// NewCitus creates a database on every node of the cluster of TEST_CITUS_URL, in which the nodes know each other, and the coordinator is one
// of them where it is registered. The database is removed when the test ends. The test is skipped where the variable is not set.
func NewCitus(t testing.TB, registered bool) *Citus {
	t.Helper()
	base := os.Getenv(citusEnv)
	if base == "" {
		t.Skipf("NOT RUN ON CITUS: %s names no coordinator", citusEnv)
	}
	coordinator := Connect(t, base)
	name := create(t, coordinator)
	t.Cleanup(func() { drop(t, coordinator, name) })
	c := &Citus{URL: withDatabase(t, base, name)}
	db := Connect(t, c.URL)
	// Whoever drops the database on one node while it is a member of the cluster may have to wait for the others.
	t.Cleanup(func() { forget(t, db) })
	mustExecute(t, db, "CREATE EXTENSION citus")
	if registered {
		host, port := addressOf(t, base)
		mustExecute(t, db, "SELECT citus_set_coordinator_host($1, $2)", host, port)
	}
	for _, node := range workers(t, coordinator) {
		node.server, node.name = withAddress(t, base, node.host, node.port), name
		worker := Connect(t, node.server)
		mustExecute(t, worker, "CREATE DATABASE "+name)
		t.Cleanup(func() { drop(t, worker, name) })
		inside := Connect(t, node.database(t))
		t.Cleanup(func() { forget(t, inside) })
		mustExecute(t, inside, "CREATE EXTENSION citus")
		mustExecute(t, db, "SELECT citus_add_node($1, $2)", node.host, node.port)
		c.nodes = append(c.nodes, node)
	}
	if len(c.nodes) == 0 {
		t.Fatalf("the coordinator of %s has no worker", citusEnv)
	}
	return c
}

// drop removes a database of a node. The daemon of Citus holds it for as long as it waits for another node, whose database may be dropped at
// that time. PostgreSQL gives up after five seconds.
func drop(t testing.TB, db *sql.DB, name string) {
	t.Helper()
	for try := 1; ; try++ {
		_, err := db.ExecContext(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)")
		if inUse, ok := errors.AsType[*pgconn.PgError](err); ok && inUse.Code == "55006" && try < 5 {
			continue
		}
		if err != nil {
			t.Error(err)
		}
		return
	}
}

// forget ends prepared transactions, which would keep a database from being dropped.
func forget(t testing.TB, db *sql.DB) {
	t.Helper()
	rows, err := db.QueryContext(context.Background(), "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")
	if err != nil {
		t.Error(err)
		return
	}
	defer rows.Close()
	var left []string
	for rows.Next() {
		var gid string
		if err := rows.Scan(&gid); err != nil {
			t.Error(err)
		}
		left = append(left, gid)
	}
	if err := rows.Err(); err != nil {
		t.Error(err)
	}
	for _, gid := range left {
		execute(t, db, "ROLLBACK PREPARED '"+gid+"'")
	}
}

func mustExecute(t testing.TB, db *sql.DB, statement string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// workers returns the nodes of the cluster apart from the coordinator.
func workers(t testing.TB, coordinator *sql.DB) (nodes []citusNode) {
	t.Helper()
	rows, err := coordinator.QueryContext(t.Context(), "SELECT nodename, nodeport FROM pg_dist_node WHERE isactive AND noderole = 'primary' AND groupid > 0 ORDER BY nodeid")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var node citusNode
		if err := rows.Scan(&node.host, &node.port); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, node)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return nodes
}

func addressOf(t testing.TB, base string) (host string, port int) {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	if port, err = strconv.Atoi(u.Port()); err != nil {
		port = 5432
	}
	return u.Hostname(), port
}

func withAddress(t testing.TB, base, host string, port int) string {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = net.JoinHostPort(host, strconv.Itoa(port))
	return u.String()
}

// Schema makes a schema of the database for one test, and returns the URL of the database with it. Tables that are distributed there have few
// shards, which is quick.
func (c *Citus) Schema(t testing.TB) string {
	t.Helper()
	db := Connect(t, c.URL)
	db.SetMaxIdleConns(0) // the coordinator keeps connections to a worker for each session, and those from before Down are broken
	name := "test_" + strings.ToLower(rand.Text())
	mustExecute(t, db, "CREATE SCHEMA "+name)
	t.Cleanup(func() {
		execute(t, db, "SET citus.multi_shard_modify_mode = 'sequential'; DROP SCHEMA "+name+" CASCADE")
	})
	u, err := url.Parse(c.URL)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("search_path", name)
	query.Set("citus.shard_count", "4")
	u.RawQuery = query.Encode()
	return u.String()
}

// SchemaOf returns the name of the schema in a URL of Schema.
func SchemaOf(database string) string {
	_, rest, _ := strings.Cut(database, "search_path=")
	name, _, _ := strings.Cut(rest, "&")
	return name
}

// Workers returns the URLs of the database on the workers.
func (c *Citus) Workers(t testing.TB) (urls []string) {
	t.Helper()
	for _, node := range c.nodes {
		urls = append(urls, node.database(t))
	}
	return urls
}

// Down makes a worker refuse every connection to the database, and ends those that there are, until up is called.
func (c *Citus) Down(t testing.TB, worker int) (up func()) {
	t.Helper()
	node := c.nodes[worker]
	db := Connect(t, node.server)
	allow := func(allowed bool) {
		mustExecute(t, db, fmt.Sprintf("ALTER DATABASE %s ALLOW_CONNECTIONS %t", node.name, allowed))
	}
	allow(false)
	mustExecute(t, db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", node.name)
	return func() { allow(true) }
}

package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

// Settings of the role that would harm a server are overridden on its connections.
func TestSettingsOfTheRole(t *testing.T) {
	cluster := pgtest.Start(t, pgtest.NoSync)
	raw := pgtest.Connect(t, cluster.URL("postgres"))
	_, err := raw.Exec(`CREATE DATABASE books`)
	storetest.Must(t, err)
	for _, setting := range []string{
		"synchronous_commit = off", "statement_timeout = '1s'", "idle_in_transaction_session_timeout = '1s'",
		"default_transaction_isolation = 'serializable'", "default_transaction_read_only = on",
	} {
		_, err := raw.Exec(`ALTER ROLE postgres SET ` + setting)
		storetest.Must(t, err)
	}
	s, d := open(t, cluster.URL("books"))
	org := storetest.CreateOrganization(t, s, "acme")
	storetest.Must(t, storetest.Post(t, s, org, "key"))
	storetest.WantBalance(t, s, org, 1, 1)
	for _, c := range []struct {
		pool          pool
		setting, want string
	}{
		{pool{d.writer}, "synchronous_commit", "on"},
		{pool{d.writer}, "statement_timeout", "0"},
		{pool{d.writer}, "idle_in_transaction_session_timeout", "5s"},
		{d.reads, "statement_timeout", "0"},
		{d.snapshots, "statement_timeout", "0"},
		{d.snapshots, "idle_in_transaction_session_timeout", "0"},
	} {
		var got string
		storetest.Must(t, c.pool.QueryRow(t.Context(), `SELECT current_setting($1)`, c.setting).Scan(&got))
		if got != c.want {
			t.Errorf("%s is %s, want %s", c.setting, got, c.want)
		}
	}
}

// A database that cannot store every text is refused before a table is made in it.
func TestEncoding(t *testing.T) {
	cluster := pgtest.Start(t, pgtest.NoSync)
	raw := pgtest.Connect(t, cluster.URL("postgres"))
	_, err := raw.Exec(`CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`)
	storetest.Must(t, err)
	d, err := Open(t.Context(), cluster.URL("latin"))
	if err == nil {
		storetest.Must(t, d.Close())
	}
	if !errors.Is(err, billing.ErrInvalid) || !strings.Contains(err.Error(), "LATIN1") || !strings.Contains(err.Error(), "UTF8") {
		t.Errorf("got %v", err)
	}
	if tables := storetest.Column[string](t, pgtest.Connect(t, cluster.URL("latin")), `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`); len(tables) > 0 {
		t.Errorf("it made the tables %v", tables)
	}
}

// with adds a parameter to the URL of a database.
func with(t *testing.T, database, key, value string) string {
	t.Helper()
	u, err := url.Parse(database)
	storetest.Must(t, err)
	query := u.Query()
	query.Set(key, value)
	u.RawQuery = query.Encode()
	return u.String()
}

// A server answers the same in each mode of executing statements that transfers values in binary.
func TestExecModes(t *testing.T) {
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec"} {
		t.Run(mode, func(t *testing.T) {
			s, _ := open(t, with(t, pgtest.Database(t), "default_query_exec_mode", mode))
			org := storetest.CreateOrganization(t, s, "acme")
			for n := range 5 { // inserts of values and of arrays
				leases := make([]billing.Lease, n+1)
				for i := range leases {
					leases[i] = storetest.Lease()
				}
				storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), org, storetest.Record(leases...), storetest.Credit(12, fmt.Sprint(n))))...))
			}
			storetest.WantBalance(t, s, org, 15+5, -15*12+5*12)
			storetest.Must(t, storetest.Last(s.Breakdown(t.Context(), org, billing.Window{From: 0, To: billing.Day})))
			storetest.WantClean(t, s)
		})
	}
}

// The connections of all pools together are as many as the URL allows.
func TestPoolSizes(t *testing.T) {
	for _, c := range []struct {
		allowed                   int32
		citus                     bool
		reads, snapshots, writers int32
	}{
		{0, false, 16, 8, 2}, {3, false, 1, 1, 1}, {4, false, 2, 1, 1}, {13, false, 8, 4, 1}, {25, false, 16, 8, 1}, {26, false, 16, 8, 2}, {100, false, 16, 8, 2},
		{0, true, 16, 8, 16}, {3, true, 1, 1, 1}, {4, true, 2, 1, 1}, {10, true, 4, 2, 4}, {40, true, 16, 8, 16}, {100, true, 16, 8, 16},
	} {
		database := "postgres://db/books"
		if c.allowed > 0 {
			database = with(t, database, "pool_max_conns", fmt.Sprint(c.allowed))
		}
		a, err := parse(database)
		storetest.Must(t, err)
		a.citus = c.citus
		if reads, snapshots, writers := a.sizes(); reads != c.reads || snapshots != c.snapshots || writers != c.writers {
			t.Errorf("of %d connections, %d are for reads, %d for snapshots and %d for writes; want %d, %d and %d",
				c.allowed, reads, snapshots, writers, c.reads, c.snapshots, c.writers)
		}
	}
}

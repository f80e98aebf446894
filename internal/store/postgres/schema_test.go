package postgres

import (
	"errors"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

// No schema hides the books of a running server: neither a new one with the name of the role, which comes first in the usual search_path,
// nor another search_path. A server that starts then finds the books or says where they are, and makes no others.
func TestSchemaOfTheBooks(t *testing.T) {
	cluster := pgtest.Start(t, pgtest.NoSync)
	admin := pgtest.Connect(t, cluster.URL("postgres"))
	for i, pooled := range []bool{false, true} {
		name := []string{"direct", "pooled"}[i]
		t.Run(name, func(t *testing.T) {
			_, err := admin.Exec(`CREATE DATABASE ` + name)
			storetest.Must(t, err)
			raw := pgtest.Connect(t, cluster.URL(name))
			raw.SetMaxIdleConns(-1) // because works ends connections
			execute := func(text string) {
				t.Helper()
				_, err := raw.Exec(text)
				storetest.Must(t, err)
			}
			url := cluster.URL(name)
			if pooled {
				url = cluster.Pooler(t, name)
			}
			s, d := open(t, url)
			org := storetest.CreateOrganization(t, s, "acme")
			works := func(what string, key string) {
				t.Helper()
				// New connections have the new settings.
				_, err := admin.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()`, name)
				storetest.Must(t, err)
				storetest.Eventually(t, "the connections to be back", func() bool { return storetest.Post(t, s, org, key) == nil })
				window := billing.Window{From: 0, To: billing.Day}
				if err := errors.Join(storetest.Second(s.Head(t.Context(), org)), storetest.Second(s.Usage(t.Context(), org, window)),
					storetest.Last(s.Breakdown(t.Context(), org, window)), storetest.First(s.Write(t.Context(), org, storetest.Record(storetest.Lease())))[0]); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				storetest.WantClean(t, s)
			}
			refused := func(what, says string) {
				t.Helper()
				for _, opening := range []driver.Opening{{}, {Create: true}, {Create: true, BesideOthers: true}} {
					var err error
					storetest.Eventually(t, "the pooler to be back", func() bool {
						var d *Database
						if d, err = OpenWith(t.Context(), url, opening); err == nil {
							storetest.Must(t, d.Close())
						}
						return !hasCode(err, "57P01")
					})
					if !errors.Is(err, billing.ErrInvalid) || !strings.Contains(err.Error(), says) {
						t.Errorf("%s: it says %v; want %q", what, err, says)
					}
				}
			}
			execute(`CREATE SCHEMA postgres`) // the name of the role
			works("an empty schema before that of the books", "1")
			again, err := OpenWith(t.Context(), cluster.URL(name), driver.Opening{})
			storetest.Must(t, err)
			storetest.Must(t, again.Close())

			execute(`CREATE SCHEMA elsewhere; ALTER DATABASE ` + name + ` SET search_path = elsewhere`)
			works("another search_path", "2")
			refused("another search_path", "in the schema public, which is not in the search_path elsewhere")
			execute(`ALTER DATABASE ` + name + ` SET search_path = missing`)
			works("a search_path to nothing", "3")
			execute(`ALTER DATABASE ` + name + ` RESET search_path`)

			execute(`CREATE TABLE postgres.goose_db_version (version_id BIGINT, is_applied BOOLEAN); CREATE TABLE postgres.organizations (LIKE public.organizations);
				CREATE TABLE postgres.ledger_heads (LIKE public.ledger_heads); CREATE TABLE postgres.ledger_entries (LIKE public.ledger_entries)`)
			works("other books before the books", "4")
			refused("two books", "the schemas postgres and public of the search_path have books")
			if tables := storetest.Column[string](t, raw, `SELECT schemaname FROM pg_tables WHERE tablename = 'leases'`); len(tables) != 1 {
				t.Errorf("there are leases in %v", tables)
			}
			if d.address.schema != "public" {
				t.Errorf("the books are in %s", d.address.schema)
			}
		})
	}
}

func TestSearchPathToNothing(t *testing.T) {
	database := pgtest.Database(t)
	_, err := Open(t.Context(), with(t, database, "search_path", "missing"))
	if !errors.Is(err, billing.ErrInvalid) || !strings.Contains(err.Error(), "the search_path missing names no schema that exists") {
		t.Errorf("it says %v", err)
	}
	open(t, database)
	_, err = Open(t.Context(), with(t, database, "search_path", "missing"))
	if !errors.Is(err, billing.ErrInvalid) || !strings.Contains(err.Error(), "in the schema public, which is not in the search_path missing") {
		t.Errorf("with books elsewhere it says %v", err)
	}
}

// The coordinator of a Citus cluster cannot execute a statement that changes a distributed table in one call with others.
func TestMigrationsSendOneStatementACall(t *testing.T) {
	cluster := pgtest.Start(t, pgtest.NoSync) // whose superuser may make event triggers
	raw := pgtest.Connect(t, cluster.URL("postgres"))
	_, err := raw.Exec(`CREATE SCHEMA observer;
		CREATE TABLE observer.statements (call TEXT NOT NULL);
		CREATE FUNCTION observer.observe() RETURNS event_trigger LANGUAGE plpgsql AS $$
			BEGIN INSERT INTO observer.statements VALUES (current_query()); END $$;
		CREATE EVENT TRIGGER observe ON ddl_command_start EXECUTE FUNCTION observer.observe()`)
	storetest.Must(t, err)
	open(t, cluster.URL("postgres"))
	calls := storetest.Column[string](t, raw, `SELECT call FROM observer.statements`)
	if len(calls) < 20 {
		t.Errorf("it observed only %q", calls)
	}
	for _, call := range storetest.Column[string](t, raw, `SELECT call FROM observer.statements GROUP BY call HAVING count(*) > 1`) {
		t.Errorf("one call has several statements:\n%s", call)
	}
}

func TestQualify(t *testing.T) {
	q := newQualifier(`my "$1`)
	for text, want := range map[string]string{
		`SELECT slug FROM organizations WHERE org_id = $1 FOR UPDATE`:                                        `SELECT slug FROM "my ""$1".organizations WHERE org_id = $1 FOR UPDATE`,
		`SELECT 1 FROM token_organizations JOIN organizations USING (id)`:                                    `SELECT 1 FROM "my ""$1".token_organizations JOIN "my ""$1".organizations USING (id)`,
		`INSERT INTO usage_sums (x) VALUES ($1) ON CONFLICT (x) DO UPDATE SET x = usage_sums.x + excluded.x`: `INSERT INTO "my ""$1".usage_sums (x) VALUES ($1) ON CONFLICT (x) DO UPDATE SET x = usage_sums.x + excluded.x`,
		`UPDATE ledger_heads SET seq = 1`:                                                                    `UPDATE "my ""$1".ledger_heads SET seq = 1`,
		`FETCH 5 FROM started`:                                                                               `FETCH 5 FROM started`,
	} {
		for range 2 {
			if got := q.qualify(text); got != want {
				t.Errorf("it writes %s\nwant %s", got, want)
			}
		}
	}
}

package postgres

import (
	"database/sql"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

// standInCitus makes the functions of Citus that Distribute uses, with the same types. They record their calls and do not distribute
// anything. Like the functions of Citus, they refuse a table that is distributed already, or that refers to a table that is not
// distributed yet.
func standInCitus(t *testing.T, database string) *sql.DB {
	t.Helper()
	db := pgtest.Connect(t, database)
	for _, text := range []string{
		`CREATE TABLE pg_dist_partition (logicalrelid regclass PRIMARY KEY)`,
		`CREATE TABLE calls (number BIGINT GENERATED ALWAYS AS IDENTITY, call TEXT NOT NULL)`,
		`CREATE TYPE distribution_type AS ENUM ('hash', 'range', 'append')`,
		`CREATE FUNCTION stand_in_spread(table_name regclass, call text) RETURNS void LANGUAGE plpgsql AS $$
			BEGIN
				IF current_setting('citus.enable_unsafe_triggers', true) IS DISTINCT FROM 'on' THEN
					RAISE EXCEPTION 'triggers are not supported on distributed tables';
				END IF;
				IF EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = table_name AND NOT tgisinternal AND tgtype & 1 = 0) THEN
					RAISE EXCEPTION '% has a trigger that is not of a row', table_name;
				END IF;
				IF EXISTS (SELECT 1 FROM pg_constraint WHERE conrelid = table_name AND contype = 'f' AND confrelid <> table_name
						AND confrelid NOT IN (SELECT logicalrelid FROM pg_dist_partition)) THEN
					RAISE EXCEPTION '% refers to a table that is not distributed', table_name;
				END IF;
				INSERT INTO pg_dist_partition VALUES (table_name);
				INSERT INTO calls (call) VALUES (call);
			END $$`,
		`CREATE FUNCTION create_reference_table(table_name regclass) RETURNS void LANGUAGE sql AS $$
			SELECT stand_in_spread(table_name, 'reference ' || table_name) $$`,
		`CREATE FUNCTION create_distributed_table(table_name regclass, distribution_column text,
				distribution_type distribution_type DEFAULT 'hash', colocate_with text DEFAULT 'default', shard_count int DEFAULT NULL)
			RETURNS void LANGUAGE sql AS $$
			SELECT stand_in_spread(table_name, 'distributed ' || table_name || ' by ' || distribution_column) $$`,
	} {
		if _, err := db.Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return db
}

func TestDistribute(t *testing.T) {
	database := pgtest.Database(t)
	s, d := open(t, database)
	storetest.CreateOrganization(t, s, "acme")
	db := standInCitus(t, database)
	spread, err := d.Distribute(t.Context())
	storetest.Must(t, err)
	all := []string{"organizations", "tokens", "token_organizations", "ledger_heads", "leases", "ledger_entries", "usage_sums"}
	if !slices.Equal(spread, all) {
		t.Errorf("spread %v; want %v", spread, all)
	}
	calls := storetest.Column[string](t, db, `SELECT call FROM calls ORDER BY number`)
	want := []string{
		"reference organizations", "reference tokens", "reference token_organizations",
		"distributed ledger_heads by org_id", "distributed leases by org_id", "distributed ledger_entries by org_id",
		"distributed usage_sums by org_id",
	}
	if !slices.Equal(calls, want) {
		t.Errorf("the calls are\n%s\nwant\n%s", strings.Join(calls, "\n"), strings.Join(want, "\n"))
	}
	// No table is left out.
	tables := storetest.Column[string](t, db, `SELECT tablename FROM pg_tables WHERE schemaname = 'public'
		AND tablename NOT IN ('goose_db_version', 'pg_dist_partition', 'calls')`)
	if slices.Sort(tables); !slices.Equal(tables, slices.Sorted(slices.Values(all))) {
		t.Errorf("the tables are %v", tables)
	}

	spread, err = d.Distribute(t.Context())
	storetest.Must(t, err)
	if after := storetest.Column[string](t, db, `SELECT call FROM calls ORDER BY number`); len(spread) != 0 || !slices.Equal(after, calls) {
		t.Errorf("the second time it spread %v", spread)
	}
}

// A run that stopped halfway is finished by the next.
func TestDistributeResumes(t *testing.T) {
	database := pgtest.Database(t)
	_, d := open(t, database)
	db := standInCitus(t, database)
	_, err := db.Exec(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a node is down'; END $$;`)
	storetest.Must(t, err)
	_, err = db.Exec(`CREATE TRIGGER down BEFORE INSERT ON pg_dist_partition FOR EACH ROW WHEN (NEW.logicalrelid = 'leases'::regclass) EXECUTE FUNCTION refuse()`)
	storetest.Must(t, err)
	spread, err := d.Distribute(t.Context())
	if err == nil || !strings.Contains(err.Error(), "spread leases") || !strings.Contains(err.Error(), "a node is down") {
		t.Errorf("it says %v", err)
	}
	if want := []string{"organizations", "tokens", "token_organizations", "ledger_heads"}; !slices.Equal(spread, want) {
		t.Errorf("spread %v; want %v", spread, want)
	}
	_, err = db.Exec(`DROP TRIGGER down ON pg_dist_partition`)
	storetest.Must(t, err)
	spread, err = d.Distribute(t.Context())
	storetest.Must(t, err)
	if want := []string{"leases", "ledger_entries", "usage_sums"}; !slices.Equal(spread, want) {
		t.Errorf("spread %v; want %v", spread, want)
	}
}

func TestDistributeWithoutCitus(t *testing.T) {
	_, d := open(t, pgtest.Database(t))
	_, err := d.Distribute(t.Context())
	if !errors.Is(err, billing.ErrInvalid) || !strings.Contains(err.Error(), "CREATE EXTENSION citus") {
		t.Errorf("got %v", err)
	}
}

// A server keeps its plans, unless Citus must see the parameters of each.
func TestPlansAreKeptWithoutCitus(t *testing.T) {
	database := pgtest.Database(t)
	mode := func() (mode string) {
		t.Helper()
		_, d := open(t, database)
		storetest.Must(t, d.writer.QueryRow(t.Context(), `SHOW plan_cache_mode`).Scan(&mode))
		return mode
	}
	if got := mode(); got != "force_generic_plan" {
		t.Errorf("without Citus the mode is %s", got)
	}
	standInCitus(t, database)
	if got := mode(); got != "auto" {
		t.Errorf("with Citus the mode is %s", got)
	}
}

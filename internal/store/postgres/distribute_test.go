package postgres

import (
	"database/sql"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

// standInCitus makes the functions of Citus that Distribute uses, with the same types. They record their calls and do not distribute
// anything. Like the functions of Citus, they refuse a table that is distributed already, and one with a foreign key from or to a table
// that is not distributed.
func standInCitus(t *testing.T, database string) *sql.DB {
	t.Helper()
	db := pgtest.Connect(t, database)
	for _, text := range []string{
		`CREATE TABLE pg_dist_partition (logicalrelid regclass PRIMARY KEY, partmethod "char" NOT NULL, partkey text, colocationid int NOT NULL,
			repmodel "char" NOT NULL)`,
		`CREATE TABLE calls (number BIGINT GENERATED ALWAYS AS IDENTITY, call TEXT NOT NULL)`,
		`CREATE TYPE distribution_type AS ENUM ('hash', 'range', 'append')`,
		`CREATE FUNCTION column_to_column_name(table_name regclass, column_var_text text) RETURNS text LANGUAGE sql AS $$ SELECT column_var_text $$`,
		`CREATE FUNCTION stand_in_spread(table_name regclass, call text) RETURNS void LANGUAGE plpgsql AS $$
			BEGIN
				IF current_setting('citus.enable_unsafe_triggers', true) IS DISTINCT FROM 'on' THEN
					RAISE EXCEPTION 'triggers are not supported on distributed tables';
				END IF;
				IF current_setting('citus.multi_shard_modify_mode', true) IS DISTINCT FROM 'sequential' THEN
					RAISE EXCEPTION 'cannot execute parallel DDL';
				END IF;
				IF EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND (conrelid = table_name OR confrelid = table_name)) THEN
					RAISE EXCEPTION '% has a foreign key', table_name;
				END IF;
				INSERT INTO calls (call) VALUES (call);
			END $$`,
		`CREATE FUNCTION create_reference_table(table_name regclass) RETURNS void LANGUAGE sql AS $$
			SELECT stand_in_spread(table_name, 'reference ' || table_name);
			INSERT INTO pg_dist_partition VALUES (table_name, 'n', NULL, 1, 't') $$`,
		`CREATE FUNCTION create_distributed_table(table_name regclass, distribution_column text,
				distribution_type distribution_type DEFAULT 'hash', colocate_with text DEFAULT 'default', shard_count int DEFAULT NULL)
			RETURNS void LANGUAGE sql AS $$
			SELECT stand_in_spread(table_name, 'distributed ' || table_name || ' by ' || distribution_column || ' with ' || colocate_with);
			INSERT INTO pg_dist_partition VALUES (table_name, 'h', distribution_column,
				CASE colocate_with WHEN 'none' THEN table_name::oid::int ELSE (SELECT colocationid FROM pg_dist_partition
					WHERE logicalrelid = colocate_with::regclass) END, 's') $$`,
		`CREATE FUNCTION undistribute_table(table_name regclass) RETURNS void LANGUAGE sql AS $$
			INSERT INTO calls (call) VALUES ('undistribute ' || table_name);
			DELETE FROM pg_dist_partition WHERE logicalrelid = table_name $$`,
		`CREATE FUNCTION run_command_on_shards(table_name regclass, command text) RETURNS TABLE (shardid bigint, success bool, result text)
			LANGUAGE sql AS $$ SELECT 1::bigint, true, '1' $$`,
		`CREATE FUNCTION truncate_local_data_after_distributing_table(table_name regclass) RETURNS void LANGUAGE sql AS ''`,
	} {
		if _, err := db.Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return db
}

// calls returns the calls of the stand-in since the last time.
func calls(t *testing.T, db *sql.DB) []string {
	t.Helper()
	calls := storetest.Column[string](t, db, `SELECT call FROM calls ORDER BY number`)
	_, err := db.Exec(`DELETE FROM calls`)
	storetest.Must(t, err)
	return calls
}

// constraints describes the foreign keys and triggers of the tables.
func constraints(t *testing.T, db *sql.DB) []string {
	t.Helper()
	return append(storetest.Column[string](t, db, `SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
			WHERE contype = 'f' AND conrelid = ANY($1::text[]::regclass[]) ORDER BY 1`, allTables),
		storetest.Column[string](t, db, `SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
			AND tgrelid = ANY($1::text[]::regclass[]) ORDER BY 1`, allTables)...)
}

func TestDistribute(t *testing.T) {
	database := pgtest.Database(t)
	s, d := open(t, database)
	storetest.CreateOrganization(t, s, "acme")
	db := standInCitus(t, database)
	before := constraints(t, db)
	distribution, err := d.Distribute(t.Context())
	storetest.Must(t, err)
	all := []string{"organizations", "tokens", "token_organizations", "rate_cards", "ledger_heads", "leases", "ledger_entries", "usage_sums",
		"usage_progress", "usage_values", "usage_groups"}
	if !slices.Equal(distribution.Spread, all) {
		t.Errorf("spread %v; want %v", distribution.Spread, all)
	}
	want := []string{
		"reference organizations", "reference tokens", "reference token_organizations", "reference rate_cards",
		"distributed ledger_heads by org_id with none", "distributed leases by org_id with ledger_heads",
		"distributed ledger_entries by org_id with ledger_heads", "distributed usage_sums by org_id with ledger_heads",
		"distributed usage_progress by org_id with ledger_heads", "distributed usage_values by org_id with ledger_heads",
		"distributed usage_groups by org_id with ledger_heads",
	}
	if got := calls(t, db); !slices.Equal(got, want) {
		t.Errorf("the calls are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if after := constraints(t, db); !slices.Equal(after, before) {
		t.Errorf("the keys and triggers are\n%s\nwant\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
	}
	// No table is left out.
	tables := storetest.Column[string](t, db, `SELECT tablename FROM pg_tables WHERE schemaname = 'public'
		AND tablename NOT IN ('goose_db_version', 'pg_dist_partition', 'calls')`)
	if slices.Sort(tables); !slices.Equal(tables, slices.Sorted(slices.Values(all))) {
		t.Errorf("the tables are %v", tables)
	}

	distribution, err = d.Distribute(t.Context())
	storetest.Must(t, err)
	if got := calls(t, db); len(distribution.Spread) != 0 || len(got) != 0 {
		t.Errorf("the second time it spread %v with the calls %v", distribution.Spread, got)
	}
}

// A table that is spread in another way is spread anew, and so is one that Citus only knows.
func TestDistributeWhatIsSpreadOtherwise(t *testing.T) {
	database := pgtest.Database(t)
	_, d := open(t, database)
	db := standInCitus(t, database)
	_, err := d.Distribute(t.Context())
	storetest.Must(t, err)
	calls(t, db)
	for state, want := range map[string][]string{
		`partmethod = 'n', repmodel = 's', partkey = NULL, colocationid = 0`: {"undistribute", "distributed"}, // a local table of Citus
		`colocationid = 7`:       {"undistribute", "distributed"},
		`partkey = 'lease_id'`:   {"undistribute", "distributed"},
		`partmethod = 'r'`:       {"undistribute", "distributed"},
		`logicalrelid = 'calls'`: {"distributed"},
	} {
		_, err := db.Exec(`UPDATE pg_dist_partition SET ` + state + ` WHERE logicalrelid = 'leases'::regclass`)
		storetest.Must(t, err)
		distribution, err := d.Distribute(t.Context())
		storetest.Must(t, err)
		var got []string
		for _, call := range calls(t, db) {
			verb, rest, _ := strings.Cut(call, " ")
			got = append(got, verb)
			if verb == "distributed" && rest != "leases by org_id with ledger_heads" {
				t.Errorf("%s: the call is %s", state, call)
			}
		}
		if !slices.Equal(got, want) || !slices.Equal(distribution.Spread, []string{"leases"}) {
			t.Errorf("%s: spread %v with the calls %v; want %v", state, distribution.Spread, got, want)
		}
		_, err = db.Exec(`DELETE FROM pg_dist_partition WHERE logicalrelid = 'calls'::regclass`)
		storetest.Must(t, err)
	}
}

// Where Citus says that it has spread a table and has not, the result is an error that names the table.
func TestDistributeReadsTheResult(t *testing.T) {
	database := pgtest.Database(t)
	_, d := open(t, database)
	db := standInCitus(t, database)
	_, err := db.Exec(`CREATE OR REPLACE FUNCTION create_reference_table(table_name regclass) RETURNS void LANGUAGE sql AS $$
		INSERT INTO pg_dist_partition VALUES (table_name, 'n', NULL, 0, 's') $$`)
	storetest.Must(t, err)
	distribution, err := d.Distribute(t.Context())
	if err == nil || !strings.Contains(err.Error(), "tokens is only on the coordinator, as a local table of Citus") || strings.Contains(err.Error(), "leases") {
		t.Errorf("it says %v", err)
	}
	if len(distribution.Tables) != 11 || distribution.Tables[0].AsWanted || !distribution.Tables[4].AsWanted {
		t.Errorf("it says %+v", distribution.Tables)
	}
}

// A run that fails leaves everything as it was, and the next one does it all.
func TestDistributeFails(t *testing.T) {
	database := pgtest.Database(t)
	_, d := open(t, database)
	db := standInCitus(t, database)
	before := constraints(t, db)
	_, err := db.Exec(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a node is down'; END $$;`)
	storetest.Must(t, err)
	_, err = db.Exec(`CREATE TRIGGER down BEFORE INSERT ON pg_dist_partition FOR EACH ROW WHEN (NEW.logicalrelid = 'leases'::regclass) EXECUTE FUNCTION refuse()`)
	storetest.Must(t, err)
	distribution, err := d.Distribute(t.Context())
	if err == nil || !strings.Contains(err.Error(), "spread leases") || !strings.Contains(err.Error(), "a node is down") || len(distribution.Spread) > 0 {
		t.Errorf("it spread %v and says %v", distribution.Spread, err)
	}
	_, err = db.Exec(`DROP TRIGGER down ON pg_dist_partition`)
	storetest.Must(t, err)
	if n := storetest.Column[int](t, db, `SELECT count(*) FROM pg_dist_partition`)[0]; n != 0 || !slices.Equal(constraints(t, db), before) {
		t.Errorf("%d tables are distributed, and there are\n%s", n, strings.Join(constraints(t, db), "\n"))
	}
	distribution, err = d.Distribute(t.Context())
	storetest.Must(t, err)
	if len(distribution.Spread) != 11 {
		t.Errorf("spread %v", distribution.Spread)
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

// A coordinator that has lost its connection to another node makes a new one when it is asked again, so nobody notices.
func TestLostNodeIsAskedAgain(t *testing.T) {
	database := pgtest.Database(t)
	_, d := open(t, database)
	raw := pgtest.Connect(t, database)
	_, err := raw.Exec(`CREATE FUNCTION ask(times INT, code TEXT, message TEXT) RETURNS BIGINT LANGUAGE plpgsql AS $$
		DECLARE asked INT := (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory');
		BEGIN
			IF asked < times THEN
				PERFORM pg_advisory_lock(asked); -- which stays after the error
				RAISE EXCEPTION '%', message USING ERRCODE = code;
			END IF;
			RETURN asked;
		END $$`)
	storetest.Must(t, err)
	const lost = `SELECT ask(1, 'XX000', 'failure on connection marked as essential: 10.0.0.1:5432')`
	ignore := func(*driver.Row) error { return nil }
	unlock := func(p *pgxpool.Pool) {
		t.Helper()
		_, err := p.Exec(t.Context(), `SELECT pg_advisory_unlock_all()`)
		storetest.Must(t, err)
	}
	storetest.Must(t, d.Query(t.Context(), lost, nil, ignore))
	unlock(d.reads.Pool)
	storetest.Must(t, d.Snapshot(t.Context(), func(s driver.Snapshot) error { return s.Query(t.Context(), lost, nil, ignore) }))
	unlock(d.snapshots.Pool)
	rows := 0
	if err := d.Snapshot(t.Context(), func(s driver.Snapshot) error {
		if err := s.Query(t.Context(), `SELECT 1`, nil, func(*driver.Row) error { rows++; return nil }); err != nil {
			return err
		}
		return s.Query(t.Context(), lost, nil, ignore)
	}); d.Classify(err) != driver.Unavailable || rows != 1 {
		t.Errorf("after %d rows it says %v", rows, err)
	}
	unlock(d.snapshots.Pool)

	for text, want := range map[string]driver.Failure{
		lost: driver.Conflict,
		`SELECT ask(1, '57P01', 'terminating connection due to administrator command')`:                       driver.Conflict,
		`SELECT ask(1, '0A000', 'could not create distributed plan')`:                                         driver.Conflict,
		`SELECT ask(1, '08006', 'connection to the remote node failed: Connection refused')`:                  driver.Unavailable,
		`SELECT ask(1, 'XX000', 'could not commit transaction for shard 102019 on at least one active node')`: driver.Unavailable,
		`SELECT ask(1, 'XX000', 'something else')`:                                                            driver.Other,
	} {
		err := d.Write(t.Context(), func(tx driver.Tx) error {
			tx.Query(text, nil, ignore)
			return tx.Run(t.Context())
		})
		if err == nil || d.Classify(err) != want {
			t.Errorf("%s: %v is classified as %d; want %d", text, err, d.Classify(err), want)
		}
		unlock(d.writer)
	}
}

package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
	"github.com/harmont-dev/harmont-billing/internal/store/postgres"
	"github.com/harmont-dev/harmont-billing/internal/store/sqlite"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

func TestPostgreSQL(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() billing.Store {
		database := pgtest.WithTables(t)
		return func() billing.Store { return open(t, database) }
	})
}

// tableColumn is one column of one table. The type is that of SQLite. PostgreSQL has more types for the same values.
type tableColumn struct {
	Table, Name, Type string
	NotNull           bool
}

// key is an index or a foreign key.
type key struct{ Table, Name, First string }

func sqliteColumns(t *testing.T, db *sql.DB) (columns []tableColumn) {
	t.Helper()
	storetest.Query(t, db, `SELECT t.name, c.name, c.type, c."notnull" FROM pragma_table_list t, pragma_table_info(t.name) c
		WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name <> 'goose_db_version'
		ORDER BY t.name, c.cid`, nil, func(rows *sql.Rows) error {
		var c tableColumn
		err := rows.Scan(&c.Table, &c.Name, &c.Type, &c.NotNull)
		columns = append(columns, c)
		return err
	})
	return columns
}

func postgresColumns(t *testing.T, db *sql.DB) (columns []tableColumn) {
	t.Helper()
	storetest.Query(t, db, `SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> 'goose_db_version'
		ORDER BY c.relname COLLATE "C", a.attnum`, nil, func(rows *sql.Rows) error {
		var c tableColumn
		err := rows.Scan(&c.Table, &c.Name, &c.Type, &c.NotNull)
		same := map[string]string{"uuid": "BLOB", "bytea": "BLOB", "text": "TEXT", "bigint": "INTEGER"}
		c.Type = cmp.Or(same[c.Type], c.Type)
		columns = append(columns, c)
		return err
	})
	return columns
}

func TestDialectsHaveTheSameTables(t *testing.T) {
	file, database := newFile(t), pgtest.Database(t)
	open(t, file)
	open(t, database)
	sqlite, postgres := sqliteColumns(t, openRaw(t, file)), postgresColumns(t, pgtest.Connect(t, database))
	if len(sqlite) < 50 {
		t.Errorf("SQLite has %d columns", len(sqlite))
	}
	if diff := gocmp.Diff(sqlite, postgres); diff != "" {
		t.Errorf("SQLite (-) and PostgreSQL (+) differ:\n%s", diff)
	}
}

// Every column of a table has a field, and every field a column of its type.
func TestColumnsAreThoseOfTheFields(t *testing.T) {
	file := newFile(t)
	open(t, file)
	raw := openRaw(t, file)
	hasColumns(t, raw, &organizationTable.Table)
	hasColumns(t, raw, &tokenTable.Table)
	hasColumns(t, raw, &headTable.Table)
	hasColumns(t, raw, &leaseTable.Table)
	hasColumns(t, raw, &entryTable.Table)
	hasColumns(t, raw, &sumTable.Table)
}

func hasColumns(t *testing.T, raw *sql.DB, table *driver.Table) {
	t.Helper()
	types := map[driver.Type]string{driver.UUID: "BLOB", driver.Bytea: "BLOB", driver.Text: "TEXT", driver.Bigint: "INTEGER"}
	want := map[string]string{}
	for _, column := range table.Columns {
		want[column.Name] = types[column.Type]
	}
	storetest.Query(t, raw, `SELECT name, type FROM pragma_table_info($1)`, []any{table.Name}, func(rows *sql.Rows) error {
		var name, kind string
		err := rows.Scan(&name, &kind)
		if want[name] != kind {
			t.Errorf("%s.%s is of type %s, its field of type %q", table.Name, name, kind, want[name])
		}
		delete(want, name)
		return err
	})
	for name := range want {
		t.Errorf("%s has no column %s", table.Name, name)
	}
}

func TestDialectsHaveTheSameMigrations(t *testing.T) {
	names := func(folder fs.FS) (names []string) {
		files, err := fs.Glob(folder, "migrations/*.sql")
		storetest.Must(t, err)
		for i, file := range files {
			names = append(names, path.Base(file))
			if want := fmt.Sprintf("migrations/%04d_", i+1); !strings.HasPrefix(file, want) {
				t.Errorf("%s: its name must begin with %s", file, want)
			}
		}
		return names
	}
	if s, p := names(sqlite.Migrations), names(postgres.Migrations); len(s) == 0 || !slices.Equal(s, p) {
		t.Errorf("the migrations are %v and %v", s, p)
	}
}

// The rows of an organization are found by their keys, also if PostgreSQL's statistics say that the organization has no rows. The same
// holds for rows that foreign keys refer to.
func TestPostgreSQLFindsRowsOfNewOrganizations(t *testing.T) {
	database := pgtest.Database(t)
	s, raw := open(t, database), pgtest.Connect(t, database)
	fill := func(slug string) billing.ID {
		org := storetest.CreateOrganization(t, s, slug)
		leases := make([]billing.Lease, 1000)
		for i := range leases {
			leases[i] = storetest.Lease()
			leases[i].BuildID = new(billing.NewID())
		}
		storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), org, storetest.Record(leases...)))...))
		return org
	}
	other := fill("acme")
	_, err := raw.Exec(`ANALYZE`)
	storetest.Must(t, err)
	org := fill("globex")

	plan := func(text string, args ...any) string {
		return strings.Join(storetest.Column[string](t, raw, `EXPLAIN `+text, args...), "\n")
	}
	var keys []any
	for range 32 {
		id := billing.NewID()
		keys = append(keys, id[:])
	}
	for _, lookup := range []struct{ columns, table, column string }{
		{leaseTable.columns, "leases", "lease_id"}, {leaseTable.columns, "leases", "job_id"},
		{entryTable.columns, "ledger_entries", "entry_id"}, {entryTable.columns, "ledger_entries", "lease_id"},
	} {
		find := driver.Find{Select: lookup.columns, Table: lookup.table, Column: lookup.column, Type: driver.UUID}
		for range 2 { // of one organization, and of two
			find.Orgs, find.Keys = append(find.Orgs, [][]byte{org[:], other[:]}[len(find.Orgs)]), append(find.Keys, keys)
			for text, args := range s.db.Find(find) {
				if got := plan(text, args...); !regexp.MustCompile(`Index Cond: \(\(org_id = .*\) AND \(` + lookup.column + ` = `).MatchString(got) {
					t.Errorf("%s of %s, of %d organizations: the plan is\n%s", lookup.column, lookup.table, len(find.Orgs), got)
				}
			}
		}
	}
	for _, source := range []billing.Source{"", billing.SourceRefund, billing.SourceVMLeaseDebit} {
		index := "ledger_entries_pkey"
		if source == billing.SourceRefund {
			index = "ledger_entries_by_source"
		}
		for _, oldestFirst := range []bool{false, true} {
			text, args := walkQuery(s.db, org, billing.EntryWalk{OldestFirst: oldestFirst, Past: 500, Source: source}, 10)
			if got := plan(text, args...); !strings.Contains(got, "using "+index) || strings.Contains(got, "Sort") {
				t.Errorf("the plan of entries from %q is\n%s", source, got)
			}
		}
	}
	if got := plan(creditSums(s.db), org[:], int64(0), int64(500)); !regexp.MustCompile(`ledger_entries_by_source(?s:.)*Index Cond: .*seq <= .*`).MatchString(got) {
		t.Errorf("the plan of the sums of credits is\n%s", got)
	}
	if got := plan(`SELECT 1 FROM leases WHERE org_id = $1 AND lease_id = $2`, org[:], keys[0]); !strings.Contains(got, "leases_pkey") {
		t.Errorf("the plan of a foreign key's check is\n%s", got)
	}
}

// The newest entries of a small ledger are few, also if PostgreSQL's statistics say that most ledgers are far longer, and it does not read all
// of the ledger's leases for them.
func TestPostgreSQLReadsNewestEntriesOfSmallLedger(t *testing.T) {
	database := pgtest.Database(t)
	s, raw := open(t, database), pgtest.Connect(t, database)
	large, small := storetest.CreateOrganization(t, s, "acme"), storetest.CreateOrganization(t, s, "globex")
	recordByMara(t, s, large, 9_000)
	recordByMara(t, s, small, 1_000)
	_, err := raw.Exec(`ANALYZE`)
	storetest.Must(t, err)
	plan := strings.Join(storetest.Column[string](t, raw, `EXPLAIN `+entriesAfter, small[:], int64(950), int64(1_000)), "\n")
	if !strings.Contains(plan, "Nested Loop") || strings.Contains(plan, "Seq Scan") {
		t.Errorf("the plan is\n%s", plan)
	}
}

// Keys and references of tables that are split over the nodes of a cluster hold only within an organization.
func TestKeysBeginWithTheOrganization(t *testing.T) {
	// Tables that are on every node.
	whole := []string{"goose_db_version", "organizations", "tokens", "token_organizations", "rate_cards"}
	split := []string{"ledger_heads", "leases", "ledger_entries", "usage_sums", "usage_progress", "usage_values", "usage_groups"}
	for _, d := range []struct {
		name string
		open func(*testing.T) *sql.DB
		keys string // table, name of the key, its first column
	}{
		{"SQLite", func(t *testing.T) *sql.DB {
			file := newFile(t)
			open(t, file)
			return openRaw(t, file)
		}, `SELECT t.name, 'index ' || i.name, c.name
			FROM pragma_table_list t, pragma_index_list(t.name) i, pragma_index_info(i.name) c
			WHERE t.schema = 'main' AND c.seqno = 0
			UNION ALL SELECT t.name, 'foreign key to ' || k."table", k."from"
			FROM pragma_table_list t, pragma_foreign_key_list(t.name) k WHERE t.schema = 'main' AND k.seq = 0
			UNION ALL SELECT t.name, 'key of ' || k."table" || ' that it refers to', k."to"
			FROM pragma_table_list t, pragma_foreign_key_list(t.name) k WHERE t.schema = 'main' AND k.seq = 0`},
		{"PostgreSQL", func(t *testing.T) *sql.DB {
			database := pgtest.Database(t)
			open(t, database)
			return pgtest.Connect(t, database)
		}, `SELECT c.relname, 'index ' || i.relname, coalesce(a.attname, 'an expression')
			FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
			LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[0]
			WHERE c.relnamespace = 'public'::regnamespace
			UNION ALL SELECT c.relname, 'foreign key to ' || f.relname, a.attname
			FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid
			JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
			WHERE k.contype = 'f' AND c.relnamespace = 'public'::regnamespace
			UNION ALL SELECT c.relname, 'key of ' || f.relname || ' that it refers to', a.attname
			FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid
			JOIN pg_attribute a ON a.attrelid = f.oid AND a.attnum = k.confkey[1]
			WHERE k.contype = 'f' AND c.relnamespace = 'public'::regnamespace`},
	} {
		t.Run(d.name, func(t *testing.T) {
			seen := map[string]int{}
			storetest.Query(t, d.open(t), d.keys, nil, func(rows *sql.Rows) error {
				var k key
				err := rows.Scan(&k.Table, &k.Name, &k.First)
				if seen[k.Table]++; !slices.Contains(whole, k.Table) && k.First != "org_id" {
					t.Errorf("%s: the %s begins with %s", k.Table, k.Name, k.First)
				}
				return err
			})
			// Every table has a primary key, and a split table refers to another one.
			for _, table := range split {
				if seen[table] < 3 {
					t.Errorf("%s has %d keys", table, seen[table])
				}
			}
			if len(seen) != len(whole)+len(split) && d.name == "PostgreSQL" {
				t.Errorf("there are other tables: %v", seen)
			}
		})
	}
}

// Servers that start together on a new database all succeed.
func TestPostgreSQLOpenedAtOnce(t *testing.T) {
	database := pgtest.Database(t)
	stores := make([]*Store, 10)
	errs := make([]error, len(stores))
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range stores {
		all.Go(func() {
			<-begin
			stores[i], errs[i] = openStore(t.Context(), database)
		})
	}
	close(begin)
	all.Wait()
	storetest.Must(t, errors.Join(errs...))
	org := storetest.CreateOrganization(t, stores[0], "acme")
	for i, s := range stores {
		storetest.Must(t, storetest.Post(t, s, org, fmt.Sprint(i)))
	}
	storetest.WantBalance(t, stores[3], org, 10, 10)
	for _, s := range stores {
		storetest.Must(t, s.Close())
	}
	versions := storetest.Column[int](t, pgtest.Connect(t, database), `SELECT version_id FROM goose_db_version WHERE version_id > 0`)
	slices.Sort(versions)
	if len(versions) == 0 || len(slices.Compact(slices.Clone(versions))) < len(versions) {
		t.Errorf("the migrations were applied as %v", versions)
	}
}

func TestPostgreSQLRefusesToChangeHistory(t *testing.T) {
	database := pgtest.Database(t)
	s := open(t, database)
	org := storetest.CreateOrganization(t, s, "acme")
	running := storetest.Lease()
	running.FinishedAt, running.DurationSeconds = nil, nil
	storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), org, storetest.Credit(100, "key"), storetest.Record(storetest.Lease(), running)))...))
	raw := pgtest.Connect(t, database)
	dump := func() []string {
		return append(storetest.Column[string](t, raw, `SELECT CAST(l AS TEXT) FROM leases l ORDER BY lease_id`),
			storetest.Column[string](t, raw, `SELECT CAST(e AS TEXT) FROM ledger_entries e UNION ALL SELECT CAST(c AS TEXT) FROM rate_cards c ORDER BY 1`)...)
	}
	before := dump()
	if len(before) != 5 {
		t.Fatalf("there are %d rows; want 5", len(before))
	}
	const (
		entries = `org_id, seq, entry_id, amount_cents, balance_after_cents, source, created_at, digest`
		refuse  = "append-only"
		keep    = "is kept"
		ids     = "keeps its ids"
		billed  = "does not change"
	)
	for _, c := range []struct{ text, says string }{
		{`UPDATE ledger_entries SET amount_cents = 1`, refuse},
		{`UPDATE ledger_entries SET description = 'x' WHERE seq = 1`, refuse},
		{`UPDATE ledger_entries SET digest = NULL`, refuse},
		{`UPDATE ledger_entries SET digest = sha256('') WHERE seq = 1`, refuse},
		{`DELETE FROM ledger_entries`, refuse},
		{`DELETE FROM ledger_entries WHERE seq = 2`, refuse},
		{`TRUNCATE ledger_entries`, refuse},
		{`TRUNCATE organizations CASCADE`, ""},
		{`INSERT INTO ledger_entries (` + entries + `) SELECT org_id, 2, gen_random_uuid(), 5, 5, 'refund', 0, sha256('') FROM organizations
			ON CONFLICT (org_id, seq) DO UPDATE SET amount_cents = 5`, refuse},
		{`INSERT INTO ledger_entries (` + entries + `) SELECT org_id, 2, gen_random_uuid(), 5, 5, 'refund', 0, sha256('') FROM organizations`, "duplicate key"},
		{`MERGE INTO ledger_entries e USING organizations o ON e.org_id = o.org_id WHEN MATCHED THEN DELETE`, refuse},
		{`UPDATE leases SET amount_cents = 0 WHERE finished_at IS NOT NULL`, billed},
		{`UPDATE leases SET job_name = 'x' WHERE finished_at IS NOT NULL`, billed},
		{`UPDATE leases SET finished_at = NULL, duration_seconds = NULL, amount_cents = NULL WHERE finished_at IS NOT NULL`, billed},
		{`UPDATE leases SET lease_id = gen_random_uuid() WHERE finished_at IS NULL`, ids},
		{`UPDATE leases SET job_id = gen_random_uuid() WHERE finished_at IS NULL`, ids},
		{`DELETE FROM leases WHERE finished_at IS NOT NULL`, keep},
		{`DELETE FROM leases WHERE finished_at IS NULL`, keep},
		{`TRUNCATE leases, ledger_entries`, ""},
		{`UPDATE rate_cards SET cpu_microcents = 1`, refuse},
		{`UPDATE rate_cards SET name = 'x'`, refuse},
		{`DELETE FROM rate_cards`, refuse},
		{`TRUNCATE rate_cards`, refuse},
		{`INSERT INTO rate_cards (card_id, seq, effective_from, name, created_at) SELECT card_id, 9, 0, 'x', 0 FROM rate_cards
			ON CONFLICT (card_id) DO UPDATE SET name = 'x'`, refuse},
		// A program of an earlier version does not know the card of a lease.
		{`INSERT INTO leases (org_id, lease_id, cpu_count, memory_gb, disk_gb, started_at) SELECT org_id, gen_random_uuid(), 1, 1, 1, 0 FROM organizations`, "leases_card_id_check"},
		{`DELETE FROM organizations`, "foreign key"},
		{`DELETE FROM ledger_heads`, "foreign key"},
	} {
		if _, err := raw.Exec(c.text); err == nil {
			t.Errorf("the database has executed %s", c.text)
		} else if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.text, err)
		}
	}
	if diff := gocmp.Diff(before, dump()); diff != "" {
		t.Errorf("the rows have changed:\n%s", diff)
	}
	storetest.Must(t, storetest.Post(t, s, org, "later"))
}

// raise is a statement that fails with a code.
func raise(code string) string {
	return `DO $$ BEGIN RAISE EXCEPTION 'for a test' USING ERRCODE = '` + code + `'; END $$`
}

func TestPostgreSQLErrors(t *testing.T) {
	s := open(t, pgtest.Database(t))
	for code, unavailable := range map[string]bool{
		"08006": true, // connection failure
		"53100": true, // disk full
		"53300": true, // too many connections
		"57P01": true, // shutdown
		"57P03": true, // starting up
		"57014": true, // cancelled by the administrator or a timeout
		"25006": true, // it has become a replica
		"55P03": true, // waited too long for a lock
		"58030": true, // I/O error
		"40P01": true, // deadlock, time and again
		"40001": true, // serialization failure, time and again
		"23505": false,
		"23514": false,
		"22003": false,
		"42P01": false,
		"XX001": false,
	} {
		tries := 0
		err := s.transact(t.Context(), func(tx driver.Tx) error {
			tries++
			tx.Exec(raise(code), nil)
			return tx.Run(context.Background())
		})
		if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != code || errors.Is(err, billing.ErrUnavailable) != unavailable {
			t.Errorf("%s is %v; unavailable: %v", code, err, errors.Is(err, billing.ErrUnavailable))
		}
		// 57P01 may come from a node of a cluster, which told a connection of the coordinator that it shuts down.
		if again := strings.HasPrefix(code, "40") || code == "57P01"; again != (tries > 1) {
			t.Errorf("%s: it was tried %d times", code, tries)
		}
	}
}

// If two transactions wait for each other, PostgreSQL ends one of them, and the store tries it again.
func TestPostgreSQLDeadlock(t *testing.T) {
	database := pgtest.Database(t)
	stores := []*Store{open(t, database), open(t, database)}
	orgs := []billing.ID{storetest.CreateOrganization(t, stores[0], "acme"), storetest.CreateOrganization(t, stores[0], "globex")}
	lock := func(tx driver.Tx, org billing.ID) error {
		tx.Exec(`UPDATE ledger_heads SET balance_cents = balance_cents + 1 WHERE org_id = $1`, []any{org[:]})
		return tx.Run(context.Background())
	}
	var holding, all sync.WaitGroup
	holding.Add(2)
	tries, errs := make([]int, 2), make([]error, 2)
	for i, s := range stores {
		all.Go(func() {
			errs[i] = s.transact(t.Context(), func(tx driver.Tx) error {
				if err := lock(tx, orgs[i]); err != nil {
					return err
				}
				if tries[i]++; tries[i] == 1 {
					holding.Done()
					holding.Wait()
				}
				return lock(tx, orgs[1-i])
			})
		})
	}
	all.Wait()
	storetest.Must(t, errors.Join(errs...))
	if tries[0]+tries[1] < 3 {
		t.Errorf("there were %v tries, so there was no deadlock", tries)
	}
	storetest.WantBalance(t, stores[0], orgs[0], 0, 2)
	storetest.WantBalance(t, stores[0], orgs[1], 0, 2)
}

// A transaction that cannot be put in order with another one is tried again.
func TestPostgreSQLSerializationFailure(t *testing.T) {
	database := pgtest.Database(t)
	s := open(t, database)
	org := storetest.CreateOrganization(t, s, "acme")
	raw := pgtest.Connect(t, database)
	tries := 0
	storetest.Must(t, s.transact(t.Context(), func(tx driver.Tx) error { // on its one connection, since the pool takes the last one used
		tx.Exec(`SET default_transaction_isolation = 'repeatable read'`, nil)
		return nil
	}))
	storetest.Must(t, s.transact(t.Context(), func(tx driver.Tx) error {
		tx.Exec(`SELECT * FROM ledger_heads`, nil)
		if err := tx.Run(context.Background()); err != nil {
			return err
		}
		if tries++; tries == 1 {
			if _, err := raw.Exec(`UPDATE ledger_heads SET balance_cents = balance_cents + 1`); err != nil {
				return err
			}
		}
		tx.Exec(`UPDATE ledger_heads SET balance_cents = balance_cents + 1`, nil)
		return nil
	}))
	if tries != 2 {
		t.Errorf("there were %d tries", tries)
	}
	storetest.WantBalance(t, s, org, 0, 2)
}

// A migration that waits for a transaction to end does not keep that transaction from ending.
func TestPostgreSQLWriteBesideMigration(t *testing.T) {
	database := pgtest.Database(t)
	s := open(t, database)
	org := storetest.CreateOrganization(t, s, "acme")
	raw := pgtest.Connect(t, database)
	migrated := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), storetest.Patience)
	defer cancel()
	storetest.Must(t, s.transact(ctx, func(tx driver.Tx) error {
		tx.Exec(`UPDATE ledger_heads SET balance_cents = 1`, nil)
		if err := tx.Run(ctx); err != nil {
			return err
		}
		go func() {
			_, err := raw.ExecContext(ctx, `ALTER TABLE ledger_heads ADD COLUMN later BIGINT`)
			migrated <- err
		}()
		awaitLock(t, raw)
		tx.Exec(`UPDATE ledger_heads SET balance_cents = balance_cents + $1`, []any{int64(1)})
		return nil
	}))
	storetest.Must(t, <-migrated)
	storetest.WantBalance(t, s, org, 0, 2)
}

// awaitLock waits until somebody waits for a lock.
func awaitLock(t *testing.T, raw *sql.DB) {
	t.Helper()
	storetest.Eventually(t, "somebody to wait for a lock", func() bool {
		return storetest.Column[int](t, raw, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)[0] > 0
	})
}

// A rate card is set after the batches that have read the cards, so that none of them bills by cards that are out of date.
func TestPostgreSQLRateCardWaitsForBatches(t *testing.T) {
	database := pgtest.Database(t)
	s, other := open(t, database), open(t, database)
	org := storetest.CreateOrganization(t, s, "acme")
	raw := pgtest.Connect(t, database)
	card := billing.RateCard{Name: "free"}
	card.SetRates(billing.Rates{})
	set := make(chan error, 1)
	errs, err := s.Write(t.Context(), org, operation(func(b *billing.Book) error {
		go func() {
			_, _, err := billing.NewService(other).SetRateCard(t.Context(), billing.NewCard{Card: card})
			set <- err
		}()
		storetest.Eventually(t, "the card to wait or to be set", func() bool {
			waiting := storetest.Column[int](t, raw, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
				AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)[0] > 0
			return waiting || len(set) > 0
		})
		if len(set) > 0 {
			t.Error("a card was set while a batch was under way")
		}
		return storetest.Record(storetest.Lease()).Apply(b)
	}))
	storetest.Must(t, errors.Join(append(errs, err, <-set)...))
	storetest.WantClean(t, s)
}

// A call that its context ends fails with the error of the context.
func TestPostgreSQLCancelled(t *testing.T) {
	database := pgtest.Database(t)
	s := open(t, database)
	org := storetest.CreateOrganization(t, s, "acme")
	raw := pgtest.Connect(t, database)
	all := billing.Window{From: 0, To: billing.Day}
	for name, call := range map[string]func(context.Context) error{
		"Head":          func(ctx context.Context) error { return storetest.Second(s.Head(ctx, org)) },
		"Entries":       func(ctx context.Context) error { return storetest.Second(s.Entries(ctx, org, 10, 10)) },
		"Usage":         func(ctx context.Context) error { return storetest.Second(s.Usage(ctx, org, all)) },
		"UsageByDay":    func(ctx context.Context) error { return storetest.Second(s.UsageByDay(ctx, org, all)) },
		"Organizations": func(ctx context.Context) error { return storetest.Second(s.Organizations(ctx, "", 10, nil)) },
		"Grant":         func(ctx context.Context) error { return storetest.Second(s.Grant(ctx, billing.TokenHash{}, "acme")) },
		"Tokens":        func(ctx context.Context) error { return storetest.Second(s.Tokens(ctx)) },
		"RevokeToken":   func(ctx context.Context) error { return s.RevokeToken(ctx, billing.TokenHash{}, 0) },
		"CreateToken":   func(ctx context.Context) error { return s.CreateToken(ctx, billing.Token{Role: billing.RoleRead}) },
		"Write": func(ctx context.Context) error { // which stays in the queue
			for range cap(s.writing) {
				s.writing <- struct{}{}
			}
			defer func() {
				for range cap(s.writing) {
					<-s.writing
				}
			}()
			go func() { _, _ = raw.ExecContext(ctx, `SELECT count(*) FROM leases`) }() // waits for the lock
			return errors.Join(storetest.First(s.Write(ctx, org, storetest.Credit(1, "key")))...)
		},
		"Breakdown":    func(ctx context.Context) error { return storetest.Last(s.Breakdown(ctx, org, all)) },
		"Export":       func(ctx context.Context) error { return s.Export(ctx, nil) },
		"Audit":        func(ctx context.Context) error { return s.Audit(ctx, nil) },
		"Organization": func(ctx context.Context) error { return storetest.Second(s.OrganizationBySlug(ctx, "acme")) },
		"RateCards":    func(ctx context.Context) error { return storetest.Second(s.RateCards(ctx)) },
		"AddRateCard": func(ctx context.Context) error {
			_, _, err := billing.NewService(s).SetRateCard(ctx, billing.NewCard{Card: billing.RateCard{Name: "x"}})
			return err
		},
		"CreateAnOrg": func(ctx context.Context) error { return s.CreateOrganization(ctx, billing.Organization{Slug: "x"}) },
		"Ping":        func(ctx context.Context) error { return s.Ping(ctx) },
	} {
		for _, kind := range []error{context.Canceled, context.DeadlineExceeded} {
			holder, err := raw.BeginTx(t.Context(), nil)
			storetest.Must(t, err)
			_, err = holder.Exec(`LOCK TABLE organizations, tokens, token_organizations, rate_cards, ledger_heads, leases, ledger_entries, usage_sums`)
			storetest.Must(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			if errors.Is(kind, context.DeadlineExceeded) {
				ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
			}
			done := make(chan error, 1)
			go func() { done <- call(ctx) }()
			if errors.Is(kind, context.Canceled) {
				awaitLock(t, raw)
				cancel()
			}
			if err := <-done; !errors.Is(err, kind) || errors.Is(err, billing.ErrUnavailable) {
				t.Errorf("%s: %v; want %v", name, err, kind)
			}
			cancel()
			storetest.Must(t, holder.Rollback())
		}
	}
	// Nothing is left in a state that others would meet.
	storetest.Must(t, storetest.Post(t, s, org, "key"))
	storetest.WantBalance(t, s, org, 1, 1)
}

// A caller that leaves while the COMMIT runs learns its outcome.
func TestPostgreSQLGivenUpInTheCommit(t *testing.T) {
	database := pgtest.Database(t)
	s, raw := open(t, database), pgtest.Connect(t, database)
	for _, text := range []string{ // the commit waits for a lock
		`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$`,
		`CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON organizations DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()`,
	} {
		_, err := raw.Exec(text)
		storetest.Must(t, err)
	}
	holder, err := raw.BeginTx(t.Context(), nil)
	storetest.Must(t, err)
	_, err = holder.Exec(`SELECT pg_advisory_xact_lock(1)`)
	storetest.Must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	created := make(chan error, 1)
	go func() {
		created <- s.CreateOrganization(ctx, billing.Organization{ID: billing.NewID(), Slug: "acme", Name: "acme"})
	}()
	awaitLock(t, raw)
	cancel()
	storetest.Must(t, holder.Rollback())
	if err := <-created; err != nil {
		t.Errorf("of an organization that was created it is said: %v", err)
	}
	storetest.Must(t, storetest.Second(s.OrganizationBySlug(t.Context(), "acme")))
}

// While PostgreSQL is away, everything fails as unavailable; once it is back, everything goes on by itself.
func TestPostgreSQLAway(t *testing.T) {
	cluster := pgtest.Start(t)
	s := open(t, cluster.URL("postgres"))
	org := storetest.CreateOrganization(t, s, "acme")
	storetest.Must(t, storetest.Post(t, s, org, "before"))
	w := billing.Window{From: 0, To: billing.Day}
	calls := map[string]func() error{
		"Head":          func() error { return storetest.Second(s.Head(t.Context(), org)) },
		"Usage":         func() error { return storetest.Second(s.Usage(t.Context(), org, w)) },
		"Organizations": func() error { return storetest.Second(s.Organizations(t.Context(), "", 10, nil)) },
		"Breakdown":     func() error { return storetest.Last(s.Breakdown(t.Context(), org, w)) },
		"Export":        func() error { return s.Export(t.Context(), nil) },
		"Write":         func() error { return storetest.Post(t, s, org, "while") },
		"CreateToken":   func() error { return s.CreateToken(t.Context(), billing.Token{Role: billing.RoleRead}) },
		"Ping":          func() error { return s.Ping(t.Context()) },
	}
	for _, mode := range []string{"fast", "immediate"} {
		storetest.Must(t, cluster.Stop(mode))
		for range 3 { // with broken connections in the pools, and without
			for name, call := range calls {
				if err := call(); !errors.Is(err, billing.ErrUnavailable) {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		if s, err := openStore(t.Context(), cluster.URL("postgres")); err == nil {
			s.Close()
			t.Error("it opened")
		}
		storetest.Must(t, cluster.Start())
		storetest.Eventually(t, "writes to succeed", func() bool { return calls["Write"]() == nil })
		storetest.Eventually(t, "reads to succeed", func() bool { return calls["Head"]() == nil && calls["Breakdown"]() == nil })
		storetest.WantBalance(t, s, org, 2, 2)
	}
}

// If the database cannot be opened, the error has the reason and not the password.
func TestPostgreSQLOpenRefuses(t *testing.T) {
	cluster := pgtest.Start(t)
	raw := pgtest.Connect(t, cluster.URL("postgres"))
	for _, text := range []string{`CREATE ROLE clerk LOGIN PASSWORD 'hunter1'`, `CREATE DATABASE empty`} {
		_, err := raw.Exec(text)
		storetest.Must(t, err)
	}
	rules := storetest.Column[string](t, raw, `SHOW hba_file`)[0]
	storetest.Must(t, os.WriteFile(rules, []byte("host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"), 0o600))
	_, err := raw.Exec(`SELECT pg_reload_conf()`)
	storetest.Must(t, err)
	base, err := url.Parse(cluster.URL("postgres"))
	storetest.Must(t, err)
	const password = "hunter2"
	at := func(user, host, database string) string {
		u := *base
		u.User, u.Path = url.UserPassword(user, password), "/"+database
		if host != "" {
			u.Host = host
		}
		return u.String()
	}
	storetest.Eventually(t, "the rules to hold", func() bool {
		db := pgtest.Connect(t, at("clerk", "", "postgres"))
		return db.PingContext(t.Context()) != nil
	})
	for _, c := range []struct{ name, database, says string }{
		{"a wrong password", at("clerk", "", "postgres"), "password authentication failed"},
		{"a missing database", at("postgres", "", "missing"), "does not exist"},
		{"a missing role", at("nobody", "", "postgres"), "authentication failed"},
		{"no server", at("clerk", "127.0.0.1:1", "postgres"), "connect"},
		{"a host that does not exist", at("clerk", "host.invalid:5432", "postgres"), "host.invalid"},
		{"a broken URL", "postgres://clerk:" + password + "@host:port/database", "cannot be read"},
		{"a broken parameter", at("clerk", "", "postgres") + "&connect_timeout=soon", "cannot be read"},
		{"a password with a percent sign", "postgres://clerk:" + password + "%@127.0.0.1/postgres", "cannot be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := openStore(t.Context(), c.database)
			if err == nil {
				s.Close()
				t.Fatal("it opened")
			}
			if text := err.Error(); !strings.Contains(text, c.says) || strings.Contains(text, password) {
				t.Errorf("it says %q; want %q and not the password", text, c.says)
			}
		})
	}
	// A server that keeps running meets these errors as well, when the password is changed for instance.
	_, err = raw.Exec(`ALTER ROLE clerk SUPERUSER PASSWORD '` + password + `'`)
	storetest.Must(t, err)
	s := open(t, at("clerk", "", "empty"))
	org := storetest.CreateOrganization(t, s, "acme")
	_, err = raw.Exec(`ALTER ROLE clerk PASSWORD 'hunter3'`)
	storetest.Must(t, err)
	_, err = raw.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'clerk'`)
	storetest.Must(t, err)
	storetest.Eventually(t, "the connections to be gone", func() bool { return storetest.Second(s.Head(t.Context(), org)) != nil })
	if _, err := s.Head(t.Context(), org); !errors.Is(err, billing.ErrUnavailable) || strings.Contains(err.Error(), password) {
		t.Errorf("got %v", err)
	}
}

package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/harmont-dev/harmont-billing/internal/audit"
	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/store"
	"github.com/harmont-dev/harmont-billing/internal/store/migrate"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
	"github.com/harmont-dev/harmont-billing/internal/testlong"
)

// TestCitus runs on a cluster of which the coordinator is a member, and on one of which it is not.
func TestCitus(t *testing.T) {
	for name, registered := range map[string]bool{"CoordinatorRegistered": true, "CoordinatorNotRegistered": false} {
		t.Run(name, func(t *testing.T) {
			c := pgtest.NewCitus(t, registered)
			for _, test := range []struct {
				name string
				run  func(t *testing.T, c *pgtest.Citus)
			}{
				{"Distributes", testCitusDistributes},
				{"IsKilled", testCitusDistributeIsKilled},
				{"DistributesTheRest", testCitusDistributesTheRest},
				{"FindsALocalTable", testCitusFindsALocalTable},
				{"IsUpgraded", testCitusIsUpgraded},
				{"RefusesToChangeHistory", testCitusRefusesToChangeHistory},
				{"DistributesUnderLoad", testCitusDistributesUnderLoad},
				{"MovesShards", testCitusMovesShards},
				{"WorkerIsDown", testCitusWorkerIsDown},
				{"WorkerHangs", testCitusWorkerHangs},
			} {
				t.Run(test.name, func(t *testing.T) { test.run(t, c) })
			}
		})
	}
}

// fillBooks writes leases and credits of several organizations. The leases of the first one are in the sums of groups.
func fillBooks(t *testing.T, s *store.Store, database string) (orgs []billing.ID) {
	t.Helper()
	for i := range 6 {
		org := storetest.CreateOrganization(t, s, fmt.Sprintf("org-%d", i))
		orgs = append(orgs, org)
		running := storetest.Lease()
		running.FinishedAt, running.DurationSeconds = nil, nil
		storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), org,
			storetest.Credit(100, "key"), storetest.Record(storetest.Lease(), running, storetest.Lease())))...))
	}
	storetest.Must(t, s.CreateToken(t.Context(), billing.Token{Hash: billing.TokenHash{1}, Name: "ci", Role: billing.RoleRead, Organizations: []string{"org-0", "org-1"}}))
	fillGroups(t, s, orgs[0])
	waitForGroups(t, database, orgs[0])
	return orgs
}

// fillGroups writes so many leases that they are added to the sums of groups.
func fillGroups(t *testing.T, s *store.Store, org billing.ID) {
	t.Helper()
	storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), org, storetest.Record(leasesOfGroups(1100)...)))...))
}

// leasesOfGroups makes leases of three days in two months.
func leasesOfGroups(n int) []billing.Lease {
	leases := make([]billing.Lease, n)
	for i := range leases {
		leases[i] = storetest.Lease()
		day := billing.Time(i%3) * 20 * billing.Day
		leases[i].StartedAt += day
		*leases[i].FinishedAt += day
		leases[i].Author, leases[i].PipelineSlug = new(fmt.Sprint("author-", i%5)), new(fmt.Sprint("pipeline-", i%3))
		leases[i].Labels = billing.FormatLabels(map[string]string{"team": fmt.Sprint("team-", i%2)})
	}
	return leases
}

// waitForGroups waits until the entries of an organization that fillGroups has written are in the sums of groups.
func waitForGroups(t *testing.T, database string, org billing.ID) {
	t.Helper()
	raw := pgtest.Connect(t, database)
	storetest.Eventually(t, "the entries are in the sums of groups", func() bool {
		return storetest.Column[int](t, raw, `SELECT count(*) FROM usage_progress WHERE org_id = $1 AND seq >= 1100`, org.String())[0] == 1
	})
}

// groupsOf returns the usage of organizations by group, of all leases that fillBooks writes.
func groupsOf(t *testing.T, s *store.Store, orgs ...billing.ID) map[string]billing.Groups {
	t.Helper()
	groups := map[string]billing.Groups{}
	for i, org := range orgs {
		for _, grouping := range []billing.Grouping{billing.GroupByPipeline, billing.GroupByShape, billing.GroupByAuthor, "label.team"} {
			of, err := s.UsageByGroup(t.Context(), org, billing.GroupQuery{
				Grouping: grouping, Window: billing.Window{To: 100 * billing.Day}, Interval: billing.IntervalMonth, Limit: 10,
			})
			storetest.Must(t, err)
			groups[fmt.Sprintf("%d by %s", i, grouping)] = of
		}
	}
	return groups
}

// fingerprints verifies the books.
func fingerprints(t *testing.T, s *store.Store) map[string]string {
	t.Helper()
	prints := map[string]string{}
	storetest.Must(t, audit.Verify(t.Context(), s,
		func(org, what string) { t.Errorf("%s: %s", org, what) },
		func(r audit.Report) { prints[r.Organization] = r.Fingerprint }))
	return prints
}

// citusConn is the connection that Distribute would make.
func citusConn(t *testing.T, d *Database) *pgx.Conn {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), d.address.config.ConnConfig)
	storetest.Must(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func whereabouts(t *testing.T, d *Database) (where []string) {
	t.Helper()
	tables, err := placements(t.Context(), citusConn(t, d))
	storetest.Must(t, err)
	for _, p := range tables {
		where = append(where, p.Table+" "+p.Where)
	}
	return where
}

func testCitusDistributes(t *testing.T, c *pgtest.Citus) {
	for _, filled := range []bool{false, true} {
		t.Run(fmt.Sprintf("Filled=%t", filled), func(t *testing.T) {
			database := c.Schema(t)
			s, d := open(t, database)
			var orgs []billing.ID
			if filled {
				orgs = fillBooks(t, s, database)
			}
			raw := pgtest.Connect(t, database)
			before, groups, keys := fingerprints(t, s), groupsOf(t, s, orgs...), constraints(t, raw)
			distribution, err := d.Distribute(t.Context())
			storetest.Must(t, err)
			if !slices.Equal(distribution.Spread, allTables) {
				t.Errorf("spread %v", distribution.Spread)
			}
			if diff := gocmp.Diff(keys, constraints(t, raw)); diff != "" {
				t.Errorf("the keys and triggers have changed:\n%s", diff)
			}
			again, err := d.Distribute(t.Context())
			storetest.Must(t, err)
			if len(again.Spread) > 0 {
				t.Errorf("the second time it spread %v", again.Spread)
			}
			if diff := gocmp.Diff(before, fingerprints(t, s)); diff != "" {
				t.Errorf("the fingerprints have changed:\n%s", diff)
			}
			if diff := gocmp.Diff(groups, groupsOf(t, s, orgs...)); diff != "" {
				t.Errorf("the usage by group has changed:\n%s", diff)
			}
			// The store was open all the time.
			org := storetest.CreateOrganization(t, s, "later")
			orgs = append(orgs, org)
			for i := range 10 {
				storetest.Must(t, storetest.Post(t, s, org, fmt.Sprint(i)))
			}
			storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), org, storetest.Record(storetest.Lease(), storetest.Lease(), storetest.Lease())))...))
			fillGroups(t, s, org)
			fresh, _ := open(t, database)
			if diff := gocmp.Diff(fingerprints(t, s), fingerprints(t, fresh)); diff != "" {
				t.Errorf("a store that was opened later reads\n%s", diff)
			}
			groups = groupsOf(t, s, orgs...)
			waitForGroups(t, database, org)
			if diff := gocmp.Diff(groups, groupsOf(t, fresh, orgs...)); diff != "" {
				t.Errorf("once the entries are in the sums, the usage by group is another:\n%s", diff)
			}
			storetest.WantClean(t, s)
		})
	}
}

// A run that is ended before any of its steps leaves everything as it was, and the next one does it all.
func testCitusDistributeIsKilled(t *testing.T, c *pgtest.Citus) {
	database := c.Schema(t)
	s, d := open(t, database)
	fillBooks(t, s, database)
	raw := pgtest.Connect(t, database)
	before, where, keys := fingerprints(t, s), whereabouts(t, d), constraints(t, raw)
	for ended := 0; ; ended += testlong.Pick(5, 1) {
		ctx, cancel := context.WithCancel(t.Context())
		conn := citusConn(t, d)
		at, last := 0, ""
		_, err := distribute(ctx, conn, func(what string) error {
			if at++; at <= ended {
				return nil
			}
			last = what
			if ended%2 == 0 {
				cancel()
				return nil
			}
			return storetest.Second(raw.ExecContext(ctx, `SELECT pg_terminate_backend($1, 5000)`, conn.PgConn().PID()))
		})
		cancel()
		_ = conn.Close(context.Background()) // as the end of the process would
		if last == "" {                      // it was not ended
			storetest.Must(t, err)
			t.Logf("%d steps", ended)
			break
		}
		if err == nil {
			t.Errorf("ended before %q it succeeds", last)
		}
		if last == "check" { // after the commit
			break
		}
		storetest.Eventually(t, "the transaction to end", func() bool {
			return storetest.Column[int](t, raw, `SELECT count(*) FROM pg_stat_activity WHERE pid = $1`, conn.PgConn().PID())[0] == 0
		})
		if diff := gocmp.Diff(where, whereabouts(t, d)); diff != "" {
			t.Fatalf("ended before %q it leaves\n%s", last, diff)
		}
	}
	if diff := gocmp.Diff(keys, constraints(t, raw)); diff != "" {
		t.Errorf("the keys and triggers have changed:\n%s", diff)
	}
	distribution, err := d.Distribute(t.Context())
	storetest.Must(t, err)
	if len(distribution.Spread) > 0 {
		t.Errorf("after the commit it spread %v", distribution.Spread)
	}
	if diff := gocmp.Diff(before, fingerprints(t, s)); diff != "" {
		t.Errorf("the fingerprints have changed:\n%s", diff)
	}
}

// States in which an interrupted run of an earlier version, or a person, may leave the tables.
func testCitusDistributesTheRest(t *testing.T, c *pgtest.Citus) {
	for name, statements := range map[string][]string{
		"HalfWay": {
			`SELECT create_reference_table('organizations')`, `SELECT create_reference_table('tokens')`,
			`SELECT create_reference_table('token_organizations')`, `SELECT create_distributed_table('ledger_heads', 'org_id')`,
		},
		"Local":       {`SELECT citus_add_local_table_to_metadata('usage_sums')`},
		"OtherColumn": {`SELECT create_distributed_table('usage_sums', 'start_at')`},
		"Apart":       {`SELECT create_distributed_table('usage_sums', 'org_id', colocate_with => 'none')`},
		"OnEveryNode": {`SELECT create_reference_table('usage_sums')`},
	} {
		t.Run(name, func(t *testing.T) {
			database := c.Schema(t)
			s, d := open(t, database)
			fillBooks(t, s, database)
			before := fingerprints(t, s)
			raw := pgtest.Connect(t, database)
			for _, statement := range append([]string{
				`ALTER TABLE usage_sums DROP CONSTRAINT usage_sums_org_id_fkey`,
			}, statements...) {
				_, err := raw.Exec(`SET citus.multi_shard_modify_mode = 'sequential'; SET citus.enable_unsafe_triggers = on; ` + statement)
				if err != nil {
					t.Skipf("Citus does not allow this state: %v", err)
				}
			}
			t.Logf("before: %v", whereabouts(t, d))
			_, err := d.Distribute(t.Context())
			storetest.Must(t, err)
			if diff := gocmp.Diff(before, fingerprints(t, s)); diff != "" {
				t.Errorf("the fingerprints have changed:\n%s", diff)
			}
		})
	}
}

// A table that was made local again is named, and is spread by the next run.
func testCitusFindsALocalTable(t *testing.T, c *pgtest.Citus) {
	database := c.Schema(t)
	s, d := open(t, database)
	fillBooks(t, s, database)
	_, err := d.Distribute(t.Context())
	storetest.Must(t, err)
	raw := pgtest.Connect(t, database)
	_, err = raw.Exec(`ALTER TABLE usage_sums DROP CONSTRAINT usage_sums_org_id_fkey; SELECT undistribute_table('usage_sums')`)
	storetest.Must(t, err)
	tables, err := placements(t.Context(), citusConn(t, d))
	storetest.Must(t, err)
	if err := (Distribution{Tables: tables}).check(); err == nil || err.Error() != "not all tables are distributed: usage_sums is only on the coordinator" {
		t.Errorf("it says %v", err)
	}
	distribution, err := d.Distribute(t.Context())
	storetest.Must(t, err)
	if !slices.Equal(distribution.Spread, []string{"usage_sums"}) {
		t.Errorf("spread %v", distribution.Spread)
	}
	fingerprints(t, s)
}

// oldest is the first schema version of which a database can be spread.
const oldest = 2

// distributeAsThen spreads the tables that the schema has, as a version that knows no others would. It returns the names of the others.
func distributeAsThen(t *testing.T, conn *pgx.Conn) (others []string) {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT name FROM unnest($1::text[]) WITH ORDINALITY AS t (name, n) WHERE to_regclass(name) IS NULL ORDER BY n`, allTables)
	storetest.Must(t, err)
	others, err = pgx.CollectRows(rows, pgx.RowTo[string])
	storetest.Must(t, err)
	for _, table := range others {
		storetest.Must(t, storetest.Second(conn.Exec(t.Context(), `CREATE TABLE `+table+` (org_id UUID PRIMARY KEY)`)))
	}
	_, err = distribute(t.Context(), conn, func(string) error { return nil })
	storetest.Must(t, err)
	for _, table := range others {
		storetest.Must(t, storetest.Second(conn.Exec(t.Context(), `DROP TABLE `+table)))
	}
	return others
}

// A cluster of each earlier version, which was spread then, becomes like one that is upgraded and spread afterwards. It is in use between the
// upgrade and the time when the tables that are new are spread, too.
func testCitusIsUpgraded(t *testing.T, c *pgtest.Citus) {
	for version := oldest; version < int(migrate.Newest(Migrations)); version++ {
		t.Run(fmt.Sprintf("v%d", version), func(t *testing.T) {
			dump, err := os.ReadFile(fmt.Sprintf("../testdata/v%d.sql", version))
			storetest.Must(t, err)
			// upgrade returns what describes the books that were spread before or after the upgrade.
			upgrade := func(spreadBefore bool) (prints map[string]string, keys, where []string) {
				database := c.Schema(t)
				schema := pgtest.SchemaOf(database)
				config, err := pgx.ParseConfig(database)
				storetest.Must(t, err)
				conn, err := pgx.ConnectConfig(t.Context(), config)
				storetest.Must(t, err)
				_, err = conn.PgConn().Exec(t.Context(), strings.ReplaceAll(string(dump), "public.", schema+".")).ReadAll()
				storetest.Must(t, err)
				var spreadLater []string
				if spreadBefore {
					spreadLater = distributeAsThen(t, conn)
				}
				storetest.Must(t, conn.Close(t.Context()))
				s, d := open(t, database)
				prints = fingerprints(t, s)
				org, err := s.OrganizationBySlug(t.Context(), "acme")
				storetest.Must(t, err)
				storetest.Must(t, billing.NewService(s).EnsureRateCard(t.Context(), nil))
				fillGroups(t, s, org.ID)
				waitForGroups(t, database, org.ID)
				filled, groups := fingerprints(t, s), groupsOf(t, s, org.ID)
				distribution, err := d.Distribute(t.Context())
				storetest.Must(t, err)
				if spreadBefore && !slices.Equal(distribution.Spread, spreadLater) {
					t.Errorf("after the upgrade it spread %v", distribution.Spread)
				}
				if diff := gocmp.Diff(filled, fingerprints(t, s)); diff != "" {
					t.Errorf("the fingerprints have changed:\n%s", diff)
				}
				if diff := gocmp.Diff(groups, groupsOf(t, s, org.ID)); diff != "" {
					t.Errorf("the usage by group has changed:\n%s", diff)
				}
				before, err := s.Head(t.Context(), org.ID)
				storetest.Must(t, err)
				storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), org.ID, storetest.Credit(5, "after the upgrade")))...))
				after, err := s.Head(t.Context(), org.ID)
				storetest.Must(t, err)
				if after.Seq != before.Seq+1 || after.BalanceCents != before.BalanceCents+5 {
					t.Errorf("a credit of 5 brought the head from %+v to %+v", before, after)
				}
				for _, key := range constraints(t, pgtest.Connect(t, database)) {
					keys = append(keys, strings.ReplaceAll(key, schema+".", ""))
				}
				storetest.WantClean(t, s)
				return prints, keys, whereabouts(t, d)
			}
			wantPrints, wantKeys, wantWhere := upgrade(false)
			prints, keys, where := upgrade(true)
			if diff := gocmp.Diff(wantKeys, keys); diff != "" {
				t.Errorf("the keys and triggers are not those of books that were spread afterwards:\n%s", diff)
			}
			if diff := gocmp.Diff(wantWhere, where); diff != "" {
				t.Errorf("the tables are not where those of books that were spread afterwards are:\n%s", diff)
			}
			if diff := gocmp.Diff(wantPrints, prints); diff != "" || len(prints) == 0 {
				t.Errorf("the fingerprints are not those of books that were spread afterwards:\n%s", diff)
			}
		})
	}
}

// shards returns the names of the shards of a table on a node.
func shards(t *testing.T, node *sql.DB, schema, table string) []string {
	t.Helper()
	node.SetMaxOpenConns(1)
	_, err := node.Exec(`SET citus.override_table_visibility = off`) // or else Citus hides them
	storetest.Must(t, err)
	return storetest.Column[string](t, node, `SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
		WHERE nspname = $1 AND relkind = 'r' AND relname ~ ('^' || $2 || '_[0-9]+$')`, schema, table)
}

// History is not changed by way of any node, nor by way of a shard.
func testCitusRefusesToChangeHistory(t *testing.T, c *pgtest.Citus) {
	database := c.Schema(t)
	schema := pgtest.SchemaOf(database)
	s, d := open(t, database)
	fillBooks(t, s, database)
	_, err := d.Distribute(t.Context())
	storetest.Must(t, err)
	before := fingerprints(t, s)
	refuse := func(t *testing.T, node *sql.DB, entries, leases string) {
		t.Helper()
		for _, statement := range []string{
			`UPDATE ` + entries + ` SET amount_cents = 1`, `UPDATE ` + entries + ` SET description = 'x'`, `DELETE FROM ` + entries,
			`UPDATE ` + leases + ` SET job_name = 'x'`, `DELETE FROM ` + leases,
			`TRUNCATE ` + entries, `TRUNCATE ` + entries + ` CASCADE`, `TRUNCATE ` + leases + ` CASCADE`,
		} {
			_, err := node.Exec(statement)
			switch {
			case err == nil:
				t.Errorf("executed %s", statement)
			case !strings.Contains(err.Error(), "append-only") && !strings.Contains(err.Error(), "is kept") && !strings.Contains(err.Error(), "does not change"):
				t.Logf("%s: %v", statement, err)
			}
		}
	}
	coordinator := pgtest.Connect(t, database)
	refuse(t, coordinator, "ledger_entries", "leases")
	if _, err := coordinator.Exec(`TRUNCATE organizations CASCADE`); err == nil {
		t.Error("executed TRUNCATE organizations CASCADE")
	}
	for _, address := range c.Workers(t) {
		worker := pgtest.Connect(t, address)
		refuse(t, worker, schema+".ledger_entries", schema+".leases")
		entries, leases := shards(t, worker, schema, "ledger_entries"), shards(t, worker, schema, "leases")
		if len(entries) == 0 || len(leases) == 0 {
			t.Errorf("there are no shards on %s", address)
		}
		for i := range entries {
			for _, allowed := range []string{"off", "on"} {
				_, err := worker.Exec(`SET citus.enable_manual_changes_to_shards = ` + allowed)
				storetest.Must(t, err)
				rows := storetest.Column[int](t, worker, `SELECT count(*) FROM `+entries[i])[0]
				if _, err := worker.Exec(`TRUNCATE ` + entries[i]); err == nil {
					t.Errorf("executed TRUNCATE %s", entries[i])
				}
				if _, err := worker.Exec(`DELETE FROM ` + entries[i]); err == nil && rows > 0 {
					t.Errorf("executed DELETE FROM %s", entries[i])
				}
			}
		}
	}
	if diff := gocmp.Diff(before, fingerprints(t, s)); diff != "" {
		t.Errorf("the fingerprints have changed:\n%s", diff)
	}
}

// load writes credits to the organizations from many goroutines until stop is called, which returns how many were answered well. Errors go
// to failed.
func load(t *testing.T, s *store.Store, orgs []billing.ID, failed func(org billing.ID, err error)) (stop func() map[billing.ID]int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	answered := map[billing.ID]int64{}
	var all sync.WaitGroup
	for i, org := range orgs {
		for w := range 2 {
			all.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					err := errors.Join(storetest.First(s.Write(context.Background(), org, storetest.Credit(1, fmt.Sprintf("load/%d/%d/%d", i, w, n))))...)
					if err != nil {
						failed(org, err)
						time.Sleep(10 * time.Millisecond)
						n-- // the same credit again, which may have been booked
						continue
					}
					mu.Lock()
					answered[org]++
					mu.Unlock()
				}
			})
		}
	}
	return func() map[billing.ID]int64 {
		cancel()
		all.Wait()
		return answered
	}
}

// loadGroups records leases of a new organization until stop is called, which checks that each of them is in the usage by group once.
func loadGroups(t *testing.T, s *store.Store, database string) (stop func()) {
	t.Helper()
	org := storetest.CreateOrganization(t, s, "groups")
	ctx, cancel := context.WithCancel(t.Context())
	recorded := int64(0)
	var writer sync.WaitGroup
	writer.Go(func() {
		for ctx.Err() == nil {
			leases := leasesOfGroups(300)
			for {
				// After an error they are recorded again, which changes nothing if they were.
				err := errors.Join(storetest.First(s.Write(context.Background(), org, storetest.Record(slices.Clone(leases)...)))...)
				if err == nil {
					break
				}
				if !errors.Is(err, billing.ErrUnavailable) {
					t.Error(err)
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			recorded += int64(len(leases))
		}
	})
	return func() {
		t.Helper()
		cancel()
		writer.Wait()
		fillGroups(t, s, org)
		recorded += 1100
		waitForGroups(t, database, org)
		for grouping, groups := range groupsOf(t, s, org) {
			sum := int64(0)
			for _, g := range groups.Listed {
				sum += g.Leases
			}
			if sum != recorded {
				t.Errorf("the groups %s have %d leases; want %d", grouping, sum, recorded)
			}
		}
		storetest.WantClean(t, s)
	}
}

// wantLoad checks that the answered writes of a load, and no others, are in the books.
func wantLoad(t *testing.T, s *store.Store, before, answered map[billing.ID]int64) {
	t.Helper()
	for org, n := range answered {
		head, err := s.Head(t.Context(), org)
		storetest.Must(t, err)
		if head.BalanceCents != before[org]+n {
			t.Errorf("the balance is %d; want %d", head.BalanceCents, before[org]+n)
		}
	}
}

func balances(t *testing.T, s *store.Store, orgs []billing.ID) map[billing.ID]int64 {
	t.Helper()
	cents := map[billing.ID]int64{}
	for _, org := range orgs {
		head, err := s.Head(t.Context(), org)
		storetest.Must(t, err)
		cents[org] = head.BalanceCents
	}
	return cents
}

// Beside a store that writes, the tables are spread, and each write that was answered is there once.
func testCitusDistributesUnderLoad(t *testing.T, c *pgtest.Citus) {
	database := c.Schema(t)
	s, old := open(t, database)
	orgs := fillBooks(t, s, database)
	before := balances(t, s, orgs)
	var conns []*pgxpool.Conn
	for range old.writer.Config().MaxConns {
		conn, err := old.writer.Acquire(t.Context())
		storetest.Must(t, err)
		_, err = conn.Exec(t.Context(), `SET plan_cache_mode = 'force_generic_plan'`) // as without Citus
		storetest.Must(t, err)
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		conn.Release()
	}
	stop := load(t, s, orgs, func(_ billing.ID, err error) {
		if !errors.Is(err, billing.ErrUnavailable) {
			t.Error(err)
		}
	})
	stopGroups := loadGroups(t, s, database)
	_, d := open(t, database)
	_, err := d.Distribute(t.Context())
	storetest.Must(t, err)
	time.Sleep(time.Second)
	wantLoad(t, s, before, stop())
	stopGroups()
}

// While shards are moved to another node, all writes and reads go on, and the books stay right.
func testCitusMovesShards(t *testing.T, c *pgtest.Citus) {
	if len(c.Workers(t)) < 2 {
		t.Skip("there is one worker")
	}
	database := c.Schema(t)
	s, d := open(t, database)
	orgs := fillBooks(t, s, database)
	_, err := d.Distribute(t.Context())
	storetest.Must(t, err)
	before := balances(t, s, orgs)
	stop := load(t, s, orgs, func(_ billing.ID, err error) {
		if !errors.Is(err, billing.ErrUnavailable) {
			t.Error(err)
		}
	})
	stopGroups := loadGroups(t, s, database)
	raw := pgtest.Connect(t, database)
	moved := 0
	storetest.Query(t, raw, `SELECT citus_move_shard_placement(s.shardid, s.nodename, s.nodeport, n.nodename, n.nodeport, 'block_writes')
			FROM (SELECT DISTINCT ON (nodename, nodeport) * FROM citus_shards WHERE table_name = 'leases'::regclass ORDER BY nodename, nodeport, shardid) s
			JOIN LATERAL (SELECT * FROM pg_dist_node n WHERE n.isactive AND n.shouldhaveshards AND (n.nodename, n.nodeport) <> (s.nodename, s.nodeport)
				ORDER BY nodeid LIMIT 1) n ON true`, nil, func(*sql.Rows) error {
		moved++
		return nil
	})
	if moved == 0 {
		t.Error("no shard was moved")
	}
	wantLoad(t, s, before, stop())
	stopGroups()
	for _, address := range c.Workers(t) {
		worker := pgtest.Connect(t, address)
		for _, shard := range shards(t, worker, pgtest.SchemaOf(database), "ledger_entries") {
			if _, err := worker.Exec(`SET citus.enable_manual_changes_to_shards = on; TRUNCATE ` + shard); err == nil {
				t.Errorf("executed TRUNCATE %s after the move", shard)
			}
		}
	}
}

// organizationsOfWorkers makes organizations, and tells which of them are on the first worker.
func organizationsOfWorkers(t *testing.T, c *pgtest.Citus, s *store.Store, database string) (orgs []billing.ID, first map[billing.ID]bool) {
	t.Helper()
	raw := pgtest.Connect(t, database)
	first = map[billing.ID]bool{}
	for i := range 10 {
		org := storetest.CreateOrganization(t, s, fmt.Sprintf("more-%d", i))
		orgs = append(orgs, org)
		node := storetest.Column[string](t, raw, `SELECT 'x' || nodename || ':' || nodeport FROM pg_dist_placement JOIN pg_dist_node USING (groupid)
				WHERE shardid = get_shard_id_for_distribution_column('ledger_heads', $1::text::uuid)`, org.String())[0]
		first[org] = strings.Contains(c.Workers(t)[0], node[1:]+"/")
	}
	return orgs, first
}

// While a worker is down, organizations of other workers are served. Its own are served within two seconds of its return.
func testCitusWorkerIsDown(t *testing.T, c *pgtest.Citus) {
	if len(c.Workers(t)) < 2 {
		t.Skip("there is one worker")
	}
	database := c.Schema(t)
	s, d := open(t, database)
	fillBooks(t, s, database)
	_, err := d.Distribute(t.Context())
	storetest.Must(t, err)
	orgs, down := organizationsOfWorkers(t, c, s, database)
	before := balances(t, s, orgs)
	var mu sync.Mutex
	failures := map[billing.ID]int{}
	var lastFailure time.Time
	texts := map[string]int{}
	stop := load(t, s, orgs, func(org billing.ID, err error) {
		if !errors.Is(err, billing.ErrUnavailable) {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		failures[org]++
		texts[err.Error()]++
		lastFailure = time.Now()
	})
	stopGroups := loadGroups(t, s, database)
	up := c.Down(t, 0)
	time.Sleep(3 * time.Second)
	up()
	returned := time.Now()
	time.Sleep(3 * time.Second)
	answered := stop()
	for _, org := range orgs {
		t.Logf("%s: down %t, %d answered, %d failures", org, down[org], answered[org], failures[org])
		switch {
		case !down[org] && failures[org] > 0:
			t.Errorf("%d writes of an organization on a node that was up failed", failures[org])
		case down[org] && failures[org] == 0:
			t.Error("no write of an organization on the node that was down failed")
		}
	}
	for text, n := range texts {
		t.Logf("%d times %s", n, text)
	}
	t.Logf("the last failure came %s after the return", lastFailure.Sub(returned))
	if late := lastFailure.Sub(returned); late > 2*time.Second {
		t.Errorf("writes failed until %s after the return", late)
	}
	wantLoad(t, s, before, answered)
	stopGroups()
}

// A coordinator that is a member of the cluster reads organizations and tokens itself. So a worker that keeps its connections and does not
// answer holds up no organization of another worker.
func testCitusWorkerHangs(t *testing.T, c *pgtest.Citus) {
	if len(c.Workers(t)) < 2 {
		t.Skip("there is one worker")
	}
	database := c.Schema(t)
	if storetest.Column[int](t, pgtest.Connect(t, database), `SELECT count(*) FROM pg_dist_node WHERE groupid = 0`)[0] == 0 {
		t.Skip("a worker reads organizations and tokens")
	}
	s, d := open(t, database)
	fillBooks(t, s, database)
	_, err := d.Distribute(t.Context())
	storetest.Must(t, err)
	orgs, first := organizationsOfWorkers(t, c, s, database)
	worker := pgtest.Connect(t, c.Workers(t)[0])
	var locked []string
	for _, table := range allTables {
		locked = append(locked, shards(t, worker, pgtest.SchemaOf(database), table)...)
	}
	hang, err := worker.Begin()
	storetest.Must(t, err)
	defer hang.Rollback()
	_, err = hang.Exec(`SET LOCAL citus.enable_manual_changes_to_shards = on; LOCK TABLE ` + strings.Join(locked, `, `) + ` IN ACCESS EXCLUSIVE MODE`)
	storetest.Must(t, err)
	served := 0
	for i, org := range orgs {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if first[org] {
			ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
		}
		_, err := s.Head(ctx, org)
		switch {
		case first[org] && err == nil:
			t.Error("an organization on the worker that hangs is read")
		case !first[org]:
			slug := fmt.Sprintf("more-%d", i)
			_, organizationErr := s.OrganizationBySlug(ctx, slug)
			_, grantErr := s.Grant(ctx, billing.TokenHash{1}, slug)
			writeErr := errors.Join(storetest.First(s.Write(ctx, org, storetest.Credit(1, "meanwhile")))...)
			if err := errors.Join(err, organizationErr, grantErr, writeErr); err != nil {
				t.Errorf("an organization on another worker: %v", err)
			}
			served++
		}
		cancel()
	}
	if served == 0 || served == len(orgs) {
		t.Errorf("%d of %d organizations are on other workers", served, len(orgs))
	}
	storetest.Must(t, hang.Rollback())
	for _, org := range orgs {
		storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), org, storetest.Credit(1, "afterwards")))...))
	}
	fingerprints(t, s)
}

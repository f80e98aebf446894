package store

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	native "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() billing.Store {
		file := newFile(t)
		return func() billing.Store { return openFile(t, file) }
	})
}

func newFile(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "billing.db")
}

// openFile opens a database that is closed when the test ends.
func openFile(t *testing.T, file string) *Store {
	t.Helper()
	s, err := Open(t.Context(), "sqlite:"+file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// openRaw connects as any other program would.
func openRaw(t *testing.T, file string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func createOrganization(t *testing.T, s *Store, slug string) billing.ID {
	t.Helper()
	id := billing.NewID()
	must(t, s.CreateOrganization(t.Context(), billing.Organization{ID: id, Slug: slug, Name: slug}))
	return id
}

func credit(cents int64, key string) *billing.PostCredit {
	return &billing.PostCredit{AmountCents: cents, Source: billing.SourceRefund, IdempotencyKey: key}
}

// post appends a credit of one cent.
func post(t *testing.T, s *Store, org billing.ID, key string) error {
	t.Helper()
	return billing.NewService(s, billing.StandardRates).PostCredit(t.Context(), org, credit(1, key))
}

// lease is one that costs 12 cents.
func lease() billing.Lease {
	return billing.Lease{
		ID: new(billing.NewID()), JobID: new(billing.NewID()), CPUCount: 2, MemoryGB: 4, DiskGB: 20,
		StartedAt: 0, FinishedAt: new(300 * billing.Second), DurationSeconds: new(int64(300)),
	}
}

func record(leases ...billing.Lease) *billing.RecordLeases {
	return &billing.RecordLeases{Leases: leases, Rates: billing.StandardRates}
}

func wantBalance(t *testing.T, s *Store, org billing.ID, seq, cents int64) {
	t.Helper()
	head, err := s.Head(t.Context(), org)
	if err != nil || head.Seq != seq || head.BalanceCents != cents {
		t.Errorf("the head is %+v, %v; want seq %d and %d cents", head, err, seq, cents)
	}
}

// Whoever opens the file with another program cannot change what was billed by mistake.
func TestSQLiteRefusesToChangeHistory(t *testing.T) {
	file := newFile(t)
	s := openFile(t, file)
	org := createOrganization(t, s, "acme")
	running := lease()
	running.FinishedAt, running.DurationSeconds = nil, nil
	must(t, errors.Join(first(s.Write(t.Context(), org, credit(100, "key"), record(lease(), running)))...))
	raw := openRaw(t, file)
	dump := func() (rows []string) {
		for _, table := range []string{"ledger_entries", "leases"} {
			got, err := raw.Query(`SELECT * FROM ` + table)
			must(t, err)
			columns, err := got.Columns()
			must(t, err)
			for got.Next() {
				values := make([]any, len(columns))
				for i := range values {
					values[i] = new(any)
				}
				must(t, got.Scan(values...))
				row := table
				for _, v := range values {
					row += fmt.Sprintf("|%v", *v.(*any))
				}
				rows = append(rows, row)
			}
			must(t, got.Err())
		}
		return rows
	}
	const (
		entries = `org_id, seq, entry_id, amount_cents, balance_after_cents, source, created_at, lease_id, idempotency_key`
		leases  = `org_id, lease_id, job_id, cpu_count, memory_gb, disk_gb, started_at`
		fresh   = `randomblob(16)`
	)
	before := dump()
	if len(before) != 4 {
		t.Fatalf("there are %d rows; want 4", len(before))
	}
	for _, text := range []string{
		`UPDATE ledger_entries SET amount_cents = 1`,
		`UPDATE ledger_entries SET description = 'x' WHERE seq = 1`,
		`UPDATE OR REPLACE ledger_entries SET seq = 1 WHERE seq = 2`,
		`DELETE FROM ledger_entries`,
		`DELETE FROM ledger_entries WHERE seq = 2`,
		`REPLACE INTO ledger_entries (` + entries + `) SELECT org_id, 1, ` + fresh + `, 5, 5, 'refund', 0, NULL, NULL FROM organizations`,
		`REPLACE INTO ledger_entries (` + entries + `) SELECT org_id, 3, entry_id, 5, 5, 'refund', 0, NULL, NULL FROM ledger_entries WHERE seq = 1`,
		`REPLACE INTO ledger_entries (` + entries + `) SELECT org_id, 3, ` + fresh + `, 0, 5, source, 0, lease_id, NULL FROM ledger_entries WHERE seq = 2`,
		`REPLACE INTO ledger_entries (` + entries + `) SELECT org_id, 3, ` + fresh + `, 5, 5, 'refund', 0, NULL, 'key' FROM organizations`,
		`UPDATE leases SET amount_cents = 0 WHERE finished_at IS NOT NULL`,
		`UPDATE leases SET job_name = 'x' WHERE finished_at IS NOT NULL`,
		`UPDATE leases SET finished_at = NULL, duration_seconds = NULL, amount_cents = NULL WHERE finished_at IS NOT NULL`,
		`DELETE FROM leases`,
		`DELETE FROM leases WHERE finished_at IS NOT NULL`,
		`DELETE FROM leases WHERE finished_at IS NULL`,
		`REPLACE INTO leases (` + leases + `) SELECT org_id, lease_id, job_id, 1, 1, 1, 0 FROM leases WHERE finished_at IS NOT NULL`,
		`REPLACE INTO leases (` + leases + `) SELECT org_id, ` + fresh + `, job_id, 1, 1, 1, 0 FROM leases WHERE finished_at IS NOT NULL`,
		`REPLACE INTO leases (` + leases + `) SELECT org_id, ` + fresh + `, job_id, 1, 1, 1, 0 FROM leases WHERE finished_at IS NULL`,
		`UPDATE OR REPLACE leases SET lease_id = (SELECT lease_id FROM leases WHERE finished_at IS NOT NULL) WHERE finished_at IS NULL`,
		`UPDATE OR REPLACE leases SET job_id = (SELECT job_id FROM leases WHERE finished_at IS NOT NULL) WHERE finished_at IS NULL`,
		`INSERT INTO ledger_entries (` + entries + `) SELECT org_id, 2, ` + fresh + `, 5, 5, 'refund', 0, NULL, NULL FROM organizations
			ON CONFLICT DO UPDATE SET amount_cents = 5`,
	} {
		if _, err := raw.Exec(text); err == nil {
			t.Errorf("the database has executed %s", text)
		}
	}
	if after := dump(); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	must(t, post(t, s, org, "later"))
}

// first drops an error that is about all, which the test takes for granted not to happen.
func first(errs []error, err error) []error { return append(errs, err) }

// The pragmas are those of a connection, so every connection that a pool may open is asked.
func TestSQLiteConnections(t *testing.T) {
	// A name that must not be read as parameters of the connection.
	s := openFile(t, filepath.Join(t.TempDir(), "a?_pragma=synchronous(OFF)&_txlock=deferred#b"))
	pragmas := func(name string, queryOnly int) func(*native.Conn) {
		return func(conn *native.Conn) {
			for pragma, want := range map[string]string{
				"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000", "query_only": fmt.Sprint(queryOnly),
			} {
				got := ""
				err := sqlitex.ExecuteTransient(conn, "PRAGMA "+pragma, &sqlitex.ExecOptions{ResultFunc: func(stmt *native.Stmt) error {
					got = stmt.ColumnText(0)
					return nil
				}})
				if err != nil || got != want {
					t.Errorf("a connection of the %s has %s %s, %v; want %s", name, pragma, got, err, want)
				}
			}
		}
	}
	pragmas("committer", 0)(s.committer.conn)
	eachConnection(t, s.reader.(sqlitePool), pragmas("reads", 1))
	eachConnection(t, s.readings.(sqlitePool), pragmas("long reads", 1))
}

// A write transaction has the write lock from its beginning, so that what it reads stays true until it writes.
func TestSQLiteTransactionsLockAtOnce(t *testing.T) {
	file := newFile(t)
	s := openFile(t, file)
	raw := openRaw(t, file)
	must(t, s.transact(t.Context(), func(pipeline) error {
		if _, err := raw.Exec(`BEGIN IMMEDIATE`); err == nil {
			t.Error("another connection has begun to write as well")
		}
		return nil
	}))
}

// watchStatements collects the texts that the committer and long reads prepare.
func watchStatements(s *Store) map[string]bool {
	texts := map[string]bool{}
	var mu sync.Mutex
	watch := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		texts[text] = true
	}
	s.committer.prepared = watch
	reads, readings := s.reader.(sqlitePool), s.readings.(sqlitePool)
	reads.prepared, readings.prepared = watch, watch
	s.reader, s.readings = reads, readings
	return texts
}

var (
	parameter  = regexp.MustCompile(`\$(\d+)`)
	planAccess = regexp.MustCompile(`^(SCAN|SEARCH) (\w+)(.*)$`)
)

// No statement may read more of the large tables than it needs: whatever is prepared searches by the organization and
// something else, except where it goes through the whole of an organization on purpose.
func TestSQLiteQueryPlans(t *testing.T) {
	s := openFile(t, newFile(t))
	prepared := watchStatements(s)
	org := createOrganization(t, s, "acme")
	must(t, s.CreateToken(t.Context(), billing.Token{Hash: billing.TokenHash{1}, Name: "ci", Role: billing.RoleRead, Organizations: []string{"acme"}}))
	for _, n := range []int{1, 8, 64, 512} {
		must(t, errors.Join(first(s.Write(t.Context(), org, needy(n)))...))
	}
	must(t, errors.Join(first(s.Write(t.Context(), org, credit(1, "key"), record(lease())))...))
	w := billing.Window{From: 1, To: 2 * billing.Hour}
	for _, err := range []error{
		s.RevokeToken(t.Context(), billing.TokenHash{1}, 1),
		second(s.OrganizationBySlug(t.Context(), "acme")),
		second(s.Organizations(t.Context(), "", 1, nil)),
		second(s.Organizations(t.Context(), "", 1, &billing.TokenHash{1})),
		second(s.Grant(t.Context(), billing.TokenHash{1}, "acme")),
		second(s.Head(t.Context(), org)),
		second(s.Entries(t.Context(), org, 10, 10)),
		second(s.RecordedLeases(t.Context(), org, billing.LeaseFilter{}, billing.LeasePlace{}, 10)),
		second(s.RecordedLeases(t.Context(), org, billing.LeaseFilter{State: billing.LeaseStateRunning}, billing.LeasePlace{}, 10)),
		second(s.RecordedLeases(t.Context(), org, billing.LeaseFilter{LeaseID: &billing.ID{}}, billing.LeasePlace{}, 10)),
		second(s.RecordedLeases(t.Context(), org, billing.LeaseFilter{JobID: &billing.ID{}}, billing.LeasePlace{}, 10)),
		second(s.Usage(t.Context(), org, w)),
		second(s.UsageByDay(t.Context(), org, w)),
	} {
		must(t, err)
	}

	// Builds of one part, of two, and leases of none.
	build := billing.NewID()
	for i := range billing.Time(4) {
		l := lease()
		l.StartedAt += i * billing.Second
		if i < 3 {
			l.BuildID = &build
		}
		must(t, errors.Join(first(s.Write(t.Context(), org, record(l)))...))
	}
	for _, s.parts.leases = range []int64{2, 3} {
		for _, err := range s.Breakdown(t.Context(), org, billing.Window{From: 0, To: 1 << 60}) {
			must(t, err)
		}
	}

	texts := slices.Collect(maps.Keys(prepared))
	large := map[string]int{"leases": 0, "ledger_entries": 0, "usage_sums": 0, "tokens": 0, "t": 0, "organizations": 0, "o": 0, "m": 0, "token_organizations": 0}
	for _, text := range texts {
		numbered := 0
		for _, p := range parameter.FindAllStringSubmatch(text, -1) {
			var n int
			_, err := fmt.Sscan(p[1], &n)
			must(t, err)
			numbered = max(numbered, n)
		}
		parameters := numbered + strings.Count(text, "?")
		rows, err := s.writer.Query(`EXPLAIN QUERY PLAN `+text, make([]any, parameters)...)
		must(t, err)
		for rows.Next() {
			var id, parent, unused int
			var detail string
			must(t, rows.Scan(&id, &parent, &unused, &detail))
			access := planAccess.FindStringSubmatch(detail)
			if access == nil {
				continue
			}
			how, table, keys := access[1], access[2], access[3]
			if _, watched := large[table]; !watched {
				continue
			}
			large[table]++
			switch table {
			case "leases", "ledger_entries", "usage_sums":
				if how != "SEARCH" || !strings.Contains(keys, "(org_id=? AND ") {
					t.Errorf("%s\nin %.300s", detail, text)
				}
			default:
				if how != "SEARCH" {
					t.Errorf("%s\nin %.300s", detail, text)
				}
			}
		}
		must(t, rows.Err())
	}
	for _, table := range []string{"leases", "ledger_entries", "usage_sums", "t", "o", "m"} {
		if large[table] == 0 {
			t.Errorf("no plan speaks of %s, so this tests nothing", table)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// needy is an operation that needs n rows by each kind of key, and does nothing.
type needy int

// Needs implements billing.Operation.
func (n needy) Needs() (needs billing.Needs) {
	for i := range int(n) {
		id := billing.NewID()
		needs.Add(billing.Needs{
			Leases: []billing.ID{id}, Jobs: []billing.ID{id}, Entries: []billing.ID{id}, Debits: []billing.ID{id},
			IdempotencyKeys: []string{fmt.Sprint(i)},
		})
	}
	return needs
}

// Apply implements billing.Operation.
func (needy) Apply(*billing.Book) error { return nil }

// The texts that are prepared are few, whatever the sizes of requests.
func TestSQLiteStatementsAreFew(t *testing.T) {
	s := openFile(t, newFile(t))
	prepared := watchStatements(s)
	org := createOrganization(t, s, "acme")
	write := func(n int) {
		var leases []billing.Lease
		var ops []billing.Operation
		for i := range n {
			l := lease()
			l.StartedAt += billing.Time(i) * billing.Hour
			l.FinishedAt = new(*l.FinishedAt + billing.Time(i)*billing.Hour)
			leases, ops = append(leases, l), append(ops, credit(1, fmt.Sprint(n, " ", i)))
		}
		must(t, errors.Join(first(s.Write(t.Context(), org, append(ops, record(leases...))...))...))
	}
	for _, n := range []int{0, 1, 2, 7, 8, 9, 10, 63, 64, 65, 66, 100, 511, 512, 513, 600, 1100} {
		must(t, errors.Join(first(s.Write(t.Context(), org, needy(n)))...))
	}
	for _, n := range []int{1, 2, 7, 8, 9, 10, 15, 16, 17, 63, 64, 65, 66, 71, 72, 73, 150} {
		write(n)
	}
	// Four sizes of each of five lookups, four of each of three inserts, and a few more.
	if n := len(prepared); n < 20 || n > 40 {
		t.Errorf("%d statements are prepared", n)
	}
}

// A transaction that the database refuses only at its end leaves nothing behind, not even itself.
func TestSQLiteCommitRefused(t *testing.T) {
	s := openFile(t, newFile(t))
	org := createOrganization(t, s, "acme")
	for range 3 {
		err := s.transact(t.Context(), func(p pipeline) error {
			p.exec(`PRAGMA defer_foreign_keys = ON`, nil)
			p.exec(`INSERT INTO token_organizations (token_sha256, org_id) VALUES ($1, $1)`, []any{make([]byte, 16)})
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), "FOREIGN KEY") {
			t.Fatalf("the commit gave %v", err)
		}
	}
	must(t, post(t, s, org, "key"))
	wantBalance(t, s, org, 1, 1)
}

// hold takes a connection out of a pool until the test ends.
func hold(t *testing.T, pool *sql.DB) *sql.Conn {
	t.Helper()
	conn, err := pool.Conn(t.Context())
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// eachConnection hands over all connections of the pool, while it has none of them.
func eachConnection(t *testing.T, pool sqlitePool, do func(*native.Conn)) {
	t.Helper()
	for range pool.connections {
		conn, err := pool.Take(t.Context())
		must(t, err)
		defer pool.Put(conn) //nolint:gocritic // not before all of them were held
		do(conn)
	}
}

// onWriter executes a statement on the connection that writes, while nothing is written.
func onWriter(t *testing.T, s *Store, text string) {
	t.Helper()
	must(t, sqlitex.ExecuteTransient(s.committer.conn, text, nil))
}

// When the disk is full, writes fail as unavailable and change nothing; once there is room it goes on.
func TestSQLiteFull(t *testing.T) {
	s := openFile(t, newFile(t))
	org := createOrganization(t, s, "acme")
	must(t, post(t, s, org, "before"))
	onWriter(t, s, `PRAGMA max_page_count = 1`) // SQLite makes it what there is
	long := strings.Repeat("x", billing.LeaseVMHandleMaxLength)
	seq, failed := int64(1), 0
	var sent []*billing.PostCredit
	for i := 0; failed < 5; i++ {
		op := credit(1, fmt.Sprint(i))
		op.Description = &long
		sent = append(sent, op)
		err := billing.NewService(s, billing.StandardRates).PostCredit(t.Context(), org, op)
		switch {
		case err == nil:
			seq++
		case errors.Is(err, billing.ErrUnavailable):
			failed++
		default:
			t.Fatal(err)
		}
		wantBalance(t, s, org, seq, seq)
	}
	for what, err := range map[string]error{
		"several operations": second(s.Write(t.Context(), org, credit(5, long), record(lease(), lease()))),
		"an organization":    s.CreateOrganization(t.Context(), billing.Organization{ID: billing.NewID(), Slug: long, Name: long}),
	} {
		if !errors.Is(err, billing.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	wantBalance(t, s, org, seq, seq)

	onWriter(t, s, `PRAGMA max_page_count = 1000000`)
	for _, op := range sent {
		must(t, billing.NewService(s, billing.StandardRates).PostCredit(t.Context(), org, op))
	}
	wantBalance(t, s, org, int64(len(sent))+1, int64(len(sent))+1)
}

// While another program holds the file for too long, writes fail as unavailable, and reads go on.
func TestSQLiteBusy(t *testing.T) {
	file := newFile(t)
	s := openFile(t, file)
	org := createOrganization(t, s, "acme")
	must(t, post(t, s, org, "before"))
	onWriter(t, s, `PRAGMA busy_timeout = 0`)
	raw := hold(t, openRaw(t, file))
	_, err := raw.ExecContext(t.Context(), `BEGIN IMMEDIATE`)
	must(t, err)
	for what, err := range map[string]error{
		"a credit":        post(t, s, org, "meanwhile"),
		"an organization": s.CreateOrganization(t.Context(), billing.Organization{ID: billing.NewID(), Slug: "x", Name: "x"}),
	} {
		if !errors.Is(err, billing.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	wantBalance(t, s, org, 1, 1)
	_, err = raw.ExecContext(t.Context(), `ROLLBACK`)
	must(t, err)
	must(t, post(t, s, org, "meanwhile"))
	wantBalance(t, s, org, 2, 2)
}

// A transaction that takes too long is the database's failure, not the caller's, and none of it takes place.
func TestSQLiteTimeout(t *testing.T) {
	s := openFile(t, newFile(t))
	org := createOrganization(t, s, "acme")
	usual := s.commitTimeout
	s.commitTimeout = 1
	errs, err := s.Write(t.Context(), org, credit(1, "a"), credit(1, "b"))
	if !errors.Is(err, billing.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, %v", errs, err)
	}
	wantBalance(t, s, org, 0, 0)
	s.commitTimeout = usual
	must(t, post(t, s, org, "a"))
	wantBalance(t, s, org, 1, 1)
}

// operation is one made for a test.
type operation func(*billing.Book) error

func (operation) Needs() billing.Needs           { return billing.Needs{} }
func (do operation) Apply(b *billing.Book) error { return do(b) }

// hidden does not see what is stored, so that the database must refuse it.
func hidden(op billing.Operation) billing.Operation { return operation(op.Apply) }

// When the database goes while operations are tried one by one, those that are left fail at once.
func TestSQLiteGoneWhileTryingSingly(t *testing.T) {
	s := openFile(t, newFile(t))
	org := createOrganization(t, s, "acme")
	must(t, post(t, s, org, "taken"))
	usual, applied := s.commitTimeout, 0
	errs, err := s.Write(t.Context(), org,
		operation(func(b *billing.Book) error {
			if applied++; applied == 2 { // the second time it is on its own
				s.commitTimeout = 1
			}
			return credit(1, "alone").Apply(b)
		}),
		credit(1, "a"), hidden(credit(1, "taken")), credit(1, "b"))
	must(t, err)
	if errs[0] != nil {
		t.Errorf("the first operation: %v", errs[0])
	}
	for i, err := range errs[1:] {
		if !errors.Is(err, billing.ErrUnavailable) {
			t.Errorf("operation %d: %v", i+1, err)
		}
		if err != errs[1] { //nolint:errorlint // the same error, not one like it: nothing else was tried
			t.Errorf("operation %d was tried", i+1)
		}
	}
	s.commitTimeout = usual
	wantBalance(t, s, org, 2, 2)
}

// Who waits in the queue and gives up is answered at once, and what was to be written is not.
func TestSQLiteGivenUpInTheQueue(t *testing.T) {
	s := openFile(t, newFile(t))
	org := createOrganization(t, s, "acme")
	var waiting sync.WaitGroup
	held(t, s, org, func() {
		ctx, cancel := context.WithCancel(t.Context())
		const n = 8
		for i := range n {
			waiting.Go(func() {
				if _, err := s.Write(ctx, org, credit(1, fmt.Sprint(i))); !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
			})
		}
		waitUntil(func() bool { return s.queue.length() == n })
		cancel()
		waiting.Wait()
	})
	must(t, post(t, s, org, "later"))
	wantBalance(t, s, org, 1, 1)
}

// Whose turn has come learns the outcome, even when the context ends, and whoever commits.
func TestSQLiteGivenUpInTheTransaction(t *testing.T) {
	s := openFile(t, newFile(t))
	org := createOrganization(t, s, "acme")
	for i, commits := range []string{"its own caller", "another's"} {
		ctx, cancel := context.WithCancel(t.Context())
		write := func() {
			errs, err := s.Write(ctx, org, operation(func(b *billing.Book) error {
				cancel()
				return credit(1, commits).Apply(b)
			}))
			if err := errors.Join(append(errs, err)...); err != nil {
				t.Errorf("committed by %s: %v", commits, err)
			}
		}
		if i == 0 {
			write()
		} else {
			var waiting sync.WaitGroup
			held(t, s, org, func() {
				waiting.Go(write)
				waitUntil(func() bool { return s.queue.length() == 1 })
			})
			waiting.Wait()
		}
	}
	wantBalance(t, s, org, 2, 2)
}

// Close waits for what is in the queue, also when the database refuses something, and nothing is written after it.
func TestSQLiteCloseWhileWriting(t *testing.T) {
	s := openFile(t, newFile(t))
	org := createOrganization(t, s, "acme")
	must(t, post(t, s, org, "taken"))
	entered, released := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		first := true
		errs, err := s.Write(t.Context(), org, operation(func(*billing.Book) error {
			if first {
				first = false
				close(entered)
				<-released
			}
			return nil
		}), hidden(credit(1, "taken")), credit(1, "beside"))
		if err != nil || errs[0] != nil || errs[1] == nil || errs[2] != nil {
			t.Errorf("%v, %v", errs, err)
		}
	})
	<-entered
	const n = 8
	for i := range n {
		all.Go(func() {
			if err := post(t, s, org, fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
		})
	}
	waitUntil(func() bool { return s.queue.length() == n })
	all.Go(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	waitUntil(func() bool { // Close waits
		if s.using.TryRLock() {
			s.using.RUnlock()
			return false
		}
		return true
	})
	all.Go(func() {
		if err := post(t, s, org, "too late"); !errors.Is(err, billing.ErrUnavailable) {
			t.Errorf("after Close was called: %v", err)
		}
	})
	close(released)
	all.Wait()
}

// held runs do while a write transaction of the store is under way, and lets that end afterwards.
func held(t *testing.T, s *Store, org billing.ID, do func()) {
	t.Helper()
	entered, released := make(chan struct{}), make(chan struct{})
	var holder sync.WaitGroup
	holder.Go(func() {
		errs, err := s.Write(t.Context(), org, operation(func(*billing.Book) error {
			close(entered)
			<-released
			return nil
		}))
		if err := errors.Join(append(errs, err)...); err != nil {
			t.Error(err)
		}
	})
	<-entered
	do()
	close(released)
	holder.Wait()
}

// An operation that panics fails alone, whoever commits it: what shares its transaction takes place, and of itself nothing does.
func TestSQLitePanic(t *testing.T) {
	s := openFile(t, newFile(t))
	org := createOrganization(t, s, "acme")
	panicking := func(key string) operation {
		return func(b *billing.Book) error {
			if err := credit(1, key).Apply(b); err != nil {
				return err
			}
			panic("an operation does this")
		}
	}
	refused := func(errs []error, err error) {
		if err != nil || len(errs) != 1 || errs[0] == nil || !strings.Contains(errs[0].Error(), "an operation does this") || errors.Is(errs[0], billing.ErrUnavailable) {
			t.Errorf("the operation that panics gives %v, %v", errs, err)
		}
	}
	refused(s.Write(t.Context(), org, panicking("by its own caller")))
	var all sync.WaitGroup
	held(t, s, org, func() {
		all.Go(func() {
			if err := post(t, s, org, "before"); err != nil {
				t.Error(err)
			}
		})
		waitUntil(func() bool { return s.queue.length() == 1 })
		all.Go(func() { refused(s.Write(t.Context(), org, panicking("by another's"))) })
		waitUntil(func() bool { return s.queue.length() == 2 })
		all.Go(func() {
			if err := post(t, s, org, "after"); err != nil {
				t.Error(err)
			}
		})
		waitUntil(func() bool { return s.queue.length() == 3 })
	})
	all.Wait()
	wantBalance(t, s, org, 2, 2)
}

// waitUntil waits for what other goroutines are about to do.
func waitUntil(done func() bool) {
	for !done() {
		runtime.Gosched()
	}
}

func (q *writes) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

func TestSQLiteOpenRefuses(t *testing.T) {
	folder := t.TempDir()
	text := filepath.Join(folder, "notes.txt")
	contents := []byte(strings.Repeat("These are notes. ", 1000))
	must(t, os.WriteFile(text, contents, 0o600))
	for _, c := range []struct{ name, database, says string }{
		{"nothing", "", "must be given as sqlite:FILE"},
		{"no file", "sqlite:", "must be given as sqlite:FILE"},
		{"a file without the scheme", "billing.db", "must be given as sqlite:FILE"},
		{"another scheme", "mysql://user:secret@host/db", "not mysql:…"},
		{"memory", "sqlite::memory:", "name a file"},
		{"a missing folder", "sqlite:" + filepath.Join(folder, "missing", "billing.db"), filepath.Join(folder, "missing") + ": no such file or directory"},
		{"a folder", "sqlite:" + folder, folder + ": unable to open database file"},
		{"a file below a file", "sqlite:" + filepath.Join(text, "billing.db"), text + "/billing.db: unable to open database file"},
		{"a text file", "sqlite:" + text, text + ": file is not a database"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Open(t.Context(), c.database)
			if err == nil {
				s.Close()
				t.Fatal("it opened")
			}
			if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "memory (") {
				t.Errorf("it says %q; want %q", err, c.says)
			}
		})
	}
	if after, err := os.ReadFile(text); err != nil || !bytes.Equal(after, contents) {
		t.Errorf("the text file was changed, %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := Open(ctx, "sqlite:"+filepath.Join(folder, "new.db")); !errors.Is(err, context.Canceled) {
		if err == nil {
			s.Close()
		}
		t.Errorf("with a context that has ended: %v", err)
	}
}

func TestSQLiteNewerSchema(t *testing.T) {
	file := newFile(t)
	s := openFile(t, file)
	org := createOrganization(t, s, "acme")
	must(t, post(t, s, org, "key"))
	raw := openRaw(t, file)
	var newest int
	must(t, raw.QueryRow(`SELECT max(version_id) FROM goose_db_version`).Scan(&newest))
	_, err := raw.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)`)
	must(t, err)
	newer, err := Open(t.Context(), "sqlite:"+file)
	if err == nil {
		newer.Close()
	}
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint("schema version 9999, this program knows versions up to ", newest)) {
		t.Errorf("got %v", err)
	}
	wantBalance(t, s, org, 1, 1)
}

func TestSQLiteFileNames(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	for _, name := range []string{
		"plain.db", "with space.db", " leading", "trailing ", "per%cent", "%41", "quest?ion", "x?mode=memory", "ha#sh", "amp&er=sand",
		"plus+", "semi;colon", `quo'te"`, `back\slash`, "ünïcode 🏗", "file:x", "sqlite:x", "-dash", "~", "new\nline", "a:b", "*",
	} {
		t.Run(name, func(t *testing.T) {
			s := openFile(t, name)
			org := createOrganization(t, s, "acme")
			must(t, post(t, s, org, "key"))
			wantBalance(t, s, org, 1, 1)
			if info, err := os.Stat(name); err != nil || info.Size() == 0 {
				t.Errorf("the file: %v, %v", info, err)
			}
		})
	}
	files, err := os.ReadDir(folder)
	must(t, err)
	if len(files) != 22 {
		t.Errorf("there are %d files; want one for each name: %v", len(files), files)
	}
}

// A database behind a symbolic link is the one that the link leads to, with its log, whatever lies beside the link.
func TestSQLiteLinks(t *testing.T) {
	for _, leftOver := range []bool{false, true} {
		t.Run(fmt.Sprintf("index left beside the link %t", leftOver), func(t *testing.T) {
			file, link := newFile(t), filepath.Join(t.TempDir(), "link.db")
			s := openFile(t, file)
			org := createOrganization(t, s, "acme")
			must(t, post(t, s, org, "before"))
			if leftOver {
				index, err := os.ReadFile(file + "-shm")
				must(t, err)
				must(t, os.WriteFile(link+"-shm", index, 0o600))
			}
			must(t, os.Symlink(file, link))
			linked := openFile(t, link)
			token := billing.Token{Hash: billing.TokenHash{1}, Name: "ci", Role: billing.RoleRead, Organizations: []string{"acme"}}
			must(t, s.CreateToken(t.Context(), token))
			wantBalance(t, linked, org, 1, 1)
			must(t, second(linked.Grant(t.Context(), token.Hash, "acme")))

			must(t, post(t, s, org, "through the file"))
			wantBalance(t, linked, org, 2, 2)
			must(t, post(t, linked, org, "through the link"))
			must(t, post(t, linked, org, "through the link again"))
			wantBalance(t, s, org, 4, 4)
			wantBalance(t, linked, org, 4, 4)
			must(t, s.RevokeToken(t.Context(), token.Hash, 1))
			grant, err := linked.Grant(t.Context(), token.Hash, "acme")
			must(t, err)
			if grant.RevokedAt == nil {
				t.Error("a token that was revoked through the file is still admitted through the link")
			}
		})
	}
	t.Run("to a folder", func(t *testing.T) {
		folder, link := t.TempDir(), filepath.Join(t.TempDir(), "folder")
		must(t, os.Symlink(folder, link))
		s := openFile(t, filepath.Join(link, "billing.db"))
		must(t, post(t, s, createOrganization(t, s, "acme"), "key"))
		must(t, second(os.Stat(filepath.Join(folder, "billing.db"))))
	})
	t.Run("to nothing", func(t *testing.T) {
		link := filepath.Join(t.TempDir(), "link.db")
		must(t, os.Symlink(filepath.Join(t.TempDir(), "none.db"), link))
		_, err := Open(t.Context(), "sqlite:"+link)
		if err == nil || !strings.HasPrefix(err.Error(), "open "+link+": the symbolic link leads nowhere: ") || !strings.Contains(err.Error(), "none.db") {
			t.Errorf("the error is %v", err)
		}
	})
}

// A file that another process creates while its name is resolved is not taken for a symbolic link. The name is resolved again
// and again until the file is there, so that some creations fall between two steps of it.
func TestSQLiteCreatedMeanwhile(t *testing.T) {
	folder, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	for i := range 300 {
		file := filepath.Join(folder, fmt.Sprint(i))
		created := make(chan error, 1)
		go func() { created <- os.WriteFile(file, nil, 0o600) }()
		for done := false; !done; {
			select {
			case err := <-created:
				must(t, err)
				done = true
			default:
			}
			resolved, err := followLinks(file)
			if err != nil || resolved != file {
				t.Fatalf("%s leads to %q, %v", file, resolved, err)
			}
		}
	}
}

// Connections are opened when they are needed, which may be in another working directory.
func TestSQLiteWorkingDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	s := openFile(t, "billing.db")
	org := createOrganization(t, s, "acme")
	t.Chdir(t.TempDir())
	pool := s.reader.(sqlitePool)
	for range pool.connections - 1 {
		conn, err := pool.Take(t.Context())
		must(t, err)
		defer pool.Put(conn) //nolint:gocritic // not before the balance was read
	}
	wantBalance(t, s, org, 0, 0)
}

// Those that open a new file at once all find it ready.
func TestSQLiteOpenedAtOnce(t *testing.T) {
	for range 2 {
		file := newFile(t)
		stores := make([]*Store, 8)
		errs := make([]error, len(stores))
		var all sync.WaitGroup
		begin := make(chan struct{})
		for i := range stores {
			all.Go(func() {
				<-begin
				stores[i], errs[i] = Open(t.Context(), "sqlite:"+file)
			})
		}
		close(begin)
		all.Wait()
		must(t, errors.Join(errs...))
		org := createOrganization(t, stores[0], "acme")
		for i, s := range stores {
			must(t, post(t, s, org, fmt.Sprint(i)))
		}
		wantBalance(t, stores[3], org, 8, 8)
		for _, s := range stores {
			must(t, s.Close())
		}
	}
}

// A new file that another process writes is waited for, also where SQLite itself would not wait.
func TestSQLiteOpenWaits(t *testing.T) {
	file := newFile(t)
	raw := hold(t, openRaw(t, file))
	_, err := raw.ExecContext(t.Context(), `BEGIN IMMEDIATE; CREATE TABLE x (x)`)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	s, err := Open(ctx, "sqlite:"+file)
	if err == nil {
		s.Close()
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it did not wait for its context to end: %v", err)
	}
}

const childFile = "HARMONT_BILLING_TEST_FILE"

// TestChild is what TestSQLiteProcesses runs in other processes.
func TestChild(t *testing.T) {
	file := os.Getenv(childFile)
	if file == "" {
		t.Skip("it is run by TestSQLiteProcesses")
	}
	fmt.Println("ready")
	if _, err := io.ReadAll(os.Stdin); err != nil { // until all begin
		t.Fatal(err)
	}
	s := openFile(t, file)
	err := s.CreateOrganization(t.Context(), billing.Organization{ID: billing.ID{1}, Slug: "acme", Name: "acme"})
	if err != nil && !errors.Is(err, billing.ErrExists) {
		t.Fatal(err)
	}
	for i := range 20 {
		shared := lease()
		shared.ID, shared.JobID = nil, &billing.ID{2, byte(i)}
		for _, op := range []billing.Operation{credit(1, fmt.Sprint("shared ", i)), record(shared), credit(1, fmt.Sprint(os.Getpid(), " ", i))} {
			must(t, errors.Join(first(s.Write(t.Context(), billing.ID{1}, op))...))
		}
	}
}

// Several processes that begin on a new file at once, and bill the same, bill it once.
func TestSQLiteProcesses(t *testing.T) {
	file := newFile(t)
	const processes = 4
	begin := make(chan struct{})
	var ready, all sync.WaitGroup
	for range processes {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.v")
		child.Env = append(os.Environ(), childFile+"="+file)
		stdin, err := child.StdinPipe()
		must(t, err)
		stdout, err := child.StdoutPipe()
		must(t, err)
		must(t, child.Start())
		ready.Add(1)
		all.Go(func() {
			output := bufio.NewReader(stdout)
			for line := ""; line != "ready\n" && err == nil; {
				line, err = output.ReadString('\n')
			}
			ready.Done()
			<-begin
			stdin.Close()
			rest, err := io.ReadAll(output)
			if err := errors.Join(err, child.Wait()); err != nil {
				t.Errorf("%v: %s", err, rest)
			}
		})
	}
	ready.Wait()
	close(begin)
	all.Wait()
	// 20 shared credits, 20 shared leases of 12 cents, and 20 credits of each process.
	wantBalance(t, openFile(t, file), billing.ID{1}, 40+20*processes, 20-20*12+20*processes)
}

package store

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

func TestSQLite(t *testing.T) {
	// Each test has a copy of an empty database, since making one takes longer than most tests.
	made := newFile(t)
	s, err := openStore(t.Context(), made)
	storetest.Must(t, err)
	storetest.Must(t, s.Close())
	empty, err := os.ReadFile(made)
	storetest.Must(t, err)
	storetest.Run(t, func(t *testing.T) func() billing.Store {
		file := newFile(t)
		storetest.Must(t, os.WriteFile(file, empty, 0o600))
		return func() billing.Store { return open(t, file) }
	})
}

// Another program that opens the file cannot change billed leases and entries by mistake.
func TestSQLiteRefusesToChangeHistory(t *testing.T) {
	file := newFile(t)
	s := open(t, file)
	org := storetest.CreateOrganization(t, s, "acme")
	running := storetest.Lease()
	running.FinishedAt, running.DurationSeconds = nil, nil
	storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), org, storetest.Credit(100, "key"), storetest.Record(storetest.Lease(), running)))...))
	raw := openRaw(t, file)
	dump := func() (rows []string) {
		for _, table := range []string{"ledger_entries", "leases", "rate_cards"} {
			got, err := raw.Query(`SELECT * FROM ` + table)
			storetest.Must(t, err)
			columns, err := got.Columns()
			storetest.Must(t, err)
			for got.Next() {
				values := make([]any, len(columns))
				for i := range values {
					values[i] = new(any)
				}
				storetest.Must(t, got.Scan(values...))
				row := table
				for _, v := range values {
					row += fmt.Sprintf("|%v", *v.(*any))
				}
				rows = append(rows, row)
			}
			storetest.Must(t, got.Err())
		}
		return rows
	}
	const (
		entries = `org_id, seq, entry_id, amount_cents, balance_after_cents, source, created_at, lease_id, idempotency_key, digest`
		leases  = `org_id, lease_id, job_id, cpu_count, memory_gb, disk_gb, started_at`
		fresh   = `randomblob(16)`
	)
	before := dump()
	if len(before) != 5 {
		t.Fatalf("there are %d rows; want 5", len(before))
	}
	for _, text := range []string{
		`UPDATE ledger_entries SET amount_cents = 1`,
		`UPDATE ledger_entries SET description = 'x' WHERE seq = 1`,
		`UPDATE OR REPLACE ledger_entries SET seq = 1 WHERE seq = 2`,
		`DELETE FROM ledger_entries`,
		`DELETE FROM ledger_entries WHERE seq = 2`,
		`REPLACE INTO ledger_entries (` + entries + `) SELECT org_id, 1, ` + fresh + `, 5, 5, 'refund', 0, NULL, NULL, zeroblob(32) FROM organizations`,
		`REPLACE INTO ledger_entries (` + entries + `) SELECT org_id, 3, entry_id, 5, 5, 'refund', 0, NULL, NULL, zeroblob(32) FROM ledger_entries WHERE seq = 1`,
		`REPLACE INTO ledger_entries (` + entries + `) SELECT org_id, 3, ` + fresh + `, 0, 5, source, 0, lease_id, NULL, zeroblob(32) FROM ledger_entries WHERE seq = 2`,
		`REPLACE INTO ledger_entries (` + entries + `) SELECT org_id, 3, ` + fresh + `, 5, 5, 'refund', 0, NULL, 'key', zeroblob(32) FROM organizations`,
		`UPDATE ledger_entries SET digest = NULL`,
		`UPDATE ledger_entries SET digest = zeroblob(32) WHERE seq = 1`,
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
		`INSERT INTO ledger_entries (` + entries + `) SELECT org_id, 2, ` + fresh + `, 5, 5, 'refund', 0, NULL, NULL, zeroblob(32) FROM organizations
			ON CONFLICT DO UPDATE SET amount_cents = 5`,
		`UPDATE rate_cards SET cpu_microcents = 1`,
		`UPDATE rate_cards SET name = 'x'`,
		`DELETE FROM rate_cards`,
		`REPLACE INTO rate_cards (card_id, seq, effective_from, name, created_at) SELECT card_id, 9, 0, 'x', 0 FROM rate_cards`,
		`REPLACE INTO rate_cards (card_id, seq, effective_from, name, created_at) SELECT ` + fresh + `, 1, 0, 'x', 0 FROM rate_cards`,
	} {
		if _, err := raw.Exec(text); err == nil {
			t.Errorf("the database has executed %s", text)
		}
	}
	if after := dump(); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	storetest.Must(t, storetest.Post(t, s, org, "later"))
}

// A write transaction has the write lock from its beginning, so that no other transaction changes the rows that it has read.
func TestSQLiteTransactionsLockAtOnce(t *testing.T) {
	file := newFile(t)
	s := open(t, file)
	raw := openRaw(t, file)
	storetest.Must(t, s.transact(t.Context(), func(driver.Tx) error {
		if _, err := raw.Exec(`BEGIN IMMEDIATE`); err == nil {
			t.Error("another connection has begun to write as well")
		}
		return nil
	}))
}

// watched is a database that collects its statements.
type watched struct {
	driver.Database
	*statements
}

// watchStatements collects the texts that the store executes from now on.
func watchStatements(s *Store) *statements {
	w := watched{s.db, &statements{seen: map[string]bool{}}}
	s.db = w
	return w.statements
}

func (w watched) Query(ctx context.Context, text string, args []any, scan func(*driver.Row) error) error {
	w.note(text)
	return w.Database.Query(ctx, text, args, scan)
}

func (w watched) ReadReplica(ctx context.Context, do func(context.Context, driver.Reader) error) error {
	return do(ctx, w)
}

func (w watched) Snapshot(ctx context.Context, do func(driver.Snapshot) error) error {
	return w.Database.Snapshot(ctx, func(s driver.Snapshot) error { return do(watchedSnapshot{s, w.statements}) })
}

func (w watched) Write(ctx context.Context, do func(driver.Tx) error) error {
	return w.Database.Write(ctx, func(tx driver.Tx) error { return do(watchedTx{tx, w.statements}) })
}

type statements struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (s *statements) note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[text] = true
}

type watchedSnapshot struct {
	driver.Snapshot
	*statements
}

func (s watchedSnapshot) Query(ctx context.Context, text string, args []any, scan func(*driver.Row) error) error {
	s.note(text)
	return s.Snapshot.Query(ctx, text, args, scan)
}

func (s watchedSnapshot) Start(ctx context.Context, text string, args []any) error {
	s.note(text)
	return s.Snapshot.Start(ctx, text, args)
}

type watchedTx struct {
	driver.Tx
	*statements
}

func (t watchedTx) Query(text string, args []any, scan func(*driver.Row) error) {
	t.note(text)
	t.Tx.Query(text, args, scan)
}

func (t watchedTx) Exec(text string, args []any) {
	t.note(text)
	t.Tx.Exec(text, args)
}

var (
	parameter  = regexp.MustCompile(`\$(\d+)`)
	planAccess = regexp.MustCompile(`^(SCAN|SEARCH) (\w+)(.*)$`)
)

// No statement may read more of the large tables than it needs: each searches by the organization and another column, unless it has to
// read the whole organization.
func TestSQLiteQueryPlans(t *testing.T) {
	file := newFile(t)
	s, raw := open(t, file), openRaw(t, file)
	texts := watchStatements(s)
	org := storetest.CreateOrganization(t, s, "acme")
	storetest.Must(t, s.CreateToken(t.Context(), billing.Token{Hash: billing.TokenHash{1}, Name: "ci", Role: billing.RoleRead, Organizations: []string{"acme"}}))
	for _, n := range []int{1, 8, 64, 512} {
		storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), org, needy(n)))...))
	}
	storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), org, storetest.Credit(1, "key"), storetest.Record(storetest.Lease())))...))
	w := billing.Window{From: 1, To: 2 * billing.Hour}
	for _, err := range []error{
		s.RevokeToken(t.Context(), billing.TokenHash{1}, 1),
		storetest.Second(s.OrganizationBySlug(t.Context(), "acme")),
		storetest.Second(s.Organizations(t.Context(), "", 1, nil)),
		storetest.Second(s.Organizations(t.Context(), "", 1, &billing.TokenHash{1})),
		storetest.Second(s.Grant(t.Context(), billing.TokenHash{1}, "acme")),
		storetest.Second(s.Head(t.Context(), org)),
		storetest.Second(s.Entries(t.Context(), org, 10, 10)),
		storetest.Second(s.WalkEntries(t.Context(), org, billing.EntryWalk{OldestFirst: true, Past: 1}, 10)),
		storetest.Second(s.WalkEntries(t.Context(), org, billing.EntryWalk{Past: 10, Source: billing.SourceVMLeaseDebit}, 10)),
		storetest.Second(s.WalkEntries(t.Context(), org, billing.EntryWalk{Past: 10, Source: billing.SourceRefund}, 10)),
		storetest.Second(s.SeqAt(t.Context(), org, 1)),
		storetest.Second(s.Statement(t.Context(), org, billing.Window{From: 1, To: math.MaxInt64})),
		storetest.Second(s.RecordedLeases(t.Context(), org, billing.LeaseFilter{}, billing.LeasePlace{}, 10)),
		storetest.Second(s.RecordedLeases(t.Context(), org, billing.LeaseFilter{State: billing.LeaseStateRunning}, billing.LeasePlace{}, 10)),
		storetest.Second(s.RecordedLeases(t.Context(), org, billing.LeaseFilter{LeaseID: &billing.ID{}}, billing.LeasePlace{}, 10)),
		storetest.Second(s.RecordedLeases(t.Context(), org, billing.LeaseFilter{JobID: &billing.ID{}}, billing.LeasePlace{}, 10)),
		storetest.Second(s.Usage(t.Context(), org, w)),
		storetest.Second(s.UsageByDay(t.Context(), org, w)),
		storetest.Second(s.UsageByGroup(t.Context(), org, billing.GroupQuery{Window: billing.Window{From: 1, To: 400 * billing.Day}, Grouping: billing.GroupByShape})),
		storetest.Second(s.UsageByGroup(t.Context(), org, billing.GroupQuery{Window: w, Grouping: "label.team"})),
		storetest.Second(s.addGroups(t.Context(), org)),
	} {
		storetest.Must(t, err)
	}

	// Builds of one part, of two, and leases of none.
	build := billing.NewID()
	for i := range billing.Time(4) {
		l := storetest.Lease()
		l.StartedAt += i * billing.Second
		if i < 3 {
			l.BuildID = &build
		}
		storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), org, storetest.Record(l)))...))
	}
	for _, s.parts.leases = range []int64{2, 3} {
		for _, err := range s.Breakdown(t.Context(), org, billing.Window{From: 0, To: 1 << 60}) {
			storetest.Must(t, err)
		}
	}

	large := map[string]int{"leases": 0, "ledger_entries": 0, "usage_sums": 0, "usage_groups": 0, "usage_values": 0, "usage_progress": 0, "l": 0, "e": 0, "tokens": 0, "t": 0, "organizations": 0, "o": 0, "named": 0, "m": 0, "token_organizations": 0}
	for text := range texts.seen {
		numbered := 0
		for _, p := range parameter.FindAllStringSubmatch(text, -1) {
			var n int
			_, err := fmt.Sscan(p[1], &n)
			storetest.Must(t, err)
			numbered = max(numbered, n)
		}
		parameters := numbered + strings.Count(text, "?")
		rows, err := raw.Query(`EXPLAIN QUERY PLAN `+text, make([]any, parameters)...)
		storetest.Must(t, err)
		for rows.Next() {
			var id, parent, unused int
			var detail string
			storetest.Must(t, rows.Scan(&id, &parent, &unused, &detail))
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
			case "leases", "l", "ledger_entries", "e", "usage_sums", "usage_groups":
				if how != "SEARCH" || !strings.Contains(keys, "(org_id=? AND ") {
					t.Errorf("%s\nin %.300s", detail, text)
				}
			default:
				if how != "SEARCH" {
					t.Errorf("%s\nin %.300s", detail, text)
				}
			}
		}
		storetest.Must(t, rows.Err())
	}
	for _, table := range []string{"leases", "l", "ledger_entries", "e", "usage_sums", "usage_groups", "usage_values", "usage_progress", "t", "o", "named", "m"} {
		if large[table] == 0 {
			t.Errorf("no plan speaks of %s, so this tests nothing", table)
		}
	}
}

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

// Requests of all sizes prepare only few different statements.
func TestSQLiteStatementsAreFew(t *testing.T) {
	s := open(t, newFile(t))
	s.followers.end() // the statements of groups would be noted at the same time
	texts := watchStatements(s)
	org := storetest.CreateOrganization(t, s, "acme")
	write := func(n int) {
		var leases []billing.Lease
		var ops []billing.Operation
		for i := range n {
			l := storetest.Lease()
			l.StartedAt += billing.Time(i) * billing.Hour
			l.FinishedAt = new(*l.FinishedAt + billing.Time(i)*billing.Hour)
			leases, ops = append(leases, l), append(ops, storetest.Credit(1, fmt.Sprint(n, " ", i)))
		}
		storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), org, append(ops, storetest.Record(leases...))...))...))
	}
	for _, n := range []int{0, 1, 2, 7, 8, 9, 10, 63, 64, 65, 66, 100, 511, 512, 513, 600, 1100} {
		storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), org, needy(n)))...))
	}
	for _, n := range []int{1, 2, 7, 8, 9, 10, 15, 16, 17, 63, 64, 65, 66, 71, 72, 73, 150} {
		write(n)
	}
	// Four sizes of each of five lookups, four of each of three inserts, and a few more.
	if n := len(texts.seen); n < 20 || n > 40 {
		t.Errorf("%d statements are prepared", n)
	}
}

// A transaction that the database refuses only at its end leaves nothing behind, not even itself.
func TestSQLiteCommitRefused(t *testing.T) {
	s := open(t, newFile(t))
	org := storetest.CreateOrganization(t, s, "acme")
	for range 3 {
		err := s.transact(t.Context(), func(tx driver.Tx) error {
			tx.Exec(`PRAGMA defer_foreign_keys = ON`, nil)
			tx.Exec(`INSERT INTO token_organizations (token_sha256, org_id) VALUES ($1, $1)`, []any{make([]byte, 16)})
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), "FOREIGN KEY") {
			t.Fatalf("the commit gave %v", err)
		}
	}
	storetest.Must(t, storetest.Post(t, s, org, "key"))
	storetest.WantBalance(t, s, org, 1, 1)
}

// hold takes a connection out of a pool until the test ends.
func hold(t *testing.T, pool *sql.DB) *sql.Conn {
	t.Helper()
	conn, err := pool.Conn(t.Context())
	storetest.Must(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// onWriter executes a statement on the connection that writes.
func onWriter(t *testing.T, s *Store, text string) {
	t.Helper()
	storetest.Must(t, s.transact(t.Context(), func(tx driver.Tx) error {
		tx.Exec(text, nil)
		return nil
	}))
}

// When the disk is full, writes fail as unavailable and change nothing; once there is room it goes on.
func TestSQLiteFull(t *testing.T) {
	s := open(t, newFile(t))
	org := storetest.CreateOrganization(t, s, "acme")
	storetest.Must(t, storetest.Post(t, s, org, "before"))
	onWriter(t, s, `PRAGMA max_page_count = 1`) // SQLite raises it to the present size
	long := strings.Repeat("x", billing.LeaseVMHandleMaxLength)
	seq, failed := int64(1), 0
	var sent []*billing.PostCredit
	for i := 0; failed < 5; i++ {
		op := storetest.Credit(1, fmt.Sprint(i))
		op.Description = &long
		sent = append(sent, op)
		err := billing.NewService(s).PostCredit(t.Context(), org, op)
		switch {
		case err == nil:
			seq++
		case errors.Is(err, billing.ErrUnavailable):
			failed++
		default:
			t.Fatal(err)
		}
		storetest.WantBalance(t, s, org, seq, seq)
	}
	for what, err := range map[string]error{
		"several operations": storetest.Second(s.Write(t.Context(), org, storetest.Credit(5, long), storetest.Record(storetest.Lease(), storetest.Lease()))),
		"an organization":    s.CreateOrganization(t.Context(), billing.Organization{ID: billing.NewID(), Slug: long, Name: long}),
	} {
		if !errors.Is(err, billing.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	storetest.WantBalance(t, s, org, seq, seq)

	onWriter(t, s, `PRAGMA max_page_count = 1000000`)
	for _, op := range sent {
		storetest.Must(t, billing.NewService(s).PostCredit(t.Context(), org, op))
	}
	storetest.WantBalance(t, s, org, int64(len(sent))+1, int64(len(sent))+1)
}

// While another program holds the file for too long, writes fail as unavailable, and reads go on.
func TestSQLiteBusy(t *testing.T) {
	file := newFile(t)
	s := open(t, file)
	org := storetest.CreateOrganization(t, s, "acme")
	storetest.Must(t, storetest.Post(t, s, org, "before"))
	onWriter(t, s, `PRAGMA busy_timeout = 0`)
	raw := hold(t, openRaw(t, file))
	_, err := raw.ExecContext(t.Context(), `BEGIN IMMEDIATE`)
	storetest.Must(t, err)
	for what, err := range map[string]error{
		"a credit":        storetest.Post(t, s, org, "meanwhile"),
		"an organization": s.CreateOrganization(t.Context(), billing.Organization{ID: billing.NewID(), Slug: "x", Name: "x"}),
	} {
		if !errors.Is(err, billing.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	storetest.WantBalance(t, s, org, 1, 1)
	_, err = raw.ExecContext(t.Context(), `ROLLBACK`)
	storetest.Must(t, err)
	storetest.Must(t, storetest.Post(t, s, org, "meanwhile"))
	storetest.WantBalance(t, s, org, 2, 2)
}

// A transaction that takes too long fails as unavailable, and nothing is written.
func TestSQLiteTimeout(t *testing.T) {
	s := open(t, newFile(t))
	org := storetest.CreateOrganization(t, s, "acme")
	usual := s.commitTimeout
	s.commitTimeout = 1
	errs, err := s.Write(t.Context(), org, storetest.Credit(1, "a"), storetest.Credit(1, "b"))
	if !errors.Is(err, billing.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, %v", errs, err)
	}
	err = s.CreateOrganization(t.Context(), billing.Organization{ID: billing.NewID(), Slug: "globex", Name: "globex"})
	if !errors.Is(err, billing.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an organization: %v", err)
	}
	storetest.WantBalance(t, s, org, 0, 0)
	s.commitTimeout = usual
	storetest.Must(t, storetest.Post(t, s, org, "a"))
	storetest.WantBalance(t, s, org, 1, 1)
}

// operation is one made for a test.
type operation func(*billing.Book) error

func (operation) Needs() billing.Needs           { return billing.Needs{} }
func (do operation) Apply(b *billing.Book) error { return do(b) }

// hidden hides the needs of an operation, so that only the database can refuse it.
func hidden(op billing.Operation) billing.Operation { return operation(op.Apply) }

// If the database is lost while operations are tried one by one, the remaining operations fail without a try.
func TestSQLiteGoneWhileTryingSingly(t *testing.T) {
	s := open(t, newFile(t))
	org := storetest.CreateOrganization(t, s, "acme")
	storetest.Must(t, storetest.Post(t, s, org, "taken"))
	usual, applied := s.commitTimeout, 0
	errs, err := s.Write(t.Context(), org,
		operation(func(b *billing.Book) error {
			if applied++; applied == 2 { // the second time it is on its own
				s.commitTimeout = 1
			}
			return storetest.Credit(1, "alone").Apply(b)
		}),
		storetest.Credit(1, "a"), hidden(storetest.Credit(1, "taken")), storetest.Credit(1, "b"))
	storetest.Must(t, err)
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
	storetest.WantBalance(t, s, org, 2, 2)
}

// A caller that gives up while its write is queued is answered immediately, and nothing is written.
func TestSQLiteGivenUpInTheQueue(t *testing.T) {
	s := open(t, newFile(t))
	org := storetest.CreateOrganization(t, s, "acme")
	var waiting sync.WaitGroup
	held(t, s, org, func() {
		ctx, cancel := context.WithCancel(t.Context())
		const n = 8
		for i := range n {
			waiting.Go(func() {
				if _, err := s.Write(ctx, org, storetest.Credit(1, fmt.Sprint(i))); !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
			})
		}
		waitUntil(func() bool { return s.queue.length() == n })
		cancel()
		waiting.Wait()
	})
	storetest.Must(t, storetest.Post(t, s, org, "later"))
	storetest.WantBalance(t, s, org, 1, 1)
}

// After its transaction has begun, a caller learns the outcome even if its context ends, no matter who the committer is.
func TestSQLiteGivenUpInTheTransaction(t *testing.T) {
	s := open(t, newFile(t))
	org := storetest.CreateOrganization(t, s, "acme")
	for i, commits := range []string{"its own caller", "another's"} {
		ctx, cancel := context.WithCancel(t.Context())
		write := func() {
			errs, err := s.Write(ctx, org, operation(func(b *billing.Book) error {
				cancel()
				return storetest.Credit(1, commits).Apply(b)
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
	storetest.WantBalance(t, s, org, 2, 2)
}

// A caller that gives up while the database refuses the batch is told so, and its write does not take place in the next batch.
func TestSQLiteGivenUpBeforeTheRetry(t *testing.T) {
	s := open(t, newFile(t))
	holding, acme, globex := storetest.CreateOrganization(t, s, "holding"), storetest.CreateOrganization(t, s, "acme"), storetest.CreateOrganization(t, s, "globex")
	storetest.Must(t, storetest.Post(t, s, globex, "taken"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var left *write
	var waiting sync.WaitGroup
	held(t, s, holding, func() {
		waiting.Go(func() {
			_, err := s.Write(ctx, acme, operation(func(b *billing.Book) error {
				cancel()
				waitUntil(func() bool {
					s.queue.mu.Lock()
					defer s.queue.mu.Unlock()
					return left.left
				})
				return storetest.Credit(1, "left").Apply(b)
			}))
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the caller that has left is told %v", err)
			}
		})
		waitUntil(func() bool { return s.queue.length() == 1 })
		s.queue.mu.Lock()
		left = s.queue.lines[acme].writes[0]
		s.queue.mu.Unlock()
		waiting.Go(func() {
			if errs, err := s.Write(t.Context(), globex, hidden(storetest.Credit(1, "taken"))); err == nil && errs[0] == nil {
				t.Error("a key that is taken is taken again")
			}
		})
		waitUntil(func() bool { return s.queue.length() == 2 })
	})
	waiting.Wait()
	storetest.Must(t, storetest.Post(t, s, acme, "later"))
	storetest.WantBalance(t, s, acme, 1, 1)
}

// Close waits for the queued writes, also if the database refuses one of them. Later writes fail.
func TestSQLiteCloseWhileWriting(t *testing.T) {
	s := open(t, newFile(t))
	org := storetest.CreateOrganization(t, s, "acme")
	storetest.Must(t, storetest.Post(t, s, org, "taken"))
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
		}), hidden(storetest.Credit(1, "taken")), storetest.Credit(1, "beside"))
		if err != nil || errs[0] != nil || errs[1] == nil || errs[2] != nil {
			t.Errorf("%v, %v", errs, err)
		}
	})
	<-entered
	const n = 8
	for i := range n {
		all.Go(func() {
			if err := storetest.Post(t, s, org, fmt.Sprint(i)); err != nil {
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
	if err := storetest.Post(t, s, org, "too late"); !errors.Is(err, billing.ErrUnavailable) { // without waiting for Close
		t.Errorf("after Close was called: %v", err)
	}
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

// An operation that panics fails without the others of its transaction, no matter who the committer is.
func TestSQLitePanic(t *testing.T) {
	s := open(t, newFile(t))
	org := storetest.CreateOrganization(t, s, "acme")
	panicking := func(key string) operation {
		return func(b *billing.Book) error {
			if err := storetest.Credit(1, key).Apply(b); err != nil {
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
			if err := storetest.Post(t, s, org, "before"); err != nil {
				t.Error(err)
			}
		})
		waitUntil(func() bool { return s.queue.length() == 1 })
		all.Go(func() { refused(s.Write(t.Context(), org, panicking("by another's"))) })
		waitUntil(func() bool { return s.queue.length() == 2 })
		all.Go(func() {
			if err := storetest.Post(t, s, org, "after"); err != nil {
				t.Error(err)
			}
		})
		waitUntil(func() bool { return s.queue.length() == 3 })
	})
	all.Wait()
	storetest.WantBalance(t, s, org, 2, 2)
}

// waitUntil waits for other goroutines.
func waitUntil(done func() bool) {
	for !done() {
		runtime.Gosched()
	}
}

func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for _, l := range q.lines {
		n += len(l.writes)
	}
	return n
}

func TestSQLiteOpenRefuses(t *testing.T) {
	folder := t.TempDir()
	text := filepath.Join(folder, "notes.txt")
	contents := []byte(strings.Repeat("These are notes. ", 1000))
	storetest.Must(t, os.WriteFile(text, contents, 0o600))
	for _, c := range []struct{ name, database, says string }{
		{"memory", ":memory:", "name a file"},
		{"a missing folder", filepath.Join(folder, "missing", "billing.db"), filepath.Join(folder, "missing") + ": no such file or directory"},
		{"a folder", folder, folder + ": unable to open database file"},
		{"a file below a file", filepath.Join(text, "billing.db"), text + "/billing.db: unable to open database file"},
		{"a text file", text, text + ": file is not a database"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := openStore(t.Context(), c.database)
			if err == nil {
				s.Close()
				t.Fatal("it opened")
			}
			if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "memory (") {
				t.Errorf("it says %q; want %q", err, c.says)
			}
		})
	}
	if after, err := os.ReadFile(text); err != nil || !bytes.Equal(after, contents) {
		t.Errorf("the text file was changed, %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := openStore(ctx, filepath.Join(folder, "new.db")); !errors.Is(err, context.Canceled) {
		if err == nil {
			s.Close()
		}
		t.Errorf("with a context that has ended: %v", err)
	}
}

func TestSQLiteNewerSchema(t *testing.T) {
	file := newFile(t)
	s := open(t, file)
	org := storetest.CreateOrganization(t, s, "acme")
	storetest.Must(t, storetest.Post(t, s, org, "key"))
	raw := openRaw(t, file)
	var newest int
	storetest.Must(t, raw.QueryRow(`SELECT max(version_id) FROM goose_db_version`).Scan(&newest))
	_, err := raw.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)`)
	storetest.Must(t, err)
	newer, err := openStore(t.Context(), file)
	if err == nil {
		newer.Close()
	}
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint("schema version 9999, this program knows versions up to ", newest)) {
		t.Errorf("got %v", err)
	}
	storetest.WantBalance(t, s, org, 1, 1)
}

func TestSQLiteFileNames(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	for _, name := range []string{
		"plain.db", "with space.db", " leading", "trailing ", "per%cent", "%41", "quest?ion", "x?mode=memory", "ha#sh", "amp&er=sand",
		"plus+", "semi;colon", `quo'te"`, `back\slash`, "ünïcode 🏗", "file:x", "sqlite:x", "-dash", "~", "new\nline", "a:b", "*",
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, name)
			org := storetest.CreateOrganization(t, s, "acme")
			storetest.Must(t, storetest.Post(t, s, org, "key"))
			storetest.WantBalance(t, s, org, 1, 1)
			if info, err := os.Stat(name); err != nil || info.Size() == 0 {
				t.Errorf("the file: %v, %v", info, err)
			}
		})
	}
	files, err := os.ReadDir(folder)
	storetest.Must(t, err)
	if len(files) != 22 {
		t.Errorf("there are %d files; want one for each name: %v", len(files), files)
	}
}

// A symbolic link leads to a database and its log. Files beside the link play no part.
func TestSQLiteLinks(t *testing.T) {
	for _, leftOver := range []bool{false, true} {
		t.Run(fmt.Sprintf("index left beside the link %t", leftOver), func(t *testing.T) {
			file, link := newFile(t), filepath.Join(t.TempDir(), "link.db")
			s := open(t, file)
			org := storetest.CreateOrganization(t, s, "acme")
			storetest.Must(t, storetest.Post(t, s, org, "before"))
			if leftOver {
				index, err := os.ReadFile(file + "-shm")
				storetest.Must(t, err)
				storetest.Must(t, os.WriteFile(link+"-shm", index, 0o600))
			}
			storetest.Must(t, os.Symlink(file, link))
			linked := open(t, link)
			token := billing.Token{Hash: billing.TokenHash{1}, Name: "ci", Role: billing.RoleRead, Organizations: []string{"acme"}}
			storetest.Must(t, s.CreateToken(t.Context(), token))
			storetest.WantBalance(t, linked, org, 1, 1)
			storetest.Must(t, storetest.Second(linked.Grant(t.Context(), token.Hash, "acme")))

			storetest.Must(t, storetest.Post(t, s, org, "through the file"))
			storetest.WantBalance(t, linked, org, 2, 2)
			storetest.Must(t, storetest.Post(t, linked, org, "through the link"))
			storetest.Must(t, storetest.Post(t, linked, org, "through the link again"))
			storetest.WantBalance(t, s, org, 4, 4)
			storetest.WantBalance(t, linked, org, 4, 4)
			storetest.Must(t, s.RevokeToken(t.Context(), token.Hash, 1))
			storetest.Eventually(t, "a token that was revoked through the file to be known as such through the link", func() bool {
				grant, err := linked.Grant(t.Context(), token.Hash, "acme")
				storetest.Must(t, err)
				return grant.RevokedAt != nil
			})
		})
	}
	t.Run("to a folder", func(t *testing.T) {
		folder, link := t.TempDir(), filepath.Join(t.TempDir(), "folder")
		storetest.Must(t, os.Symlink(folder, link))
		s := open(t, filepath.Join(link, "billing.db"))
		storetest.Must(t, storetest.Post(t, s, storetest.CreateOrganization(t, s, "acme"), "key"))
		storetest.Must(t, storetest.Second(os.Stat(filepath.Join(folder, "billing.db"))))
	})
	t.Run("to nothing", func(t *testing.T) {
		link := filepath.Join(t.TempDir(), "link.db")
		storetest.Must(t, os.Symlink(filepath.Join(t.TempDir(), "none.db"), link))
		_, err := openStore(t.Context(), link)
		if err == nil || !strings.HasPrefix(err.Error(), "open "+link+": the symbolic link leads nowhere: ") || !strings.Contains(err.Error(), "none.db") {
			t.Errorf("the error is %v", err)
		}
	})
}

// Processes that open a new file together all succeed.
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
				stores[i], errs[i] = openStore(t.Context(), file)
			})
		}
		close(begin)
		all.Wait()
		storetest.Must(t, errors.Join(errs...))
		org := storetest.CreateOrganization(t, stores[0], "acme")
		for i, s := range stores {
			storetest.Must(t, storetest.Post(t, s, org, fmt.Sprint(i)))
		}
		storetest.WantBalance(t, stores[3], org, 8, 8)
		for _, s := range stores {
			storetest.Must(t, s.Close())
		}
	}
}

// A new file that another process writes is waited for, also where SQLite itself would not wait.
func TestSQLiteOpenWaits(t *testing.T) {
	file := newFile(t)
	raw := hold(t, openRaw(t, file))
	_, err := raw.ExecContext(t.Context(), `BEGIN IMMEDIATE; CREATE TABLE x (x)`)
	storetest.Must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	s, err := openStore(ctx, file)
	if err == nil {
		s.Close()
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it did not wait for its context to end: %v", err)
	}
}

const childFile = "HARMONT_BILLING_TEST_FILE"

// TestChild is run by TestSQLiteProcesses in other processes.
func TestChild(t *testing.T) {
	file := os.Getenv(childFile)
	if file == "" {
		t.Skip("it is run by TestSQLiteProcesses")
	}
	fmt.Println("ready")
	if _, err := io.ReadAll(os.Stdin); err != nil { // until all begin
		t.Fatal(err)
	}
	s := open(t, file)
	err := s.CreateOrganization(t.Context(), billing.Organization{ID: billing.ID{1}, Slug: "acme", Name: "acme"})
	if err != nil && !errors.Is(err, billing.ErrExists) {
		t.Fatal(err)
	}
	for i := range 20 {
		shared := storetest.Lease()
		shared.ID, shared.JobID = nil, &billing.ID{2, byte(i)}
		for _, op := range []billing.Operation{storetest.Credit(1, fmt.Sprint("shared ", i)), storetest.Record(shared), storetest.Credit(1, fmt.Sprint(os.Getpid(), " ", i))} {
			storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), billing.ID{1}, op))...))
		}
	}
}

// Several processes that start together on a new file and bill the same leases bill each of them once.
func TestSQLiteProcesses(t *testing.T) {
	file := newFile(t)
	const processes = 4
	begin := make(chan struct{})
	var ready, all sync.WaitGroup
	for range processes {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.v")
		child.Env = append(os.Environ(), childFile+"="+file)
		stdin, err := child.StdinPipe()
		storetest.Must(t, err)
		stdout, err := child.StdoutPipe()
		storetest.Must(t, err)
		storetest.Must(t, child.Start())
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
	storetest.WantBalance(t, open(t, file), billing.ID{1}, 40+20*processes, 20-20*12+20*processes)
}

package audit_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/audit"
	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/database"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/testlong"
	"github.com/harmont-dev/harmont-billing/internal/transfer"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// books are the books of two organizations in a new database.
type books struct {
	*testing.T
	store *database.Database
	raw   *sql.DB // one connection without constraints
}

func onEach(t *testing.T, test func(b *books)) {
	t.Run("SQLite", func(t *testing.T) { test(newSQLite(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { test(newPostgreSQL(t)) })
}

func newSQLite(t *testing.T) *books {
	file := filepath.Join(t.TempDir(), "billing.db")
	b := &books{T: t, store: open(t, "sqlite:"+file), raw: openRaw(t, "sqlite", file)}
	b.exec(`PRAGMA busy_timeout = 10000`)
	b.exec(`PRAGMA foreign_keys = OFF`)
	b.exec(`PRAGMA ignore_check_constraints = ON`)
	for _, trigger := range b.strings(`SELECT name FROM sqlite_master WHERE type = 'trigger'`) {
		b.exec(`DROP TRIGGER ` + trigger)
	}
	return b
}

func newPostgreSQL(t *testing.T) *books {
	database := pgtest.Database(t)
	b := &books{T: t, store: open(t, database), raw: openRaw(t, "pgx", database)}
	b.exec(`SET session_replication_role = replica`) // no triggers, and no foreign keys
	for _, constraint := range b.strings(`SELECT format('%s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
			WHERE contype = 'c' AND connamespace = 'public'::regnamespace`) {
		b.exec(`ALTER TABLE ` + constraint)
	}
	return b
}

func open(t *testing.T, url string) *database.Database {
	t.Helper()
	s, err := database.Open(t.Context(), url)
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

func openRaw(t *testing.T, driver, source string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

func (b *books) exec(text string, args ...any) (changed int64) {
	b.Helper()
	result, err := b.raw.Exec(text, args...)
	if err != nil {
		b.Fatalf("%s: %v", text, err)
	}
	changed, err = result.RowsAffected()
	b.must(err)
	return changed
}

func (b *books) strings(text string) (values []string) {
	b.Helper()
	rows, err := b.raw.Query(text)
	b.must(err)
	defer rows.Close()
	for rows.Next() {
		var value string
		b.must(rows.Scan(&value))
		values = append(values, value)
	}
	b.must(rows.Err())
	return values
}

func (b *books) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// The organizations. Only rows of acme are changed; the audit must find nothing at globex.
var acme, globex = billing.ID{1}, billing.ID{2}

// Leases of acme. The first two started in one hour.
var first, second, running, short = billing.ID{0x11}, billing.ID{0x12}, billing.ID{0x13}, billing.ID{0x14}

func lease(id billing.ID, start billing.Time, seconds int64) billing.Lease {
	return billing.Lease{
		ID: &id, JobID: &billing.ID{0xff, id[0]}, JobName: new("test"), StepKey: new("step"), VMHandle: new("vm"),
		BuildID: new(billing.ID{0xfe}), BuildNumber: new(int64(7)), BuildExternalID: new("00000000-0000-4000-8000-0000000000e1"),
		PipelineID: new(billing.ID{0xfd}), PipelineName: new("pipeline"), PipelineSlug: new("slug"),
		CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: start, FinishedAt: new(start + billing.Time(seconds)*billing.Second),
		Labels: new(`{"os":"linux"}`), Author: new("mara"),
	}
}

// fill makes six entries for each organization: seq 1 and 5 are credits, 2, 3 and 4 the debits of 12, 151 and 0 cents, and
// 6 that of a lease of 12 cents in a third hour.
func (b *books) fill() {
	b.Helper()
	service := billing.NewService(b.store)
	b.must(service.EnsureRateCard(b.Context(), nil))
	for id, slug := range map[billing.ID]string{acme: "acme", globex: "globex"} {
		b.must(b.store.CreateOrganization(b.Context(), billing.Organization{ID: id, Slug: slug, Name: "Name of " + slug, CreatedAt: 5}))
		credit := func(cents int64, key string) {
			b.must(service.PostCredit(b.Context(), id, &billing.PostCredit{
				AmountCents: cents, Source: billing.SourceAdminGrant, Description: new("a credit"), IdempotencyKey: key,
			}))
		}
		credit(1000, "first")
		going := lease(running, billing.Hour, 0)
		going.FinishedAt = nil
		b.record(service, id, lease(first, billing.Hour, 300), lease(second, billing.Hour+1, 3600), lease(short, 2*billing.Hour, 23), going)
		credit(500, "second")
		b.record(service, id, lease(billing.ID{0x15}, 3*billing.Hour, 300))
	}
}

func (b *books) record(service *billing.Service, org billing.ID, leases ...billing.Lease) {
	b.Helper()
	_, err := service.RecordLeases(b.Context(), org, leases)
	b.must(err)
}

// verify returns all findings and the report of acme.
func (b *books) verify() (findings []string, report audit.Report) {
	b.Helper()
	var reports []audit.Report
	b.must(audit.Verify(b.Context(), b.store, func(org, what string) {
		if org != "acme" {
			b.Errorf("%s: %s", org, what)
		}
		findings = append(findings, what)
	}, func(r audit.Report) { reports = append(reports, r) }))
	if len(reports) != 2 || reports[0].Organization != "acme" || reports[1].Organization != "globex" {
		b.Fatalf("the reports are %+v", reports)
	}
	if int(reports[0].Findings) != len(findings) || reports[1].Findings != 0 {
		b.Errorf("%d findings are reported as %d and %d", len(findings), reports[0].Findings, reports[1].Findings)
	}
	return findings, reports[0]
}

func TestCleanBooks(t *testing.T) {
	onEach(t, func(b *books) {
		b.fill()
		findings, report := b.verify()
		if len(findings) != 0 {
			b.Errorf("found %q", findings)
		}
		fingerprint := report.Fingerprint
		head, err := b.store.Head(b.Context(), acme)
		b.must(err)
		if want := (audit.State{Organization: "acme", Seq: 6, Digest: head.Digest}); report.Head != want {
			b.Errorf("the state is %s, want %s", report.Head, want)
		}
		report.Fingerprint, report.Head = "", audit.State{}
		want := audit.Report{Organization: "acme", Leases: 5, Entries: 6, Hours: 3, BalanceCents: 1500 - 12 - 151 - 12}
		if report != want || len(fingerprint) != 64 {
			b.Errorf("the report is %+v, %q; want %+v", report, fingerprint, want)
		}
	})
}

func TestEmptyBooks(t *testing.T) {
	onEach(t, func(b *books) {
		b.must(audit.Verify(b.Context(), b.store,
			func(org, what string) { b.Errorf("%s: %s", org, what) }, func(r audit.Report) { b.Errorf("a report of nobody: %+v", r) }))
		b.must(b.store.CreateOrganization(b.Context(), billing.Organization{ID: acme, Slug: "acme", Name: "Acme"}))
		reports := 0
		b.must(audit.Verify(b.Context(), b.store,
			func(org, what string) { b.Errorf("%s: %s", org, what) }, func(audit.Report) { reports++ }))
		if reports != 1 {
			b.Errorf("there are %d reports", reports)
		}
	})
}

// A change that another program makes is found, and the row is named.
func TestTampering(t *testing.T) {
	id := func(id billing.ID) []byte { return id[:] }
	// shift keeps the running balances and the head consistent after an amount has changed.
	shift := func(seq int, cents string) []string {
		return []string{
			fmt.Sprintf(`UPDATE ledger_entries SET balance_after_cents = balance_after_cents + %s WHERE org_id = $1 AND seq >= %d`, cents, seq),
			fmt.Sprintf(`UPDATE ledger_heads SET balance_cents = balance_cents + %s WHERE org_id = $1`, cents),
		}
	}
	// debit appends a debit to the ledger, and keeps all else consistent.
	debit := func(lease billing.ID, cents int) func(*books) {
		return func(b *books) {
			b.exec(`DROP INDEX ledger_entries_by_lease`)
			b.exec(fmt.Sprintf(`INSERT INTO ledger_entries (org_id, seq, entry_id, amount_cents, balance_after_cents, source, created_at, lease_id)
				SELECT org_id, seq + 1, $2, %d, balance_cents + %d, 'vm_lease_debit', last_at, $3 FROM ledger_heads WHERE org_id = $1`, cents, cents),
				id(acme), id(billing.NewID()), id(lease))
			b.exec(fmt.Sprintf(`UPDATE ledger_heads SET seq = seq + 1, balance_cents = balance_cents + %d WHERE org_id = $1`, cents), id(acme))
		}
	}
	run := func(texts ...string) func(*books) {
		return func(b *books) {
			b.Helper()
			for _, text := range texts {
				if b.exec(text, id(acme)) == 0 {
					b.Fatalf("%s changed nothing", text)
				}
			}
		}
	}
	entry := func(set string, seq int) string {
		return fmt.Sprintf(`UPDATE ledger_entries SET %s WHERE org_id = $1 AND seq = %d`, set, seq)
	}
	head := func(set string) string { return `UPDATE ledger_heads SET ` + set + ` WHERE org_id = $1` }
	hour := func(set string) string {
		return fmt.Sprintf(`UPDATE usage_sums SET %s WHERE org_id = $1 AND span = %d AND start_at = %[2]d`, set, billing.Hour)
	}
	const anHour = "usage_sums, hour of 1970-01-01T01:00:00.000000Z"
	const itsDay = "usage_sums, day of 1970-01-01T00:00:00.000000Z"
	const itsMinute = "usage_sums, minute of 1970-01-01T01:00:00.000000Z"

	type tampering struct {
		name   string
		tamper func(*books)
		want   []string // parts of the findings, each of which occurs once
		others bool     // whether there may be more
	}
	cases := []tampering{
		{"balance_after_cents of an entry", run(entry(`balance_after_cents = balance_after_cents + 1`, 2)), []string{
			"ledger_entries, seq 2: balance_after_cents is 989, recomputed 988", "ledger_entries, seq 3: balance_after_cents",
		}, false},
		{"balance_after_cents of the newest entry", run(entry(`balance_after_cents = balance_after_cents + 1`, 6)), []string{
			"ledger_entries, seq 6: balance_after_cents", "ledger_heads: it stands at seq 6 with 1325 cents",
		}, false},
		{"amount_cents of a credit", run(entry(`amount_cents = 999`, 5)), []string{"ledger_entries, seq 5: balance_after_cents"}, false},
		{"amount_cents of a credit, and all balances after it", run(append(shift(1, "1"), entry(`amount_cents = amount_cents + 1`, 1))...), nil, false},
		{"amount_cents of a debit, and all balances after it", run(append(shift(2, "-1"), entry(`amount_cents = amount_cents - 1`, 2))...), []string{
			"ledger_entries, seq 2: it debits -13 cents, lease " + first.String() + " was billed -12",
		}, false},
		{"a debit of more than nothing", run(append(shift(4, "1"), entry(`amount_cents = 1`, 4))...), []string{"ledger_entries, seq 4: source vm_lease_debit with 1 cents"}, false},
		{"a credit of less than nothing", run(append(shift(5, "-501"), entry(`amount_cents = -1`, 5))...), []string{"ledger_entries, seq 5: source admin_grant with -1 cents"}, false},
		{"the source of a credit", run(entry(`source = 'vm_lease_debit'`, 5)), []string{"ledger_entries, seq 5: source vm_lease_debit with 500 cents"}, false},
		{"the source of a debit", run(entry(`source = 'refund'`, 2)), []string{"ledger_entries, seq 2: source refund with -12 cents"}, false},
		{"an entry removed", run(`DELETE FROM ledger_entries WHERE org_id = $1 AND seq = 5`), []string{
			"ledger_entries, seq 6: the entry before it has seq 4", "ledger_entries, seq 6: balance_after_cents",
		}, false},
		{"the oldest entry removed", run(`DELETE FROM ledger_entries WHERE org_id = $1 AND seq = 1`), []string{
			"ledger_entries, seq 2: the entry before it has seq 0", "ledger_entries, seq 2: balance_after_cents",
		}, false},
		{"the newest entry removed", run(`DELETE FROM ledger_entries WHERE org_id = $1 AND seq = 6`), []string{
			"ledger_heads: it stands at seq 6 with 1325 cents", "lease_id " + billing.ID{0x15}.String() + ": it is finished and has 0 debits",
		}, false},
		{"all entries removed", run(`DELETE FROM ledger_entries WHERE org_id = $1`), []string{"ledger_heads: it stands at seq 6"}, true},
		{"created_at of an entry", run(entry(`created_at = created_at - 3600000000`, 3)), []string{"ledger_entries, seq 3: created_at"}, false},
		{"created_at of an entry, forwards", run(entry(`created_at = created_at + 3600000000`, 3)), []string{"ledger_entries, seq 4: created_at"}, false},

		{"balance_cents of the head", run(head(`balance_cents = balance_cents + 1`)), []string{"ledger_heads: it stands at seq 6 with 1326 cents"}, false},
		{"seq of the head", run(head(`seq = seq + 1`)), []string{"ledger_heads: it stands at seq 7"}, false},
		{"last_at of the head", run(head(`last_at = last_at + 1`)), []string{"ledger_heads: it stands at seq 6"}, false},
		{"the head removed", run(`DELETE FROM ledger_heads WHERE org_id = $1`), []string{"ledger_heads: it is missing"}, false},

		{"a day removed", run(`DELETE FROM usage_sums WHERE org_id = $1 AND span = 86400000000`), []string{itsDay + ": it is missing"}, false},
		{"all minutes removed", run(`DELETE FROM usage_sums WHERE org_id = $1 AND span = 60000000`), []string{itsMinute + ": it is missing"}, true},
		{"a minute a day too late", run(`UPDATE usage_sums SET start_at = start_at + 86400000000 WHERE org_id = $1 AND span = 60000000 AND start_at = 3600000000`), []string{
			itsMinute + ": it is missing", "usage_sums, minute of 1970-01-02T01:00:00.000000Z: it has",
		}, false},
		{"an hour removed", run(`DELETE FROM usage_sums WHERE org_id = $1 AND span = 3600000000 AND start_at = 3600000000`), []string{anHour + ": it is missing"}, false},
		{"an hour without cents removed", run(`DELETE FROM usage_sums WHERE org_id = $1 AND span = 3600000000 AND start_at = 7200000000`), []string{
			"usage_sums, hour of 1970-01-01T02:00:00.000000Z: it is missing",
		}, false},
		{"an hour too many", run(`INSERT INTO usage_sums (org_id, span, start_at, cpu_seconds, memory_gb_seconds, disk_gb_seconds, total_cents) VALUES ($1, 3600000000, 36000000000, 0, 0, 0, 0)`), []string{
			"usage_sums, hour of 1970-01-01T10:00:00.000000Z: it has 0 CPU seconds",
		}, false},
		{"an hour moved", run(hour(`start_at = 18000000000`)), []string{
			anHour + ": it is missing", "usage_sums, hour of 1970-01-01T05:00:00.000000Z: it has",
		}, false},

		{"a finished lease without debit", run(`DELETE FROM ledger_entries WHERE org_id = $1 AND seq = 2`), []string{
			"leases, lease_id " + first.String() + ": it is finished and has 0 debits",
		}, true},
		{"two debits for a lease", debit(first, -12), []string{"leases, lease_id " + first.String() + ": it is finished and has 2 debits"}, false},
		{"a debit of a missing lease", func(b *books) {
			b.exec(entry(`lease_id = $2`, 3), id(acme), id(billing.ID{0x99}))
		}, []string{
			"ledger_entries, seq 3: lease " + billing.ID{0x99}.String() + " does not exist or is not billed",
			"leases, lease_id " + second.String() + ": it is finished and has 0 debits",
		}, false},
		{"a debit without a lease", run(entry(`lease_id = NULL`, 2)), []string{
			"lease_id " + first.String() + ": it is finished and has 0 debits",
		}, false},
		{"a debit of a running lease", debit(running, -5), []string{
			"leases, lease_id " + running.String() + ": it is running and has 1 debits",
			"ledger_entries, seq 7: lease " + running.String() + " does not exist or is not billed",
		}, false},
		{"a debit of another organization's lease", func(b *books) {
			b.exec(entry(`lease_id = $2`, 2), id(acme), id(billing.ID{0x77}))
			b.record(billing.NewService(b.store), globex, lease(billing.ID{0x77}, billing.Hour, 300))
		}, []string{
			"ledger_entries, seq 2: lease " + billing.ID{0x77}.String() + " does not exist or is not billed",
			"lease_id " + first.String() + ": it is finished and has 0 debits",
		}, false},

		{"a lease removed", func(b *books) { b.exec(`DELETE FROM leases WHERE org_id = $1 AND lease_id = $2`, id(acme), id(first)) }, []string{
			"ledger_entries, seq 2: lease " + first.String(), anHour, itsDay, itsMinute, "ledger_heads: the lifetime sums",
		}, false},
		{"a running lease removed", func(b *books) {
			b.exec(`DELETE FROM leases WHERE org_id = $1 AND lease_id = $2`, id(acme), id(running))
		}, nil, false},
		{"amount_cents of a lease", run(`UPDATE leases SET amount_cents = amount_cents - 1 WHERE org_id = $1 AND duration_seconds = 3600`), []string{
			"ledger_entries, seq 3: it debits -151 cents, lease " + second.String() + " was billed -152", anHour, itsDay, itsMinute, "ledger_heads: the lifetime sums",
			"leases, lease_id " + second.String() + ": the rate card",
		}, false},
		{"a lease that is only half finished", run(`UPDATE leases SET amount_cents = NULL WHERE org_id = $1 AND duration_seconds = 3600`), []string{
			"leases, lease_id " + second.String() + ": finished_at, duration_seconds and amount_cents",
		}, true},
		{"the start of a lease", run(`UPDATE leases SET started_at = 0 WHERE org_id = $1 AND duration_seconds = 3600`), []string{
			anHour, "usage_sums, hour of 1970-01-01T00:00:00.000000Z: it is missing",
			itsMinute, "usage_sums, minute of 1970-01-01T00:00:00.000000Z: it is missing",
		}, false},
		{"numbers beyond all bounds", func(b *books) {
			b.exec(`UPDATE leases SET cpu_count = 9223372036854775807, memory_gb = 4611686018427387904 WHERE org_id = $1 AND lease_id = $2`, id(acme), id(first))
			b.exec(hour(`cpu_seconds = cpu_seconds - 900`), id(acme)) // as if the product had overflowed
		}, []string{anHour, itsDay, itsMinute, "ledger_heads: the lifetime sums", "leases, lease_id " + first.String() + ": the rate card"}, false},

		{"the card of a lease", func(b *books) {
			b.exec(`UPDATE leases SET card_id = $1 WHERE org_id = $2 AND lease_id = $3`, id(billing.ID{0x99}), id(acme), id(first))
		}, []string{"leases, lease_id " + first.String() + ": the books have no rate card " + billing.ID{0x99}.String()}, false},
		{"no card of a lease", func(b *books) {
			b.exec(`UPDATE leases SET card_id = NULL WHERE org_id = $1 AND lease_id = $2`, id(acme), id(first))
		}, nil, false},
	}
	for _, sum := range []string{"cpu_seconds", "memory_gb_seconds", "disk_gb_seconds", "total_cents"} {
		cases = append(cases,
			tampering{sum + " of an hour", run(hour(sum + ` = ` + sum + ` + 1`)), []string{anHour}, false},
			tampering{sum + " of the head", run(head(sum + ` = ` + sum + ` - 1`)), []string{"ledger_heads: the lifetime sums"}, false})
	}
	for _, count := range []string{"cpu_count", "memory_gb", "disk_gb", "duration_seconds"} {
		cases = append(cases, tampering{
			count + " of a lease", run(`UPDATE leases SET ` + count + ` = ` + count + ` + 1 WHERE org_id = $1 AND amount_cents = -151`),
			[]string{anHour, itsDay, itsMinute, "ledger_heads: the lifetime sums"}, true,
		})
	}
	onEach(t, func(b *books) {
		b.fill()
		b.copyTables()
		_, clean := b.verify()
		for _, c := range cases {
			b.T.Run(c.name, func(t *testing.T) {
				b := &books{T: t, store: b.store, raw: b.raw}
				c.tamper(b)
				findings, report := b.verify()
				others := 0
				for _, finding := range findings {
					if !strings.Contains(finding, "digest") { // TestDigests has these
						others++
					}
				}
				if !c.others && others != len(c.want) {
					t.Errorf("there are %d findings; want %d", others, len(c.want))
				}
				for _, want := range c.want {
					found := 0
					for _, finding := range findings {
						if strings.Contains(finding, want) {
							found++
						}
					}
					if found != 1 {
						t.Errorf("%q is found %d times", want, found)
					}
				}
				if t.Failed() {
					t.Logf("found:\n%s", strings.Join(findings, "\n"))
				}
				// A change that breaks no rule changes the fingerprint.
				if len(findings) == 0 && report.Fingerprint == clean.Fingerprint {
					t.Error("neither a finding nor another fingerprint")
				}
				b.restoreTables()
			})
		}
	})
}

// Every change of a rate card is found.
func TestTamperingWithRateCards(t *testing.T) {
	onEach(t, func(b *books) {
		b.fill()
		service := billing.NewService(b.store)
		card := billing.RateCard{
			OrgID: &acme, Name: "mac", CPUCount: new(int64(8)), MemoryGB: new(int64(16)), DiskGB: new(int64(100)), LabelKey: new("os"),
			LabelValue: new("mac"), IdempotencyKey: new("key"),
		}
		card.SetRates(billing.Rates{CPU: 1, MemoryGB: 2, DiskGB: 3})
		_, _, err := service.SetRateCard(b.Context(), billing.NewCard{Card: card})
		b.must(err)
		b.copyTables()
		cards, err := b.store.RateCards(b.Context())
		b.must(err)
		added := "rate_cards, card_id " + cards.All()[1].ID.String()
		verify := func() (findings []string) {
			b.must(audit.Verify(b.Context(), b.store, func(org, what string) { findings = append(findings, org+": "+what) }, func(audit.Report) {}))
			return findings
		}
		for column, value := range columnsOf(billing.RateCardFields) {
			if column == "imported_at" { // it says how the card came into these books
				continue
			}
			if b.exec(fmt.Sprintf(`UPDATE rate_cards SET %s = $1 WHERE seq = 2`, column), value) != 1 {
				b.Fatalf("%s was not changed", column)
			}
			want := ": " + added
			if column == "card_id" {
				want = ": rate_cards, card_id " + billing.ID(bytes.Repeat([]byte{0x77}, len(billing.ID{}))).String()
			}
			if findings := verify(); len(findings) != 1 || !strings.HasPrefix(findings[0], want) {
				b.Errorf("of another %s it finds %q", column, findings)
			}
			b.restoreTables()
		}
		b.exec(`DELETE FROM rate_cards WHERE seq = 1`)
		if findings := verify(); !slices.Contains(findings, "acme: leases, lease_id "+first.String()+": the books have no rate card "+cards.All()[0].ID.String()) ||
			!slices.Contains(findings, ": "+added+": it has seq 2, and is card 1") {
			b.Errorf("of a card that was removed it finds %q", findings)
		}
		b.restoreTables()
		if findings := verify(); len(findings) > 0 {
			b.Errorf("put back, the books have %q", findings)
		}
	})
}

// otherValue is a value of the type of a field that fill gives to no column.
func otherValue(field any) any {
	switch field.(type) {
	case *int64, **int64, *billing.Time, **billing.Time:
		return int64(77)
	case *string, **string:
		return "other"
	case *billing.Source:
		return "refund"
	case *billing.ID, **billing.ID:
		return bytes.Repeat([]byte{0x77}, len(billing.ID{}))
	case *billing.Digest:
		return bytes.Repeat([]byte{0x77}, len(billing.Digest{}))
	}
	panic(fmt.Sprintf("a field of type %T", field))
}

// columnsOf are the columns of a table, each with another value.
func columnsOf[T any](fields []billing.Field[T]) map[string]any {
	columns := map[string]any{}
	for _, f := range fields {
		columns[f.Name] = otherValue(f.Of(new(T)))
	}
	return columns
}

// If a value of an entry, of its lease or of its organization changes, the digest of the entry is wrong. The first entry with a wrong
// digest is the changed one, or the one after a missing entry.
func TestDigests(t *testing.T) {
	inLedger := func(fields map[string]any) map[string]any {
		fields["org_id"] = bytes.Repeat([]byte{0x77}, len(billing.ID{}))
		return fields
	}
	onEach(t, func(b *books) {
		b.fill()
		b.copyTables()
		for _, table := range []struct {
			name, row string
			columns   map[string]any
			seq       int
		}{
			{"ledger_entries", "seq = 3", inLedger(columnsOf(billing.EntryFields)), 3},
			{"leases", "duration_seconds = 3600", inLedger(columnsOf(billing.LeaseFields)), 3},
			{"organizations", "slug = 'acme'", columnsOf(billing.OrganizationFields), 1},
		} {
			for column, value := range table.columns {
				for _, value := range []any{value, nil} {
					text := fmt.Sprintf(`UPDATE %s SET %s = $1 WHERE org_id = $2 AND %s AND %[2]s IS NOT NULL`, table.name, column, table.row)
					seq := table.seq
					switch {
					case value == nil && !nullable(table.name, column):
						continue
					case table.name == "ledger_entries" && (column == "seq" || column == "org_id"):
						seq = 4
					case table.name == "organizations" && column == "org_id":
						continue // it has no rows then, which is found at its head
					}
					changed := b.exec(text, value, acme[:])
					if changed == 0 && (column == "idempotency_key" || column == "author") { // no debit has one
						changed = b.exec(fmt.Sprintf(`UPDATE ledger_entries SET %s = 'other' WHERE org_id = $1 AND seq = 3`, column), acme[:])
					}
					if changed != 1 {
						b.Fatalf("%s has changed %d rows", text, changed)
					}
					var findings []string
					b.must(audit.Verify(b.Context(), b.store, func(_, what string) {
						if strings.Contains(what, "digest is not that of") {
							findings = append(findings, what)
						}
					}, func(audit.Report) {}))
					if want := fmt.Sprintf("ledger_entries, seq %d: ", seq); len(findings) == 0 || !strings.HasPrefix(findings[0], want) {
						b.Errorf("of %v in %s.%s it finds %q first", value, table.name, column, findings)
					}
					b.restoreTables()
				}
			}
		}
		if findings, _ := b.verify(); len(findings) > 0 {
			b.Errorf("put back, the books have %q", findings)
		}
	})
}

// The books are compared with states of earlier times, and the first entry that differs is named as far as digests tell.
func TestAgainst(t *testing.T) {
	onEach(t, func(b *books) {
		b.fill()
		b.copyTables()
		org, err := b.store.OrganizationBySlug(b.Context(), "acme")
		b.must(err)
		states := []audit.State{{Organization: "acme", Digest: org.Digest()}}
		entries, err := b.store.Entries(b.Context(), acme, 100, 100)
		b.must(err)
		for _, e := range slices.Backward(entries) {
			states = append(states, audit.State{Organization: "acme", Seq: e.Seq, Digest: e.Digest})
		}
		compare := func(states ...audit.State) (findings, notices []string) {
			b.must(audit.Audit{
				Finding: func(_, what string) { findings = append(findings, what) },
				Notice:  func(_, what string) { notices = append(notices, what) },
				Report:  func(audit.Report) {}, Against: states,
			}.Verify(b.Context(), b.store))
			return findings, notices
		}
		if findings, notices := compare(states[6], states[0], states[3]); len(findings) > 0 || len(notices) != 3 ||
			notices[1] != "the books contain "+states[3].String() {
			b.Errorf("of states of the books it finds %q and notes %q", findings, notices)
		}

		// Somebody changes an entry, and computes all digests after it.
		rewrite := func() {
			digest := org.Digest()
			leases := map[billing.ID]*billing.Lease{}
			for _, e := range slices.Backward(entries) {
				var lease *billing.Lease
				if e.LeaseID != nil {
					if leases[*e.LeaseID] == nil {
						_, leases[*e.LeaseID], err = b.store.Entry(b.Context(), acme, e.ID)
						b.must(err)
					}
					lease = leases[*e.LeaseID]
				}
				if e.Seq == 3 {
					e.Description = new("other")
				}
				digest = e.Chain(digest, acme, lease)
				b.exec(`UPDATE ledger_entries SET description = $1, digest = $2 WHERE org_id = $3 AND seq = $4`, e.Description, digest[:], acme[:], e.Seq)
			}
			b.exec(`UPDATE ledger_heads SET digest = $1 WHERE org_id = $2`, digest[:], acme[:])
		}
		const first = "; the first entry that differs is "
		for _, c := range []struct {
			name    string
			change  func()
			against []audit.State
			want    string
		}{
			{"nothing is known", rewrite, nil, ""},
			{"the newest is known", rewrite, states[6:], states[6].String() + first + "one of 1 to 6"},
			{"some are known", rewrite, []audit.State{states[1], states[5], states[6]}, states[5].String() + first + "one of 2 to 5"},
			{"the one before is known", rewrite, states[2:], states[3].String() + first + "3"},
			{"another organization", func() { b.exec(`UPDATE organizations SET name = 'Other' WHERE org_id = $1`, acme[:]) }, states[:1], states[0].String() + first + "none"},
			{"digests that are as they were", func() {
				b.exec(`UPDATE ledger_entries SET description = 'other' WHERE org_id = $1 AND seq = 3`, acme[:])
			}, states[6:], states[6].String() + first + "3"},
			{"entries that are missing", func() {
				b.exec(`DELETE FROM ledger_entries WHERE org_id = $1 AND seq > 4`, acme[:])
			}, states[6:], "ends with entry 4; the state " + states[6].String() + " is missing"},
			{"an organization that is missing", func() {}, []audit.State{{Organization: "nobody"}}, "there is no such organization"},
		} {
			c.change()
			findings, _ := compare(c.against...)
			if c.want == "" && len(findings) > 0 || !strings.Contains(strings.Join(findings, "\n"), c.want) {
				b.Errorf("%s: it finds %q, want %q", c.name, findings, c.want)
			}
			b.restoreTables()
		}
	})
}

func TestStatesAreRead(t *testing.T) {
	state := audit.State{Organization: "a.b-c_d", Seq: 12, Digest: billing.Digest{0xab}}
	if got, err := audit.ParseState(state.String()); err != nil || got != state {
		t.Errorf("%s is read as %+v, %v", state, got, err)
	}
	for _, text := range []string{"", "acme", "acme:1", ":1:" + state.Digest.String(), "acme:-1:" + state.Digest.String(), "acme:x:" + state.Digest.String(),
		"acme:1:ab", state.String() + ":"} {
		if got, err := audit.ParseState(text); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

// A lease that was billed for less or more than from its start to its finish is noted, and is no error.
func TestDurationsUnlikeIntervals(t *testing.T) {
	onEach(t, func(b *books) {
		b.fill()
		service := billing.NewService(b.store)
		free := billing.RateCard{Name: "free"}
		free.SetRates(billing.Rates{})
		_, _, err := service.SetRateCard(b.Context(), billing.NewCard{Card: free, EffectiveFrom: new(billing.Time(0)), Backdated: true})
		b.must(err)
		var ops []billing.Imported
		var want []string
		for i, c := range []struct {
			interval billing.Time
			seconds  int64
			says     string
		}{
			{300 * billing.Second, 300, ""}, {300*billing.Second + 1, 300, ""}, {300*billing.Second + 1, 301, ""}, {0, 0, ""},
			{300 * billing.Second, 299, "299 seconds, which is less than its interval of 5m0s"},
			{301*billing.Second - 1, 299, "299 seconds, which is less than its interval of 5m0.999999s"},
			{300 * billing.Second, 301, "301 seconds, which is more than its interval of 5m0s"},
			{300*billing.Second + 1, 302, "302 seconds, which is more than its interval of 5m0.000001s"},
		} {
			l := lease(billing.ID{0x40, byte(i)}, billing.Time(i)*billing.Hour, 0)
			l.JobID, l.FinishedAt, l.DurationSeconds, l.AmountCents = nil, new(l.StartedAt+c.interval), &c.seconds, new(int64(0))
			ops = append(ops, &billing.ImportLease{Lease: l}, &billing.ImportEntry{Entry: billing.Entry{
				ID: billing.ID{0x50, byte(i)}, Source: billing.SourceVMLeaseDebit, LeaseID: l.ID, CreatedAt: billing.TimeOf(time.Now()) + billing.Minute,
			}})
			if c.says != "" {
				want = append(want, "leases, lease_id "+l.ID.String()+": it was billed for "+c.says)
			}
		}
		errs, err := service.Import(b.Context(), acme, ops)
		b.must(errors.Join(append(errs, err)...))
		var notices []string
		b.must(audit.Audit{
			Finding: func(org, what string) { b.Errorf("%s: %s", org, what) }, Notice: func(_, what string) { notices = append(notices, what) },
			Report: func(r audit.Report) {
				if r.Organization == "acme" && r.Notices != int64(len(want)) {
					b.Errorf("%d notices are reported", r.Notices)
				}
			},
		}.Verify(b.Context(), b.store))
		if !slices.Equal(notices, want) {
			b.Errorf("it notes %q, want %q", notices, want)
		}
	})
}

// The leases with wrong costs are named, and no others.
func TestWrongCosts(t *testing.T) {
	const leases, wrong = 2_000, 37
	onEach(t, func(b *books) {
		b.must(b.store.CreateOrganization(b.Context(), billing.Organization{ID: acme, Slug: "acme", Name: "Acme", CreatedAt: 5}))
		service := billing.NewService(b.store)
		b.must(service.EnsureRateCard(b.Context(), nil))
		dear := billing.RateCard{Name: "dear", OrgID: &acme, LabelKey: new("os"), LabelValue: new("mac")}
		dear.SetRates(billing.Rates{CPU: 99_999, MemoryGB: 5_000, DiskGB: 100})
		_, _, err := service.SetRateCard(b.Context(), billing.NewCard{Card: dear, EffectiveFrom: new(500 * billing.Minute), Backdated: true})
		b.must(err)
		var batch []billing.Lease
		for i := range leases {
			l := lease(billing.ID{0x31, byte(i >> 8), byte(i)}, billing.Time(i)*billing.Minute, int64(i%5000))
			l.JobID = nil
			if i%3 == 0 {
				l.Labels = new(`{"os":"mac"}`)
			}
			batch = append(batch, l)
			if len(batch) == 500 {
				_, err := service.RecordLeases(b.Context(), acme, batch)
				b.must(err)
				batch = nil
			}
		}
		costs := regexp.MustCompile(`^leases, lease_id ([-0-9a-f]{36}): the rate card .* gives another amount`)
		var want []string
		for i := range wrong {
			id := billing.ID{0x31, byte(i * 53 >> 8), byte(i * 53)}
			want = append(want, id.String())
			b.exec(`UPDATE leases SET amount_cents = amount_cents - 1 WHERE org_id = $1 AND lease_id = $2`, acme[:], id[:])
			b.exec(`UPDATE ledger_entries SET amount_cents = amount_cents - 1 WHERE org_id = $1 AND lease_id = $2`, acme[:], id[:])
		}
		var got []string
		b.must(audit.Verify(b.Context(), b.store, func(_, what string) {
			if m := costs.FindStringSubmatch(what); m != nil {
				got = append(got, m[1])
			}
		}, func(audit.Report) {}))
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			b.Errorf("it names %d leases, want %d:\n%q\n%q", len(got), len(want), got, want)
		}
	})
}

// A lease that names no rate card was priced elsewhere, unless the card in force gives its amount.
func TestPricedElsewhere(t *testing.T) {
	onEach(t, func(b *books) {
		b.fill()
		service := billing.NewService(b.store)
		var ops []billing.Imported
		for i, cents := range []int64{-12, -13} {
			l := lease(billing.ID{0x60, byte(i)}, 5*billing.Hour, 300)
			l.JobID, l.AmountCents = nil, &cents
			ops = append(ops, &billing.ImportLease{Lease: l}, &billing.ImportEntry{Entry: billing.Entry{
				ID: billing.ID{0x61, byte(i)}, Source: billing.SourceVMLeaseDebit, AmountCents: cents, LeaseID: l.ID, CreatedAt: billing.TimeOf(time.Now()) + billing.Minute,
			}})
		}
		errs, err := service.Import(b.Context(), acme, ops)
		b.must(errors.Join(append(errs, err)...))
		var notices []string
		b.must(audit.Audit{
			Finding: func(org, what string) { b.Errorf("%s: %s", org, what) }, Notice: func(_, what string) { notices = append(notices, what) },
			Report: func(r audit.Report) {
				if r.Organization == "acme" && r.PricedElsewhere != 1 {
					b.Errorf("%d leases are reported as priced elsewhere", r.PricedElsewhere)
				}
			},
		}.Verify(b.Context(), b.store))
		if want := "leases, lease_id " + (billing.ID{0x60, 1}).String() + ": its -13 cents"; len(notices) != 1 || !strings.HasPrefix(notices[0], want) {
			b.Errorf("it notes %q, want %q", notices, want)
		}
	})
}

// nullable reports whether a value that is unknown is stored in the column as NULL.
func nullable(table, column string) bool {
	switch table {
	case "ledger_entries":
		return slices.Contains([]string{"description", "lease_id", "digest"}, column)
	case "leases":
		return slices.Contains([]string{"job_id", "job_name", "step_key", "vm_handle", "build_id", "build_number", "build_external_id",
			"pipeline_id", "pipeline_name", "pipeline_slug", "labels", "author", "card_id"}, column)
	}
	return false
}

var tables = []string{"organizations", "leases", "ledger_entries", "ledger_heads", "usage_sums", "rate_cards"}

func (b *books) copyTables() {
	b.Helper()
	for _, table := range tables {
		b.exec(`CREATE TABLE copy_of_` + table + ` AS SELECT * FROM ` + table)
	}
}

func (b *books) restoreTables() {
	b.Helper()
	for _, table := range tables {
		b.exec(`DELETE FROM ` + table)
		b.exec(`INSERT INTO ` + table + ` SELECT * FROM copy_of_` + table)
	}
	b.exec(`DROP INDEX IF EXISTS ledger_entries_by_lease`)
	b.exec(`CREATE UNIQUE INDEX ledger_entries_by_lease ON ledger_entries (org_id, lease_id) WHERE lease_id IS NOT NULL`)
}

// Books that say the same have the same fingerprint in any database; and no column of a lease, an entry or an organization
// can change without changing it.
func TestFingerprint(t *testing.T) {
	original := newSQLite(t)
	original.fill()
	_, want := original.verify()
	var export strings.Builder
	original.must(transfer.Export(t.Context(), original.store, &export))

	onEach(t, func(b *books) {
		_, err := transfer.Import(b.Context(), billing.NewService(b.store), strings.NewReader(export.String()),
			transfer.Options{Tokens: true, Bad: func(line int, err error) { b.Errorf("line %d: %v", line, err) }})
		b.must(err)
		findings, got := b.verify()
		if len(findings) != 0 || !reflect.DeepEqual(got, want) {
			b.Errorf("the copy's report is %+v, %q; want %+v", got, findings, want)
		}

		b.copyTables()
		seen := map[string]string{want.Fingerprint: "nothing"}
		change := func(what, text string, args ...any) {
			if b.exec(text, append([]any{acme[:]}, args...)...) != 1 {
				b.Errorf("%s has not changed one row", text)
			}
			var report audit.Report
			b.must(audit.Verify(b.Context(), b.store, func(string, string) {}, func(r audit.Report) {
				if r.Organization != "globex" {
					report = r
				}
			}))
			if before, known := seen[report.Fingerprint]; known {
				b.Errorf("changing %s gives the fingerprint of changing %s", what, before)
			}
			seen[report.Fingerprint] = what
			b.restoreTables()
		}
		for _, table := range []struct {
			name, row string
			columns   map[string]string // SQL of another value; $2 is an id
		}{
			{"leases", "duration_seconds = 3600", map[string]string{
				"lease_id": "$2", "job_id": "$2", "job_name": "'other'", "step_key": "'other'", "vm_handle": "'other'",
				"build_id": "$2", "build_number": "8", "build_external_id": "'other'",
				"pipeline_id": "$2", "pipeline_name": "'other'", "pipeline_slug": "'other'",
				"cpu_count": "9", "memory_gb": "9", "disk_gb": "9", "started_at": "9", "finished_at": "finished_at + 1",
				"duration_seconds": "9", "amount_cents": "-9",
			}},
			{"ledger_entries", "seq = 2", map[string]string{
				"entry_id": "$2", "amount_cents": "-9", "source": "'refund'", "description": "'other'",
				"created_at": "created_at + 1", "lease_id": "$2", "idempotency_key": "'other'", "seq": "99",
			}},
		} {
			for column, value := range table.columns {
				args := []any{}
				if value == "$2" {
					args = append(args, []byte("another id of 16")[:16])
				}
				change(table.name+"."+column,
					fmt.Sprintf(`UPDATE %s SET %s = %s WHERE org_id = $1 AND %s`, table.name, column, value, table.row), args...)
			}
			for _, column := range []string{"description", "lease_id", "job_id", "job_name", "build_number", "pipeline_id", "idempotency_key"} {
				if _, has := table.columns[column]; has && column != "idempotency_key" && (table.name != "leases" || column != "lease_id") {
					change(table.name+"."+column+" to NULL",
						fmt.Sprintf(`UPDATE %s SET %s = NULL WHERE org_id = $1 AND %s`, table.name, column, table.row))
				}
			}
		}
		// Texts do not run into one another.
		change("a text moved to the next column", `UPDATE leases SET job_name = 'teststep', step_key = '' WHERE org_id = $1 AND duration_seconds = 3600`)
		change("a text moved back", `UPDATE leases SET job_name = '', step_key = 'teststep' WHERE org_id = $1 AND duration_seconds = 3600`)
		change("a lease", `DELETE FROM leases WHERE org_id = $1 AND duration_seconds = 3600`)
		change("an entry", `DELETE FROM ledger_entries WHERE org_id = $1 AND seq = 5`)
		for column, value := range map[string]string{"slug": "'Acme'", "name": "'Other'", "created_at": "9"} {
			change("organizations."+column, fmt.Sprintf(`UPDATE organizations SET %s = %s WHERE org_id = $1`, column, value))
		}
		if findings, got = b.verify(); len(findings) != 0 || got != want {
			b.Errorf("put back, the report is %+v, %q; want %+v", got, findings, want)
		}
	})
}

// It sees one moment, so it finds nothing off while others write.
func TestVerifyWhileWritersWrite(t *testing.T) {
	onEach(t, func(b *books) {
		b.fill()
		service := billing.NewService(b.store)
		ctx, stop := context.WithCancel(b.Context())
		var writing sync.WaitGroup
		// The books grow by a bounded number of leases in each run. Otherwise a machine on which a run is slow has so many more in the
		// next one that the test does not end.
		growth := make(chan struct{}, 25)
		for w := range 4 {
			writing.Go(func() {
				for i := billing.Time(0); ; i++ {
					select {
					case <-growth:
					case <-ctx.Done():
						return
					}
					start := i * billing.Hour / 3
					going := lease(billing.NewID(), start, 0)
					going.JobID, going.FinishedAt = nil, nil
					finished := going
					finished.FinishedAt = new(start + 300*billing.Second)
					_, err := service.RecordLeases(context.Background(), acme, []billing.Lease{going})
					_, err2 := service.RecordLeases(context.Background(), acme, []billing.Lease{finished})
					err3 := service.PostCredit(context.Background(), acme, &billing.PostCredit{
						AmountCents: 1, Source: billing.SourceRefund, IdempotencyKey: fmt.Sprint(w, " ", i),
					})
					if err := errors.Join(err, err2, err3); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		entries := int64(0)
		for runs := 0; runs < testlong.Pick(10, 40) || entries < 100; runs++ {
			for len(growth) < cap(growth) {
				growth <- struct{}{}
			}
			findings, report := b.verify()
			if len(findings) != 0 {
				b.Errorf("found %q", findings)
				break
			}
			if report.Entries < entries {
				b.Errorf("there were %d entries, and then %d", entries, report.Entries)
			}
			entries = report.Entries
		}
		stop()
		writing.Wait()
	})
}

// An organization that could not be read completely is not reported.
func TestVerifyStops(t *testing.T) {
	onEach(t, func(b *books) {
		b.fill()
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		reports := 0
		err := audit.Verify(ctx, b.store, func(org, what string) { b.Errorf("%s: %s", org, what) }, func(audit.Report) {
			reports++
			cancel() // in the middle: the second organization follows
		})
		if !errors.Is(err, context.Canceled) || reports != 1 {
			b.Errorf("got %v after %d reports", err, reports)
		}

		// An error of the one who takes the rows is handed back as it is, not as one of the database.
		err = b.store.Export(b.Context(), refusing{})
		if !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, billing.ErrUnavailable) {
			b.Errorf("got %v", err)
		}
	})
}

// refusing fails like a connection that was cut.
type refusing struct{ billing.ExportSink }

func (refusing) Organization(billing.Organization) error { return io.ErrUnexpectedEOF }

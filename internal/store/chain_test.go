package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

// onEachKind runs a test with a new database of each kind, and a connection of another program to it.
func onEachKind(t *testing.T, test func(t *testing.T, database string, raw *sql.DB)) {
	t.Run("SQLite", func(t *testing.T) {
		file := newFile(t)
		open(t, file)
		test(t, file, openRaw(t, file))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		database := pgtest.Database(t)
		open(t, database)
		test(t, database, pgtest.Connect(t, database))
	})
}

// forget makes a ledger as an earlier version has left it, without the digests from an entry on.
func forget(t *testing.T, raw *sql.DB, from int) {
	t.Helper()
	isSQLite := strings.Contains(fmt.Sprintf("%T", raw.Driver()), "sqlite")
	statements := []string{
		`ALTER TABLE ledger_entries DISABLE TRIGGER ALL`,
		`ALTER TABLE ledger_heads DROP CONSTRAINT IF EXISTS ledger_heads_digest_check`,
		`ALTER TABLE ledger_entries DROP CONSTRAINT IF EXISTS ledger_entries_digest_check`,
		fmt.Sprintf(`UPDATE ledger_entries SET digest = NULL WHERE seq >= %d`, from),
		`UPDATE ledger_heads SET digest = NULL`,
		`ALTER TABLE ledger_entries ENABLE TRIGGER ALL`,
	}
	if isSQLite {
		var trigger string
		storetest.Must(t, raw.QueryRow(`SELECT sql FROM sqlite_schema WHERE name = 'ledger_entries_keep_their_digests'`).Scan(&trigger))
		statements = []string{`DROP TRIGGER ledger_entries_keep_their_digests`, statements[3], statements[4], trigger}
	}
	for _, statement := range statements {
		if _, err := raw.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// A program that is started on books of an earlier version computes their digests, wherever an earlier start has stopped.
func TestChainIsCompleted(t *testing.T) {
	onEachKind(t, func(t *testing.T, database string, raw *sql.DB) {
		s := open(t, database)
		org := storetest.CreateOrganization(t, s, "acme")
		storetest.CreateOrganization(t, s, "empty")
		leases := make([]billing.Lease, 1000)
		for i := range leases {
			leases[i] = storetest.Lease()
		}
		storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), org, storetest.Record(leases...), storetest.Credit(1, "1"), storetest.Credit(1, "2")))...))
		want, err := s.Head(t.Context(), org)
		storetest.Must(t, err)
		for _, from := range []int{1, 1001, 1003} {
			forget(t, raw, from)
			if from == 1 { // and it is ended before it has begun
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				if err := s.chain(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("with a context that has ended: %v", err)
				}
			}
			again := open(t, database)
			got, err := again.Head(t.Context(), org)
			if err != nil || got != want {
				t.Errorf("without the digests from entry %d on, the head becomes %+v, %v; want %+v", from, got, err, want)
			}
			storetest.WantClean(t, again)
		}
	})
}

// A server of an earlier version that still runs writes neither entries nor organizations, which would have no digests.
func TestEarlierVersionsDoNotWrite(t *testing.T) {
	onEachKind(t, func(t *testing.T, database string, raw *sql.DB) {
		s := open(t, database)
		org := storetest.CreateOrganization(t, s, "acme")
		other := billing.NewID()
		_, err := raw.Exec(`INSERT INTO organizations (org_id, slug, name, created_at) VALUES ($1, 'other', 'Other', 0)`, other[:])
		storetest.Must(t, err)
		for _, statement := range []string{
			`INSERT INTO ledger_entries (org_id, seq, entry_id, amount_cents, balance_after_cents, source, created_at) VALUES ($1, 1, $1, 5, 5, 'refund', 0)`,
			`INSERT INTO ledger_heads (org_id, seq, balance_cents, last_at, cpu_seconds, memory_gb_seconds, disk_gb_seconds, total_cents)
				VALUES ($1, 0, 0, 0, 0, 0, 0, 0)`,
		} {
			id := org
			if strings.Contains(statement, "ledger_heads") {
				id = other
			}
			if _, err := raw.Exec(statement, id[:]); err == nil || !strings.Contains(err.Error(), "digest") {
				t.Errorf("%s: %v", statement, err)
			}
		}
		storetest.WantBalance(t, s, org, 0, 0)
	})
}

package store

import (
	"database/sql"
	"errors"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

// The check at a start passes books as they should be, and finds each way in which a head is not that of its newest entry.
func TestQuickCheck(t *testing.T) {
	onEachKind(t, func(t *testing.T, database string, raw *sql.DB) {
		s := open(t, database)
		check := func() error { return s.QuickCheck(t.Context()) }
		storetest.Must(t, check())
		org := storetest.CreateOrganization(t, s, "acme")
		storetest.CreateOrganization(t, s, "empty")
		storetest.Must(t, check())
		storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), org, storetest.Credit(5, "1"), storetest.Credit(6, "2")))...))
		storetest.Must(t, check())
		for _, c := range []struct{ damage, repair string }{
			{`UPDATE ledger_heads SET balance_cents = balance_cents + 1`, `UPDATE ledger_heads SET balance_cents = balance_cents - 1`},
			{
				`CREATE TABLE heads_copy AS SELECT * FROM ledger_heads; DELETE FROM ledger_heads WHERE seq = 0`,
				`INSERT INTO ledger_heads SELECT * FROM heads_copy WHERE seq = 0; DROP TABLE heads_copy`,
			},
			{`UPDATE ledger_heads SET last_at = last_at + 1 WHERE seq > 0`, `UPDATE ledger_heads SET last_at = last_at - 1 WHERE seq > 0`},
			{`UPDATE ledger_heads SET last_at = 1 WHERE seq = 0`, `UPDATE ledger_heads SET last_at = 0 WHERE seq = 0`},
			{
				`CREATE TABLE heads_copy AS SELECT * FROM ledger_heads; UPDATE ledger_heads SET digest = (SELECT digest FROM ledger_entries WHERE seq = 1) WHERE seq = 0`,
				`UPDATE ledger_heads SET digest = (SELECT digest FROM heads_copy WHERE seq = 0) WHERE seq = 0; DROP TABLE heads_copy`,
			},
			{`UPDATE ledger_heads SET seq = seq - 1 WHERE seq > 0`, `UPDATE ledger_heads SET seq = seq + 1 WHERE seq > 0`},
			{`UPDATE ledger_heads SET seq = seq + 1 WHERE seq > 0`, `UPDATE ledger_heads SET seq = seq - 1 WHERE seq > 0`},
			{
				`UPDATE ledger_heads SET digest = (SELECT digest FROM ledger_entries WHERE seq = 1) WHERE seq > 0`,
				`UPDATE ledger_heads SET digest = (SELECT digest FROM ledger_entries WHERE seq = 2) WHERE seq > 0`,
			},
		} {
			_, err := raw.Exec(c.damage)
			storetest.Must(t, err)
			if err := check(); err == nil || !strings.Contains(err.Error(), "'harmont-billing verify' names all damage") || !strings.Contains(err.Error(), "ledger_heads") {
				t.Errorf("%s: got %v", c.damage, err)
			}
			_, err = raw.Exec(c.repair)
			storetest.Must(t, err)
			storetest.Must(t, check())
		}
	})
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

// TryWrite finds out that nothing can be written, for as long as that is so, and within the time of its context. It changes nothing.
func TestTryWrite(t *testing.T) {
	onEach(t, func(t *testing.T, database string) {
		s := open(t, database)
		org := storetest.CreateOrganization(t, s, "acme")
		storetest.Must(t, storetest.Post(t, s, org, "key"))
		connect, lock := openRaw, `BEGIN IMMEDIATE`
		if strings.HasPrefix(database, "postgres:") {
			connect, lock = func(t *testing.T, url string) *sql.DB { return pgtest.Connect(t, url) }, `BEGIN; LOCK TABLE ledger_heads IN EXCLUSIVE MODE`
		}
		raw := hold(t, connect(t, database))
		storetest.Must(t, s.TryWrite(t.Context()))
		_, err := raw.ExecContext(t.Context(), lock)
		storetest.Must(t, err)
		storetest.Must(t, s.TryWrite(t.Context())) // as it was a moment ago
		s.trial.ended = time.Now().Add(-trialAge)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := s.TryWrite(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while another program holds the database: %v", err)
		}
		_, err = raw.ExecContext(t.Context(), `ROLLBACK`)
		storetest.Must(t, err)
		storetest.Eventually(t, "the database to be writable again", func() bool { return s.TryWrite(t.Context()) == nil })
		storetest.WantBalance(t, s, org, 1, 1)
		storetest.WantClean(t, s)

		s.trial.ended = time.Now().Add(-trialAge)
		storetest.Must(t, s.Close())
		if err := s.TryWrite(t.Context()); !errors.Is(err, billing.ErrUnavailable) {
			t.Errorf("of a closed store: %v", err)
		}
	})
}

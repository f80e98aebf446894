package store

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
	"github.com/harmont-dev/harmont-billing/internal/store/postgres"
	"github.com/harmont-dev/harmont-billing/internal/store/sqlite"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// onEach runs the test on a new, empty database of each kind.
func onEach(t *testing.T, test func(t *testing.T, database string)) {
	t.Run("SQLite", func(t *testing.T) { test(t, newFile(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, pgtest.Database(t)) })
}

func newFile(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "billing.db")
}

// openStore opens a database of PostgreSQL, given by its URL, or a file.
func openStore(ctx context.Context, database string) (*Store, error) {
	var db driver.Database
	var err error
	if strings.HasPrefix(database, "postgres:") {
		db, err = postgres.Open(ctx, database)
	} else {
		db, err = sqlite.Open(ctx, database)
	}
	if err != nil {
		return nil, err
	}
	return Open(ctx, db)
}

// open opens a database with the standard prices, which is closed when the test ends.
func open(t *testing.T, database string) *Store {
	t.Helper()
	s := openWithoutPrices(t, database)
	storetest.Must(t, billing.NewService(s).EnsureRateCard(t.Context(), nil))
	return s
}

// openWithoutPrices opens a database as it is.
func openWithoutPrices(t *testing.T, database string) *Store {
	t.Helper()
	s, err := openStore(t.Context(), database)
	storetest.Must(t, err)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// openRaw connects to a file as any other program would.
func openRaw(t *testing.T, file string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	storetest.Must(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

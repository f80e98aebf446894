package postgres

import (
	"os"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/store"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// open opens a store of a database that is closed when the test ends.
func open(t *testing.T, database string) (*store.Store, *Database) {
	t.Helper()
	db, err := Open(t.Context(), database)
	storetest.Must(t, err)
	s, err := store.Open(t.Context(), db)
	storetest.Must(t, err)
	t.Cleanup(func() { storetest.Must(t, s.Close()) })
	return s, db
}

package store

import (
	"os"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// onEach runs the test on a new, empty database of each kind.
func onEach(t *testing.T, test func(t *testing.T, database string)) {
	t.Run("SQLite", func(t *testing.T) { test(t, "sqlite:"+newFile(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, pgtest.Database(t)) })
}

// open opens a database that is closed when the test ends.
func open(t *testing.T, database string) *Store {
	t.Helper()
	s, err := Open(t.Context(), database)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

package sqlite

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/harmont-dev/harmont-billing/internal/store"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

func newFile(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "billing.db")
}

// open opens a store of a file that is closed when the test ends.
func open(t *testing.T, file string) (*store.Store, *Database) {
	t.Helper()
	db, err := Open(t.Context(), file)
	storetest.Must(t, err)
	s, err := store.Open(t.Context(), db)
	storetest.Must(t, err)
	t.Cleanup(func() { storetest.Must(t, s.Close()) })
	return s, db
}

// Pragmas belong to a connection, so every connection of a pool is asked.
func TestConnections(t *testing.T) {
	// A name that must not be read as parameters of the connection.
	_, db := open(t, filepath.Join(t.TempDir(), "a?_pragma=synchronous(OFF)&_txlock=deferred#b"))
	pragmas := func(name string, queryOnly int) func(*sqlite.Conn) {
		return func(conn *sqlite.Conn) {
			for pragma, want := range map[string]string{
				"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000", "query_only": fmt.Sprint(queryOnly),
			} {
				got := ""
				err := sqlitex.ExecuteTransient(conn, "PRAGMA "+pragma, &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
					got = stmt.ColumnText(0)
					return nil
				}})
				if err != nil || got != want {
					t.Errorf("a connection of the %s has %s %s, %v; want %s", name, pragma, got, err, want)
				}
			}
		}
	}
	pragmas("writer", 0)(db.writer)
	eachConnection(t, db.reads, pragmas("reads", 1))
	eachConnection(t, db.snapshots, pragmas("snapshots", 1))
}

// eachConnection calls do with each connection of the pool.
func eachConnection(t *testing.T, pool *sqlitex.Pool, do func(*sqlite.Conn)) {
	t.Helper()
	for range readers() {
		conn, err := pool.Take(t.Context())
		storetest.Must(t, err)
		defer pool.Put(conn) //nolint:gocritic // not before all of them were held
		do(conn)
	}
}

// Connections are opened when they are needed, which may be in another working directory.
func TestWorkingDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	s, db := open(t, "billing.db")
	org := storetest.CreateOrganization(t, s, "acme")
	t.Chdir(t.TempDir())
	pool := db.reads
	for range readers() - 1 {
		conn, err := pool.Take(t.Context())
		storetest.Must(t, err)
		defer pool.Put(conn) //nolint:gocritic // not before the balance was read
	}
	storetest.WantBalance(t, s, org, 0, 0)
}

// A file that another process creates while its name is looked at is not taken for a symbolic link. It is looked at again and
// again until the file is there, so that some creations fall between two steps of it.
func TestCreatedMeanwhile(t *testing.T) {
	folder, err := filepath.EvalSymlinks(t.TempDir())
	storetest.Must(t, err)
	for i := range 300 {
		file := filepath.Join(folder, fmt.Sprint(i))
		created := make(chan error, 1)
		go func() { created <- os.WriteFile(file, nil, 0o600) }()
		for done := false; !done; {
			select {
			case err := <-created:
				storetest.Must(t, err)
				done = true
			default:
			}
			storetest.Must(t, checkLink(file))
		}
	}
}

package database

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func open(t *testing.T, url string) *Database {
	t.Helper()
	d, err := Open(t.Context(), url)
	storetest.Must(t, err)
	t.Cleanup(func() { storetest.Must(t, d.Close()) })
	return d
}

func openSQLite(t *testing.T) *Database {
	t.Helper()
	return open(t, "sqlite:"+filepath.Join(t.TempDir(), "billing.db"))
}

// A URL of either kind opens a database that takes credits.
func TestOpen(t *testing.T) {
	for kind, d := range map[string]*Database{"SQLite": openSQLite(t), "PostgreSQL": open(t, pgtest.Database(t))} {
		t.Run(kind, func(t *testing.T) {
			org := storetest.CreateOrganization(t, d, "acme")
			storetest.Must(t, storetest.Post(t, d, org, "key"))
			storetest.WantBalance(t, d, org, 1, 1)
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct{ name, url, says string }{
		{"nothing", "", "must be given as sqlite:FILE"},
		{"no file", "sqlite:", "must be given as sqlite:FILE"},
		{"a file without the scheme", "billing.db", "must be given as sqlite:FILE"},
		{"another scheme", "mysql://user:secret@host/db", "not mysql:…"},
		{"a password alone", "secret", "postgres://…"},
		{"keywords", "host=db password=secret", "postgres://…"},
		{"keywords with a colon", "host=db password=secret:", "postgres://…"},
		{"memory", "sqlite::memory:", "name a file"},
		{"a broken URL", "postgres://clerk:secret@host:port/database", "cannot be read"},
		{"a password with an @", "postgres://clerk:x@secret@127.0.0.1/database", "%40"},
		{"a password with an @ after a question mark", "postgres://clerk:x?x@secret@127.0.0.1/database", "%40"},
		{"values as text", "postgres://clerk:secret@127.0.0.1/database?default_query_exec_mode=exec", "default_query_exec_mode=exec"},
		{"values as text, simply", "postgres://clerk:secret@127.0.0.1/database?default_query_exec_mode=simple_protocol", "default_query_exec_mode=simple_protocol"},
		{"too few connections", "postgres://clerk:secret@127.0.0.1/database?pool_max_conns=2", "pool_max_conns=2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Open(t.Context(), c.url)
			if err == nil {
				d.Close()
				t.Fatal("it opened")
			}
			if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("it says %q; want %q", err, c.says)
			}
		})
	}
}

func TestMustExist(t *testing.T) {
	file := filepath.Join(t.TempDir(), "billing.db")
	if err := MustExist("sqlite:" + file); !errors.Is(err, billing.ErrInvalid) || !strings.Contains(err.Error(), "there is no database "+file) {
		t.Errorf("of a file that is not there it says %v", err)
	}
	open(t, "sqlite:"+file)
	storetest.Must(t, MustExist("sqlite:"+file))
	storetest.Must(t, MustExist("postgres://db/billing"))
}

// An operation of another kind of database is refused with the reason.
func TestOfAnotherKind(t *testing.T) {
	file := filepath.Join(t.TempDir(), "backup.db")
	if err := open(t, pgtest.Database(t)).Backup(t.Context(), file); !errors.Is(err, billing.ErrInvalid) || !strings.Contains(err.Error(), "pg_dump") {
		t.Errorf("a backup of PostgreSQL: %v", err)
	}
	if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a file, %v", err)
	}
	d := openSQLite(t)
	if _, err := d.Distribute(t.Context()); !errors.Is(err, billing.ErrInvalid) || !strings.Contains(err.Error(), "only a PostgreSQL database") {
		t.Errorf("an SQLite database is distributed: %v", err)
	}
	log := slog.New(slog.DiscardHandler)
	if err := d.FollowReplicas(log, []string{"postgres://replica/books"}); err == nil || !strings.Contains(err.Error(), "need a PostgreSQL database") {
		t.Errorf("an SQLite database has replicas: %v", err)
	}
	storetest.Must(t, d.FollowReplicas(log, nil))
}

package database

import (
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
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
		{"a file without the scheme", "/srv/billing.db", "for this file it is sqlite:/srv/billing.db"},
		{"keywords with the name of a file", "host=db password=secret dbname=x.db", "postgres://…"},
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

// contents returns a description of every table and row of a database, by which a test notices changes.
func contents(t *testing.T, url string) string {
	t.Helper()
	if file, ok := strings.CutPrefix(url, "sqlite:"); ok {
		var all []string
		files, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*"))
		storetest.Must(t, err)
		for _, name := range files {
			data, err := os.ReadFile(name)
			storetest.Must(t, err)
			all = append(all, fmt.Sprintf("%s %x", name, sha256.Sum256(data)))
		}
		return strings.Join(all, "\n")
	}
	return strings.Join(storetest.Column[string](t, pgtest.Connect(t, url), `SELECT concat_ws(' ', relnamespace::regnamespace, relname, relfilenode) FROM pg_class
		WHERE relnamespace::regnamespace::text NOT LIKE 'pg_%' ORDER BY 1`), "\n")
}

// raw connects to a database as any other program would.
func raw(t *testing.T, url string) *sql.DB {
	t.Helper()
	file, ok := strings.CutPrefix(url, "sqlite:")
	if !ok {
		return pgtest.Connect(t, url)
	}
	db, err := sql.Open("sqlite", file)
	storetest.Must(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// OpenWith makes books only on request, and beside the tables of another program only on a second request. A refusal changes nothing.
func TestOpenWith(t *testing.T) {
	empty, others := "", `CREATE TABLE accounts (id INTEGER); INSERT INTO accounts VALUES (1)`
	otherMigrations := others + `; CREATE TABLE goose_db_version (id INTEGER, version_id INTEGER)`
	shared := pgtest.Database(t)
	for _, kind := range []string{"SQLite", "SQLite with a log", "PostgreSQL"} {
		for _, c := range []struct {
			name, contents string
			opening        Opening
			says           string // empty where it opens
		}{
			{"nothing", empty, Opening{}, "has no books"},
			{"nothing, for reading", empty, Opening{ReadOnly: true}, "has no books"},
			{"nothing, making books", empty, Opening{Create: true}, ""},
			{"a view", `CREATE VIEW five AS SELECT 5 AS n`, Opening{Create: true}, `tables of another program, such as "five"`},
			{"another program's", others, Opening{}, `tables of another program, such as "accounts"`},
			{"another program's, for reading", others, Opening{ReadOnly: true}, `tables of another program, such as "accounts"`},
			{"another program's, making books", others, Opening{Create: true}, "--beside-other-tables"},
			{"another program's, making books beside", others, Opening{Create: true, BesideOthers: true}, ""},
			{"another program's with the same library", otherMigrations, Opening{Create: true}, "--beside-other-tables"},
			{"another program's with the same library, making books beside", otherMigrations, Opening{Create: true, BesideOthers: true}, "goose_db_version, which the books need"},
		} {
			t.Run(kind+": "+c.name, func(t *testing.T) {
				url := "sqlite:" + filepath.Join(t.TempDir(), "billing.db")
				switch {
				case kind == "PostgreSQL":
					db := pgtest.Connect(t, shared)
					_, err := db.Exec(`CREATE SCHEMA part`)
					storetest.Must(t, err)
					defer func() {
						_, err := db.Exec(`DROP SCHEMA part CASCADE`)
						storetest.Must(t, err)
					}()
					url = shared + "&search_path=part"
				case c.contents == "":
					storetest.Must(t, os.WriteFile(strings.TrimPrefix(url, "sqlite:"), nil, 0o600))
				}
				if c.contents != "" {
					db := raw(t, url)
					if kind == "SQLite with a log" {
						_, err := db.Exec(`PRAGMA journal_mode = WAL`)
						storetest.Must(t, err)
					}
					_, err := db.Exec(c.contents)
					storetest.Must(t, err)
					storetest.Must(t, db.Close())
				}
				before := contents(t, url)
				d, err := OpenWith(t.Context(), url, c.opening)
				if c.says == "" {
					storetest.Must(t, err)
					storetest.CreateOrganization(t, d, "acme")
					storetest.Must(t, d.Close())
					if strings.Contains(c.contents, "accounts") {
						if n := storetest.Column[int](t, raw(t, url), `SELECT id FROM accounts`); len(n) != 1 {
							t.Errorf("of the other program's rows there are %v", n)
						}
					}
					again, err := OpenWith(t.Context(), url, Opening{}) // books exist now
					storetest.Must(t, err)
					storetest.Must(t, again.Close())
					return
				}
				if err == nil {
					storetest.Must(t, d.Close())
				}
				if !errors.Is(err, billing.ErrInvalid) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("it says %v; want %q", err, c.says)
				}
				if after := contents(t, url); after != before {
					t.Errorf("it changed the database from\n%s\nto\n%s", before, after)
				}
			})
		}
	}
}

func TestMissingFile(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "billing.db")
	for _, opening := range []Opening{{}, {ReadOnly: true}} {
		_, err := OpenWith(t.Context(), "sqlite:"+file, opening)
		if !errors.Is(err, billing.ErrInvalid) || !strings.Contains(err.Error(), "there is no database "+file) {
			t.Errorf("of a file that is not there it says %v", err)
		}
	}
	if files, err := os.ReadDir(folder); err != nil || len(files) > 0 {
		t.Errorf("there is %v, %v", files, err)
	}
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

package sqlite

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

// Files that everybody could read are closed to others when they are opened for writing. Access of the group alone is kept.
func TestOpenClosesFilesToOthers(t *testing.T) {
	for _, c := range []struct{ before, after os.FileMode }{{0o644, 0o600}, {0o666, 0o600}, {0o604, 0o600}, {0o640, 0o640}, {0o660, 0o660}, {0o600, 0o600}} {
		t.Run(fmt.Sprintf("%o", c.before), func(t *testing.T) {
			file := newFile(t)
			s, _ := open(t, file) // which keeps the log and its index
			storetest.Must(t, storetest.Post(t, s, storetest.CreateOrganization(t, s, "acme"), "key"))
			names := []string{file, file + logSuffix, file + indexSuffix}
			for _, name := range names {
				storetest.Must(t, os.Chmod(name, c.before))
			}
			again, _ := open(t, file)
			storetest.CreateOrganization(t, again, "globex")
			for _, name := range names {
				info, err := os.Stat(name)
				storetest.Must(t, err)
				if mode := info.Mode().Perm(); mode != c.after {
					t.Errorf("%s has the mode %o, want %o", filepath.Base(name), mode, c.after)
				}
			}
		})
	}
}

// openWith opens a file for reading only.
func openReadOnly(t *testing.T, file string) (*store.Store, *Database) {
	t.Helper()
	db, err := OpenWith(t.Context(), file, driver.Opening{ReadOnly: true})
	storetest.Must(t, err)
	s, err := store.Open(t.Context(), db)
	storetest.Must(t, err)
	t.Cleanup(func() { storetest.Must(t, s.Close()) })
	return s, db
}

// A file that must not be written is read, audited and copied, and stays as it is, with no file beside it.
func TestReadOnlyFile(t *testing.T) {
	file := newFile(t)
	s, db := open(t, file)
	org := storetest.CreateOrganization(t, s, "acme")
	storetest.Must(t, storetest.Post(t, s, org, "key"))
	backup := filepath.Join(t.TempDir(), "backup.db")
	storetest.Must(t, db.Backup(t.Context(), backup))
	storetest.Must(t, s.Close())
	for name, file := range map[string]string{"a file with a log": file, "a backup": backup} {
		t.Run(name, func(t *testing.T) {
			storetest.Must(t, os.Chmod(file, 0o400))
			before, err := os.ReadFile(file)
			storetest.Must(t, err)
			read, db := openReadOnly(t, file)
			storetest.WantBalance(t, read, org, 1, 1)
			storetest.WantClean(t, read)
			if err := storetest.Post(t, read, org, "more"); !errors.Is(err, billing.ErrInvalid) {
				t.Errorf("a credit: %v", err)
			}
			copied := filepath.Join(t.TempDir(), "copy.db")
			storetest.Must(t, db.Backup(t.Context(), copied))
			again, _ := open(t, copied)
			storetest.WantBalance(t, again, org, 1, 1)
			storetest.Must(t, read.Close())
			after, err := os.ReadFile(file)
			storetest.Must(t, err)
			if sha256.Sum256(before) != sha256.Sum256(after) {
				t.Error("the file was changed")
			}
			if files, err := filepath.Glob(file + "?*"); err != nil || len(files) > 0 {
				t.Errorf("beside it there is %v, %v", files, err)
			}
		})
	}
	t.Run("an earlier schema", func(t *testing.T) {
		old := filepath.Join(t.TempDir(), "old.db")
		data, err := os.ReadFile("../testdata/v2.db")
		storetest.Must(t, err)
		storetest.Must(t, os.WriteFile(old, data, 0o400))
		db, err := OpenWith(t.Context(), old, driver.Opening{ReadOnly: true})
		if err == nil {
			storetest.Must(t, db.Close())
		}
		if !errors.Is(err, billing.ErrInvalid) || !strings.Contains(err.Error(), "schema version 2") {
			t.Errorf("it says %v", err)
		}
	})
}

// The log of a server that was killed is read as well.
func TestReadOnlyFileWithALog(t *testing.T) {
	file := newFile(t)
	s, _ := open(t, file)
	org := storetest.CreateOrganization(t, s, "acme")
	storetest.Must(t, storetest.Post(t, s, org, "key"))
	copied := newFile(t)
	for _, suffix := range []string{"", logSuffix} {
		data, err := os.ReadFile(file + suffix)
		storetest.Must(t, err)
		storetest.Must(t, os.WriteFile(copied+suffix, data, 0o400))
	}
	read, _ := openReadOnly(t, copied)
	storetest.WantBalance(t, read, org, 1, 1)
}

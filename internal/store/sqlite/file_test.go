package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

// Only their owner can read the files of a database and a backup, with every umask.
func TestFileModes(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	file := newFile(t)
	s, db := open(t, file)
	org := storetest.CreateOrganization(t, s, "acme")
	storetest.Must(t, storetest.Post(t, s, org, "key"))
	backup := filepath.Join(t.TempDir(), "backup.db")
	storetest.Must(t, db.Backup(t.Context(), backup))
	for _, name := range []string{file, file + "-wal", file + "-shm", backup} {
		info, err := os.Stat(name)
		storetest.Must(t, err)
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has the mode %o", filepath.Base(name), mode)
		}
	}
}

// Once the file is not the one at the path any more, no write is acknowledged and no read is answered.
func TestFileIsReplaced(t *testing.T) {
	for _, c := range []struct {
		name    string
		replace func(t *testing.T, file string) error
	}{
		{"deleted", func(_ *testing.T, file string) error { return os.Remove(file) }},
		{"renamed", func(_ *testing.T, file string) error { return os.Rename(file, file+".old") }},
		{"replaced", func(t *testing.T, file string) error {
			other := newFile(t)
			open(t, other)
			return os.Rename(other, file)
		}},
		{"behind a link that leads elsewhere", func(t *testing.T, file string) error {
			other := newFile(t)
			open(t, other)
			return errors.Join(os.Remove(file), os.Symlink(other, file))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := newFile(t)
			s, db := open(t, file)
			org := storetest.CreateOrganization(t, s, "acme")
			storetest.Must(t, storetest.Post(t, s, org, "before"))
			storetest.Must(t, c.replace(t, file))
			if err := storetest.Post(t, s, org, "after"); !errors.Is(err, billing.ErrUnavailable) {
				t.Errorf("a credit: %v", err)
			}
			if err := s.CreateOrganization(t.Context(), billing.Organization{ID: billing.NewID(), Slug: "globex", Name: "globex"}); !errors.Is(err, billing.ErrUnavailable) {
				t.Errorf("an organization: %v", err)
			}
			db.checked.Store(0) // as after a second
			for range 2 {
				if err := s.Ping(t.Context()); !errors.Is(err, billing.ErrUnavailable) {
					t.Errorf("a read: %v", err)
				}
			}
		})
	}
}

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/audit"
	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
)

// wantClean fails the test where the books are off.
func wantClean(t *testing.T, s *Store) {
	t.Helper()
	must(t, audit.Verify(t.Context(), s, func(org, what string) { t.Errorf("%s: %s", org, what) }, func(audit.Report) {}))
}

// A copy that is made while others write is one moment of the books, and holds all that was acknowledged before it began.
func TestBackupWhileWritersWrite(t *testing.T) {
	s := openFile(t, newFile(t))
	const writers, backups = 8, 5
	orgs := []billing.ID{createOrganization(t, s, "acme"), createOrganization(t, s, "globex")}
	var acknowledged [writers]atomic.Int64 // credits
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := int64(1); ctx.Err() == nil; i++ {
				errs, err := s.Write(context.Background(), orgs[w%len(orgs)], credit(1, fmt.Sprint(w, " ", i)), record(lease()))
				if err := errors.Join(append(errs, err)...); err != nil {
					t.Error(err)
					return
				}
				acknowledged[w].Store(i)
			}
		})
	}
	folder := t.TempDir()
	for n := range backups {
		var before [writers]int64
		for w := range before {
			for last := acknowledged[w].Load(); before[w] <= last && !t.Failed(); { // each has written since the last backup
				before[w] = acknowledged[w].Load()
			}
		}
		file := filepath.Join(folder, fmt.Sprint(n, ".db"))
		must(t, s.Backup(t.Context(), file))
		if leftovers, err := filepath.Glob(file + "?*"); err != nil || len(leftovers) > 0 {
			t.Errorf("beside the copy there is %v, %v", leftovers, err)
		}

		check := openRaw(t, file)
		if got := column[string](t, check, `PRAGMA integrity_check`)[0]; got != "ok" {
			t.Errorf("SQLite finds %s", got)
		}
		copied := openFile(t, file)
		wantClean(t, copied)
		for w, last := range before {
			for i := int64(1); i <= last; i++ {
				key := fmt.Sprint(w, " ", i)
				if found := column[int](t, check, `SELECT count(*) FROM ledger_entries WHERE org_id = $1 AND idempotency_key = $2`, orgs[w%len(orgs)][:], key)[0]; found != 1 {
					t.Fatalf("of the credit %s, which was acknowledged before the backup, there are %d", key, found)
				}
			}
		}
		must(t, post(t, copied, orgs[0], "in the copy"))
	}
	stop()
	writing.Wait()
	wantClean(t, s)
}

func TestBackupRefuses(t *testing.T) {
	s := openFile(t, newFile(t))
	createOrganization(t, s, "acme")
	folder := t.TempDir()
	existing := filepath.Join(folder, "existing.db")
	must(t, os.WriteFile(existing, []byte("keep me"), 0o600))
	must(t, os.Symlink(filepath.Join(folder, "nowhere"), filepath.Join(folder, "link.db")))
	missing := filepath.Join(folder, "missing", "backup.db")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		file string
		kind error
		says string
	}{
		{"a file that exists", t.Context(), existing, billing.ErrExists, existing + " exists"},
		{"a folder", t.Context(), folder, billing.ErrExists, folder + " exists"},
		{"a link to nowhere", t.Context(), filepath.Join(folder, "link.db"), billing.ErrExists, "link.db exists"},
		{"a missing folder", t.Context(), missing, os.ErrNotExist, filepath.Join(folder, "missing")},
		{"a file below a file", t.Context(), filepath.Join(existing, "backup.db"), nil, "existing.db"},
		{"a context that has ended", ended, filepath.Join(folder, "backup.db"), context.Canceled, "cancel"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := s.Backup(c.ctx, c.file)
			if err == nil || c.kind != nil && !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("it says %v", err)
			}
		})
	}
	if kept, err := os.ReadFile(existing); err != nil || !bytes.Equal(kept, []byte("keep me")) {
		t.Errorf("the file that existed has %q, %v", kept, err)
	}
	if files, err := os.ReadDir(folder); err != nil || len(files) != 2 {
		t.Errorf("the folder has %v, %v", files, err)
	}
}

// Of several that back up to the same file, one makes it.
func TestBackupTwiceAtOnce(t *testing.T) {
	s := openFile(t, newFile(t))
	org := createOrganization(t, s, "acme")
	for i := range 200 {
		must(t, post(t, s, org, fmt.Sprint(i)))
	}
	file := filepath.Join(t.TempDir(), "backup.db")
	errs := make([]error, 4)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = s.Backup(t.Context(), file) })
	}
	all.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else if !errors.Is(err, billing.ErrExists) {
			t.Error(err)
		}
	}
	if made != 1 {
		t.Errorf("%d of them made the file", made)
	}
	copied := openFile(t, file)
	wantClean(t, copied)
	wantBalance(t, copied, org, 200, 200)
}

// A backup that ends in the middle leaves nothing behind.
func TestBackupCancelled(t *testing.T) {
	s := openFile(t, newFile(t))
	org := createOrganization(t, s, "acme")
	long := strings.Repeat("x", billing.LeaseVMHandleMaxLength)
	leases := make([]billing.Lease, billing.RecordLeasesRequestLeasesMaxItems)
	for i := range leases {
		leases[i] = lease()
		leases[i].JobName, leases[i].StepKey, leases[i].VMHandle, leases[i].PipelineName = &long, &long, &long, &long
	}
	must(t, errors.Join(first(s.Write(t.Context(), org, record(leases...)))...))
	folder := t.TempDir()
	file := filepath.Join(folder, "backup.db")
	var err error
	eventually(t, "a backup to be cancelled in the middle", func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- s.Backup(ctx, file) }()
		begun := false
		for running := true; running; {
			files, readErr := os.ReadDir(folder)
			must(t, readErr)
			for _, f := range files {
				if info, statErr := f.Info(); statErr == nil && info.Size() > 0 {
					begun = true
					cancel()
				}
			}
			select {
			case err = <-done:
				running = false
			default:
			}
		}
		if err == nil {
			must(t, os.Remove(file))
		}
		return begun && err != nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if files, err := os.ReadDir(folder); err != nil || len(files) != 0 {
		t.Errorf("it left %v, %v", files, err)
	}
	must(t, s.Backup(t.Context(), file))
	wantClean(t, openFile(t, file))
}

func TestBackupOfPostgreSQL(t *testing.T) {
	s := open(t, pgtest.Database(t))
	file := filepath.Join(t.TempDir(), "backup.db")
	if err := s.Backup(t.Context(), file); !errors.Is(err, billing.ErrInvalid) || !strings.Contains(err.Error(), "pg_dump") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a file, %v", err)
	}
}

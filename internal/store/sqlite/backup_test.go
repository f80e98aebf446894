package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

// A copy that is made while clients write has the state of one moment, with every write that was acknowledged before.
func TestBackupWhileWritersWrite(t *testing.T) {
	s, db := open(t, newFile(t))
	const writers, backups = 8, 5
	orgs := []billing.ID{storetest.CreateOrganization(t, s, "acme"), storetest.CreateOrganization(t, s, "globex")}
	var acknowledged [writers]atomic.Int64 // credits
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := int64(1); ctx.Err() == nil; i++ {
				errs, err := s.Write(context.Background(), orgs[w%len(orgs)], storetest.Credit(1, fmt.Sprint(w, " ", i)), storetest.Record(storetest.Lease()))
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
		storetest.Must(t, db.Backup(t.Context(), file))
		if leftovers, err := filepath.Glob(file + "?*"); err != nil || len(leftovers) > 0 {
			t.Errorf("beside the copy there is %v, %v", leftovers, err)
		}

		check, err := sql.Open("sqlite", file)
		storetest.Must(t, err)
		t.Cleanup(func() { check.Close() })
		if got := storetest.Column[string](t, check, `PRAGMA integrity_check`)[0]; got != "ok" {
			t.Errorf("SQLite finds %s", got)
		}
		copied, _ := open(t, file)
		storetest.WantClean(t, copied)
		for w, last := range before {
			for i := int64(1); i <= last; i++ {
				key := fmt.Sprint(w, " ", i)
				if found := storetest.Column[int](t, check, `SELECT count(*) FROM ledger_entries WHERE org_id = $1 AND idempotency_key = $2`, orgs[w%len(orgs)][:], key)[0]; found != 1 {
					t.Fatalf("of the credit %s, which was acknowledged before the backup, there are %d", key, found)
				}
			}
		}
		storetest.Must(t, storetest.Post(t, copied, orgs[0], "in the copy"))
	}
	stop()
	writing.Wait()
	storetest.WantClean(t, s)
}

func TestBackupRefuses(t *testing.T) {
	s, db := open(t, newFile(t))
	storetest.CreateOrganization(t, s, "acme")
	folder := t.TempDir()
	existing := filepath.Join(folder, "existing.db")
	storetest.Must(t, os.WriteFile(existing, []byte("keep me"), 0o600))
	storetest.Must(t, os.Symlink(filepath.Join(folder, "nowhere"), filepath.Join(folder, "link.db")))
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
			err := db.Backup(c.ctx, c.file)
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
	s, db := open(t, newFile(t))
	org := storetest.CreateOrganization(t, s, "acme")
	for i := range 200 {
		storetest.Must(t, storetest.Post(t, s, org, fmt.Sprint(i)))
	}
	file := filepath.Join(t.TempDir(), "backup.db")
	errs := make([]error, 4)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = db.Backup(t.Context(), file) })
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
	copied, _ := open(t, file)
	storetest.WantClean(t, copied)
	storetest.WantBalance(t, copied, org, 200, 200)
}

// A backup that ends in the middle leaves nothing behind.
func TestBackupCancelled(t *testing.T) {
	s, db := open(t, newFile(t))
	org := storetest.CreateOrganization(t, s, "acme")
	long := strings.Repeat("x", billing.LeaseVMHandleMaxLength)
	leases := make([]billing.Lease, billing.RecordLeasesRequestLeasesMaxItems)
	for i := range leases {
		leases[i] = storetest.Lease()
		leases[i].JobName, leases[i].StepKey, leases[i].VMHandle, leases[i].PipelineName = &long, &long, &long, &long
	}
	storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), org, storetest.Record(leases...)))...))
	folder := t.TempDir()
	file := filepath.Join(folder, "backup.db")
	var err error
	storetest.Eventually(t, "a backup to be cancelled in the middle", func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- db.Backup(ctx, file) }()
		begun := false
		for running := true; running; {
			files, readErr := os.ReadDir(folder)
			storetest.Must(t, readErr)
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
			storetest.Must(t, os.Remove(file))
		}
		return begun && err != nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if files, err := os.ReadDir(folder); err != nil || len(files) != 0 {
		t.Errorf("it left %v, %v", files, err)
	}
	storetest.Must(t, db.Backup(t.Context(), file))
	copied, _ := open(t, file)
	storetest.WantClean(t, copied)
}

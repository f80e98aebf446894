package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

// progressOf returns how many entries of the organization are in the sums of groups.
func progressOf(t *testing.T, s *Store, org billing.ID) (seq int64) {
	t.Helper()
	storetest.Must(t, s.db.Query(t.Context(), `SELECT seq FROM usage_progress WHERE org_id = $1`, []any{org[:]},
		func(r *driver.Row) error { return r.Scan(&seq) }))
	return seq
}

// recordByMara records finished leases of one author.
func recordByMara(t *testing.T, s *Store, org billing.ID, n int) {
	t.Helper()
	for ; n > 0; n -= 1000 {
		leases := make([]billing.Lease, min(n, 1000))
		for i := range leases {
			leases[i] = storetest.Lease()
			leases[i].Author = new("mara")
		}
		_, err := billing.NewService(s).RecordLeases(t.Context(), org, leases)
		storetest.Must(t, err)
	}
}

// leasesBy returns the number of leases of each author.
func leasesBy(t *testing.T, s *Store, org billing.ID) string {
	t.Helper()
	groups, err := s.UsageByGroup(t.Context(), org, billing.GroupQuery{
		Grouping: billing.GroupByAuthor, Window: billing.Window{From: 0, To: billing.Day}, Interval: billing.IntervalNone, Limit: 10,
	})
	storetest.Must(t, err)
	text := ""
	for _, g := range groups.Listed {
		text += fmt.Sprintf("%s %d ", *g.Value, g.Leases)
	}
	return text
}

// The leases of most entries are in the sums of groups soon, and are read from there.
func TestGroupsAreReadFromSums(t *testing.T) {
	file := newFile(t)
	s := open(t, file)
	org := storetest.CreateOrganization(t, s, "acme")
	recordByMara(t, s, org, addedTogether+100)
	storetest.Eventually(t, "the entries are in the sums", func() bool { return progressOf(t, s, org) == addedTogether+100 })
	if got := leasesBy(t, s, org); got != "mara 1124 " {
		t.Errorf("the leases are of %q", got)
	}
	_, err := openRaw(t, file).Exec(`UPDATE usage_groups SET lease_count = lease_count + 1000000 WHERE grouped_by = 'author'`)
	storetest.Must(t, err)
	if got := leasesBy(t, s, org); got != "mara 1001124 " {
		t.Errorf("with a changed sum the leases are of %q", got)
	}
}

// Entries that are not in the sums when a store opens, as after an upgrade, are added then.
func TestGroupsCatchUp(t *testing.T) {
	file := newFile(t)
	s := open(t, file)
	org := storetest.CreateOrganization(t, s, "acme")
	s.followers.end() // so that it adds nothing
	recordByMara(t, s, org, 2*addedTogether+100)
	if got, progress := leasesBy(t, s, org), progressOf(t, s, org); got != "mara 2148 " || progress != 0 {
		t.Errorf("with %d entries in the sums, the leases are of %q", progress, got)
	}
	s.maxUnadded = 2*addedTogether + 99
	_, err := s.UsageByGroup(t.Context(), org, billing.GroupQuery{Grouping: billing.GroupByAuthor, Window: billing.Window{To: 1}})
	if !errors.Is(err, billing.ErrUnavailable) {
		t.Errorf("too far behind, the error is %v", err)
	}
	storetest.Must(t, s.Close())

	s = open(t, file)
	storetest.Eventually(t, "all entries are in the sums", func() bool { return progressOf(t, s, org) == 2*addedTogether+100 })
	if got := leasesBy(t, s, org); got != "mara 2148 " {
		t.Errorf("the leases are of %q", got)
	}
	storetest.WantClean(t, s)
}

// Several stores of one database add each entry once.
func TestGroupsAreAddedOnce(t *testing.T) {
	database := pgtest.Database(t)
	first, second := open(t, database), open(t, database)
	org := storetest.CreateOrganization(t, first, "acme")
	first.followers.end()
	recordByMara(t, first, org, 3*addedTogether)
	done := make(chan error)
	for _, s := range []*Store{first, second} {
		go func() {
			for {
				if more, err := s.addGroups(t.Context(), org); err != nil || !more {
					done <- err
					return
				}
			}
		}()
	}
	storetest.Must(t, errors.Join(<-done, <-done))
	if got, progress := leasesBy(t, first, org), progressOf(t, first, org); got != "mara 3072 " || progress != 3*addedTogether {
		t.Errorf("with %d entries in the sums, the leases are of %q", progress, got)
	}
	storetest.WantClean(t, first)
}

// While the sums of one organization are locked, as on a node that does not answer, the entries of others are added.
func TestGroupsOfOthersAreAddedMeanwhile(t *testing.T) {
	database := pgtest.Database(t)
	s := open(t, database)
	s.commitTimeout = 2 * time.Second
	locked, other := storetest.CreateOrganization(t, s, "acme"), storetest.CreateOrganization(t, s, "globex")
	lock, err := pgtest.Connect(t, database).Begin()
	storetest.Must(t, err)
	defer lock.Rollback()
	_, err = lock.Exec(`INSERT INTO usage_progress (org_id, seq) VALUES ($1, 0)`, locked.String())
	storetest.Must(t, err)
	recordByMara(t, s, locked, addedTogether)
	recordByMara(t, s, other, addedTogether)
	storetest.Eventually(t, "the entries of the other organization are in the sums", func() bool { return progressOf(t, s, other) == addedTogether })
	storetest.Must(t, lock.Rollback())
	recordByMara(t, s, locked, addedTogether)
	storetest.Eventually(t, "all entries are in the sums", func() bool { return progressOf(t, s, locked) == 2*addedTogether })
	storetest.WantClean(t, s)
}

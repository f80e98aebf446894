package sqlite

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/audit"
	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

// findings returns the findings of an audit.
func findings(t *testing.T, s *store.Store) (found []string, err error) {
	t.Helper()
	err = audit.Verify(t.Context(), s, func(org, what string) { found = append(found, org+": "+what) }, func(audit.Report) {})
	return found, err
}

// One bit that is flipped in an index is found, though the index still has an order.
func TestAuditFindsDamage(t *testing.T) {
	file := newFile(t)
	db, err := Open(t.Context(), file)
	storetest.Must(t, err)
	s, err := store.Open(t.Context(), db)
	storetest.Must(t, err)
	org := storetest.CreateOrganization(t, s, "acme")
	build := billing.ID{0xb0, 0x1d, 15: 0x77}
	for i := range 3 {
		l := storetest.Lease()
		l.BuildID, l.StartedAt = &build, billing.Time(i)*billing.Second
		l.FinishedAt = new(l.StartedAt + 300*billing.Second)
		_, err := s.Write(t.Context(), org, storetest.Record(l))
		storetest.Must(t, err)
	}
	if found, err := findings(t, s); err != nil || len(found) > 0 {
		t.Fatalf("in undamaged books it finds %v, %v", found, err)
	}
	var page, size int64
	storetest.Must(t, db.Query(t.Context(), `SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name = 'leases_by_build'`, nil,
		func(r *driver.Row) error { return r.Scan(&page, &size) }))
	storetest.Must(t, s.Close())

	data, err := os.ReadFile(file)
	storetest.Must(t, err)
	leaf := data[(page-1)*size : page*size]
	at := strings.LastIndex(string(leaf), string(build[:]))
	if at < 0 {
		t.Fatalf("page %d of %d bytes is not the index", page, size)
	}
	leaf[at+len(build)-1] ^= 1
	storetest.Must(t, os.WriteFile(file, data, 0o600))
	damaged, _ := open(t, file)
	found, err := findings(t, damaged)
	if text := fmt.Sprint(found, err); !strings.Contains(text, "leases_by_build") {
		t.Errorf("of a bit that was flipped in an index it finds %s", text)
	}
	if err := damaged.QuickCheck(t.Context()); err == nil || !strings.Contains(err.Error(), "leases_by_build") {
		t.Errorf("at a start it finds %v", err)
	}
}

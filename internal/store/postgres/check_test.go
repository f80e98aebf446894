package postgres

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/audit"
	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

// With amcheck, one bit that is flipped in an index is found.
func TestAuditFindsDamage(t *testing.T) {
	cluster := pgtest.Start(t)
	raw := pgtest.Connect(t, cluster.URL("postgres"))
	s, _ := open(t, cluster.URL("postgres"))
	org := storetest.CreateOrganization(t, s, "acme")
	build := billing.ID{0xb0, 0x1d, 15: 0x77}
	l := storetest.Lease()
	l.BuildID = &build
	_, err := s.Write(t.Context(), org, storetest.Record(l))
	storetest.Must(t, err)
	storetest.WantClean(t, s)
	_, err = raw.Exec(`CREATE EXTENSION amcheck`)
	storetest.Must(t, err)
	storetest.WantClean(t, s)

	folder := storetest.Column[string](t, raw, `SHOW data_directory`)[0]
	file := filepath.Join(folder, storetest.Column[string](t, raw, `SELECT pg_relation_filepath('leases_by_build')`)[0])
	storetest.Must(t, cluster.Stop("fast"))
	data, err := os.ReadFile(file)
	storetest.Must(t, err)
	at := bytes.Index(data, build[:])
	if at < 0 {
		t.Fatalf("%s is not the index", file)
	}
	data[at+len(build)-1] ^= 1
	storetest.Must(t, os.WriteFile(file, data, 0o600))
	storetest.Must(t, cluster.Start())

	var found []string
	storetest.Eventually(t, "the server to reach the database again", func() bool {
		found = nil
		return audit.Verify(t.Context(), s, func(org, what string) { found = append(found, org+": "+what) }, func(audit.Report) {}) == nil
	})
	if text := fmt.Sprint(found); !strings.Contains(text, "leases_by_build") {
		t.Errorf("of a bit that was flipped in an index it finds %s", text)
	}
	if err := s.QuickCheck(t.Context()); err == nil || !strings.Contains(err.Error(), "leases_by_build") {
		t.Errorf("at a start it finds %v", err)
	}
}

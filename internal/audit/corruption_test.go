package audit_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/audit"
	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/database"
	"github.com/harmont-dev/harmont-billing/internal/testlong"
)

// Each flipped bit of the file of an SQLite database is reported if it changes an answer. All leases are billed, because
// the record of a running lease may change.
func TestRandomCorruptionsAreReported(t *testing.T) {
	changes := testlong.Pick(8, 40)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	folder := t.TempDir()
	file := filepath.Join(folder, "billing.db")
	books, err := database.Open(t.Context(), "sqlite:"+file)
	if err != nil {
		t.Fatal(err)
	}
	b := &booksOf{T: t, store: books}
	b.fill()
	want, err := b.answers()
	if err != nil {
		t.Fatal(err)
	}
	if err := books.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	changed := 0
	for tried := 0; changed < changes; tried++ {
		if tried > 1000*changes {
			t.Fatalf("only %d of %d corruptions changed an answer", changed, tried)
		}
		at, bit := random.IntN(len(data)), byte(1)<<random.IntN(8)
		if data[at] == 0 && random.IntN(20) > 0 {
			continue // most of the zeros are in no row
		}
		data[at] ^= bit
		damaged := filepath.Join(folder, fmt.Sprintf("damaged-%d.db", tried))
		if err := os.WriteFile(damaged, data, 0o600); err != nil {
			t.Fatal(err)
		}
		data[at] ^= bit
		different, reported := b.compare(damaged, want)
		if different {
			changed++
		}
		if different && !reported {
			t.Errorf("the bit %#x of byte %d was flipped, which changes an answer, and no damage is reported", bit, at)
		}
		if err := os.Remove(damaged); err != nil {
			t.Fatal(err)
		}
	}
}

// booksOf are books of one organization, of which the answers are compared.
type booksOf struct {
	*testing.T
	store *database.Database
}

func (b *booksOf) fill() {
	service := billing.NewService(b.store)
	if err := b.store.CreateOrganization(b.Context(), billing.Organization{ID: acme, Slug: "acme", Name: "Acme", CreatedAt: 5}); err != nil {
		b.Fatal(err)
	}
	if err := service.EnsureRateCard(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	for i := range 40 {
		l := lease(billing.ID{0x20, byte(i)}, billing.Time(i)*billing.Hour/2, int64(60+i))
		l.JobID, l.BuildID = &billing.ID{0x21, byte(i)}, new(billing.ID{0x22, byte(i / 4)})
		if _, err := service.RecordLeases(b.Context(), acme, []billing.Lease{l}); err != nil {
			b.Fatal(err)
		}
	}
}

// answers returns the data of the API's answers as one text.
func (b *booksOf) answers() (string, error) {
	ctx, window := b.Context(), billing.Window{From: 0, To: 30 * billing.Day}
	var text strings.Builder
	add := func(value any, err error) error {
		if err != nil {
			return err
		}
		return json.NewEncoder(&text).Encode(value)
	}
	org, err := b.store.OrganizationBySlug(ctx, "acme")
	if err := add(org, err); err != nil {
		return "", err
	}
	head, err := b.store.Head(ctx, acme)
	if err := add(head, err); err != nil {
		return "", err
	}
	entries, err := b.store.Entries(ctx, acme, 1<<62, 100)
	if err := add(entries, err); err != nil {
		return "", err
	}
	for i := range entries {
		entry, l, err := b.store.Entry(ctx, acme, entries[i].ID)
		if err := add([]any{entry, l}, err); err != nil {
			return "", err
		}
	}
	usage, err := b.store.Usage(ctx, acme, window)
	if err := add(usage, err); err != nil {
		return "", err
	}
	days, err := b.store.UsageByDay(ctx, acme, window)
	if err := add(days, err); err != nil {
		return "", err
	}
	for row, err := range b.store.Breakdown(ctx, acme, window) {
		if err := add(row, err); err != nil {
			return "", err
		}
	}
	return text.String(), nil
}

// compare tells whether the books in a file give other answers, and whether opening or verifying them reports damage.
func (b *booksOf) compare(file, want string) (different, reported bool) {
	b.Helper()
	books, err := database.OpenWith(b.Context(), "sqlite:"+file, database.Opening{})
	if err != nil {
		return true, true
	}
	defer books.Close()
	got, err := (&booksOf{T: b.T, store: books}).answers()
	if err == nil && got == want {
		return false, false
	}
	findings := 0
	err = audit.Verify(b.Context(), books, func(string, string) { findings++ }, func(audit.Report) {})
	return true, err != nil || findings > 0
}

// A lease that starts at midnight belongs to one day, and is read once.
func TestLeaseAtMidnight(t *testing.T) {
	onEach(t, func(b *books) {
		b.must(b.store.CreateOrganization(b.Context(), billing.Organization{ID: acme, Slug: "acme", Name: "Acme", CreatedAt: 5}))
		service := billing.NewService(b.store)
		b.must(service.EnsureRateCard(b.Context(), nil))
		for i, start := range []billing.Time{billing.Day - 1, billing.Day, billing.Day + 1} {
			b.record(service, acme, lease(billing.ID{0x31 + byte(i)}, start, 300))
		}
		var reports []audit.Report
		b.must(audit.Verify(b.Context(), b.store, func(_, what string) { b.Error(what) }, func(r audit.Report) { reports = append(reports, r) }))
		if len(reports) != 1 || reports[0].Leases != 3 || reports[0].Entries != 3 {
			b.Errorf("the reports are %+v", reports)
		}
	})
}

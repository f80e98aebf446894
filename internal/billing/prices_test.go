package billing_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/database"
)

// Books that got cards by an import, but none for some leases, get their first prices all the same: these leases could never be billed.
func TestFirstPricesAfterImport(t *testing.T) {
	for name, c := range map[string]struct {
		change    func(*billing.RateCard)
		hasLeases bool
	}{
		"a card for imported leases only": {func(*billing.RateCard) {}, true},
		"a card for a label":              {func(c *billing.RateCard) { c.LabelKey, c.LabelValue = new("pool"), new("gpu") }, false},
		"a card that begins later":        {func(c *billing.RateCard) { c.EffectiveFrom = 2 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			books, err := database.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "billing.db"))
			must(t, err)
			t.Cleanup(func() { must(t, books.Close()) })
			org := billing.Organization{ID: billing.NewID(), Slug: "acme", Name: "Acme", CreatedAt: 1}
			must(t, books.CreateOrganization(t.Context(), org))
			service := billing.NewService(books)
			imported, dear := billing.RateCard{Name: "imported", CreatedAt: 1}, billing.Rates{CPU: 110_000}
			imported.SetRates(dear)
			c.change(&imported)
			imported, _, err = service.ImportRateCard(t.Context(), imported, c.hasLeases)
			must(t, err)
			cards := func() int {
				t.Helper()
				cards, err := service.RateCards(t.Context())
				must(t, err)
				return len(cards.All())
			}
			if imported.ImportedAt == nil && imported.General() {
				if err := service.EnsureRateCard(t.Context(), &billing.StandardRates); !errors.Is(err, billing.ErrInvalid) || cards() != 1 {
					t.Errorf("other prices than those in force: %v, and there are %d cards", err, cards())
				}
			}
			for range 2 {
				must(t, service.EnsureRateCard(t.Context(), nil))
				if n := cards(); n != 2 {
					t.Fatalf("there are %d cards", n)
				}
			}
			lease := billing.Lease{ID: new(billing.NewID()), CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: 1, FinishedAt: new(1 + 300*billing.Second)}
			recorded, err := service.RecordLeases(t.Context(), org.ID, []billing.Lease{lease})
			must(t, err)
			if recorded[0].AmountCents != -12 {
				t.Errorf("a lease costs %d cents", recorded[0].AmountCents)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

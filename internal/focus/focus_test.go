package focus_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"flag"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/database"
	"github.com/harmont-dev/harmont-billing/internal/demo"
	"github.com/harmont-dev/harmont-billing/internal/focus"
	"github.com/harmont-dev/harmont-billing/internal/pgtest"
	"github.com/harmont-dev/harmont-billing/internal/transfer"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// importer imports into a store.
type importer struct{ books billing.Store }

func (i importer) Import(ctx context.Context, records io.Reader, options transfer.Options) (transfer.Summary, error) {
	return transfer.Import(ctx, billing.NewService(i.books), records, options)
}

func open(t *testing.T, url string) billing.Store {
	t.Helper()
	books, err := database.Open(t.Context(), url)
	must(t, err)
	t.Cleanup(func() { must(t, books.Close()) })
	return books
}

func sqlite(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "billing.db") }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// always is a window with everything in it.
var always = billing.Window{From: 0, To: billing.TimeOf(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))}

// export returns the lines of an export, the first of which has the names.
func export(t *testing.T, books focus.Books, org *billing.ID, w billing.Window) [][]string {
	t.Helper()
	var out bytes.Buffer
	rows, err := focus.Export(t.Context(), books, org, w, &out)
	must(t, err)
	dataset := parse(t, out.String())
	if rows != int64(len(dataset)-1) {
		t.Errorf("%d rows are counted, and %d written", rows, len(dataset)-1)
	}
	return dataset
}

// records returns the rows of a dataset by their names.
func records(dataset [][]string) []map[string]string {
	var rows []map[string]string
	for _, fields := range dataset[1:] {
		row := map[string]string{}
		for i, name := range dataset[0] {
			row[name] = fields[i]
		}
		rows = append(rows, row)
	}
	return rows
}

func wantValid(t *testing.T, dataset [][]string) {
	t.Helper()
	faults := validate(dataset)
	for _, fault := range faults[:min(len(faults), 10)] {
		t.Error(fault)
	}
}

// stores are new databases of each kind.
var stores = map[string]func(t *testing.T) string{"SQLite": sqlite, "PostgreSQL": func(t *testing.T) string { t.Helper(); return pgtest.Database(t) }}

// The export of the demo's books is valid. Over windows of all lengths, the effective cost of usage is the sum of the debits in the window,
// and the billed cost of purchases is the sum of the top-ups.
func TestDemo(t *testing.T) {
	for name, create := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			books := open(t, create(t))
			must(t, demo.Fill(t.Context(), importer{books}, "acme", "Acme, Inc.", time.Date(2026, 6, 20, 12, 0, 0, 0, time.UTC)))
			org, err := books.OrganizationBySlug(t.Context(), "acme")
			must(t, err)
			ledger, err := books.Entries(t.Context(), org.ID, 1<<62, 1<<30)
			must(t, err)
			slices.Reverse(ledger)
			all := export(t, books, nil, always)
			wantValid(t, all)
			if len(all) != 1+len(ledger) {
				t.Errorf("%d entries have %d rows", len(ledger), len(all)-1)
			}
			sources := map[string]int{}
			for i, row := range records(all) {
				if row["x_EntryId"] != ledger[i].ID.String() {
					t.Fatalf("row %d is for the entry %s, want %s", i+1, row["x_EntryId"], ledger[i].ID)
				}
				sources[row["x_EntrySource"]+" "+row["ChargeCategory"]]++
			}
			for _, want := range []string{"coupon_redemption Credit", "stripe_topup Purchase", "refund Adjustment", "vm_lease_debit Usage"} {
				if sources[want] == 0 {
					t.Errorf("no row is a %s, but %v", want, sources)
				}
			}

			r := rand.New(rand.NewPCG(1, 2))
			month := billing.Window{
				From: billing.TimeOf(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)), To: billing.TimeOf(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)),
			}
			windows := []billing.Window{always, month, {From: month.To, To: always.To}, {From: 0, To: 1}}
			for range 10 {
				// The times of entries, so that they are at the ends of windows.
				from, to := ledger[r.IntN(len(ledger))].CreatedAt, ledger[r.IntN(len(ledger))].CreatedAt
				windows = append(windows, billing.Window{From: min(from, to), To: max(from, to)})
			}
			for _, w := range windows {
				want := map[string]int64{}
				for _, e := range ledger {
					if e.CreatedAt >= w.From && e.CreatedAt < w.To {
						want[string(e.Source)] += e.AmountCents
					}
				}
				wantSums(t, fmt.Sprint("from ", w.From, " to ", w.To), want, export(t, books, &org.ID, w))
			}
		})
	}
}

// wantSums checks the sums of costs by source against the sums of the ledger, which are in cents.
func wantSums(t *testing.T, what string, ledger map[string]int64, dataset [][]string) {
	t.Helper()
	type costs struct{ effective, billed big.Rat }
	got, want := map[string]*costs{}, map[string]*costs{}
	source, effective, billed := slices.Index(dataset[0], "x_EntrySource"), slices.Index(dataset[0], "EffectiveCost"), slices.Index(dataset[0], "BilledCost")
	for _, row := range dataset[1:] {
		if got[row[source]] == nil {
			got[row[source]] = new(costs)
		}
		sums := got[row[source]]
		sums.effective.Add(&sums.effective, number(row[effective]))
		sums.billed.Add(&sums.billed, number(row[billed]))
	}
	for source, amount := range ledger {
		sums := new(costs)
		switch billing.Source(source) {
		case billing.SourceVMLeaseDebit:
			sums.effective.SetFrac64(-amount, 100)
		case billing.SourceStripeTopup:
			sums.billed.SetFrac64(amount, 100)
		default:
			sums.effective.SetFrac64(-amount, 100)
			sums.billed.SetFrac64(-amount, 100)
		}
		want[source] = sums
	}
	exact := cmp.Transformer("exact", func(c *costs) [2]string { return [2]string{c.effective.RatString(), c.billed.RatString()} })
	if d := cmp.Diff(want, got, exact); d != "" {
		t.Errorf("%s, effective and billed costs (-ledger, +export):\n%s", what, d)
	}
}

// edgeBooks has a charge of each kind, and texts that a careless writer of CSV or JSON breaks.
func edgeBooks(t *testing.T, url string) billing.Store {
	t.Helper()
	text, err := os.ReadFile("testdata/books.ndjson")
	must(t, err)
	books := open(t, url)
	_, err = importer{books}.Import(t.Context(), bytes.NewReader(text), transfer.Options{Bad: func(line int, err error) { t.Errorf("line %d: %v", line, err) }})
	must(t, err)
	return books
}

var update = flag.Bool("update", false, "write the golden file anew")

// The golden file has charges of every kind, with texts as they are stored, and is the same for both databases.
func TestEdges(t *testing.T) {
	const golden = "testdata/books.csv"
	for name, create := range stores {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			_, err := focus.Export(t.Context(), edgeBooks(t, create(t)), nil, always, &out)
			must(t, err)
			dataset := parse(t, out.String())
			wantValid(t, dataset)
			if *update {
				must(t, os.WriteFile(golden, out.Bytes(), 0o644))
			}
			want, err := os.ReadFile(golden)
			must(t, err)
			if d := cmp.Diff(records(parse(t, string(want))), records(dataset)); d != "" {
				t.Errorf("the rows (-want, +got):\n%s", d)
			} else if !bytes.Equal(want, out.Bytes()) {
				t.Errorf("the rows are the same, and written otherwise than in %s:\n%s", golden, out.String())
			}
		})
	}
}

func parse(t *testing.T, text string) [][]string {
	t.Helper()
	dataset, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	must(t, err)
	return dataset
}

// The validator finds each of these faults in a dataset that is valid without it.
func TestValidatorFindsFaults(t *testing.T) {
	valid := export(t, edgeBooks(t, sqlite(t)), nil, always)
	rowOf := map[string]int{} // the first one of each category
	for i, row := range slices.Backward(records(valid)) {
		rowOf[row["ChargeCategory"]] = i + 1
	}
	for _, c := range []struct{ category, column, value string }{
		{"Usage", "BilledCost", ""},
		{"Usage", "BilledCost", "1,5"},
		{"Usage", "BilledCost", "+1"},
		{"Usage", "BilledCost", "$1"},
		{"Usage", "EffectiveCost", "1e+7"},
		{"Usage", "BillingAccountId", "  "},
		{"Usage", "BillingAccountName", "another"},
		{"Usage", "BillingCurrency", "dollars"},
		{"Usage", "BillingPeriodStart", "2026-06-01"},
		{"Usage", "BillingPeriodEnd", "2026-07-01T00:00:00.000Z"},
		{"Usage", "BillingPeriodEnd", "2026-06-31T00:00:00Z"},
		{"Usage", "BillingPeriodEnd", "2026-06-01T00:00:00Z"},
		{"Usage", "ChargePeriodStart", "2026-06-02T10:00:00+00:00"},
		{"Usage", "ChargePeriodEnd", "2020-11-02T10:00:00Z"},
		{"Usage", "ChargeCategory", "usage"},
		{"Usage", "ChargeClass", "none"},
		{"Usage", "ChargeFrequency", "Daily"},
		{"Purchase", "ChargeFrequency", "Usage-Based"},
		{"Usage", "ConsumedQuantity", ""},
		{"Purchase", "ConsumedQuantity", "1"},
		{"Usage", "ConsumedUnit", ""},
		{"Usage", "ConsumedUnit", "seconds"},
		{"Usage", "ContractedCost", "3"},
		{"Credit", "ContractedCost", "3"},
		{"Usage", "ContractedUnitPrice", ""},
		{"Usage", "ContractedUnitPrice", "-1"},
		{"Purchase", "EffectiveCost", "1"},
		{"Credit", "EffectiveCost", "0"},
		{"Adjustment", "EffectiveCost", "0"},
		{"Usage", "ListCost", "3"},
		{"Credit", "ListCost", "0"},
		{"Purchase", "ListUnitPrice", ""},
		{"Usage", "PricingCategory", ""},
		{"Usage", "PricingCategory", "Spot"},
		{"Usage", "PricingQuantity", ""},
		{"Usage", "PricingQuantity", "7"},
		{"Purchase", "PricingUnit", ""},
		{"Credit", "PricingUnit", "Dollars"},
		{"Usage", "ProviderName", ""},
		{"Usage", "ResourceId", ""},
		{"Usage", "ResourceType", ""},
		{"Usage", "ServiceCategory", "CI"},
		{"Usage", "ServiceCategory", "Compute"},
		{"Usage", "ServiceSubcategory", "Virtual Machines"},
		{"Usage", "SkuId", ""},
		{"Usage", "SkuId", "another"},
		{"Usage", "SkuPriceId", ""},
		{"Usage", "SkuPriceDetails", `{"CoreCount":"2"}`},
		{"Usage", "SkuPriceDetails", `{"Cores":2}`},
		{"Usage", "Tags", `["a"]`},
		{"Usage", "Tags", `{"a":{}}`},
		{"Usage", "Tags", `{"a":"1","a":"2"}`},
		{"Usage", "Tags", `{"a":1} x`},
		{"Usage", "Tags", `a=1`},
	} {
		dataset := clone(valid)
		dataset[rowOf[c.category]][slices.Index(dataset[0], c.column)] = c.value
		if len(validate(dataset)) == 0 {
			t.Errorf("%s of a charge of the category %s may be %q", c.column, c.category, c.value)
		}
	}
	for _, name := range valid[0] {
		at := slices.Index(valid[0], name)
		without := clone(valid)
		for i := range without {
			without[i] = slices.Delete(without[i], at, at+1)
		}
		if rule := spec[name]; (rule.level == mandatory || slices.Contains(supported, name)) != (len(validate(without)) > 0) {
			t.Errorf("without the column %s, the faults are %q", name, validate(without))
		}
	}
	for _, name := range []string{"x_jobId", "JobId", "X_JobId", "BilledCost"} {
		renamed := clone(valid)
		renamed[0][len(renamed[0])-1] = name
		if len(validate(renamed)) == 0 {
			t.Errorf("the last column may be %s", name)
		}
	}
}

func clone(dataset [][]string) [][]string {
	copied := make([][]string, len(dataset))
	for i := range dataset {
		copied[i] = slices.Clone(dataset[i])
	}
	return copied
}

// made are books that make up entries one after another.
type made struct {
	rows func(yield func(*billing.Entry, *billing.Lease) error) error
}

func (m made) EntriesIn(_ context.Context, _ *billing.ID, _ billing.Window, sink billing.EntrySink) error {
	if err := sink.RateCards(billing.NewRateCards(nil)); err != nil {
		return err
	}
	return m.rows(func(e *billing.Entry, l *billing.Lease) error {
		return sink.Entry(billing.Organization{Slug: "acme", Name: "Acme"}, e, l)
	})
}

// usage makes up a debit and its lease.
func usage() (*billing.Entry, *billing.Lease) {
	lease := &billing.Lease{
		ID: new(billing.NewID()), CPUCount: 2, MemoryGB: 4, DiskGB: 20, FinishedAt: new(300 * billing.Second), DurationSeconds: new(int64(300)),
		AmountCents: new(int64(-12)), Labels: new(`{"team":"x"}`),
	}
	return &billing.Entry{ID: billing.NewID(), AmountCents: -12, Source: billing.SourceVMLeaseDebit, LeaseID: lease.ID}, lease
}

// An export holds no rows, however many it writes: 20 000 rows of some 700 bytes leave nothing in memory.
func TestMemory(t *testing.T) {
	const rows, most = 20_000, 2 << 20
	live := func() int64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	var first, last int64
	books := made{func(yield func(*billing.Entry, *billing.Lease) error) error {
		for i := range rows {
			if err := yield(usage()); err != nil {
				return err
			}
			switch i {
			case 0:
				first = live()
			case rows - 1:
				last = live()
			}
		}
		return nil
	}}
	written, err := focus.Export(t.Context(), books, nil, always, io.Discard)
	must(t, err)
	if written != rows || last-first > most {
		t.Errorf("%d rows have left %d bytes in memory", written, last-first)
	}
}

// Entries that no row can be made of end the export, and are named.
func TestRefused(t *testing.T) {
	id := billing.ID{1}
	for name, change := range map[string]func(*billing.Entry, *billing.Lease) *billing.Lease{
		`the books of acme are damaged: they have no finished lease 01000000-`: func(e *billing.Entry, _ *billing.Lease) *billing.Lease { e.LeaseID = &id; return nil },
		`the books of acme are damaged: they have no finished lease `:          func(_ *billing.Entry, l *billing.Lease) *billing.Lease { l.FinishedAt = nil; return l },
		`has the source "gift", which has no category of FOCUS`:                func(e *billing.Entry, l *billing.Lease) *billing.Lease { e.Source = "gift"; return l },
	} {
		books := made{func(yield func(*billing.Entry, *billing.Lease) error) error {
			entry, lease := usage()
			return yield(entry, change(entry, lease))
		}}
		if _, err := focus.Export(t.Context(), books, nil, always, io.Discard); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want an error with %q, got %v", name, err)
		}
	}
}

// The page has a line for each column, in the order of the columns.
func TestDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../docs/focus.md")
	must(t, err)
	_, table, _ := strings.Cut(string(page), "\n## Columns\n")
	var documented []string
	for _, found := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(table, -1) {
		documented = append(documented, found[1])
	}
	if d := cmp.Diff(export(t, open(t, sqlite(t)), nil, always)[0], documented); d != "" {
		t.Errorf("the columns in docs/focus.md (-exported, +documented):\n%s", d)
	}
}

// Package focus writes the charges of the books in the form of the FinOps Open Cost and Usage Specification (FOCUS) 1.2, as CSV.
package focus

import (
	"context"
	"encoding/csv"
	"io"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// Books hand over the entries of a window, each with the lease that it bills.
type Books interface {
	EntriesIn(ctx context.Context, org *billing.ID, w billing.Window, sink billing.EntrySink) error
}

// Export writes a row for each entry that was created in the window, of the organization or of all if org is nil: by organization, in the
// order of their slugs, and then in the order of the ledger. The first line has the names of the columns. Export returns the number of rows
// below it. It has one row in memory at a time.
//
// The fields of a row are as they are stored. Unlike a table for people, no field is changed for the sake of programs that take a text that
// begins with an equals sign for a formula: FOCUS demands texts as they are.
func Export(ctx context.Context, books Books, org *billing.ID, w billing.Window, out io.Writer) (rows int64, err error) {
	e := &exporter{out: csv.NewWriter(out), record: make([]string, len(columns))}
	for i := range columns {
		e.record[i] = columns[i].name
	}
	if err := e.out.Write(e.record); err != nil {
		return 0, err
	}
	if err := books.EntriesIn(ctx, org, w, e); err != nil {
		return e.rows, err
	}
	e.out.Flush()
	return e.rows, e.out.Error()
}

type exporter struct {
	out    *csv.Writer
	cards  *billing.RateCards
	record []string // is used again for each row
	rows   int64
}

var _ billing.EntrySink = (*exporter)(nil)

// RateCards implements billing.EntrySink.
func (e *exporter) RateCards(cards *billing.RateCards) error {
	e.cards = cards
	return nil
}

// Entry implements billing.EntrySink.
func (e *exporter) Entry(org billing.Organization, entry *billing.Entry, lease *billing.Lease) error {
	c, err := newCharge(e.cards, org, entry, lease)
	if err != nil {
		return err
	}
	for i := range columns {
		e.record[i] = columns[i].value(c)
	}
	e.rows++
	return e.out.Write(e.record)
}

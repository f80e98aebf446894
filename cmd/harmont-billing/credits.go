package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
)

func creditsCommand() *cobra.Command {
	var window *windowFlags
	cmd := askCommand(&cobra.Command{
		Use:   "credits [ORG]",
		Short: "List an organization's credits, and who posted them",
		Long: `Lists the entries of the organization's ledger that are no debits, newest first,
with the balance after each. The author of a credit is the name of the token
that posted it. It is not known of credits of earlier versions and of most that
were imported. The total is that of the credits listed.

The credits of a window are those that were posted in it. The window is one of
--month, --last, or --from and --to, of which either may be left out; they mean
the same as for 'harmont-billing usage'. Without them all credits count.

` + outputHelp,
		Example: `  harmont-billing credits acme
  harmont-billing credits acme --month last
  harmont-billing credits acme --from 2026-01-01 -o csv`,
	}, func(ctx context.Context, q *question) error {
		part, note, err := window.part(time.Now())
		if err != nil {
			return err
		}
		q.note(note)
		w := &creditWriter{out: q.out, list: jsonList{out: q.out}, table: newTable(q.out, column{title: "CREATED (UTC)"}, column{title: "AMOUNT", right: true, style: moneyStyle},
			column{title: "BALANCE", right: true}, column{title: "SOURCE"}, column{title: "AUTHOR"}, column{title: "DESCRIPTION"})}
		for credit, err := range q.Credits(ctx, q.org, client.CreditFilter(part)) {
			if err == nil {
				err = w.add(credit)
			}
			if err != nil {
				return errors.Join(w.flush(), err)
			}
		}
		return w.end()
	})
	window = newWindowFlags(cmd)
	return cmd
}

// creditWriter writes credits as they come. It holds the lines of one page, which the table measures together.
type creditWriter struct {
	out     *output
	table   *table
	list    jsonList
	credits int64
	cents   int64
	rows    []row
	records [][]string
}

func (w *creditWriter) add(c client.Credit) (err error) {
	w.credits++
	switch w.out.format {
	case formatJSON, formatNDJSON:
		text, err := json.Marshal(c)
		if err != nil {
			return err
		}
		if w.out.format == formatNDJSON {
			return w.out.jsonLine(text)
		}
		w.list.add(text)
		return nil
	case formatCSV:
		w.begin()
		w.records = append(w.records, []string{
			c.ID.String(), number(c.AmountCents), string(c.Source), orEmptyText(c.Description), orEmptyText(c.Author), timestamp(c.CreatedAt),
			number(c.BalanceAfterCents),
		})
	default:
		w.rows = append(w.rows, row{cells: []string{
			toSecond(c.CreatedAt), money(c.AmountCents), money(c.BalanceAfterCents), string(c.Source), orEmptyText(c.Author), orEmptyText(c.Description),
		}})
		if w.cents, err = add(w.cents, c.AmountCents); err != nil {
			return err
		}
	}
	if w.credits%maxPage == 0 {
		return w.flush()
	}
	return nil
}

// begin writes what comes before the first credit.
func (w *creditWriter) begin() {
	if w.records == nil {
		w.records = [][]string{{"id", "amount_cents", "source", "description", "author", "created_at", "balance_after_cents"}}
	}
}

// flush writes the lines that are held.
func (w *creditWriter) flush() error {
	if len(w.rows) > 0 {
		w.table.writeRows(w.rows)
	}
	err := w.out.csv(w.records...)
	w.rows, w.records = w.rows[:0], w.records[:0]
	return errors.Join(err, w.out.flush())
}

func (w *creditWriter) end() error {
	switch w.out.format {
	case formatJSON:
		w.list.end(`,"next_cursor":null`)
	case formatCSV:
		w.begin()
	case formatTable:
		w.rows = append(w.rows, row{[]string{"TOTAL", money(w.cents), "", "", "", count(w.credits, "credit", "credits")}, bold})
	}
	return w.flush()
}

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
)

const (
	defaultLimit = 50
	maxPage      = 100 // the API's
)

// sources are where entries come from.
var sources = []string{
	string(client.TransactionSourceStripeTopup), string(client.TransactionSourceCouponRedemption), string(client.TransactionSourceAdminGrant),
	string(client.TransactionSourceVMLeaseDebit), string(client.TransactionSourceRefund),
}

func transactionsCommand() *cobra.Command {
	limit := int64(0) // not given
	var all, ids, oldestFirst bool
	var window *windowFlags
	var source *string
	cmd := askCommand(&cobra.Command{
		Use:   "transactions [ORG]",
		Short: "List an organization's ledger, newest entry first",
		Long: `Lists the entries of the organization's ledger, newest first. Entries are
written as they arrive, so that a ledger of any length can be listed. The total
is that of the entries listed. The JSON is one object in the form of the API's
pages, with one entry a line; its next_cursor is null where no further entry is
left.

The entries of a window are those that were created in it. The window is one of
--month, --last, or --from and --to, of which either may be left out; they mean
the same as for 'harmont-billing usage'. Without them the whole ledger counts.

` + outputHelp,
		Example: `  harmont-billing transactions acme
  harmont-billing transactions acme --source stripe_topup --month last
  harmont-billing transactions acme --limit 500 --ids
  harmont-billing transactions acme --all -o csv > ledger.csv`,
	}, func(ctx context.Context, q *question) error {
		if all && limit > 0 {
			return usagef("--all goes without --limit")
		}
		part, note, err := window.part(time.Now())
		if err != nil {
			return err
		}
		q.note(note)
		q.out.newestLast = oldestFirst
		filter := client.TransactionFilter{OldestFirst: oldestFirst, From: part.From, To: part.To, Source: client.TransactionSource(*source)}
		if all {
			return listTransactions(ctx, q, filter, math.MaxInt64, ids)
		}
		return listTransactions(ctx, q, filter, cmp.Or(limit, defaultLimit), ids)
	})
	window = newWindowFlags(cmd)
	source = choiceFlag(cmd, "source", "", "", "list only entries from this `SOURCE`: "+strings.Join(sources, ", "), sources...)
	cmd.Flags().BoolVar(&oldestFirst, "oldest-first", false, "list the oldest entry first")
	cmd.Flags().Func("limit", fmt.Sprintf("list `N` entries (default %d)", defaultLimit), parseInto(&limit, atLeast(1)))
	cmd.Flags().BoolVar(&all, "all", false, "list every entry")
	cmd.Flags().BoolVar(&ids, "ids", false, "show ids in the table instead of sources, as 'harmont-billing explain' takes them")
	noFileCompletion(cmd, "limit")
	return cmd
}

// listTransactions walks the pages and holds no more than one of them.
func listTransactions(ctx context.Context, q *question, filter client.TransactionFilter, limit int64, ids bool) error {
	columns := []column{
		{title: "CREATED (UTC)"}, {title: "AMOUNT", right: true, style: moneyStyle}, {title: "SOURCE"}, {title: "DESCRIPTION"},
	}
	if ids {
		// A terminal of 80 columns has no room for the sources as well.
		columns = []column{{title: "ID"}, columns[0], columns[1], columns[3]}
	}
	w := &ledgerWriter{q: q, list: jsonList{out: q.out}, table: newTable(q.out, columns...), ids: ids}
	var opts client.ListOptions
	for {
		opts.Limit = int(min(limit, maxPage))
		page, err := q.FilterTransactionsPage(ctx, q.org, filter, opts)
		if err != nil {
			return err
		}
		limit -= int64(len(page.Data))
		next := orEmptyText(page.NextCursor)
		if next != "" && next == opts.Cursor {
			return fmt.Errorf("the server gave the cursor %q twice", next)
		}
		opts.Cursor = next
		last := next == "" || limit <= 0
		if err := errors.Join(w.page(page, last), q.out.flush()); err != nil || last {
			return err
		}
	}
}

// ledgerWriter writes one page after the other.
type ledgerWriter struct {
	q       *question
	table   *table
	list    jsonList
	ids     bool
	started bool
	entries int64
	cents   int64
}

func (w *ledgerWriter) page(page *client.TransactionList, last bool) error {
	first := !w.started
	w.started = true
	switch w.q.out.format {
	case formatJSON:
		return w.json(last)
	case formatNDJSON:
		return w.q.json(true)
	case formatCSV:
		var records [][]string
		if first {
			records = append(records, []string{"id", "amount_cents", "source", "description", "created_at"})
		}
		for _, tx := range page.Data {
			records = append(records, []string{
				tx.ID.String(), number(tx.AmountCents), string(tx.Source), orEmptyText(tx.Description), timestamp(tx.CreatedAt),
			})
		}
		return w.q.out.csv(records...)
	}
	var rows []row
	for _, tx := range page.Data {
		rows = append(rows, row{w.cells(tx.ID.String(), toSecond(tx.CreatedAt), money(tx.AmountCents), string(tx.Source), orEmptyText(tx.Description)), plain})
		var err error
		if w.cents, err = add(w.cents, tx.AmountCents); err != nil {
			return err
		}
	}
	w.entries += int64(len(page.Data))
	if last {
		listed := count(w.entries, "entry", "entries")
		if page.NextCursor != nil {
			listed += "; more with --all"
		}
		rows = append(rows, row{w.cells("", "TOTAL", money(w.cents), "", listed), bold})
	}
	w.table.writeRows(rows)
	return nil
}

// cells returns the cells of the shown columns.
func (w *ledgerWriter) cells(id, created, amount, source, description string) []string {
	if w.ids {
		return []string{id, created, amount, description}
	}
	return []string{created, amount, source, description}
}

// json joins the pages into one.
func (w *ledgerWriter) json(last bool) error {
	var page struct {
		Data       []json.RawMessage `json:"data"`
		NextCursor json.RawMessage   `json:"next_cursor"`
	}
	if err := json.Unmarshal(w.q.answer.body.Bytes(), &page); err != nil {
		return err
	}
	for _, entry := range page.Data {
		w.list.add(entry)
	}
	if last {
		w.list.end(`,"next_cursor":` + string(page.NextCursor))
	}
	return nil
}

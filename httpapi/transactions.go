package httpapi

import (
	"slices"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// Transactions returns the page of a ledger that listBillingTransactions asks for. The entries are all of the organization's ledger, newest
// first. It fails with the codes transaction_filter_invalid, transaction_not_found and cursor_invalid.
func Transactions(entries []gen.Transaction, org string, params gen.ListBillingTransactionsParams) (list gen.TransactionList, err error) {
	filter, err := billing.ParseEntryFilter((*string)(params.Order), (*billing.ID)(params.After), params.From, params.To, (*string)(params.Source))
	if err != nil {
		return list, err
	}
	entries = slices.Clone(entries)
	if filter.OldestFirst {
		slices.Reverse(entries)
	}
	if params.After != nil {
		after := slices.IndexFunc(entries, func(e gen.Transaction) bool { return e.ID == *params.After })
		if after < 0 {
			return list, &Error{Code: gen.CodeTransactionNotFound}
		}
		entries = entries[after+1:]
	}
	entries = slices.DeleteFunc(entries, func(e gen.Transaction) bool {
		at := billing.TimeOf(e.CreatedAt)
		return filter.From != nil && at < *filter.From || filter.To != nil && at >= *filter.To || filter.Source != "" && filter.Source != billing.Source(e.Source)
	})
	name := "entries of " + org + " " + string(filter.Scope(billing.ID{}))
	list.Data, list.NextCursor, err = Page(entries, name, params.Limit, params.Cursor, func(e *gen.Transaction) string { return e.ID.String() })
	return list, err
}

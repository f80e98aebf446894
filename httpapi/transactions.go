package httpapi

import (
	"encoding/json"
	"slices"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// Transactions returns the page of a ledger that listBillingTransactions asks for. The entries are all of the organization's ledger, newest
// first. It fails with the codes transaction_filter_invalid, transaction_not_found and cursor_invalid.
func Transactions(entries []gen.Transaction, org string, params gen.ListBillingTransactionsParams) (list gen.TransactionList, err error) {
	from, to, err := billing.ParseEntryTimes(params.From, params.To)
	if err != nil {
		return list, err
	}
	entries = slices.Clone(entries)
	if params.Order != nil && *params.Order == gen.ListBillingTransactionsParamsOrderAsc {
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
		return from != nil && at < *from || to != nil && at >= *to || params.Source != nil && string(*params.Source) != string(e.Source)
	})
	limit, cursor := params.Limit, params.Cursor
	params.Limit, params.Cursor = nil, nil
	filter, err := json.Marshal(params)
	if err != nil {
		return list, err
	}
	list.Data, list.NextCursor, err = Page(entries, "entries of "+org+" "+string(filter), limit, cursor, func(e *gen.Transaction) string { return e.ID.String() })
	return list, err
}

package httpapi_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/httpapi"
)

// A cursor belongs to the filter, however its parameters are written, and to no other filter and no other ledger.
func TestTransactionCursors(t *testing.T) {
	ids := []uuid.UUID{{1}, {2}, {3}, {4}}
	entries := make([]gen.TransactionDetail, len(ids))
	for i, id := range ids {
		entries[i] = gen.TransactionDetail{ID: id, Source: "refund", CreatedAt: time.Date(2026, 1, 10-i, 0, 0, 0, 0, time.UTC)}
	}
	type params = gen.ListBillingTransactionsParams
	asc, desc := gen.ListBillingTransactionsParamsOrderAsc, gen.ListBillingTransactionsParamsOrderDesc
	refund := gen.ListBillingTransactionsParamsSourceRefund
	for i, c := range []struct {
		org           string
		first, second params
		same          bool
	}{
		{"acme", params{}, params{Order: &desc}, true},
		{"acme", params{From: new("2020-01-01")}, params{From: new("2020-01-01T00:00:00Z")}, true},
		{"acme", params{To: new("2027-01-01")}, params{To: new("2027-01-01T01:00:00+01:00"), Order: &desc}, true},
		{"acme", params{Source: &refund, After: &ids[0]}, params{Source: &refund, After: &ids[0]}, true},
		{"acme", params{}, params{Order: &asc}, false},
		{"acme", params{}, params{Source: &refund}, false},
		{"acme", params{}, params{After: &ids[0]}, false},
		{"acme", params{From: new("2020-01-01")}, params{From: new("2020-01-02")}, false},
		{"acme", params{From: new("2020-01-01")}, params{}, false},
		{"globex", params{}, params{}, false},
	} {
		for _, p := range []*params{&c.first, &c.second} {
			p.Limit = new(int64(2))
		}
		first, err := httpapi.Transactions(entries, "acme", c.first)
		if err != nil || first.NextCursor == nil {
			t.Fatalf("case %d: %+v, %v", i, first, err)
		}
		c.second.Cursor = first.NextCursor
		second, err := httpapi.Transactions(entries, c.org, c.second)
		switch {
		case !c.same && httpapi.CodeOf(err) != gen.CodeCursorInvalid:
			t.Errorf("case %d: a cursor of another list gives %+v, %v", i, second, err)
		case c.same && (err != nil || len(second.Data) == 0 || second.Data[0].ID == first.Data[1].ID):
			t.Errorf("case %d: the second page is %+v, %v", i, second, err)
		}
	}
}

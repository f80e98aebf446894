package clienttest

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/server"
)

// countRequests is a middleware that counts into n, and calls before each request.
func countRequests(n *int, before func()) client.Option {
	return client.WithMiddleware(func(r *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
		*n++
		if before != nil {
			before()
		}
		return next(r)
	})
}

// post appends credits of n, n+1, … cents, and gives their ids.
func post(t *testing.T, c *client.Client, from, to int64) (ids []client.UUID) {
	t.Helper()
	for amount := from; amount < to; amount++ {
		posted, err := c.PostCredit(t.Context(), "acme", fmt.Sprint("credit ", amount), client.PostCreditRequest{AmountCents: amount, Source: client.CreditSourceRefund})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, posted.ID)
	}
	return ids
}

// A poller sees every entry once and in the order of the ledger, wherever it goes on from, while others append.
func TestTransactionsSince(t *testing.T) {
	t.Parallel()
	const entries = 350
	c := newBilling(t, "acme").client(t, server.RoleAdmin, "acme")
	ids := post(t, c, 1, entries+1)
	next := int64(entries + 1)
	for _, passed := range []int{entries, entries - 1, entries - 100, entries - 101, entries - 300, 1, 0} {
		t.Run(fmt.Sprint(passed), func(t *testing.T) {
			var after client.UUID
			if passed > 0 {
				after = ids[passed-1]
			}
			requests := 0
			busy := countRequests(&requests, func() {
				if requests > 1 { // with the first one, the walk begins
					ids = append(ids, post(t, c, next, next+7)...)
					next += 7
				}
			})
			var got []client.UUID
			for tx, err := range c.TransactionsSince(t.Context(), "acme", after, busy) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, tx.ID)
			}
			if want := ids[passed:]; !slices.Equal(got, want) { // including the entries that were appended during the walk
				t.Errorf("%d entries, want %d", len(got), len(want))
			}
			if want := (len(got) + 99) / 100; requests != max(want, 1) {
				t.Errorf("%d requests for %d entries", requests, len(got))
			}
		})
	}

	t.Run("from entry to entry", func(t *testing.T) {
		var last client.UUID
		var got []client.UUID
		for len(got) < len(ids) { // the program ends after every 50 entries
			n := 0
			for tx, err := range c.TransactionsSince(t.Context(), "acme", last) {
				if err != nil {
					t.Fatal(err)
				}
				last, got = tx.ID, append(got, tx.ID)
				if n++; n == 50 {
					break
				}
			}
		}
		if !slices.Equal(got, ids) {
			t.Error("entries are missing, twice or out of order")
		}
	})
	t.Run("an entry of another ledger", func(t *testing.T) {
		for tx, err := range c.TransactionsSince(t.Context(), "acme", uuid.New()) {
			if !errors.Is(err, client.ErrTransactionNotFound) || tx != (client.Transaction{}) {
				t.Errorf("got %v, %v", tx, err)
			}
		}
	})
}

// A stream of builds is the whole answer, in order.
func TestUsageBreakdown(t *testing.T) {
	c := newBilling(t, "acme").client(t, server.RoleWrite, "acme")
	start := time.Date(2026, 6, 6, 10, 0, 0, 0, time.UTC)
	var leases []client.Lease
	for i := range 300 {
		leases = append(leases, client.Lease{
			JobID: new(uuid.New()), BuildID: &client.UUID{15: byte(i / 3)}, CPUCount: 2, MemoryGB: 4, DiskGB: 20,
			StartedAt: start.Add(time.Duration(i) * time.Minute), FinishedAt: new(start.Add(time.Duration(2*i) * time.Minute)),
		})
	}
	if _, err := c.RecordLeases(t.Context(), "acme", leases); err != nil {
		t.Fatal(err)
	}
	window := client.Window{From: start, To: start.AddDate(0, 0, 1)}
	whole, err := c.GetBillingUsageBreakdown(t.Context(), "acme", window)
	if err != nil {
		t.Fatal(err)
	}
	var got []client.UsageBreakdownBuild
	for build, err := range c.UsageBreakdown(t.Context(), "acme", window) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, build)
	}
	if len(got) != 100 || !reflect.DeepEqual(got, whole.Data) {
		t.Errorf("%d builds differ from the %d of the whole answer", len(got), len(whole.Data))
	}
	for range c.UsageBreakdown(t.Context(), "acme", window) {
		break
	}
	for _, err := range c.UsageBreakdown(t.Context(), "globex", window) {
		wantError(t, err, 404, client.ErrorTypeNotFound, client.CodeOrganizationNotFound)
	}
}

package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

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
	tests := []struct{ after, requests int }{ // after so many entries
		{entries, 1}, {entries - 1, 1}, {entries - 99, 1}, {entries - 100, 2}, {entries - 199, 2}, {entries - 300, 5}, {1, 6}, {0, 6},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.after), func(t *testing.T) {
			var after client.UUID
			if test.after > 0 {
				after = ids[test.after-1]
			}
			requests := 0
			busy := countRequests(&requests, func() {
				if requests > 1 { // with the first one, the walk begins
					ids = append(ids, post(t, c, next, next+7)...)
					next += 7
				}
			})
			want := slices.Clone(ids[test.after:])
			var got []client.UUID
			for tx, err := range c.TransactionsSince(t.Context(), "acme", after, busy) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, tx.ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d entries, want %d", len(got), len(want))
			}
			if len(ids) == entries && requests != test.requests {
				t.Errorf("%d requests, want %d", requests, test.requests)
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

func TestTransactionsSinceFailures(t *testing.T) {
	entry := func(id byte) string {
		return fmt.Sprintf(`{"id":%q,"amount_cents":%d,"source":"refund","description":null,"created_at":"2026-06-06T10:00:00Z"}`, client.UUID{15: id}.String(), id)
	}
	list := func(next string, ids ...byte) string {
		var entries []string
		for _, id := range ids {
			entries = append(entries, entry(id))
		}
		return `{"data":[` + strings.Join(entries, ",") + `],"next_cursor":` + next + `}`
	}
	tests := []struct {
		name    string
		answers []string // one after the other
		after   byte
		want    []byte
		err     string
	}{
		{"pages that are empty", []string{list(`"a"`), list(`"b"`, 2), list(`"c"`), list(`"d"`, 1), list(`"c"`), list(`"b"`, 2)}, 1, []byte{2}, ""},
		{"a first page that fails", []string{`{}`}, 1, nil, "missing"},
		{"a later page that fails", []string{list(`"a"`, 3, 2), `{}`}, 1, nil, "missing"},
		{"the way back fails", []string{list(`"a"`, 5), list(`"b"`, 4), list(`null`, 3, 2, 1), `{}`}, 1, []byte{2, 3}, "missing"},
		{"a page that changes", []string{list(`"a"`, 5), list(`"b"`, 4), list(`null`, 3, 1), list(`"b"`, 6)}, 1, []byte{3}, "has changed"},
		{"cursors in a circle", []string{list(`"a"`, 5), list(`"a"`, 4)}, 1, nil, "comes again"},
		{"no such entry", []string{list(`"a"`, 5), list(`null`, 4)}, 1, nil, "no such transaction"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &scriptedTransport{}
			for _, body := range test.answers {
				s.steps = append(s.steps, answers(200, body))
			}
			var got []byte
			var failure error
			for tx, err := range s.client(t).TransactionsSince(context.Background(), "acme", client.UUID{15: test.after}) {
				if failure != nil {
					t.Fatal("something comes after the error")
				}
				if failure = err; err == nil {
					got = append(got, tx.ID[15])
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
			if (failure == nil) != (test.err == "") || failure != nil && !strings.Contains(failure.Error(), test.err) {
				t.Errorf("got %v, want %q", failure, test.err)
			}
			if len(s.attempts) != len(test.answers) {
				t.Errorf("%d requests", len(s.attempts))
			}
		})
	}
}

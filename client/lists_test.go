package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/client"
)

// A walk says so when the server ignores a part of the filter, as one of an earlier version does.
func TestFilteredTransactions(t *testing.T) {
	day := time.Date(2026, 6, 6, 0, 0, 0, 0, time.UTC)
	entry := func(n byte) string {
		return fmt.Sprintf(`{"id":%q,"amount_cents":%d,"source":"refund","description":null,"created_at":"2026-06-06T00:00:%02dZ"}`, client.UUID{15: n}.String(), n, n)
	}
	list := func(next string, ids ...byte) string {
		var entries []string
		for _, id := range ids {
			entries = append(entries, entry(id))
		}
		return `{"data":[` + strings.Join(entries, ",") + `],"next_cursor":` + next + `}`
	}
	after := client.TransactionFilter{OldestFirst: true, After: client.UUID{15: 1}}
	tests := []struct {
		name    string
		filter  client.TransactionFilter
		answers []string // one after the other
		want    []byte
		err     string
	}{
		{"pages that are empty", after, []string{list(`"a"`), list(`"b"`, 2), list(`"c"`), list(`null`, 3)}, []byte{2, 3}, ""},
		{"a first page that fails", after, []string{`{}`}, nil, "missing"},
		{"a later page that fails", after, []string{list(`"a"`, 2, 3), `{}`}, []byte{2, 3}, "missing"},
		{"cursors in a circle", after, []string{list(`"a"`, 4), list(`"a"`, 5)}, []byte{4, 5}, "comes again"},
		{"newest first", after, []string{list(`null`, 5, 4)}, []byte{5}, "order"},
		{"newest first over pages", after, []string{list(`"a"`, 5), list(`null`, 4)}, []byte{5}, "order"},
		{"oldest first", client.TransactionFilter{}, []string{list(`null`, 4, 5)}, []byte{4}, "order"},
		{"from the beginning", after, []string{list(`null`, 1, 2)}, nil, "not of the filter"},
		{"another source", client.TransactionFilter{Source: client.TransactionSourceVMLeaseDebit}, []string{list(`null`, 1)}, nil, "not of the filter"},
		{"too old", client.TransactionFilter{From: day.Add(2 * time.Second)}, []string{list(`null`, 2, 1)}, []byte{2}, "not of the filter"},
		{"too new", client.TransactionFilter{To: day.Add(2 * time.Second)}, []string{list(`null`, 2, 1)}, nil, "not of the filter"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &scriptedTransport{}
			for _, body := range test.answers {
				s.steps = append(s.steps, answers(200, body))
			}
			var got []byte
			var failure error
			for tx, err := range s.client(t).FilterTransactions(context.Background(), "acme", test.filter) {
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
			if (failure == nil) != (test.err == "") || failure != nil && (!strings.Contains(failure.Error(), test.err) || !errors.Is(failure, client.ErrInvalidResponse)) {
				t.Errorf("got %v, want %q", failure, test.err)
			}
			if len(s.attempts) != len(test.answers) {
				t.Errorf("%d requests", len(s.attempts))
			}
		})
	}
}

// The errors of a walk do not have the token, even if the server returns it as a cursor.
func TestCursorWithToken(t *testing.T) {
	list := answers(200, `{"data":[],"next_cursor":"`+testToken+`"}`)
	for name, second := range map[string]http.RoundTripper{
		"again": list, "invalid": answers(200, `{}`), "no JSON": answersStatus(200, "Content-Type", "text/html"), "cut off": breaksOffAfter(`{`), "refused": failsWith(errRefused),
	} {
		s := &scriptedTransport{steps: []http.RoundTripper{list, second}}
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		for _, err := range s.client(t, client.WithMaxRetries(0), client.WithToken(testToken), client.WithLogger(logger)).Transactions(t.Context(), "acme") {
			if err == nil || strings.Contains(err.Error(), testToken) || strings.Contains(fmt.Sprintf("%#v", err), testToken) {
				t.Errorf("%s: got %#v", name, err)
			}
		}
		if len(s.attempts) != 2 || strings.Contains(log.String(), testToken) {
			t.Errorf("%s: %d requests, and the log is\n%s", name, len(s.attempts), log.String())
		}
	}
}

func TestTransactionFilterIsSent(t *testing.T) {
	var queries []string
	c := newHandlerClient(t, func(w http.ResponseWriter, r *http.Request) {
		queries = append(queries, r.URL.RawQuery)
		next := `"more"`
		if r.URL.Query().Has("cursor") {
			next = "null"
		}
		answer(200, "application/json", `{"data":[],"next_cursor":`+next+`}`)(w, r)
	})
	filter := client.TransactionFilter{
		OldestFirst: true, After: client.UUID{15: 1}, Source: client.TransactionSourceRefund,
		From: time.Date(2026, 6, 6, 2, 0, 0, 0, time.FixedZone("", 2*60*60)), To: time.Date(2026, 6, 7, 0, 0, 0, 0, time.UTC),
	}
	for range c.FilterTransactions(t.Context(), "acme", filter) {
		t.Error("there is no entry")
	}
	const first = "order=asc&after=00000000-0000-0000-0000-000000000001&from=2026-06-06T00%3A00%3A00.000000Z&to=2026-06-07T00%3A00%3A00.000000Z&source=refund&limit=100"
	if want := []string{first, first + "&cursor=more"}; !slices.Equal(queries, want) {
		t.Errorf("got  %q\nwant %q", queries, want)
	}
}

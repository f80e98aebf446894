package client_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/harmont-dev/harmont-billing/client"
)

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

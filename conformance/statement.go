package conformance

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// The rules about statements and credits compare both with the walk through the ledger. A server may lack these calls; the rules are skipped
// then.

// sources are the sources of entries, in the order of the contract.
var sources = []string{"stripe_topup", "coupon_redemption", "admin_grant", debitSource, "refund"}

const debitSource = "vm_lease_debit"

// statement is the answer to getBillingStatement.
type statement struct {
	x              *exchange
	window         window
	OpeningBalance int64       `json:"opening_balance_cents"`
	ClosingBalance int64       `json:"closing_balance_cents"`
	EntryCount     int64       `json:"entry_count"`
	Sources        []sourceSum `json:"sources"`
	OpeningHead    head        `json:"opening_head"`
	ClosingHead    head        `json:"closing_head"`
}

type sourceSum struct {
	Source      string `json:"source"`
	EntryCount  int64  `json:"entry_count"`
	AmountCents int64  `json:"amount_cents"`
}

func (a *account) statement(w window) (s statement, err error) {
	s.window = w
	s.x, err = a.expectOKIfOffered(call{path: "/billing/statement/" + url.PathEscape(a.slug), query: w.query()}, &s)
	return s, err
}

// entryTimes returns times of entries that the walk has, oldest first: of the oldest one, of two between, and of the newest one. No entries are
// missing between them.
func (a *account) entryTimes() (known []entry, times []time.Time, err error) {
	if known, err = a.knownEntries(); err != nil {
		return nil, nil, err
	}
	last := len(known) - 1
	for _, i := range []int{last, last - last/3, last / 3, 0} {
		at, err := time.Parse(time.RFC3339, known[i].CreatedAt)
		if err != nil {
			return nil, nil, skip("times of entries cannot be read")
		}
		if i == last && !a.cachedWalk.complete { // there may be more entries of this time
			at = at.Add(time.Microsecond)
		}
		if len(times) == 0 || at.After(times[len(times)-1]) && at.Sub(times[0]) <= maxWindow {
			times = append(times, at)
		}
	}
	if len(times) < 3 {
		return nil, nil, skip("too many entries are of one time, or they are too far apart")
	}
	return known, times, nil
}

// statements asks for the statements of adjacent windows.
func (a *account) statements() (known []entry, statements []statement, err error) {
	known, times, err := a.entryTimes()
	if err != nil {
		return nil, nil, err
	}
	for i := range times[1:] {
		s, err := a.statement(window{times[i], times[i+1]})
		if err != nil {
			return nil, nil, err
		}
		statements = append(statements, s)
	}
	return known, statements, nil
}

// sumOf adds up the amounts of entries.
func sumOf(entries []entry) (cents int64, err error) {
	for _, e := range entries {
		sum, ok := addCents(cents, e.AmountCents)
		if !ok {
			return 0, skip("the amounts add up to more than 64 bits")
		}
		cents = sum
	}
	return cents, nil
}

// statementEntries adds up the entries of each window.
func statementEntries(a *account) error {
	known, statements, err := a.statements()
	if err != nil {
		return err
	}
	for _, s := range statements {
		in, err := createdIn(known, s.window.from, s.window.to)
		if err != nil {
			return skip("times of entries cannot be read")
		}
		var want []sourceSum
		for _, source := range sources {
			of := slices.DeleteFunc(slices.Clone(in), func(e entry) bool { return e.Source != source })
			cents, err := sumOf(of)
			if err != nil {
				return err
			}
			if len(of) > 0 {
				want = append(want, sourceSum{source, int64(len(of)), cents})
			}
		}
		cents, err := sumOf(in)
		if err != nil {
			return err
		}
		closing, ok := addCents(s.OpeningBalance, cents)
		switch {
		case s.EntryCount != int64(len(in)):
			return breachf(s.x, "the statement has %d entries, and the ledger %d", s.EntryCount, len(in))
		case !slices.Equal(s.Sources, want):
			return breachf(s.x, "the sources are %v, and those of the ledger %v", s.Sources, want)
		case !ok || s.ClosingBalance != closing:
			return breachf(s.x, "the balance is %d, plus %d it is %d", s.OpeningBalance, cents, s.ClosingBalance)
		case s.OpeningHead.BalanceCents != s.OpeningBalance || s.ClosingHead.BalanceCents != s.ClosingBalance:
			return breachf(s.x, "the balances of the heads are %d and %d", s.OpeningHead.BalanceCents, s.ClosingHead.BalanceCents)
		case s.ClosingHead.Seq-s.OpeningHead.Seq != s.EntryCount:
			return breachf(s.x, "there are %d entries between %d and %d", s.EntryCount, s.OpeningHead.Seq, s.ClosingHead.Seq)
		}
	}
	return nil
}

// statementAdjacent compares the ends of adjacent windows, also with those of the window that has all of them.
func statementAdjacent(a *account) error {
	_, statements, err := a.statements()
	if err != nil {
		return err
	}
	first, last := statements[0], statements[len(statements)-1]
	for i, s := range statements[1:] {
		if before := statements[i]; s.OpeningBalance != before.ClosingBalance || s.OpeningHead != before.ClosingHead {
			return breachf(s.x, "the window opens with %d and the head %v, and the one before closes with %d and %v",
				s.OpeningBalance, s.OpeningHead, before.ClosingBalance, before.ClosingHead)
		}
	}
	if a.cachedWalk.complete && (first.OpeningBalance != 0 || first.OpeningHead.Seq != 0) {
		return breachf(first.x, "the balance is %d before the first entry, and the head that of entry %d", first.OpeningBalance, first.OpeningHead.Seq)
	}
	whole, err := a.statement(window{first.window.from, last.window.to})
	if err != nil {
		return err
	}
	if whole.OpeningHead != first.OpeningHead || whole.ClosingHead != last.ClosingHead {
		return breachf(whole.x, "the heads are %v and %v, and those of its parts %v and %v", whole.OpeningHead, whole.ClosingHead, first.OpeningHead, last.ClosingHead)
	}
	return nil
}

// statementHead compares the end of a window that has not ended with the head, which is read before and after.
func statementHead(a *account) error {
	c := call{path: "/billing/head/" + url.PathEscape(a.slug)}
	const tries = 5 // because an entry may be appended between two requests
	for range tries {
		var before, after head
		if _, err := a.expectOKIfOffered(c, &before); err != nil {
			return err
		}
		now := time.Now()
		s, err := a.statement(window{now.Add(-day), now.Add(clockTolerance + day)})
		if err != nil {
			return err
		}
		if _, err := a.expectOKIfOffered(c, &after); err != nil {
			return err
		}
		if before == after {
			if s.ClosingHead != after {
				return breachf(s.x, "the statement closes with the head %v, and the ledger has %v", s.ClosingHead, after)
			}
			return nil
		}
	}
	return skip("entries are appended all the time")
}

// credit is a credit as listBillingCredits shows it.
type credit struct {
	entry
	BalanceAfterCents int64 `json:"balance_after_cents"`
}

func (a *account) creditsPath() string { return "/billing/credits/" + url.PathEscape(a.slug) }

// creditsListed compares the list of credits with the walk. What was created before the newest entry of the walk stays the same.
func creditsListed(a *account) error {
	known, times, err := a.entryTimes()
	if err != nil {
		return err
	}
	start, end := times[0], times[len(times)-1]
	for _, from := range []time.Time{start, times[1]} {
		in, err := createdIn(known, from, end)
		if err != nil {
			return skip("times of entries cannot be read")
		}
		want := slices.DeleteFunc(slices.Clone(in), func(e entry) bool { return e.Source == debitSource })
		query := url.Values{"to": {formatTime(end)}}
		if from != start || !a.cachedWalk.complete {
			query.Set("from", formatTime(from))
		}
		if err := a.creditBalances(known, query); err != nil {
			return err
		}
		if err := a.expectPages(a.creditsPath(), query, want, false); err != nil {
			return err
		}
	}
	for _, query := range []string{"from=june", "to=june", "from=2026-06-02&to=2026-06-02"} {
		if err := a.expectErrors(http.StatusUnprocessableEntity, "transaction_filter_invalid", call{path: a.creditsPath(), query: query}); err != nil {
			return err
		}
	}
	return nil
}

// creditBalances checks the balance after each credit of a page: it differs from the balance before the oldest entry of the walk by what was
// booked since.
func (a *account) creditBalances(known []entry, query url.Values) error {
	var page struct {
		Data []credit `json:"data"`
	}
	query.Set("limit", strconv.Itoa(smallLimit))
	x, err := a.expectOKIfOffered(call{path: a.creditsPath(), query: query.Encode()}, &page)
	if err != nil {
		return err
	}
	first := int64(0) // the balance before the oldest entry of the walk
	for n, c := range page.Data {
		i := slices.IndexFunc(known, func(e entry) bool { return e.ID == c.ID })
		if i < 0 {
			return breachf(x, "the credit %s is not in the ledger", c.ID)
		}
		sum, err := sumOf(known[i:])
		if err != nil {
			return err
		}
		if n == 0 && !a.cachedWalk.complete {
			first = c.BalanceAfterCents - sum
		}
		if c.BalanceAfterCents != first+sum {
			return breachf(x, "the balance after the credit %s is %d, and by the ledger %d", c.ID, c.BalanceAfterCents, first+sum)
		}
	}
	return nil
}

package conformance

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// The rules about the ledger. It only grows at its head, so entries that a walk has seen never change. Only they are compared, because
// entries may be appended between any two requests.

// account is an organization that is checked.
type account struct {
	*session
	slug        string
	cachedWalk  *ledgerWalk // nil before the first rule that needs it
	cachedTrace *trace
}

type entry struct {
	ID          string `json:"id"`
	AmountCents int64  `json:"amount_cents"`
	Source      string `json:"source"`
	CreatedAt   string `json:"created_at"`
}

type page struct {
	x          *exchange
	limit      int
	Data       []entry `json:"data"`
	NextCursor *string `json:"next_cursor"`
}

const (
	// largePages of 100 entries each are read of a ledger.
	largePages = 200
	// smallLimit and smallPages are the sizes of a second walk.
	smallLimit = 7
	smallPages = 30
)

// ledgerWalk is one walk.
type ledgerWalk struct {
	newestBefore  string    // the newest entry before the balance was read; empty where there was none
	balance       int64     // read after that, and before the walk
	balanceAnswer *exchange // for the balance
	pages         []page
	entries       []entry
	complete      bool // whether the walk came to the end
	err           error
}

// page reads one page; no limit is sent where it is 0.
func (a *account) page(limit int, cursor string) (page, error) {
	query := url.Values{}
	if limit != 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	p := page{limit: limit}
	var err error
	p.x, err = a.expectOK(call{path: "/billing/transactions/" + url.PathEscape(a.slug), query: query.Encode()}, &p)
	return p, err
}

// walk reads pages until the last, or as many as it may.
func (a *account) walk(limit, maxPages int) (pages []page, complete bool, err error) {
	cursor := ""
	seen := map[string]bool{}
	for range maxPages {
		p, err := a.page(limit, cursor)
		if err != nil {
			return pages, false, err
		}
		pages = append(pages, p)
		switch {
		case len(p.Data) > limit:
			return pages, false, breachf(p.x, "the page holds %d entries", len(p.Data))
		case p.NextCursor == nil:
			return pages, true, nil
		case *p.NextCursor == "" || seen[*p.NextCursor]:
			return pages, false, breachf(p.x, "next_cursor is %q, which leads nowhere new", *p.NextCursor)
		}
		cursor = *p.NextCursor
		seen[cursor] = true
	}
	return pages, false, nil
}

func entriesOf(pages []page) (entries []entry) {
	for _, p := range pages {
		entries = append(entries, p.Data...)
	}
	return entries
}

// ledger walks the ledger in large pages, once.
func (a *account) ledger() (*ledgerWalk, error) {
	if a.cachedWalk != nil {
		return a.cachedWalk, a.cachedWalk.err
	}
	l := new(ledgerWalk)
	a.cachedWalk = l
	l.err = func() error {
		head, err := a.page(1, "")
		if err != nil {
			return err
		}
		if len(head.Data) > 0 {
			l.newestBefore = head.Data[0].ID
		}
		var balance struct {
			BalanceCents int64 `json:"balance_cents"`
		}
		if l.balanceAnswer, err = a.expectOK(balanceCall(a.slug), &balance); err != nil {
			return err
		}
		l.balance = balance.BalanceCents
		l.pages, l.complete, err = a.walk(100, largePages)
		l.entries = entriesOf(l.pages)
		return err
	}()
	return l, l.err
}

func ledgerOrder(a *account) error {
	l, err := a.ledger()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	var newer time.Time
	var newerID string
	for _, p := range l.pages {
		for _, e := range p.Data {
			if seen[e.ID] {
				return breachf(p.x, "the entry %s has come before", e.ID)
			}
			seen[e.ID] = true
			created, err := time.Parse(time.RFC3339, e.CreatedAt)
			if err != nil {
				return breachf(p.x, "created_at is %q", e.CreatedAt)
			}
			if !newer.IsZero() && created.After(newer) {
				return breachf(p.x, "the entry %s comes after an older one", e.ID)
			}
			if created.Equal(newer) && e.ID > newerID {
				return breachf(p.x, "the entry %s comes after one of the same time with a smaller id", e.ID)
			}
			newer, newerID = created, e.ID
		}
	}
	return a.skipIfEmpty(l)
}

func (a *account) skipIfEmpty(l *ledgerWalk) error {
	if len(l.entries) == 0 {
		return skip("the ledger is empty")
	}
	return nil
}

func ledgerPages(a *account) error {
	l, err := a.ledger()
	if err != nil {
		return err
	}
	if err := a.skipIfEmpty(l); err != nil {
		return err
	}
	pages, complete, err := a.walk(smallLimit, smallPages)
	if err != nil {
		return err
	}
	small := entriesOf(pages)
	start := slices.Index(small, l.entries[0])
	if start < 0 && !complete && len(small) == smallLimit*smallPages {
		return skip("more entries were appended meanwhile than small pages were read")
	}
	if start < 0 {
		return breachf(pages[0].x, "in pages of %d the entry %s is missing or another", smallLimit, l.entries[0].ID)
	}
	small = small[start:]
	for i := range min(len(small), len(l.entries)) {
		if small[i] != l.entries[i] {
			return breachf(pages[(start+i)/smallLimit].x, "in pages of %d the entry %s comes where %s comes in pages of 100", smallLimit, small[i].ID, l.entries[i].ID)
		}
	}
	if complete && l.complete && len(small) != len(l.entries) || complete && len(small) < len(l.entries) || l.complete && len(small) > len(l.entries) {
		return breachf(pages[len(pages)-1].x, "from the entry %s on there are %d in pages of %d and %d in pages of 100",
			l.entries[0].ID, len(small), smallLimit, len(l.entries))
	}
	return nil
}

// ledgerEnd asks for pages that are just full, and for pages that leave one entry. The entries before a given one never change.
func ledgerEnd(a *account) error {
	l, err := a.ledger()
	if err != nil {
		return err
	}
	for i, p := range l.pages {
		if len(p.Data) == 0 && i > 0 {
			return breachf(l.pages[i-1].x, "next_cursor is not null, and the page after it is empty")
		}
		if len(p.Data) < p.limit && p.NextCursor != nil {
			return breachf(p.x, "next_cursor is not null, and the page holds %d entries", len(p.Data))
		}
	}
	if !l.complete {
		return skip(fmt.Sprintf("the ledger has more than %d entries", len(l.entries)))
	}
	if len(l.entries) < 2 {
		return skip("the ledger has no two entries")
	}
	// A cursor with at most 100 entries behind it.
	var cursor string
	var entriesLeft int
	if n := len(l.pages); n > 1 {
		cursor, entriesLeft = *l.pages[n-2].NextCursor, len(l.pages[n-1].Data)
	} else {
		head, err := a.page(1, "")
		if err != nil {
			return err
		}
		behind := slices.Index(l.entries, firstEntry(head))
		if head.NextCursor == nil {
			return breachf(head.x, "next_cursor is null, and more entries are left")
		}
		if behind < 0 {
			return skip("entries were appended meanwhile")
		}
		cursor, entriesLeft = *head.NextCursor, len(l.entries)-behind-1
	}
	lastPage, err := a.page(entriesLeft, cursor)
	if err != nil {
		return err
	}
	if len(lastPage.Data) != entriesLeft || lastPage.NextCursor != nil {
		return breachf(lastPage.x, "the page should hold the last %d entries and have no next_cursor; it holds %d", entriesLeft, len(lastPage.Data))
	}
	if entriesLeft < 2 {
		return nil
	}
	shorterPage, err := a.page(entriesLeft-1, cursor)
	if err != nil {
		return err
	}
	if len(shorterPage.Data) != entriesLeft-1 || shorterPage.NextCursor == nil {
		return breachf(shorterPage.x, "one entry should be left after the page, but next_cursor is null or the page holds %d of %d", len(shorterPage.Data), entriesLeft-1)
	}
	return nil
}

func firstEntry(p page) entry {
	if len(p.Data) == 0 {
		return entry{}
	}
	return p.Data[0]
}

// ledgerBalance compares the balance with the sums of the ledger between the newest entry before the balance was read and the newest
// entry afterwards.
func ledgerBalance(a *account) error {
	l, err := a.ledger()
	if err != nil {
		return err
	}
	if !l.complete {
		return skip(fmt.Sprintf("the ledger has more than %d entries", len(l.entries)))
	}
	oldest := len(l.entries)
	if l.newestBefore != "" {
		if oldest = slices.IndexFunc(l.entries, func(e entry) bool { return e.ID == l.newestBefore }); oldest < 0 {
			return breachf(l.pages[0].x, "the entry %s, once the newest, is not in the ledger", l.newestBefore)
		}
	}
	sum := int64(0)
	for i := len(l.entries); ; i-- {
		if i <= oldest && sum == l.balance {
			return nil
		}
		if i == 0 {
			return breachf(l.balanceAnswer, "the %d entries add up to %d", len(l.entries), sum)
		}
		var ok bool
		if sum, ok = addCents(sum, l.entries[i-1].AmountCents); !ok {
			return breachf(l.pages[0].x, "the amounts add up to more than 64 bits hold")
		}
	}
}

// addCents adds an amount, and reports whether the sum is the expected one.
func addCents(a, b int64) (int64, bool) {
	sum := a + b
	return sum, (sum > a) == (b > 0)
}

func ledgerSigns(a *account) error {
	l, err := a.ledger()
	if err != nil {
		return err
	}
	for _, p := range l.pages {
		for _, e := range p.Data {
			if debit := e.Source == "vm_lease_debit"; debit && e.AmountCents > 0 || !debit && e.AmountCents <= 0 {
				return breachf(p.x, "the entry %s of source %s has the amount %d", e.ID, e.Source, e.AmountCents)
			}
		}
	}
	return a.skipIfEmpty(l)
}

// checkPageSize is the check that a page begins the ledger and has as many entries as its limit allows.
func (a *account) checkPageSize(query string, limit int) error {
	l, err := a.ledger()
	if err != nil {
		return err
	}
	var p page
	x, err := a.expectOK(call{path: "/billing/transactions/" + url.PathEscape(a.slug), query: query}, &p)
	if err != nil {
		return err
	}
	if want := min(limit, len(l.entries)); len(p.Data) < want || len(p.Data) > limit {
		return breachf(x, "the page holds %d entries, not %d", len(p.Data), want)
	}
	return nil
}

func limitDefault(a *account) error { return a.checkPageSize("", 50) }

func limitClamped(a *account) error {
	for _, limit := range []string{"0", "-3", "-99999999999999999999"} {
		if err := a.checkPageSize("limit="+limit, 1); err != nil {
			return err
		}
	}
	for _, limit := range []string{"101", "1000000", "99999999999999999999"} {
		if err := a.checkPageSize("limit="+limit, 100); err != nil {
			return err
		}
	}
	return nil
}

func limitInvalid(a *account) error {
	for _, limit := range []string{"ten", "1.5", "", "1e1", "0x10"} {
		c := call{path: "/billing/transactions/" + url.PathEscape(a.slug), query: "limit=" + limit}
		if err := a.expectErrors(http.StatusUnprocessableEntity, "limit_invalid", c); err != nil {
			return err
		}
	}
	return nil
}

func cursorInvalid(a *account) error {
	for _, cursor := range []string{"x", "not-a-cursor", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "1"} {
		c := call{path: "/billing/transactions/" + url.PathEscape(a.slug), query: "cursor=" + cursor}
		if err := a.expectErrors(http.StatusUnprocessableEntity, "cursor_invalid", c); err != nil {
			return err
		}
	}
	return nil
}

func cursorForeign(a *account) error {
	i := slices.IndexFunc(a.visible, func(slug string) bool { return slug != a.slug })
	if i < 0 {
		return skip("the token sees no other organization")
	}
	head, err := a.page(1, "")
	if err != nil {
		return err
	}
	if head.NextCursor == nil {
		return skip("the ledger has no two pages")
	}
	query := "cursor=" + url.QueryEscape(*head.NextCursor)
	return a.expectErrors(http.StatusUnprocessableEntity, "cursor_invalid", call{path: "/billing/transactions/" + url.PathEscape(a.visible[i]), query: query})
}

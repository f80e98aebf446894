package conformance

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// The rules about the order and the filters of the ledger compare each list with the part of the walk through the whole ledger that it
// should be. Entries that were appended since are newer than all that the walk has.

// knownEntries returns the entries of the walk, newest first.
func (a *account) knownEntries() ([]entry, error) {
	l, err := a.ledger()
	if err != nil {
		return nil, err
	}
	if len(l.entries) < 3 {
		return nil, skip("the ledger has fewer than three entries")
	}
	return l.entries, nil
}

// expectEntries reads pages of the ledger as expectPages does.
func (a *account) expectEntries(query url.Values, want []entry, open bool) error {
	return a.expectPages("/billing/transactions/"+url.PathEscape(a.slug), query, want, open)
}

// expectPages reads up to three small pages and compares them with the entries that are wanted. If open is true, newer entries may follow.
func (a *account) expectPages(path string, query url.Values, want []entry, open bool) error {
	query.Set("limit", strconv.Itoa(smallLimit))
	for range 3 {
		var p page
		var err error
		p.x, err = a.expectOK(call{path: path, query: query.Encode()}, &p)
		if err != nil {
			return err
		}
		for i, e := range p.Data {
			switch {
			case i >= len(want) && open:
				return nil
			case i >= len(want):
				return breachf(p.x, "the entry %s does not belong in the list", e.ID)
			case e != want[i]:
				return breachf(p.x, "the entry %s should come next, not %s", want[i].ID, e.ID)
			}
		}
		want = want[min(len(p.Data), len(want)):]
		if p.NextCursor == nil {
			if len(want) > 0 {
				return breachf(p.x, "next_cursor is null, and the entry %s should follow", want[0].ID)
			}
			return nil
		}
		if len(want) == 0 && !open {
			return breachf(p.x, "next_cursor is not null, and nothing should follow")
		}
		query.Set("cursor", *p.NextCursor)
	}
	return nil
}

func reversed(entries []entry) []entry {
	entries = slices.Clone(entries)
	slices.Reverse(entries)
	return entries
}

func ledgerAscending(a *account) error {
	known, err := a.knownEntries()
	if err != nil {
		return err
	}
	want, query := reversed(known), url.Values{"order": {"asc"}}
	if !a.cachedWalk.complete {
		query.Set("after", want[0].ID)
		want = want[1:]
	}
	return a.expectEntries(query, want, true)
}

func ledgerAfter(a *account) error {
	known, err := a.knownEntries()
	if err != nil {
		return err
	}
	middle := len(known) / 2
	if err := a.expectEntries(url.Values{"order": {"asc"}, "after": {known[middle].ID}}, reversed(known[:middle]), true); err != nil {
		return err
	}
	older := known[middle+1:]
	open := !a.cachedWalk.complete // older entries may follow that the walk did not reach
	if err := a.expectEntries(url.Values{"order": {"desc"}, "after": {known[middle].ID}}, older, open); err != nil {
		return err
	}
	unknown := call{path: "/billing/transactions/" + url.PathEscape(a.slug), query: "after=ffffffff-ffff-7fff-bfff-ffffffffffff"}
	return a.expectErrors(http.StatusNotFound, "transaction_not_found", unknown)
}

// createdIn returns the entries that were created in [from, to).
func createdIn(entries []entry, from, to time.Time) (in []entry, err error) {
	for _, e := range entries {
		at, err := time.Parse(time.RFC3339, e.CreatedAt)
		if err != nil {
			return nil, err
		}
		if !at.Before(from) && at.Before(to) {
			in = append(in, e)
		}
	}
	return in, nil
}

func ledgerTimes(a *account) error {
	known, err := a.knownEntries()
	if err != nil {
		return err
	}
	// Entries of one time stay together, and the oldest time of an incomplete walk may have more entries.
	last := len(known) - 1
	from, err := time.Parse(time.RFC3339, known[last-last/3].CreatedAt)
	if err != nil {
		return skip("times of entries cannot be read")
	}
	to, err := time.Parse(time.RFC3339, known[last/3].CreatedAt)
	if err != nil {
		return skip("times of entries cannot be read")
	}
	oldest, err := time.Parse(time.RFC3339, known[last].CreatedAt)
	if err != nil || !from.Before(to) || !oldest.Before(from) && !a.cachedWalk.complete {
		return skip("too many entries are of one time")
	}
	want, err := createdIn(known, from, to)
	if err != nil {
		return skip("times of entries cannot be read")
	}
	window := url.Values{"from": {from.UTC().Format(time.RFC3339Nano)}, "to": {to.UTC().Format(time.RFC3339Nano)}}
	if err := a.expectEntries(window, want, false); err != nil {
		return err
	}
	window.Del("cursor")
	window.Set("order", "asc")
	return a.expectEntries(window, reversed(want), false)
}

func ledgerSource(a *account) error {
	known, err := a.knownEntries()
	if err != nil {
		return err
	}
	bySource := map[string][]entry{}
	for _, e := range known[1:] {
		bySource[e.Source] = append(bySource[e.Source], e)
	}
	for _, source := range sources {
		// What comes after the newest entry that is known stays the same.
		query := url.Values{"source": {source}, "after": {known[0].ID}}
		if err := a.expectEntries(query, bySource[source], !a.cachedWalk.complete); err != nil {
			return err
		}
	}
	return nil
}

func ledgerFiltersInvalid(a *account) error {
	for _, query := range []string{
		"order=newest", "source=gift", "after=1", "from=june", "to=june", "from=2026-06-02&to=2026-06-02", "order=asc&order=asc",
	} {
		c := call{path: "/billing/transactions/" + url.PathEscape(a.slug), query: query}
		if err := a.expectErrors(http.StatusUnprocessableEntity, "transaction_filter_invalid", c); err != nil {
			return err
		}
	}
	return nil
}

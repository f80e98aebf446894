package billing

import (
	"cmp"
	"context"
	"encoding/binary"
	"math"
	"slices"
)

// EntryFilter selects entries of a ledger, and says in which order they are listed. The zero value selects all, newest first.
type EntryFilter struct {
	OldestFirst bool
	After       *ID    // only entries that come after this one in the order
	From        *Time  // only entries that were created at this time or later
	To          *Time  // only entries that were created before this time
	Source      Source // only entries from this source
	Credits     bool   // only credits; then the newest come first, and Source is empty
}

// EntryWalk is a place in the list of entries of a ledger from which they are read on.
type EntryWalk struct {
	OldestFirst bool
	Past        int64  // the Seq of the entry before the first one that is read
	Source      Source // only entries from this source; empty for all
}

// ParseEntryFilter reads the filter of a request; nil is a parameter that was left out. Order and source have values of the contract. It fails
// with ErrEntryFilterInvalid if one of the times cannot be read, or to is not after from.
func ParseEntryFilter(order *string, after *ID, from, to, source *string) (filter EntryFilter, err error) {
	filter.OldestFirst, filter.After = order != nil && *order == "asc", after
	if source != nil {
		filter.Source = Source(*source)
	}
	parse := func(name string, text *string) *Time {
		if text == nil || err != nil {
			return nil
		}
		t, invalid := ParseTime(*text)
		if invalid != nil {
			err = Faultf(ErrEntryFilterInvalid, "%s %w", name, invalid)
		}
		return &t
	}
	filter.From, filter.To = parse("from", from), parse("to", to)
	if err == nil && filter.From != nil && filter.To != nil && *filter.To <= *filter.From {
		err = Faultf(ErrEntryFilterInvalid, "to must lie after from")
	}
	return filter, err
}

// ParseCreditFilter reads the filter of a request for credits, as ParseEntryFilter does.
func ParseCreditFilter(from, to *string) (EntryFilter, error) {
	filter, err := ParseEntryFilter(nil, nil, from, to, nil)
	filter.Credits = true
	return filter, err
}

const entryList = "entries"

// Transactions returns a page of the entries that the filter selects. It fails with ErrCursorInvalid, and with ErrEntryNotFound if the
// ledger does not have the entry that the filter names.
func (s *Service) Transactions(ctx context.Context, org ID, filter EntryFilter, limit *int64, cursor *string) (Page[Entry], error) {
	size := clamp(limit, ListBillingTransactionsLimitClampMinimum, ListBillingTransactionsLimitClampMaximum, ListBillingTransactionsLimitDefault)
	return s.entries(ctx, org, filter, size, cursor)
}

// Credits returns a page of the credits that a filter of ParseCreditFilter selects. It fails with ErrCursorInvalid.
func (s *Service) Credits(ctx context.Context, org ID, filter EntryFilter, limit *int64, cursor *string) (Page[Entry], error) {
	size := clamp(limit, ListBillingCreditsLimitClampMinimum, ListBillingCreditsLimitClampMaximum, ListBillingCreditsLimitDefault)
	return s.entries(ctx, org, filter, size, cursor)
}

// entries returns a page of entries. It fails like Transactions.
func (s *Service) entries(ctx context.Context, org ID, filter EntryFilter, size int, cursor *string) (Page[Entry], error) {
	walk := EntryWalk{OldestFirst: filter.OldestFirst, Source: filter.Source}
	scope := filter.Scope(org)
	var err error
	if cursor != nil {
		walk.Past, err = filter.place(scope, *cursor)
	} else {
		walk.Past, err = s.firstEntries(ctx, org, filter)
	}
	if err != nil {
		return Page[Entry]{}, err
	}
	entries, err := s.walk(ctx, org, filter, walk, size+1)
	if err != nil {
		return Page[Entry]{}, err
	}
	// Times ascend with the numbers, so that the first entry outside the filter's times ends the list.
	for i := range entries {
		if filter.isPassed(entries[i].CreatedAt) {
			entries = entries[:i]
			break
		}
	}
	page := Page[Entry]{Items: entries}
	if len(entries) > size {
		page.Items = entries[:size]
		next := EncodeCursor(entryList, scope, binary.BigEndian.AppendUint64(nil, uint64(entries[size-1].Seq)))
		page.Next = &next
	}
	return page, nil
}

// walk reads entries that the filter selects, except for its times. Credits are read from each of their sources, for which there is an index.
func (s *Service) walk(ctx context.Context, org ID, filter EntryFilter, walk EntryWalk, limit int) ([]Entry, error) {
	if !filter.Credits {
		return s.ledger.WalkEntries(ctx, org, walk, limit)
	}
	var credits []Entry
	for _, walk.Source = range CreditSources {
		entries, err := s.ledger.WalkEntries(ctx, org, walk, limit)
		if err != nil {
			return nil, err
		}
		credits = append(credits, entries...)
	}
	slices.SortFunc(credits, func(a, b Entry) int { return cmp.Compare(b.Seq, a.Seq) })
	return credits[:min(limit, len(credits))], nil
}

// place returns the number of the entry after which the page of a cursor begins.
func (f EntryFilter) place(scope []byte, cursor string) (int64, error) {
	place, err := DecodeCursor(entryList, scope, cursor)
	if err != nil {
		return 0, err
	}
	if len(place) != 8 {
		return 0, errCursor
	}
	seq := int64(binary.BigEndian.Uint64(place))
	// Newest first there is no page after the oldest entry, so no valid cursor names it.
	if seq < 1 || seq < 2 && !f.OldestFirst {
		return 0, errCursor
	}
	return seq, nil
}

// firstEntries returns the number of the entry after which the first page of the filter begins.
func (s *Service) firstEntries(ctx context.Context, org ID, filter EntryFilter) (past int64, err error) {
	if filter.OldestFirst && filter.From != nil {
		if past, err = s.ledger.SeqAt(ctx, org, *filter.From); err != nil {
			return 0, err
		}
		past--
	}
	if !filter.OldestFirst {
		past = math.MaxInt64
		switch {
		case filter.To != nil:
			past, err = s.ledger.SeqAt(ctx, org, *filter.To)
		case filter.Credits: // of one moment, although each source is read by itself
			var head Head
			head, err = s.ledger.Head(ctx, org)
			past = head.Seq + 1
		}
		if err != nil {
			return 0, err
		}
	}
	if filter.After == nil {
		return past, nil
	}
	entry, _, err := s.ledger.Entry(ctx, org, *filter.After)
	if err != nil {
		return 0, err
	}
	if filter.OldestFirst {
		return max(past, entry.Seq), nil
	}
	return min(past, entry.Seq), nil
}

// isPassed reports whether an entry of this time, and with it all that follow, is outside the filter's times.
func (f EntryFilter) isPassed(createdAt Time) bool {
	if f.OldestFirst {
		return f.To != nil && createdAt >= *f.To
	}
	return f.From != nil && createdAt < *f.From
}

// Selects reports whether an entry of the time and the source is one of those that the filter selects by them.
func (f EntryFilter) Selects(createdAt Time, source Source) bool {
	return (f.From == nil || createdAt >= *f.From) && (f.To == nil || createdAt < *f.To) && (f.Source == "" || f.Source == source) &&
		(!f.Credits || source != SourceVMLeaseDebit)
}

// Scope binds a cursor to the organization and to the filter. Filters with equal values have equal scopes, however the parameters were
// written. The scope of all entries, newest first, is the organization without a suffix.
func (f EntryFilter) Scope(org ID) []byte {
	if f == (EntryFilter{}) {
		return org[:]
	}
	scope := slices.Concat(org[:], []byte{0})
	if f.OldestFirst {
		scope[len(scope)-1] = 1
	}
	if f.After != nil {
		scope = append(append(scope, 'a'), f.After[:]...)
	}
	if f.From != nil {
		scope = binary.BigEndian.AppendUint64(append(scope, 'f'), uint64(*f.From))
	}
	if f.To != nil {
		scope = binary.BigEndian.AppendUint64(append(scope, 't'), uint64(*f.To))
	}
	if f.Credits {
		scope = append(scope, 'c')
	}
	return append(scope, f.Source...)
}

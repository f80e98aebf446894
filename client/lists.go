package client

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// maxPageItems is the largest number of items that the server returns on a page.
const maxPageItems = 100

// Transactions walks an organization's whole ledger, newest entry first: every entry that existed when the walk began,
// exactly once. It reads pages of 100 entries and holds one page in memory. After an error it ends.
func (c *Client) Transactions(ctx context.Context, org string, opts ...Option) iter.Seq2[Transaction, error] {
	return c.FilterTransactions(ctx, org, TransactionFilter{}, opts...)
}

// TransactionsSince yields the entries that are newer than the entry with the id after, oldest first. A program that stores the id of each
// entry after it has processed it can continue from this id, also after a crash. The zero UUID is before the first entry. Entries that
// are appended during the walk follow.
//
//	for tx, err := range c.TransactionsSince(ctx, "acme", last) {
//		if err != nil {
//			return err // continue after last, later
//		}
//		… // process tx, and store last together with the result
//		last = tx.ID
//	}
//
// It reads pages of 100 entries and holds one page in memory. The walk ends after an error, which is [ErrTransactionNotFound] if the
// ledger has no entry with the id.
func (c *Client) TransactionsSince(ctx context.Context, org string, after UUID, opts ...Option) iter.Seq2[Transaction, error] {
	return c.FilterTransactions(ctx, org, TransactionFilter{OldestFirst: true, After: after}, opts...)
}

// FilterTransactions walks the entries that the filter selects, in its order. It reads pages as [Client.Transactions] does. To continue a
// walk that has ended, also after a crash, set After to the id of the last entry that was processed.
func (c *Client) FilterTransactions(ctx context.Context, org string, filter TransactionFilter, opts ...Option) iter.Seq2[Transaction, error] {
	walk := items(pages(func(page ListOptions) ([]Transaction, *string, error) {
		list, err := c.FilterTransactionsPage(ctx, org, filter, page, opts...)
		if err != nil {
			return nil, nil, err
		}
		return list.Data, list.NextCursor, nil
	}))
	return func(yield func(Transaction, error) bool) {
		var last *Transaction
		for tx, err := range walk {
			if err == nil {
				err = filter.check(last, &tx)
			}
			if err != nil {
				yield(Transaction{}, err)
				return
			}
			if !yield(tx, nil) {
				return
			}
			last = &tx
		}
	}
}

// check reports an entry that is not of the filter, or not in its order: a server that does not know a parameter ignores it. last is the
// entry before, nil for the first.
func (f TransactionFilter) check(last, tx *Transaction) error {
	isOlder := last != nil && tx.CreatedAt.Before(last.CreatedAt)
	isNewer := last != nil && tx.CreatedAt.After(last.CreatedAt)
	switch {
	case f.OldestFirst && isOlder || !f.OldestFirst && isNewer:
		return fmt.Errorf("harmont-billing: %w: entries are not in the order that was asked for", ErrInvalidResponse)
	case f.After != UUID{} && tx.ID == f.After,
		f.Source != "" && tx.Source != f.Source,
		!f.From.IsZero() && tx.CreatedAt.Before(f.From.Truncate(time.Microsecond)),
		!f.To.IsZero() && !tx.CreatedAt.Before(f.To.Truncate(time.Microsecond)):
		return fmt.Errorf("harmont-billing: %w: the entry %s is not of the filter", ErrInvalidResponse, tx.ID)
	}
	return nil
}

// Credits walks the credits that the filter selects, newest first. It reads pages as [Client.Transactions] does.
func (c *Client) Credits(ctx context.Context, org string, filter CreditFilter, opts ...Option) iter.Seq2[Credit, error] {
	return items(pages(func(page ListOptions) ([]Credit, *string, error) {
		list, err := c.ListBillingCredits(ctx, org, filter, page, opts...)
		if err != nil {
			return nil, nil, err
		}
		return list.Data, list.NextCursor, nil
	}))
}

// Leases walks the leases that the filter selects, latest start first. It reads pages as [Client.Transactions] does.
func (c *Client) Leases(ctx context.Context, org string, filter LeaseFilter, opts ...Option) iter.Seq2[LeaseRecord, error] {
	return items(pages(func(page ListOptions) ([]LeaseRecord, *string, error) {
		list, err := c.ListBillingLeases(ctx, org, filter, page, opts...)
		if err != nil {
			return nil, nil, err
		}
		return list.Data, list.NextCursor, nil
	}))
}

// RateCards walks the rate cards that leases of an organization may be billed by, newest first. It reads pages as
// [Client.Transactions] does.
func (c *Client) RateCards(ctx context.Context, org string, opts ...Option) iter.Seq2[RateCard, error] {
	return items(pages(func(page ListOptions) ([]RateCard, *string, error) {
		list, err := c.ListBillingRateCards(ctx, org, page, opts...)
		if err != nil {
			return nil, nil, err
		}
		return list.Data, list.NextCursor, nil
	}))
}

// Organizations walks all organizations that the token can see, in the order of their slugs. It reads pages as [Client.Transactions] does.
func (c *Client) Organizations(ctx context.Context, opts ...Option) iter.Seq2[Organization, error] {
	return items(pages(func(page ListOptions) ([]Organization, *string, error) {
		list, err := c.ListOrganizations(ctx, page, opts...)
		if err != nil {
			return nil, nil, err
		}
		return list.Data, list.NextCursor, nil
	}))
}

// page is one page of a list, with the cursor of the request for it.
type page[T any] struct {
	cursor string
	items  []T
}

// pages yields all pages, up to the one without a next cursor. A page may have any number of items.
func pages[T any](list func(ListOptions) (items []T, next *string, err error)) iter.Seq2[page[T], error] {
	return func(yield func(page[T], error) bool) {
		opts := ListOptions{Limit: maxPageItems}
		// This detects a cycle of cursors (Brent's algorithm): mark becomes the current cursor at every power of two, and a cycle reaches
		// it again.
		mark := ""
		for n := 1; ; n++ {
			items, next, err := list(opts)
			if err != nil {
				yield(page[T]{}, err)
				return
			}
			if !yield(page[T]{opts.Cursor, items}, nil) || next == nil || *next == "" {
				return
			}
			if *next == mark {
				yield(page[T]{}, fmt.Errorf("harmont-billing: %w: a cursor comes again", ErrInvalidResponse))
				return
			}
			opts.Cursor = *next
			if n&(n-1) == 0 {
				mark = *next
			}
		}
	}
}

func items[T any](pages iter.Seq2[page[T], error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for page, err := range pages {
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, item := range page.items {
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

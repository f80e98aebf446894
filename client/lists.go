package client

import (
	"context"
	"fmt"
	"iter"
	"slices"
)

// maxPageItems is the largest number of items that the server returns on a page.
const maxPageItems = 100

// entryNotFound is the error of [Client.TransactionsSince] for an entry that the ledger does not have. The walk
// detects it, so there is no answer of the server to wrap.
type entryNotFound struct{ id UUID }

func (e entryNotFound) Error() string {
	return "harmont-billing: no such transaction in this ledger: " + e.id.String()
}

// Is reports whether target is ErrTransactionNotFound.
func (e entryNotFound) Is(target error) bool { return target == ErrTransactionNotFound }

// Transactions walks an organization's whole ledger, newest entry first: every entry that existed when the walk began,
// exactly once. It reads pages of 100 entries and holds one page in memory. After an error it ends.
func (c *Client) Transactions(ctx context.Context, org string, opts ...Option) iter.Seq2[Transaction, error] {
	return items(c.transactionPages(ctx, org, opts))
}

// TransactionsSince yields the entries that are newer than the entry with the id after, oldest first. A program that stores the id of each
// entry after it has processed it can continue from this id, also after a crash. The zero UUID is before the first entry. Entries that
// are appended after the walk has begun are left to the next walk.
//
//	for tx, err := range c.TransactionsSince(ctx, "acme", last) {
//		if err != nil {
//			return err // continue after last, later
//		}
//		… // process tx, and store last together with the result
//		last = tx.ID
//	}
//
// Up to 100 new entries take one request. If there are more, each page is read twice: first from the newest entry back to the one with the
// id, then in the other direction. Memory holds two pages, and a cursor for each other page. The walk ends after an error, which wraps
// [ErrTransactionNotFound] if the ledger has no entry with the id.
func (c *Client) TransactionsSince(ctx context.Context, org string, after UUID, opts ...Option) iter.Seq2[Transaction, error] {
	return func(yield func(Transaction, error) bool) {
		fail := func(err error) { yield(Transaction{}, err) }
		// The first page is kept, because entries that are appended would change it. A page with a cursor stays the same.
		type passedPage struct {
			cursor string
			newest UUID
		}
		var passed []passedPage // the pages between the first and the last
		var first, last []Transaction
		reached := after == UUID{}
		for page, err := range c.transactionPages(ctx, org, opts) {
			if err != nil {
				fail(err)
				return
			}
			newer := page.items
			if i := slices.IndexFunc(newer, func(tx Transaction) bool { return tx.ID == after }); i >= 0 {
				newer, reached = newer[:i], true
			}
			if page.cursor == "" {
				first = newer
			} else {
				last = newer
				passed = append(passed, passedPage{page.cursor, newestOf(page.items)})
			}
			if reached && after != (UUID{}) {
				break
			}
		}
		if !reached {
			fail(entryNotFound{after})
			return
		}
		for i, p := range slices.Backward(passed) {
			if i < len(passed)-1 {
				page, err := c.ListBillingTransactions(ctx, org, ListOptions{Limit: maxPageItems, Cursor: p.cursor}, opts...)
				if err == nil && newestOf(page.Data) != p.newest {
					err = fmt.Errorf("harmont-billing: %w: the page of the cursor %q has changed", ErrInvalidResponse, p.cursor)
				}
				if err != nil {
					fail(err)
					return
				}
				last = page.Data
			}
			if !yieldBackward(last, yield) {
				return
			}
		}
		yieldBackward(first, yield)
	}
}

func newestOf(page []Transaction) UUID {
	if len(page) == 0 {
		return UUID{}
	}
	return page[0].ID
}

func yieldBackward(page []Transaction, yield func(Transaction, error) bool) bool {
	for _, tx := range slices.Backward(page) {
		if !yield(tx, nil) {
			return false
		}
	}
	return true
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

func (c *Client) transactionPages(ctx context.Context, org string, opts []Option) iter.Seq2[page[Transaction], error] {
	return pages(func(page ListOptions) ([]Transaction, *string, error) {
		list, err := c.ListBillingTransactions(ctx, org, page, opts...)
		if err != nil {
			return nil, nil, err
		}
		return list.Data, list.NextCursor, nil
	})
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
				yield(page[T]{}, fmt.Errorf("harmont-billing: %w: the cursor %q comes again", ErrInvalidResponse, *next))
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

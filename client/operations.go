package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/gen/httpclient"
)

// Window is the half-open span of time [From, To). A lease belongs to the window in which it started. To lies after
// From, by at most 3 660 days; the server refuses any other window with [CodeBillingUsageWindowInvalid]. Both are exact
// to the microsecond, the rest is cut off.
type Window struct {
	From time.Time // included
	To   time.Time // excluded
}

// Last is the window of length d that ends now.
func Last(d time.Duration) Window {
	now := time.Now()
	return Window{From: now.Add(-d), To: now}
}

// timestamp is how times are sent: always UTC, since the + of an offset is easily lost in a query.
func timestamp(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.000000Z")
}

// ListOptions selects one page of a list.
type ListOptions struct {
	// Limit is how many items the page holds, 1 to 100. 0 means the server's default, 50; the server moves a number
	// outside the range to its nearer end.
	Limit int
	// Cursor is the NextCursor of the page before; empty for the first page.
	Cursor string
}

func (o ListOptions) params() (limit *int64, cursor *string) {
	if o.Limit != 0 {
		limit = new(int64(o.Limit))
	}
	if o.Cursor != "" {
		cursor = &o.Cursor
	}
	return limit, cursor
}

// checkOrg refuses the slugs that would make the path that of another resource. Of all others the server knows more.
func checkOrg(org string) error {
	if org == "" || org == "." || org == ".." {
		return fmt.Errorf("%q is not an organization's slug", org)
	}
	return nil
}

func checkKey(idempotencyKey string) error {
	if !fitsHeader(idempotencyKey) {
		return errors.New("the idempotency key is empty, begins or ends with a space, or is not printable ASCII")
	}
	return nil
}

// GetBillingBalance reads an organization's balance: the sum of all entries in its ledger, in cents. It is 0 before the
// first entry and may be negative.
func (c *Client) GetBillingBalance(ctx context.Context, org string) (*BalanceResponse, error) {
	req, err := httpclient.NewGetBillingBalanceRequest(c.baseURL, org)
	return do[BalanceResponse](ctx, c, req, errors.Join(err, checkOrg(org)))
}

// ListBillingTransactions reads one page of an organization's ledger, newest entry first. NextCursor is nil exactly when
// no older entry is left. [Client.Transactions] walks all pages.
func (c *Client) ListBillingTransactions(ctx context.Context, org string, opts ListOptions) (*TransactionList, error) {
	var params gen.ListBillingTransactionsParams
	params.Limit, params.Cursor = opts.params()
	req, err := httpclient.NewListBillingTransactionsRequest(c.baseURL, org, &params)
	return do[TransactionList](ctx, c, req, errors.Join(err, checkOrg(org)))
}

// GetBillingUsage sums the leases that started in the window: count × seconds of each resource, and the cents that were
// billed for them, positive. A lease that is still running adds 0.
func (c *Client) GetBillingUsage(ctx context.Context, org string, window Window) (*UsageResponse, error) {
	params := gen.GetBillingUsageParams{From: timestamp(window.From), To: timestamp(window.To)}
	req, err := httpclient.NewGetBillingUsageRequest(c.baseURL, org, &params)
	return do[UsageResponse](ctx, c, req, errors.Join(err, checkOrg(org)))
}

// GetBillingUsageSeries sums the same leases as [Client.GetBillingUsage] per UTC day: one bucket for each day from the
// date of From to the date of To, both included, oldest first, zeros included. So a window from midnight to midnight over
// N days has N+1 buckets.
func (c *Client) GetBillingUsageSeries(ctx context.Context, org string, window Window) (*UsageSeriesResponse, error) {
	params := gen.GetBillingUsageSeriesParams{From: timestamp(window.From), To: timestamp(window.To)}
	req, err := httpclient.NewGetBillingUsageSeriesRequest(c.baseURL, org, &params)
	return do[UsageSeriesResponse](ctx, c, req, errors.Join(err, checkOrg(org)))
}

// GetBillingUsageBreakdown lists the same leases as [Client.GetBillingUsage] by build, newest build first, and within a
// build by job, oldest first. Amounts are debits, negative or 0. The whole window is one answer, some 400 bytes a job,
// and is held in memory: for many jobs, ask for one short window after the other, or raise [WithTimeout] and
// [WithMaxResponseBytes].
func (c *Client) GetBillingUsageBreakdown(ctx context.Context, org string, window Window) (*UsageBreakdownResponse, error) {
	params := gen.GetBillingUsageBreakdownParams{From: timestamp(window.From), To: timestamp(window.To)}
	req, err := httpclient.NewGetBillingUsageBreakdownRequest(c.baseURL, org, &params)
	return do[UsageBreakdownResponse](ctx, c, req, errors.Join(err, checkOrg(org)))
}

// ListOrganizations reads one page of the organizations that the token can see, by slug. NextCursor is nil exactly when
// none is left. [Client.Organizations] walks all pages.
func (c *Client) ListOrganizations(ctx context.Context, opts ListOptions) (*OrganizationList, error) {
	var params gen.ListOrganizationsParams
	params.Limit, params.Cursor = opts.params()
	req, err := httpclient.NewListOrganizationsRequest(c.baseURL, &params)
	return do[OrganizationList](ctx, c, req, err)
}

// RecordLeases records 1 to 1 000 leases, all of them or none, and bills those that have a FinishedAt. It gives what
// became of each, in order. Once it returns without an error, the leases are on the server's disk.
//
// A lease is known by its JobID, or by its LeaseID where it has no job; one of the two is required. Sending a lease again
// unchanged does nothing, so that a call that failed can be repeated until it succeeds. A running lease may be sent again
// with other contents; a billed one with other contents is refused with [CodeLeaseConflict].
//
// The token needs the role write.
func (c *Client) RecordLeases(ctx context.Context, org string, leases []Lease) ([]RecordedLease, error) {
	req, err := httpclient.NewRecordLeasesRequest(c.baseURL, org, gen.RecordLeasesRequest{Leases: leases})
	out, err := do[gen.RecordedLeaseList](ctx, c, req, errors.Join(err, checkOrg(org)))
	if err != nil {
		return nil, err
	}
	if len(out.Data) != len(leases) {
		return nil, c.invalidResponse(req, fmt.Sprintf("%d results for %d leases", len(out.Data), len(leases)))
	}
	return out.Data, nil
}

// PostedCredit is the ledger entry of a credit.
type PostedCredit struct {
	Transaction
	// Replayed tells that an earlier call with the same key made the entry, and this one nothing.
	Replayed bool `json:"replayed"`
}

// PostCredit appends one credit to an organization's ledger. Once it returns without an error, the entry is on the
// server's disk.
//
// The idempotency key names this credit within the organization, 1 to 255 printable ASCII characters without a space at
// either end. The caller chooses it, since only the caller knows what is one and the same credit across retries and
// restarts: the id of an invoice or support case does well, or a random UUID that is stored before the call. However
// often a call is repeated with the same key and credit, there is one entry. The same key with another credit is
// [CodeIdempotencyKeyReused].
//
// The token needs the role admin.
func (c *Client) PostCredit(ctx context.Context, org, idempotencyKey string, credit PostCreditRequest) (*PostedCredit, error) {
	params := gen.PostCreditParams{IdempotencyKey: idempotencyKey}
	req, err := httpclient.NewPostCreditRequest(c.baseURL, org, &params, credit)
	out, header, err := exchange[Transaction](ctx, c, req, errors.Join(err, checkOrg(org), checkKey(idempotencyKey)))
	if err != nil {
		return nil, err
	}
	return &PostedCredit{Transaction: *out, Replayed: header.Get("Idempotency-Replayed") == "true"}, nil
}

// Transactions walks an organization's whole ledger, newest entry first: every entry that existed when the walk began,
// exactly once. It asks for 100 entries at a time and holds no more than that. An error is the last thing that it yields.
func (c *Client) Transactions(ctx context.Context, org string) iter.Seq2[Transaction, error] {
	return walk(func(opts ListOptions) ([]Transaction, *string, error) {
		page, err := c.ListBillingTransactions(ctx, org, opts)
		if err != nil {
			return nil, nil, err
		}
		return page.Data, page.NextCursor, nil
	})
}

// Organizations walks all organizations that the token can see, by slug, in the manner of [Client.Transactions].
func (c *Client) Organizations(ctx context.Context) iter.Seq2[Organization, error] {
	return walk(func(opts ListOptions) ([]Organization, *string, error) {
		page, err := c.ListOrganizations(ctx, opts)
		if err != nil {
			return nil, nil, err
		}
		return page.Data, page.NextCursor, nil
	})
}

// walk yields the items of all pages.
func walk[T any](list func(ListOptions) (items []T, next *string, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		opts := ListOptions{Limit: 100}
		// Cursors that go in a circle of any length meet the mark, which moves on at every power of two (Brent).
		mark := ""
		for pages := 1; ; pages++ {
			items, next, err := list(opts)
			if err != nil {
				yield(zero, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == nil {
				return
			}
			if *next == mark {
				yield(zero, fmt.Errorf("harmont-billing: %w: the cursor %q comes again", ErrInvalidResponse, *next))
				return
			}
			opts.Cursor = *next
			if pages&(pages-1) == 0 {
				mark = *next
			}
		}
	}
}

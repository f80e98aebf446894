package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Window is the half-open span of time [From, To). A lease belongs to the window in which it started. To lies after
// From, by at most 3 660 days; the server refuses any other window with [ErrBillingUsageWindowInvalid]. Both are exact
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
	if !isHeaderValue(idempotencyKey) {
		return errors.New("the idempotency key begins or ends with a space, or is not printable ASCII")
	}
	return nil
}

// GetBillingBalance reads an organization's balance: the sum of all entries in its ledger, in cents. It is 0 before the
// first entry and may be negative.
func (c *Client) GetBillingBalance(ctx context.Context, org string, opts ...Option) (*BalanceResponse, error) {
	req, err := newGetBillingBalanceRequest(c.baseURL, org)
	return do[BalanceResponse](ctx, c, opts, req, errors.Join(err, checkOrg(org)))
}

// GetBillingHead reads the head of an organization's ledger: the number and the digest of the newest entry, and the balance after it. Note
// the digest outside of the service to prove later that no entry up to this one was changed.
func (c *Client) GetBillingHead(ctx context.Context, org string, opts ...Option) (*LedgerHead, error) {
	req, err := newGetBillingHeadRequest(c.baseURL, org)
	return do[LedgerHead](ctx, c, opts, req, errors.Join(err, checkOrg(org)))
}

// ListBillingTransactions reads one page of an organization's ledger, newest entry first. NextCursor is nil exactly when
// no older entry is left. [Client.Transactions] walks all pages, and [Client.FilterTransactionsPage] reads one of a part of the ledger.
func (c *Client) ListBillingTransactions(ctx context.Context, org string, page ListOptions, opts ...Option) (*TransactionList, error) {
	return c.FilterTransactionsPage(ctx, org, TransactionFilter{}, page, opts...)
}

// TransactionFilter selects entries of a ledger, and says in which order they come; a field that is not set selects all. From and To are
// exact to the microsecond, the rest is cut off.
type TransactionFilter struct {
	OldestFirst bool              // the oldest entry first; otherwise the newest
	After       UUID              // entries that come after this one in the order; the filter need not select it
	From        time.Time         // entries that were created at this time or later
	To          time.Time         // entries that were created before this time
	Source      TransactionSource // entries from this source
}

// FilterTransactionsPage reads one page of the entries that the filter selects, with the same filter for each page of a list. An entry After
// that the ledger does not have is [ErrTransactionNotFound]. [Client.FilterTransactions] walks all pages.
func (c *Client) FilterTransactionsPage(ctx context.Context, org string, filter TransactionFilter, page ListOptions, opts ...Option) (*TransactionList, error) {
	var params listBillingTransactionsParams
	params.Limit, params.Cursor = page.params()
	if filter.OldestFirst {
		params.Order = new("asc")
	}
	if filter.After != (UUID{}) {
		params.After = &filter.After
	}
	if !filter.From.IsZero() {
		params.From = new(timestamp(filter.From))
	}
	if !filter.To.IsZero() {
		params.To = new(timestamp(filter.To))
	}
	if filter.Source != "" {
		params.Source = new(string(filter.Source))
	}
	req, err := newListBillingTransactionsRequest(c.baseURL, org, &params)
	return do[TransactionList](ctx, c, opts, req, errors.Join(err, checkOrg(org)))
}

// GetBillingTransaction reads one entry of an organization's ledger, with the balance after it. For the debit of a lease it
// has the lease and the arithmetic of its cost, too. An id that the ledger does not have is [ErrTransactionNotFound].
func (c *Client) GetBillingTransaction(ctx context.Context, org string, id UUID, opts ...Option) (*TransactionDetail, error) {
	req, err := newGetBillingTransactionRequest(c.baseURL, org, id)
	return do[TransactionDetail](ctx, c, opts, req, errors.Join(err, checkOrg(org)))
}

// LeaseFilter selects leases of a list; a field that is not set selects all.
type LeaseFilter struct {
	State   LeaseState // LeaseStateRunning or LeaseStateBilled; empty for both
	LeaseID UUID       // the lease with this id
	JobID   UUID       // the lease of this job
}

// ListBillingLeases reads one page of the recorded leases, latest start first. With a LeaseID or a JobID it tells whether a lease was
// recorded, and its cost. NextCursor is nil on the last page.
// [Client.Leases] walks all pages.
func (c *Client) ListBillingLeases(ctx context.Context, org string, filter LeaseFilter, page ListOptions, opts ...Option) (*LeaseList, error) {
	var params listBillingLeasesParams
	params.Limit, params.Cursor = page.params()
	if filter.State != "" {
		params.State = new(string(filter.State))
	}
	if filter.LeaseID != (UUID{}) {
		params.LeaseID = &filter.LeaseID
	}
	if filter.JobID != (UUID{}) {
		params.JobID = &filter.JobID
	}
	req, err := newListBillingLeasesRequest(c.baseURL, org, &params)
	return do[LeaseList](ctx, c, opts, req, errors.Join(err, checkOrg(org)))
}

// GetBillingStatement reads the balance of an organization before and after the entries that were created in the window, and the sums of these
// entries for each source. It has the heads of the ledger at both ends, whose digests stand for all entries up to there. The closing balance of a
// window is the opening balance of the one that begins where it ends.
func (c *Client) GetBillingStatement(ctx context.Context, org string, window Window, opts ...Option) (*StatementResponse, error) {
	params := getBillingStatementParams{From: timestamp(window.From), To: timestamp(window.To)}
	req, err := newGetBillingStatementRequest(c.baseURL, org, &params)
	return do[StatementResponse](ctx, c, opts, req, errors.Join(err, checkOrg(org)))
}

// CreditFilter selects credits of a ledger; a field that is not set selects all. Both are exact to the microsecond, the rest is cut off.
type CreditFilter struct {
	From time.Time // credits that were posted at this time or later
	To   time.Time // credits that were posted before this time
}

// ListBillingCredits reads one page of the credits of an organization's ledger, newest first, with the same filter for each page of a list. Each
// has who posted it, where that is known. NextCursor is nil on the last page. [Client.Credits] walks all pages.
func (c *Client) ListBillingCredits(ctx context.Context, org string, filter CreditFilter, page ListOptions, opts ...Option) (*CreditList, error) {
	var params listBillingCreditsParams
	params.Limit, params.Cursor = page.params()
	if !filter.From.IsZero() {
		params.From = new(timestamp(filter.From))
	}
	if !filter.To.IsZero() {
		params.To = new(timestamp(filter.To))
	}
	req, err := newListBillingCreditsRequest(c.baseURL, org, &params)
	return do[CreditList](ctx, c, opts, req, errors.Join(err, checkOrg(org)))
}

// GetBillingRunway tells how long an organization's balance lasts at the pace of the last 7 and of the last 30 whole UTC days.
func (c *Client) GetBillingRunway(ctx context.Context, org string, opts ...Option) (*RunwayResponse, error) {
	req, err := newGetBillingRunwayRequest(c.baseURL, org)
	return do[RunwayResponse](ctx, c, opts, req, errors.Join(err, checkOrg(org)))
}

// GetBillingUsage sums the leases that started in the window: count × seconds of each resource, and the cents that were
// billed for them, positive. A lease that is still running adds 0.
func (c *Client) GetBillingUsage(ctx context.Context, org string, window Window, opts ...Option) (*UsageResponse, error) {
	params := getBillingUsageParams{From: timestamp(window.From), To: timestamp(window.To)}
	req, err := newGetBillingUsageRequest(c.baseURL, org, &params)
	return do[UsageResponse](ctx, c, opts, req, errors.Join(err, checkOrg(org)))
}

// GetBillingUsageSeries sums the same leases as [Client.GetBillingUsage] per UTC day: one bucket for each day from the
// date of From to the date of To, both included, oldest first, zeros included. So a window from midnight to midnight over
// N days has N+1 buckets.
func (c *Client) GetBillingUsageSeries(ctx context.Context, org string, window Window, opts ...Option) (*UsageSeriesResponse, error) {
	params := getBillingUsageSeriesParams{From: timestamp(window.From), To: timestamp(window.To)}
	req, err := newGetBillingUsageSeriesRequest(c.baseURL, org, &params)
	return do[UsageSeriesResponse](ctx, c, opts, req, errors.Join(err, checkOrg(org)))
}

// UsageByOptions chooses what [Client.GetBillingUsageBy] returns.
type UsageByOptions struct {
	// Interval is IntervalDay or IntervalMonth for the usage of each UTC day or month of a group; empty for none. A window by day has at
	// most 366 days.
	Interval Interval
	// Limit is how many groups are listed, 1 to 100; 0 is the default of the server, 50. The others are summed in Other.
	Limit int
}

// Interval is a part of a window.
type Interval string

// The intervals of [UsageByOptions].
const (
	IntervalDay   Interval = "day"
	IntervalMonth Interval = "month"
)

// ByLabel groups usage by the value of a label, in [Client.GetBillingUsageBy].
func ByLabel(key string) string { return "label." + key }

// GetBillingUsageBy sums the same leases as [Client.GetBillingUsage] in groups with the same pipeline, job, shape, author or value of a
// label, and the group that cost most comes first. The text by is "pipeline", "job", "shape", "author", or made by [ByLabel]; others are
// [ErrUsageGroupInvalid]. Data and Other add up exactly to the usage of the window.
func (c *Client) GetBillingUsageBy(ctx context.Context, org string, window Window, by string, options UsageByOptions, opts ...Option) (*UsageByResponse, error) {
	params := getBillingUsageByParams{By: by, From: timestamp(window.From), To: timestamp(window.To)}
	if options.Interval != "" {
		params.Interval = new(string(options.Interval))
	}
	if options.Limit != 0 {
		params.Limit = new(int64(options.Limit))
	}
	req, err := newGetBillingUsageByRequest(c.baseURL, org, &params)
	return do[UsageByResponse](ctx, c, opts, req, errors.Join(err, checkOrg(org)))
}

// GetBillingUsageBreakdown lists the same leases as [Client.GetBillingUsage] by build, newest build first, and within a
// build by job, oldest first. Amounts are debits, negative or 0. The whole window is one answer, some 400 bytes a job,
// and is held in memory; [Client.UsageBreakdown] holds one build at a time.
func (c *Client) GetBillingUsageBreakdown(ctx context.Context, org string, window Window, opts ...Option) (*UsageBreakdownResponse, error) {
	req, err := c.breakdownRequest(org, window)
	return do[UsageBreakdownResponse](ctx, c, opts, req, err)
}

func (c *Client) breakdownRequest(org string, window Window) (*http.Request, error) {
	params := getBillingUsageBreakdownParams{From: timestamp(window.From), To: timestamp(window.To)}
	req, err := newGetBillingUsageBreakdownRequest(c.baseURL, org, &params)
	return req, errors.Join(err, checkOrg(org))
}

// ListOrganizations reads one page of the organizations that the token can see, by slug. NextCursor is nil exactly when
// none is left. [Client.Organizations] walks all pages.
func (c *Client) ListOrganizations(ctx context.Context, page ListOptions, opts ...Option) (*OrganizationList, error) {
	var params listOrganizationsParams
	params.Limit, params.Cursor = page.params()
	req, err := newListOrganizationsRequest(c.baseURL, &params)
	return do[OrganizationList](ctx, c, opts, req, err)
}

// RecordLeases records 1 to 1 000 leases, all of them or none, and bills leases that have a FinishedAt. It returns the outcome of each
// lease, in order. After it has returned without an error, the leases are on the server's disk.
//
// A lease is known by its JobID, or by its LeaseID where it has no job. One that has neither is sent with a new LeaseID,
// which the result tells; leases stays as it is. A program that will send the lease again, be it to finish it or because
// the call failed, gives it one of the two. Sending a lease again unchanged does nothing, so that a call that failed can be
// repeated until it succeeds. While a lease runs, texts, ids and labels that were not known may be filled in; its start and
// its counts stay as first recorded. Other contents, and any change of a billed lease, are refused with [ErrLeaseConflict]. [Recorder] does all this for leases that come one by one.
//
// The token needs the role write.
func (c *Client) RecordLeases(ctx context.Context, org string, leases []Lease, opts ...Option) ([]RecordedLease, error) {
	req, err := newRecordLeasesRequest(c.baseURL, org, recordLeasesRequest{Leases: withKeys(leases)})
	out, err := do[recordedLeaseList](ctx, c, opts, req, errors.Join(err, checkOrg(org)))
	if err != nil {
		return nil, err
	}
	if len(out.Data) != len(leases) {
		return nil, invalidResponse(req.Method, req.URL.String(), fmt.Sprintf("%d results for %d leases", len(out.Data), len(leases)))
	}
	return out.Data, nil
}

// withKeys returns copies of the leases, each with a key by which the server recognizes a repeated one.
func withKeys(leases []Lease) []Lease {
	own := leases
	for i := range leases {
		if leases[i].JobID != nil || leases[i].LeaseID != nil {
			continue
		}
		if &own[0] == &leases[0] {
			own = slices.Clone(leases)
		}
		own[i].LeaseID = new(newUUID())
	}
	return own
}

func newUUID() UUID { return uuid.Must(uuid.NewV7()) }

// PostedCredit is the ledger entry of a credit.
type PostedCredit struct {
	Transaction
	// IdempotencyKey is the key that the credit was posted under.
	IdempotencyKey string `json:"idempotency_key"`
	// Replayed tells that an earlier call with the same key made the entry, and this one nothing.
	Replayed bool `json:"replayed"`
}

// MarshalJSON writes the entry as the API does, with the two values beside its fields.
func (p PostedCredit) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		transactionJSON
		IdempotencyKey string `json:"idempotency_key"`
		Replayed       bool   `json:"replayed"`
	}{p.encoded(), p.IdempotencyKey, p.Replayed})
}

// PostCredit appends one credit to an organization's ledger. Once it returns without an error, the entry is on the
// server's disk.
//
// The idempotency key names this credit within the organization, 1 to 255 printable ASCII characters without a space at
// either end. However often a call is repeated with the same key and credit, there is one entry. The same key with another
// credit is [ErrIdempotencyKeyReused].
//
// The caller should choose the key, because only the caller can recognize the same credit after a restart: the id of an invoice or
// support case, or a random UUID that is stored before the call. With an empty one, PostCredit makes a
// key that its own retries share and that the result tells. After an error such a credit may have been posted, under a key
// that the caller does not know: look at the ledger before repeating the call.
//
// The token needs the role admin.
func (c *Client) PostCredit(ctx context.Context, org, idempotencyKey string, credit PostCreditRequest, opts ...Option) (*PostedCredit, error) {
	if idempotencyKey == "" {
		idempotencyKey = newUUID().String()
	}
	params := postCreditParams{IdempotencyKey: idempotencyKey}
	req, err := newPostCreditRequest(c.baseURL, org, &params, credit)
	out, header, err := doWithHeader[Transaction](ctx, c, opts, req, errors.Join(err, checkOrg(org), checkKey(idempotencyKey)))
	if err != nil {
		return nil, err
	}
	return &PostedCredit{Transaction: *out, IdempotencyKey: idempotencyKey, Replayed: header.Get("Idempotency-Replayed") == "true"}, nil
}

// ListBillingRateCards reads one page of the rate cards that leases of an organization may be billed by: its own and those for all
// organizations, newest first. NextCursor is nil on the last page. [Client.RateCards] walks all pages.
func (c *Client) ListBillingRateCards(ctx context.Context, org string, page ListOptions, opts ...Option) (*RateCardList, error) {
	var params listBillingRateCardsParams
	params.Limit, params.Cursor = page.params()
	req, err := newListBillingRateCardsRequest(c.baseURL, org, &params)
	return do[RateCardList](ctx, c, opts, req, errors.Join(err, checkOrg(org)))
}

// AddedRateCard is a rate card that was set.
type AddedRateCard struct {
	RateCard
	// IdempotencyKey is the key that the card was set under.
	IdempotencyKey string `json:"idempotency_key"`
	// Replayed tells that an earlier call with the same key added the card, and this one nothing.
	Replayed bool `json:"replayed"`
}

// MarshalJSON writes the card as the API does, with the two values beside its fields.
func (a AddedRateCard) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		rateCardJSON
		IdempotencyKey string `json:"idempotency_key"`
		Replayed       bool   `json:"replayed"`
	}{a.encoded(), a.IdempotencyKey, a.Replayed})
}

// SetRateCard adds a rate card to an organization. It is for leases that start at EffectiveFrom or later, or from now on if that is nil.
// Leases that are billed already keep their prices, so a time in the past is [ErrRateCardInvalid], and so are a part of the three prices,
// of the three counts of a shape, or of a label. Once it returns without an error, every server of the same books bills by the card.
//
// The idempotency key names this card within the organization, as in [Client.PostCredit]: however often a call is repeated with the same
// key and card, there is one card, and the same key with another card is [ErrIdempotencyKeyReused]. With an empty key, SetRateCard makes
// one that its own retries share and that the result tells.
//
// The token needs the role admin.
func (c *Client) SetRateCard(ctx context.Context, org, idempotencyKey string, card SetRateCardRequest, opts ...Option) (*AddedRateCard, error) {
	if idempotencyKey == "" {
		idempotencyKey = newUUID().String()
	}
	params := setRateCardParams{IdempotencyKey: idempotencyKey}
	req, err := newSetRateCardRequest(c.baseURL, org, &params, card)
	out, header, err := doWithHeader[RateCard](ctx, c, opts, req, errors.Join(err, checkOrg(org), checkKey(idempotencyKey)))
	if err != nil {
		return nil, err
	}
	return &AddedRateCard{RateCard: *out, IdempotencyKey: idempotencyKey, Replayed: header.Get("Idempotency-Replayed") == "true"}, nil
}

// Code generated from openapi.yaml by contractgen. DO NOT EDIT.

package client

import (
	"net/http"
	"net/url"
	"strconv"
)

// newGetBillingBalanceRequest builds GET /api/v0/billing/balance/{org}. The base ends with a slash.
func newGetBillingBalanceRequest(base string, org string) (*http.Request, error) {
	return newRequest(http.MethodGet, base+"api/v0/billing/balance/"+url.PathEscape(org), nil, nil, nil)
}

// listBillingTransactionsParams are the parameters of listBillingTransactions.
type listBillingTransactionsParams struct {
	Order  *string
	After  *UUID
	From   *string
	To     *string
	Source *string
	Limit  *int64
	Cursor *string
}

// newListBillingTransactionsRequest builds GET /api/v0/billing/transactions/{org}. The base ends with a slash.
func newListBillingTransactionsRequest(base string, org string, params *listBillingTransactionsParams) (*http.Request, error) {
	var query []string
	if params.Order != nil {
		query = append(query, "order="+url.QueryEscape(*params.Order))
	}
	if params.After != nil {
		query = append(query, "after="+url.QueryEscape(params.After.String()))
	}
	if params.From != nil {
		query = append(query, "from="+url.QueryEscape(*params.From))
	}
	if params.To != nil {
		query = append(query, "to="+url.QueryEscape(*params.To))
	}
	if params.Source != nil {
		query = append(query, "source="+url.QueryEscape(*params.Source))
	}
	if params.Limit != nil {
		query = append(query, "limit="+url.QueryEscape(strconv.FormatInt(*params.Limit, 10)))
	}
	if params.Cursor != nil {
		query = append(query, "cursor="+url.QueryEscape(*params.Cursor))
	}
	return newRequest(http.MethodGet, base+"api/v0/billing/transactions/"+url.PathEscape(org), query, nil, nil)
}

// newGetBillingTransactionRequest builds GET /api/v0/billing/transactions/{org}/{id}. The base ends with a slash.
func newGetBillingTransactionRequest(base string, org string, id UUID) (*http.Request, error) {
	return newRequest(http.MethodGet, base+"api/v0/billing/transactions/"+url.PathEscape(org)+"/"+url.PathEscape(id.String()), nil, nil, nil)
}

// newGetBillingHeadRequest builds GET /api/v0/billing/head/{org}. The base ends with a slash.
func newGetBillingHeadRequest(base string, org string) (*http.Request, error) {
	return newRequest(http.MethodGet, base+"api/v0/billing/head/"+url.PathEscape(org), nil, nil, nil)
}

// getBillingStatementParams are the parameters of getBillingStatement.
type getBillingStatementParams struct {
	From string
	To   string
}

// newGetBillingStatementRequest builds GET /api/v0/billing/statement/{org}. The base ends with a slash.
func newGetBillingStatementRequest(base string, org string, params *getBillingStatementParams) (*http.Request, error) {
	var query []string
	query = append(query, "from="+url.QueryEscape(params.From))
	query = append(query, "to="+url.QueryEscape(params.To))
	return newRequest(http.MethodGet, base+"api/v0/billing/statement/"+url.PathEscape(org), query, nil, nil)
}

// newGetBillingRunwayRequest builds GET /api/v0/billing/runway/{org}. The base ends with a slash.
func newGetBillingRunwayRequest(base string, org string) (*http.Request, error) {
	return newRequest(http.MethodGet, base+"api/v0/billing/runway/"+url.PathEscape(org), nil, nil, nil)
}

// getBillingUsageParams are the parameters of getBillingUsage.
type getBillingUsageParams struct {
	From string
	To   string
}

// newGetBillingUsageRequest builds GET /api/v0/billing/usage/{org}. The base ends with a slash.
func newGetBillingUsageRequest(base string, org string, params *getBillingUsageParams) (*http.Request, error) {
	var query []string
	query = append(query, "from="+url.QueryEscape(params.From))
	query = append(query, "to="+url.QueryEscape(params.To))
	return newRequest(http.MethodGet, base+"api/v0/billing/usage/"+url.PathEscape(org), query, nil, nil)
}

// getBillingUsageSeriesParams are the parameters of getBillingUsageSeries.
type getBillingUsageSeriesParams struct {
	From string
	To   string
}

// newGetBillingUsageSeriesRequest builds GET /api/v0/billing/usage/{org}/series. The base ends with a slash.
func newGetBillingUsageSeriesRequest(base string, org string, params *getBillingUsageSeriesParams) (*http.Request, error) {
	var query []string
	query = append(query, "from="+url.QueryEscape(params.From))
	query = append(query, "to="+url.QueryEscape(params.To))
	return newRequest(http.MethodGet, base+"api/v0/billing/usage/"+url.PathEscape(org)+"/series", query, nil, nil)
}

// getBillingUsageByParams are the parameters of getBillingUsageBy.
type getBillingUsageByParams struct {
	By       string
	From     string
	To       string
	Interval *string
	Limit    *int64
}

// newGetBillingUsageByRequest builds GET /api/v0/billing/usage/{org}/by. The base ends with a slash.
func newGetBillingUsageByRequest(base string, org string, params *getBillingUsageByParams) (*http.Request, error) {
	var query []string
	query = append(query, "by="+url.QueryEscape(params.By))
	query = append(query, "from="+url.QueryEscape(params.From))
	query = append(query, "to="+url.QueryEscape(params.To))
	if params.Interval != nil {
		query = append(query, "interval="+url.QueryEscape(*params.Interval))
	}
	if params.Limit != nil {
		query = append(query, "limit="+url.QueryEscape(strconv.FormatInt(*params.Limit, 10)))
	}
	return newRequest(http.MethodGet, base+"api/v0/billing/usage/"+url.PathEscape(org)+"/by", query, nil, nil)
}

// getBillingUsageBreakdownParams are the parameters of getBillingUsageBreakdown.
type getBillingUsageBreakdownParams struct {
	From string
	To   string
}

// newGetBillingUsageBreakdownRequest builds GET /api/v0/billing/usage/{org}/breakdown. The base ends with a slash.
func newGetBillingUsageBreakdownRequest(base string, org string, params *getBillingUsageBreakdownParams) (*http.Request, error) {
	var query []string
	query = append(query, "from="+url.QueryEscape(params.From))
	query = append(query, "to="+url.QueryEscape(params.To))
	return newRequest(http.MethodGet, base+"api/v0/billing/usage/"+url.PathEscape(org)+"/breakdown", query, nil, nil)
}

// listBillingLeasesParams are the parameters of listBillingLeases.
type listBillingLeasesParams struct {
	State   *string
	LeaseID *UUID
	JobID   *UUID
	Limit   *int64
	Cursor  *string
}

// newListBillingLeasesRequest builds GET /api/v0/billing/leases/{org}. The base ends with a slash.
func newListBillingLeasesRequest(base string, org string, params *listBillingLeasesParams) (*http.Request, error) {
	var query []string
	if params.State != nil {
		query = append(query, "state="+url.QueryEscape(*params.State))
	}
	if params.LeaseID != nil {
		query = append(query, "lease_id="+url.QueryEscape(params.LeaseID.String()))
	}
	if params.JobID != nil {
		query = append(query, "job_id="+url.QueryEscape(params.JobID.String()))
	}
	if params.Limit != nil {
		query = append(query, "limit="+url.QueryEscape(strconv.FormatInt(*params.Limit, 10)))
	}
	if params.Cursor != nil {
		query = append(query, "cursor="+url.QueryEscape(*params.Cursor))
	}
	return newRequest(http.MethodGet, base+"api/v0/billing/leases/"+url.PathEscape(org), query, nil, nil)
}

// newRecordLeasesRequest builds POST /api/v0/billing/leases/{org}. The base ends with a slash.
func newRecordLeasesRequest(base string, org string, body recordLeasesRequest) (*http.Request, error) {
	return newRequest(http.MethodPost, base+"api/v0/billing/leases/"+url.PathEscape(org), nil, nil, body)
}

// listBillingCreditsParams are the parameters of listBillingCredits.
type listBillingCreditsParams struct {
	From   *string
	To     *string
	Limit  *int64
	Cursor *string
}

// newListBillingCreditsRequest builds GET /api/v0/billing/credits/{org}. The base ends with a slash.
func newListBillingCreditsRequest(base string, org string, params *listBillingCreditsParams) (*http.Request, error) {
	var query []string
	if params.From != nil {
		query = append(query, "from="+url.QueryEscape(*params.From))
	}
	if params.To != nil {
		query = append(query, "to="+url.QueryEscape(*params.To))
	}
	if params.Limit != nil {
		query = append(query, "limit="+url.QueryEscape(strconv.FormatInt(*params.Limit, 10)))
	}
	if params.Cursor != nil {
		query = append(query, "cursor="+url.QueryEscape(*params.Cursor))
	}
	return newRequest(http.MethodGet, base+"api/v0/billing/credits/"+url.PathEscape(org), query, nil, nil)
}

// postCreditParams are the parameters of postCredit.
type postCreditParams struct {
	IdempotencyKey string
}

// newPostCreditRequest builds POST /api/v0/billing/credits/{org}. The base ends with a slash.
func newPostCreditRequest(base string, org string, params *postCreditParams, body PostCreditRequest) (*http.Request, error) {
	header := http.Header{}
	header.Set("Idempotency-Key", params.IdempotencyKey)
	return newRequest(http.MethodPost, base+"api/v0/billing/credits/"+url.PathEscape(org), nil, header, body)
}

// listBillingRateCardsParams are the parameters of listBillingRateCards.
type listBillingRateCardsParams struct {
	Limit  *int64
	Cursor *string
}

// newListBillingRateCardsRequest builds GET /api/v0/billing/rate-cards/{org}. The base ends with a slash.
func newListBillingRateCardsRequest(base string, org string, params *listBillingRateCardsParams) (*http.Request, error) {
	var query []string
	if params.Limit != nil {
		query = append(query, "limit="+url.QueryEscape(strconv.FormatInt(*params.Limit, 10)))
	}
	if params.Cursor != nil {
		query = append(query, "cursor="+url.QueryEscape(*params.Cursor))
	}
	return newRequest(http.MethodGet, base+"api/v0/billing/rate-cards/"+url.PathEscape(org), query, nil, nil)
}

// setRateCardParams are the parameters of setRateCard.
type setRateCardParams struct {
	IdempotencyKey string
}

// newSetRateCardRequest builds POST /api/v0/billing/rate-cards/{org}. The base ends with a slash.
func newSetRateCardRequest(base string, org string, params *setRateCardParams, body SetRateCardRequest) (*http.Request, error) {
	header := http.Header{}
	header.Set("Idempotency-Key", params.IdempotencyKey)
	return newRequest(http.MethodPost, base+"api/v0/billing/rate-cards/"+url.PathEscape(org), nil, header, body)
}

// listOrganizationsParams are the parameters of listOrganizations.
type listOrganizationsParams struct {
	Limit  *int64
	Cursor *string
}

// newListOrganizationsRequest builds GET /api/v0/organizations. The base ends with a slash.
func newListOrganizationsRequest(base string, params *listOrganizationsParams) (*http.Request, error) {
	var query []string
	if params.Limit != nil {
		query = append(query, "limit="+url.QueryEscape(strconv.FormatInt(*params.Limit, 10)))
	}
	if params.Cursor != nil {
		query = append(query, "cursor="+url.QueryEscape(*params.Cursor))
	}
	return newRequest(http.MethodGet, base+"api/v0/organizations", query, nil, nil)
}

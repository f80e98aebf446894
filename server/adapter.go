package server

import (
	"context"

	"github.com/harmont-dev/harmont-billing/gen/httpserver"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// adapter implements the generated interface: each method converts, calls the service and converts back.
type adapter struct {
	service *billing.Service
}

var _ httpserver.StrictServerInterface = (*adapter)(nil)

func (a *adapter) GetBillingBalance(ctx context.Context, _ httpserver.GetBillingBalanceRequestObject) (httpserver.GetBillingBalanceResponseObject, error) {
	head, err := a.service.Head(ctx, orgOf(ctx))
	if err != nil {
		return nil, err
	}
	return balanceResponse(head.BalanceCents), nil
}

func (a *adapter) ListBillingTransactions(ctx context.Context, r httpserver.ListBillingTransactionsRequestObject) (httpserver.ListBillingTransactionsResponseObject, error) {
	page, err := a.service.Transactions(ctx, orgOf(ctx), r.Params.Limit, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	return transactionList(page), nil
}

func (a *adapter) GetBillingUsage(ctx context.Context, r httpserver.GetBillingUsageRequestObject) (httpserver.GetBillingUsageResponseObject, error) {
	window, err := billing.ParseWindow(r.Params.From, r.Params.To)
	if err != nil {
		return nil, err
	}
	usage, err := a.service.Usage(ctx, orgOf(ctx), window)
	if err != nil {
		return nil, err
	}
	return usageResponse(usage), nil
}

func (a *adapter) GetBillingUsageSeries(ctx context.Context, r httpserver.GetBillingUsageSeriesRequestObject) (httpserver.GetBillingUsageSeriesResponseObject, error) {
	window, err := billing.ParseWindow(r.Params.From, r.Params.To)
	if err != nil {
		return nil, err
	}
	days, err := a.service.UsageSeries(ctx, orgOf(ctx), window)
	if err != nil {
		return nil, err
	}
	return usageSeriesResponse(days), nil
}

func (a *adapter) GetBillingUsageBreakdown(ctx context.Context, r httpserver.GetBillingUsageBreakdownRequestObject) (httpserver.GetBillingUsageBreakdownResponseObject, error) {
	window, err := billing.ParseWindow(r.Params.From, r.Params.To)
	if err != nil {
		return nil, err
	}
	return breakdownStream{a.service.Breakdown(ctx, orgOf(ctx), window)}, nil
}

func (a *adapter) RecordLeases(ctx context.Context, r httpserver.RecordLeasesRequestObject) (httpserver.RecordLeasesResponseObject, error) {
	leases, err := fromAPILeases(r.Body.Leases)
	if err != nil {
		return nil, err
	}
	results, err := a.service.RecordLeases(ctx, orgOf(ctx), leases)
	if err != nil {
		return nil, err
	}
	return recordedLeaseList(results), nil
}

func (a *adapter) PostCredit(ctx context.Context, r httpserver.PostCreditRequestObject) (httpserver.PostCreditResponseObject, error) {
	credit := fromAPICredit(r.Params.IdempotencyKey, r.Body)
	if err := a.service.PostCredit(ctx, orgOf(ctx), credit); err != nil {
		return nil, err
	}
	return (*postedCredit)(credit), nil
}

func (a *adapter) ListOrganizations(ctx context.Context, r httpserver.ListOrganizationsRequestObject) (httpserver.ListOrganizationsResponseObject, error) {
	page, err := a.service.VisibleOrganizations(ctx, grantOf(ctx).Hash, r.Params.Limit, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	return organizationListResponse(toAPIOrganizationList(page)), nil
}

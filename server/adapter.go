package server

import (
	"context"

	"github.com/harmont-dev/harmont-billing/gen"
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
	return httpserver.GetBillingBalance200JSONResponse{Body: gen.BalanceResponse{BalanceCents: head.BalanceCents}}, nil
}

func (a *adapter) GetBillingHead(ctx context.Context, _ httpserver.GetBillingHeadRequestObject) (httpserver.GetBillingHeadResponseObject, error) {
	head, err := a.service.Head(ctx, orgOf(ctx))
	if err != nil {
		return nil, err
	}
	body := gen.LedgerHead{Seq: head.Seq, BalanceCents: head.BalanceCents, Digest: head.Digest.String()}
	return httpserver.GetBillingHead200JSONResponse{Body: body}, nil
}

func (a *adapter) ListBillingTransactions(ctx context.Context, r httpserver.ListBillingTransactionsRequestObject) (httpserver.ListBillingTransactionsResponseObject, error) {
	filter, err := fromAPITransactionFilter(r.Params)
	if err != nil {
		return nil, err
	}
	page, err := a.service.Transactions(ctx, orgOf(ctx), filter, r.Params.Limit, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	body := gen.TransactionList{Data: convertAll(page.Items, toAPITransaction), NextCursor: page.Next}
	return httpserver.ListBillingTransactions200JSONResponse{Body: body}, nil
}

func (a *adapter) GetBillingTransaction(ctx context.Context, r httpserver.GetBillingTransactionRequestObject) (httpserver.GetBillingTransactionResponseObject, error) {
	detail, err := a.service.Transaction(ctx, orgOf(ctx), billing.ID(r.ID))
	if err != nil {
		return nil, err
	}
	return httpserver.GetBillingTransaction200JSONResponse{Body: toAPITransactionDetail(&detail)}, nil
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
	return httpserver.GetBillingUsage200JSONResponse{Body: toAPIUsage(usage)}, nil
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
	return httpserver.GetBillingUsageSeries200JSONResponse{Body: gen.UsageSeriesResponse{Data: convertAll(days, toAPIDay)}}, nil
}

func (a *adapter) GetBillingUsageBreakdown(ctx context.Context, r httpserver.GetBillingUsageBreakdownRequestObject) (httpserver.GetBillingUsageBreakdownResponseObject, error) {
	window, err := billing.ParseWindow(r.Params.From, r.Params.To)
	if err != nil {
		return nil, err
	}
	return breakdownStream{rows: a.service.Breakdown(ctx, orgOf(ctx), window), stall: streamStall}, nil
}

func (a *adapter) RecordLeases(ctx context.Context, r httpserver.RecordLeasesRequestObject) (httpserver.RecordLeasesResponseObject, error) {
	results, err := a.service.RecordLeases(ctx, orgOf(ctx), convertAll(r.Body.Leases, fromAPILease))
	if err != nil {
		return nil, err
	}
	return httpserver.RecordLeases200JSONResponse{Body: gen.RecordedLeaseList{Data: convertAll(results, toAPIRecordedLease)}}, nil
}

func (a *adapter) ListBillingLeases(ctx context.Context, r httpserver.ListBillingLeasesRequestObject) (httpserver.ListBillingLeasesResponseObject, error) {
	page, err := a.service.Leases(ctx, orgOf(ctx), fromAPILeaseFilter(r.Params), r.Params.Limit, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	body := gen.LeaseList{Data: convertAll(page.Items, toAPILeaseRecord), NextCursor: page.Next}
	return httpserver.ListBillingLeases200JSONResponse{Body: body}, nil
}

func (a *adapter) PostCredit(ctx context.Context, r httpserver.PostCreditRequestObject) (httpserver.PostCreditResponseObject, error) {
	credit := fromAPICredit(r.Params.IdempotencyKey, r.Body)
	if err := a.service.PostCredit(ctx, orgOf(ctx), credit); err != nil {
		return nil, err
	}
	answer := httpserver.PostCredit201JSONResponse{Body: toAPITransaction(&credit.Entry)}
	if credit.Replayed {
		answer.IdempotencyReplayed = &credit.Replayed
	}
	return answer, nil
}

func (a *adapter) ListOrganizations(ctx context.Context, r httpserver.ListOrganizationsRequestObject) (httpserver.ListOrganizationsResponseObject, error) {
	page, err := a.service.VisibleOrganizations(ctx, callOf(ctx).grant.Hash, r.Params.Limit, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	body := gen.OrganizationList{Data: convertAll(page.Items, toAPIOrganization), NextCursor: page.Next}
	return httpserver.ListOrganizations200JSONResponse{Body: body}, nil
}

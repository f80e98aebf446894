package server

import (
	"context"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/httpapi"
	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/models"
)

// adapter implements the operations: each method converts, calls the service and converts back.
type adapter struct {
	service *billing.Service
}

var _ httpapi.Backend = (*adapter)(nil)

func (a *adapter) GetBillingBalance(ctx context.Context, _ string) (answer gen.BalanceResponse, err error) {
	head, err := a.service.Head(ctx, orgOf(ctx))
	if err != nil {
		return answer, err
	}
	return gen.BalanceResponse{BalanceCents: head.BalanceCents}, nil
}

func (a *adapter) GetBillingHead(ctx context.Context, _ string) (answer gen.LedgerHead, err error) {
	head, err := a.service.Head(ctx, orgOf(ctx))
	if err != nil {
		return answer, err
	}
	return toAPIHead(&head), nil
}

func (a *adapter) ListBillingTransactions(ctx context.Context, _ string, params gen.ListBillingTransactionsParams) (answer gen.TransactionList, err error) {
	filter, err := fromAPITransactionFilter(params)
	if err != nil {
		return answer, err
	}
	page, err := a.service.Transactions(ctx, orgOf(ctx), filter, params.Limit, params.Cursor)
	if err != nil {
		return answer, err
	}
	return gen.TransactionList{Data: convertAll(page.Items, toAPITransaction), NextCursor: page.Next}, nil
}

func (a *adapter) GetBillingTransaction(ctx context.Context, org string, id uuid.UUID) (answer gen.TransactionDetail, err error) {
	detail, err := a.service.Transaction(ctx, orgOf(ctx), billing.ID(id))
	if err != nil {
		return answer, err
	}
	return toAPITransactionDetail(&detail, org), nil
}

func (a *adapter) GetBillingStatement(ctx context.Context, _ string, params gen.GetBillingStatementParams) (answer gen.StatementResponse, err error) {
	window, err := billing.ParseWindow(params.From, params.To)
	if err != nil {
		return answer, err
	}
	statement, err := a.service.Statement(ctx, orgOf(ctx), window)
	if err != nil {
		return answer, err
	}
	return toAPIStatement(&statement), nil
}

func (a *adapter) GetBillingRunway(ctx context.Context, _ string) (answer gen.RunwayResponse, err error) {
	runway, err := a.service.Runway(ctx, orgOf(ctx))
	if err != nil {
		return answer, err
	}
	return models.ToRunway(&runway), nil
}

func (a *adapter) GetBillingUsage(ctx context.Context, _ string, params gen.GetBillingUsageParams) (answer gen.UsageResponse, err error) {
	window, err := billing.ParseWindow(params.From, params.To)
	if err != nil {
		return answer, err
	}
	usage, err := a.service.Usage(ctx, orgOf(ctx), window)
	if err != nil {
		return answer, err
	}
	return toAPIUsage(usage), nil
}

func (a *adapter) GetBillingUsageSeries(ctx context.Context, _ string, params gen.GetBillingUsageSeriesParams) (answer gen.UsageSeriesResponse, err error) {
	window, err := billing.ParseWindow(params.From, params.To)
	if err != nil {
		return answer, err
	}
	days, err := a.service.UsageSeries(ctx, orgOf(ctx), window)
	if err != nil {
		return answer, err
	}
	return gen.UsageSeriesResponse{Data: convertAll(days, toAPIDay)}, nil
}

func (a *adapter) GetBillingUsageBy(ctx context.Context, _ string, params gen.GetBillingUsageByParams) (answer gen.UsageByResponse, err error) {
	query, err := models.FromUsageByParams(params)
	if err != nil {
		return answer, err
	}
	groups, err := a.service.UsageByGroup(ctx, orgOf(ctx), query)
	if err != nil {
		return answer, err
	}
	return models.ToUsageBy(&groups), nil
}

func (a *adapter) GetBillingUsageBreakdown(ctx context.Context, _ string, params gen.GetBillingUsageBreakdownParams) (httpapi.Streamed, error) {
	window, err := billing.ParseWindow(params.From, params.To)
	if err != nil {
		return nil, err
	}
	return httpapi.StreamBreakdown(toAPIBreakdown(a.service.Breakdown(ctx, orgOf(ctx), window))), nil
}

func (a *adapter) RecordLeases(ctx context.Context, _ string, body gen.RecordLeasesRequest) (answer gen.RecordedLeaseList, err error) {
	results, err := a.service.RecordLeases(ctx, orgOf(ctx), convertAll(body.Leases, models.FromLease))
	if err != nil {
		return answer, err
	}
	return gen.RecordedLeaseList{Data: convertAll(results, toAPIRecordedLease)}, nil
}

func (a *adapter) ListBillingLeases(ctx context.Context, _ string, params gen.ListBillingLeasesParams) (answer gen.LeaseList, err error) {
	page, err := a.service.Leases(ctx, orgOf(ctx), fromAPILeaseFilter(params), params.Limit, params.Cursor)
	if err != nil {
		return answer, err
	}
	return gen.LeaseList{Data: convertAll(page.Items, models.ToLeaseRecord), NextCursor: page.Next}, nil
}

func (a *adapter) PostCredit(ctx context.Context, _ string, params gen.PostCreditParams, body gen.PostCreditRequest) (answer httpapi.PostCreditResult, err error) {
	credit := fromAPICredit(params.IdempotencyKey, httpapi.IdentityOf(ctx).Name, &body)
	if err := a.service.PostCredit(ctx, orgOf(ctx), credit); err != nil {
		return answer, err
	}
	answer.Body = toAPITransaction(&credit.Entry)
	if credit.Replayed {
		answer.IdempotencyReplayed = &credit.Replayed
	}
	return answer, nil
}

func (a *adapter) ListBillingCredits(ctx context.Context, _ string, params gen.ListBillingCreditsParams) (answer gen.CreditList, err error) {
	filter, err := billing.ParseCreditFilter(params.From, params.To)
	if err != nil {
		return answer, err
	}
	page, err := a.service.Credits(ctx, orgOf(ctx), filter, params.Limit, params.Cursor)
	if err != nil {
		return answer, err
	}
	return gen.CreditList{Data: convertAll(page.Items, toAPICredit), NextCursor: page.Next}, nil
}

func (a *adapter) ListBillingRateCards(ctx context.Context, org string, params gen.ListBillingRateCardsParams) (answer gen.RateCardList, err error) {
	page, err := a.service.OrganizationRateCards(ctx, orgOf(ctx), params.Limit, params.Cursor)
	if err != nil {
		return answer, err
	}
	return gen.RateCardList{
		Data:       convertAll(page.Items, func(c *billing.RateCard) gen.RateCard { return toAPIRateCard(c, org) }),
		NextCursor: page.Next,
	}, nil
}

func (a *adapter) SetRateCard(ctx context.Context, org string, params gen.SetRateCardParams, body gen.SetRateCardRequest) (answer httpapi.SetRateCardResult, err error) {
	card, known, err := a.service.SetRateCard(ctx, fromAPIRateCard(orgOf(ctx), params.IdempotencyKey, &body))
	if err != nil {
		return answer, err
	}
	answer.Body = toAPIRateCard(&card, org)
	if known {
		answer.IdempotencyReplayed = &known
	}
	return answer, nil
}

func (a *adapter) ListOrganizations(ctx context.Context, params gen.ListOrganizationsParams) (answer gen.OrganizationList, err error) {
	page, err := visibleOrganizations(ctx, a.service, params.Limit, params.Cursor)
	if err != nil {
		return answer, err
	}
	return gen.OrganizationList{Data: convertAll(page.Items, toAPIOrganization), NextCursor: page.Next}, nil
}

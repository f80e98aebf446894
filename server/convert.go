package server

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	openapi_types "github.com/oapi-codegen/runtime/types"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

func toAPITransaction(e billing.Entry) gen.Transaction {
	return gen.Transaction{
		ID: uuid.UUID(e.ID), AmountCents: e.AmountCents, Source: gen.TransactionSource(e.Source),
		Description: e.Description, CreatedAt: e.CreatedAt.Std(),
	}
}

func toAPITransactionList(page billing.Page[billing.Entry]) gen.TransactionList {
	list := gen.TransactionList{Data: make([]gen.Transaction, len(page.Items)), NextCursor: page.Next}
	for i, e := range page.Items {
		list.Data[i] = toAPITransaction(e)
	}
	return list
}

func toAPIUsage(u billing.Usage) gen.UsageResponse {
	return gen.UsageResponse{
		CPUSeconds: u.CPUSeconds, MemoryGBSeconds: u.MemoryGBSeconds, DiskGBSeconds: u.DiskGBSeconds, TotalCents: u.Cents,
	}
}

func toAPISeries(days []billing.DayUsage) gen.UsageSeriesResponse {
	series := gen.UsageSeriesResponse{Data: make([]gen.UsageSeriesBucket, len(days))}
	for i, day := range days {
		series.Data[i] = gen.UsageSeriesBucket{
			Date:       openapi_types.Date{Time: day.Day.Std()},
			CPUSeconds: day.CPUSeconds, MemoryGBSeconds: day.MemoryGBSeconds, DiskGBSeconds: day.DiskGBSeconds,
			TotalCents: day.Cents,
		}
	}
	return series
}

func toAPIRecorded(results []billing.RecordedLease) gen.RecordedLeaseList {
	response := gen.RecordedLeaseList{Data: make([]gen.RecordedLease, len(results))}
	for i, r := range results {
		response.Data[i] = gen.RecordedLease{
			LeaseID: uuid.UUID(r.ID), Status: gen.LeaseStatus(r.Status), AmountCents: r.AmountCents,
		}
	}
	return response
}

func toAPIOrganizationList(page billing.Page[billing.Organization]) gen.OrganizationList {
	list := gen.OrganizationList{Data: make([]gen.Organization, len(page.Items)), NextCursor: page.Next}
	for i, o := range page.Items {
		list.Data[i] = gen.Organization{Slug: o.Slug, Name: o.Name, CreatedAt: o.CreatedAt.Std()}
	}
	return list
}

// fromAPILeases takes over what is in the request; its bounds are checked by the service.
func fromAPILeases(leases []gen.Lease) ([]billing.Lease, error) {
	converted := make([]billing.Lease, len(leases))
	for i, l := range leases {
		if l.StartedAt.IsZero() {
			return nil, leaseInvalid.with(fmt.Sprintf("leases[%d]: started_at is required", i))
		}
		converted[i] = billing.Lease{
			ID: (*billing.ID)(l.LeaseID), JobID: (*billing.ID)(l.JobID),
			JobName: l.JobName, StepKey: l.StepKey, VMHandle: l.VMHandle,
			BuildID: (*billing.ID)(l.BuildID), BuildNumber: l.BuildNumber, BuildExternalID: l.BuildExternalID,
			PipelineID: (*billing.ID)(l.PipelineID), PipelineName: l.PipelineName, PipelineSlug: l.PipelineSlug,
			CPUCount: l.CPUCount, MemoryGB: l.MemoryGB, DiskGB: l.DiskGB,
			StartedAt: billing.TimeOf(l.StartedAt), FinishedAt: fromAPITime(l.FinishedAt),
			DurationSeconds: l.DurationSeconds,
		}
	}
	return converted, nil
}

func fromAPITime(t *time.Time) *billing.Time {
	if t == nil {
		return nil
	}
	converted := billing.TimeOf(*t)
	return &converted
}

func fromAPICredit(key string, body *gen.PostCreditRequest) *billing.PostCredit {
	return &billing.PostCredit{
		AmountCents: body.AmountCents, Source: billing.Source(body.Source), Description: body.Description, IdempotencyKey: key,
	}
}

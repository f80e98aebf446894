package server

import (
	"fmt"
	"time"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

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

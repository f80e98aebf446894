package server

import (
	"iter"
	"time"

	"github.com/google/uuid"
	openapi_types "github.com/oapi-codegen/runtime/types"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/httpapi"
	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/models"
)

// convertAll converts a list. It is never nil, so that it is never null in an answer.
func convertAll[From, To any](from []From, convert func(*From) To) []To {
	to := make([]To, len(from))
	for i := range from {
		to[i] = convert(&from[i])
	}
	return to
}

func toAPITransaction(e *billing.Entry) gen.Transaction {
	return gen.Transaction{
		ID: uuid.UUID(e.ID), AmountCents: e.AmountCents, Source: gen.TransactionSource(e.Source), Description: e.Description,
		CreatedAt: e.CreatedAt.Std(),
	}
}

func toAPITransactionDetail(d *billing.EntryDetail, org string) gen.TransactionDetail {
	detail := gen.TransactionDetail{
		ID: uuid.UUID(d.Entry.ID), AmountCents: d.Entry.AmountCents, Source: gen.TransactionSource(d.Entry.Source),
		Description: d.Entry.Description, Author: d.Entry.Author, CreatedAt: d.Entry.CreatedAt.Std(),
		BalanceAfterCents: d.Entry.BalanceAfterCents, Lease: nil, Cost: nil, RateCard: nil,
	}
	if d.Lease != nil {
		lease := models.ToLeaseRecord(&billing.LeaseRecord{Lease: *d.Lease, EntryID: &d.Entry.ID})
		detail.Lease = &lease
	}
	if d.Cost != nil {
		detail.Cost = &gen.LeaseCost{
			DurationSeconds: d.Cost.Seconds, CPU: toAPIResourceCost(d.Cost.CPU), MemoryGB: toAPIResourceCost(d.Cost.MemoryGB),
			DiskGB: toAPIResourceCost(d.Cost.DiskGB), Microcents: d.Cost.MicroCents, Cents: d.Cost.Cents,
		}
	}
	if d.Card != nil {
		detail.RateCard = new(toAPIRateCard(d.Card, org))
	}
	return detail
}

// toAPIRateCard converts a card that is for all organizations or for the one with the slug.
func toAPIRateCard(c *billing.RateCard, org string) gen.RateCard {
	card := gen.RateCard{
		ID: uuid.UUID(c.ID), Name: c.Name, Organization: nil, CPUCount: c.CPUCount, MemoryGB: c.MemoryGB, DiskGB: c.DiskGB,
		LabelKey: c.LabelKey, LabelValue: c.LabelValue, CPUMicrocents: c.CPUMicrocents, MemoryGBMicrocents: c.MemoryGBMicrocents,
		DiskGBMicrocents: c.DiskGBMicrocents, EffectiveFrom: c.EffectiveFrom.Std(), CreatedAt: c.CreatedAt.Std(),
	}
	if c.OrgID != nil {
		card.Organization = &org
	}
	return card
}

func fromAPIRateCard(org billing.ID, key string, body *gen.SetRateCardRequest) billing.NewCard {
	return billing.NewCard{
		Card: billing.RateCard{
			OrgID: &org, Name: body.Name, CPUCount: body.CPUCount, MemoryGB: body.MemoryGB, DiskGB: body.DiskGB,
			LabelKey: body.LabelKey, LabelValue: body.LabelValue, CPUMicrocents: body.CPUMicrocents,
			MemoryGBMicrocents: body.MemoryGBMicrocents, DiskGBMicrocents: body.DiskGBMicrocents, IdempotencyKey: &key,
		},
		EffectiveFrom: models.FromTime(body.EffectiveFrom), Backdated: false,
	}
}

func toAPIResourceCost(c billing.ResourceCost) gen.ResourceCost {
	return gen.ResourceCost{Count: c.Count, MicrocentsPerSecond: c.Rate, Microcents: c.MicroCents}
}

func toAPICredit(e *billing.Entry) gen.Credit {
	return gen.Credit{
		ID: uuid.UUID(e.ID), AmountCents: e.AmountCents, Source: gen.TransactionSource(e.Source), Description: e.Description,
		Author: e.Author, CreatedAt: e.CreatedAt.Std(), BalanceAfterCents: e.BalanceAfterCents,
	}
}

func toAPIHead(h *billing.Head) gen.LedgerHead {
	return gen.LedgerHead{Seq: h.Seq, BalanceCents: h.BalanceCents, Digest: h.Digest.String()}
}

func toAPIStatement(s *billing.Statement) gen.StatementResponse {
	return gen.StatementResponse{
		OpeningBalanceCents: s.Opening.BalanceCents, ClosingBalanceCents: s.Closing.BalanceCents, EntryCount: s.Closing.Seq - s.Opening.Seq,
		Sources: convertAll(s.Sources, toAPISource), OpeningHead: toAPIHead(&s.Opening), ClosingHead: toAPIHead(&s.Closing),
	}
}

func toAPISource(s *billing.SourceSum) gen.StatementSource {
	return gen.StatementSource{Source: gen.TransactionSource(s.Source), EntryCount: s.Entries, AmountCents: s.Cents}
}

func toAPIUsage(u billing.Usage) gen.UsageResponse {
	return gen.UsageResponse{CPUSeconds: u.CPUSeconds, MemoryGBSeconds: u.MemoryGBSeconds, DiskGBSeconds: u.DiskGBSeconds, TotalCents: u.Cents}
}

func toAPIDay(d *billing.DayUsage) gen.UsageSeriesBucket {
	return gen.UsageSeriesBucket{
		Date: openapi_types.Date{Time: d.Day.Std()}, CPUSeconds: d.CPUSeconds, MemoryGBSeconds: d.MemoryGBSeconds,
		DiskGBSeconds: d.DiskGBSeconds, TotalCents: d.Cents,
	}
}

// toAPIBuild converts the build of a breakdown, of which the row is the first. Its jobs are converted one by one. The group of leases without
// a build has no fields of a build or a pipeline, since its leases may be of several pipelines.
func toAPIBuild(row *billing.BreakdownRow) gen.UsageBreakdownBuild {
	l := &row.Lease
	if l.BuildID == nil {
		l = new(billing.Lease)
	}
	return gen.UsageBreakdownBuild{
		BuildID: (*uuid.UUID)(l.BuildID), BuildNumber: l.BuildNumber, BuildExternalID: models.ToExternalID(l.BuildExternalID),
		PipelineID: (*uuid.UUID)(l.PipelineID), PipelineName: l.PipelineName, PipelineSlug: l.PipelineSlug,
		TotalCents: row.Build.Cents, StartedAt: row.Build.StartedAt.Std(), FinishedAt: models.ToTime(row.Build.FinishedAt),
		JobCount: row.Build.Jobs, Jobs: nil,
	}
}

// toAPIBreakdown converts the rows of a breakdown. All of them share one row, since a breakdown has millions.
func toAPIBreakdown(rows iter.Seq2[*billing.BreakdownRow, error]) iter.Seq2[*httpapi.BreakdownRow, error] {
	return func(yield func(*httpapi.BreakdownRow, error) bool) {
		var build gen.UsageBreakdownBuild
		var job gen.UsageBreakdownJob
		var finished time.Time
		var jobsLeft int64
		converted := httpapi.BreakdownRow{Job: &job}
		for row, err := range rows {
			if err != nil {
				yield(nil, err)
				return
			}
			converted.Build = nil
			if jobsLeft == 0 {
				build, jobsLeft = toAPIBuild(row), row.Build.Jobs
				converted.Build = &build
			}
			jobsLeft--
			if job = toAPIJob(&row.Lease, &finished); !yield(&converted, nil) {
				return
			}
		}
	}
}

// toAPIJob converts a lease of a breakdown. The time of its finish is kept where the caller says, since a breakdown has
// millions of leases.
func toAPIJob(l *billing.Lease, finished *time.Time) gen.UsageBreakdownJob {
	job := gen.UsageBreakdownJob{
		JobID: (*uuid.UUID)(l.JobID), JobName: l.JobName, StepKey: l.StepKey, VMHandle: l.VMHandle,
		CPUCount: l.CPUCount, MemoryGB: l.MemoryGB, DiskGB: l.DiskGB, DurationSeconds: l.DurationSeconds, AmountCents: models.Debit(l),
		StartedAt: l.StartedAt.Std(), FinishedAt: nil,
	}
	if l.FinishedAt != nil {
		*finished = l.FinishedAt.Std()
		job.FinishedAt = finished
	}
	return job
}

func toAPIRecordedLease(r *billing.RecordedLease) gen.RecordedLease {
	return gen.RecordedLease{LeaseID: uuid.UUID(r.ID), Status: gen.LeaseStatus(r.Status), AmountCents: r.AmountCents}
}

func toAPIOrganization(o *billing.Organization) gen.Organization {
	return gen.Organization{Slug: o.Slug, Name: o.Name, URL: nil, CreatedAt: o.CreatedAt.Std()}
}

func fromAPITransactionFilter(p gen.ListBillingTransactionsParams) (billing.EntryFilter, error) {
	return billing.ParseEntryFilter((*string)(p.Order), (*billing.ID)(p.After), p.From, p.To, (*string)(p.Source))
}

func fromAPILeaseFilter(p gen.ListBillingLeasesParams) billing.LeaseFilter {
	filter := billing.LeaseFilter{LeaseID: (*billing.ID)(p.LeaseID), JobID: (*billing.ID)(p.JobID)}
	if p.State != nil {
		filter.State = billing.LeaseState(*p.State)
	}
	return filter
}

// fromAPICredit converts a credit. The author is empty if it is not known.
func fromAPICredit(key, author string, body *gen.PostCreditRequest) *billing.PostCredit {
	credit := &billing.PostCredit{
		AmountCents: body.AmountCents, Source: billing.Source(body.Source), Description: body.Description, Author: nil, IdempotencyKey: key,
	}
	if author != "" {
		credit.Author = &author
	}
	return credit
}

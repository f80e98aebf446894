// Package models converts leases between the models of the contract and those of the domain.
package models

import (
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// FromLease converts the report of a lease.
func FromLease(l *gen.Lease) billing.Lease {
	return billing.Lease{
		ID: (*billing.ID)(l.LeaseID), JobID: (*billing.ID)(l.JobID),
		JobName: l.JobName, StepKey: l.StepKey, VMHandle: l.VMHandle,
		BuildID: (*billing.ID)(l.BuildID), BuildNumber: l.BuildNumber, BuildExternalID: fromExternalID(l.BuildExternalID),
		PipelineID: (*billing.ID)(l.PipelineID), PipelineName: l.PipelineName, PipelineSlug: l.PipelineSlug,
		CPUCount: l.CPUCount, MemoryGB: l.MemoryGB, DiskGB: l.DiskGB,
		StartedAt: billing.TimeOf(l.StartedAt), FinishedAt: FromTime(l.FinishedAt),
		DurationSeconds: l.DurationSeconds, Labels: fromLabels(l.Labels), Author: l.Author,
	}
}

// ToLeaseRecord converts a lease that is recorded.
func ToLeaseRecord(r *billing.LeaseRecord) gen.LeaseRecord {
	l := &r.Lease
	return gen.LeaseRecord{
		LeaseID: uuid.UUID(*l.ID), State: gen.LeaseState(l.State()), JobID: (*uuid.UUID)(l.JobID), JobName: l.JobName, StepKey: l.StepKey, VMHandle: l.VMHandle,
		BuildID: (*uuid.UUID)(l.BuildID), BuildNumber: l.BuildNumber, BuildExternalID: ToExternalID(l.BuildExternalID),
		PipelineID: (*uuid.UUID)(l.PipelineID), PipelineName: l.PipelineName, PipelineSlug: l.PipelineSlug,
		CPUCount: l.CPUCount, MemoryGB: l.MemoryGB, DiskGB: l.DiskGB, StartedAt: l.StartedAt.Std(), FinishedAt: ToTime(l.FinishedAt),
		DurationSeconds: l.DurationSeconds, AmountCents: Debit(l), TransactionID: (*uuid.UUID)(r.EntryID),
		Labels: toLabels(l.Labels), Author: l.Author, RateCardID: (*uuid.UUID)(l.CardID), AccruedCents: r.AccruedCents,
	}
}

// FromLeaseRecord converts a lease that is recorded in the books of someone else.
func FromLeaseRecord(r *gen.LeaseRecord) billing.Lease {
	l := FromLease(&gen.Lease{
		LeaseID: &r.LeaseID, JobID: r.JobID, JobName: r.JobName, StepKey: r.StepKey, VMHandle: r.VMHandle, BuildID: r.BuildID, BuildNumber: r.BuildNumber,
		BuildExternalID: r.BuildExternalID, PipelineID: r.PipelineID, PipelineName: r.PipelineName, PipelineSlug: r.PipelineSlug, CPUCount: r.CPUCount,
		MemoryGB: r.MemoryGB, DiskGB: r.DiskGB, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt, DurationSeconds: r.DurationSeconds,
		Labels: r.Labels, Author: r.Author,
	})
	l.CardID = (*billing.ID)(r.RateCardID)
	if r.State != gen.LeaseStateRunning {
		l.AmountCents = &r.AmountCents
	}
	return l
}

func fromLabels(labels *gen.Labels) *string {
	if labels == nil {
		return nil
	}
	return billing.FormatLabels(*labels)
}

// toLabels converts stored labels. Damaged ones are unknown; verify finds them.
func toLabels(text *string) *gen.Labels {
	labels, err := billing.ParseLabels(text)
	if err != nil || labels == nil {
		return nil
	}
	return new(gen.Labels(labels))
}

// Debit returns the debit of a lease in cents, 0 while the lease runs.
func Debit(l *billing.Lease) int64 {
	if l.AmountCents == nil {
		return 0
	}
	return *l.AmountCents
}

// ToExternalID converts the id of a build in another system. Books of an earlier version may have texts there that are
// no UUIDs; callers decode a UUID, so these are unknown to them.
func ToExternalID(text *string) *uuid.UUID {
	if text == nil {
		return nil
	}
	id, err := billing.ParseID(*text)
	if err != nil {
		return nil
	}
	return (*uuid.UUID)(&id)
}

func fromExternalID(id *uuid.UUID) *string {
	if id == nil {
		return nil
	}
	return new(billing.ID(*id).String())
}

// ToTime converts a time that may be unknown.
func ToTime(t *billing.Time) *time.Time {
	if t == nil {
		return nil
	}
	return new(t.Std())
}

// FromTime converts a time that may be missing.
func FromTime(t *time.Time) *billing.Time {
	if t == nil {
		return nil
	}
	return new(billing.TimeOf(*t))
}

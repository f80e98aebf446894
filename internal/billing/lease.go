package billing

import (
	"fmt"
	"math/bits"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Bounds of a lease and of a request that records leases.
const (
	MaxCount        = 1_000_000_000 // CPUs or gigabytes
	MaxDuration     = 1_000_000_000 // seconds, some 31 years
	MaxText         = 1024          // characters
	MaxLeasesAtOnce = 1000
)

// Lease is one virtual machine held by one job. Pointers are nil where the value is unknown.
type Lease struct {
	ID              *ID
	JobID           *ID
	JobName         *string
	StepKey         *string
	VMHandle        *string
	BuildID         *ID
	BuildNumber     *int64
	BuildExternalID *string
	PipelineID      *ID
	PipelineName    *string
	PipelineSlug    *string
	CPUCount        int64
	MemoryGB        int64
	DiskGB          int64
	StartedAt       Time
	FinishedAt      *Time  // nil while it runs
	DurationSeconds *int64 // what is billed; nil while it runs
	AmountCents     *int64 // its debit, negative or 0; nil until it is billed
}

// normalize checks the bounds of the lease and settles its duration. Every error is an ErrLeaseInvalid whose text begins
// with the name of the field.
func (l *Lease) normalize() error {
	if l.JobID == nil && l.ID == nil {
		return Faultf(ErrLeaseInvalid, "job_id or lease_id is required")
	}
	for _, text := range []struct {
		name  string
		value *string
	}{
		{"job_name", l.JobName}, {"step_key", l.StepKey}, {"vm_handle", l.VMHandle},
		{"build_external_id", l.BuildExternalID}, {"pipeline_name", l.PipelineName}, {"pipeline_slug", l.PipelineSlug},
	} {
		if err := checkText(text.name, text.value); err != nil {
			return Faultf(ErrLeaseInvalid, "%w", err)
		}
	}
	for _, count := range []struct {
		name  string
		value int64
	}{{"cpu_count", l.CPUCount}, {"memory_gb", l.MemoryGB}, {"disk_gb", l.DiskGB}} {
		if count.value < 1 || count.value > MaxCount {
			return Faultf(ErrLeaseInvalid, "%s must be 1 to %d", count.name, MaxCount)
		}
	}
	if l.StartedAt < 0 || l.StartedAt > maxTime {
		return Faultf(ErrLeaseInvalid, "started_at must be in the years 1970 to 9999")
	}
	if l.FinishedAt == nil {
		if l.DurationSeconds != nil {
			return Faultf(ErrLeaseInvalid, "duration_seconds is given, but finished_at is not")
		}
		return nil
	}
	if *l.FinishedAt > maxTime {
		return Faultf(ErrLeaseInvalid, "finished_at must not be after the year 9999")
	}
	if *l.FinishedAt < l.StartedAt {
		return Faultf(ErrLeaseInvalid, "finished_at must not be before started_at")
	}
	if l.DurationSeconds == nil {
		between := int64((*l.FinishedAt - l.StartedAt) / Second)
		l.DurationSeconds = &between
	}
	if *l.DurationSeconds < 0 || *l.DurationSeconds > MaxDuration {
		return Faultf(ErrLeaseInvalid, "duration_seconds must be 0 to %d", MaxDuration)
	}
	return nil
}

func checkText(name string, text *string) error {
	if text == nil {
		return nil
	}
	if utf8.RuneCountInString(*text) > MaxText {
		return fmt.Errorf("%s must have at most %d characters", name, MaxText)
	}
	// Not every database stores these.
	if strings.IndexByte(*text, 0) >= 0 {
		return fmt.Errorf("%s must not contain a NUL character", name)
	}
	if !utf8.ValidString(*text) {
		return fmt.Errorf("%s must be valid UTF-8", name)
	}
	return nil
}

// sameContents tells whether two leases with the same key say the same, apart from what they were billed.
func (l Lease) sameContents(other Lease) bool {
	l.AmountCents, other.AmountCents = nil, nil
	return reflect.DeepEqual(l, other)
}

// usage is what a billed lease adds to the sums of its hour.
func (l Lease) usage() (Usage, error) {
	u := Usage{Cents: -*l.AmountCents}
	for _, p := range []struct {
		count int64
		sum   *int64
	}{{l.CPUCount, &u.CPUSeconds}, {l.MemoryGB, &u.MemoryGBSeconds}, {l.DiskGB, &u.DiskGBSeconds}} {
		high, low := bits.Mul64(uint64(p.count), uint64(*l.DurationSeconds))
		if high != 0 || int64(low) < 0 {
			return Usage{}, errOverflow
		}
		*p.sum = int64(low)
	}
	return u, nil
}

// Describe is the text of the lease's debit. It names what a breakdown of the second in which the lease started shows, so
// that the entry can be traced to its source.
func (l Lease) Describe() *string {
	what := "VM lease " + l.ID.String()
	if l.JobID != nil {
		what = "VM lease of job " + l.JobID.String()
	}
	text := what + " started " + l.StartedAt.String()
	return &text
}

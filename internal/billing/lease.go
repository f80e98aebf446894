package billing

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// Bounds of leases that another server has billed. Earlier versions of the contract had these bounds, and exports of their books can be
// imported.
const (
	billedMaxDuration = 1_000_000_000           // seconds
	billedMaxText     = 1024                    // characters of build_external_id, which need not be a UUID
	billedMaxCents    = 100_000_000_000_000_000 // of a lease or an entry: some ninety of these fill a balance
)

var errNotUUID = errors.New("must be a UUID")

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
	FinishedAt      *Time   // nil while the lease runs
	DurationSeconds *int64  // the time that is billed; nil while the lease runs
	AmountCents     *int64  // the debit, negative or 0; nil until the lease is billed
	Labels          *string // see FormatLabels
	Author          *string // who caused the job to run
	CardID          *ID     // the rate card that gave the amount; nil until the lease is billed, and for a lease that was priced elsewhere
}

// normalize checks a lease that is to be recorded or billed at the given time, and computes a missing duration. Counts are checked against
// the bounds of leases that are recorded; Book.checkSize checks those of other leases. Every error is an ErrLeaseInvalid with a text that
// begins with the name of the field.
func (l *Lease) normalize(now Time) error {
	if err := l.checkFields(); err != nil {
		return err
	}
	if l.BuildExternalID != nil {
		id, err := ParseID(*l.BuildExternalID)
		if err != nil {
			return Faultf(ErrLeaseInvalid, "build_external_id %w", errNotUUID)
		}
		text := id.String()
		l.BuildExternalID = &text
	}
	if err := l.checkPast(now); err != nil {
		return err
	}
	if err := l.checkDuration(LeaseDurationSecondsMaximum); err != nil || l.FinishedAt == nil {
		return err
	}
	if interval := int64((*l.FinishedAt - l.StartedAt).Ceil(Second) / Second); *l.DurationSeconds > interval {
		return Faultf(ErrLeaseInvalid, "duration_seconds must not be greater than the %d seconds from started_at to finished_at", interval)
	}
	return nil
}

// NormalizeLeases checks leases that are to be recorded at the given time, and computes missing durations. It fails with ErrLeaseInvalid
// and a text that names the lease by its place in the list, and the field.
func NormalizeLeases(leases []Lease, now Time) error {
	for i := range leases {
		if err := leases[i].normalize(now); err != nil {
			return atLease(i, err)
		}
	}
	return nil
}

// CheckNewCounts checks the counts of leases that no earlier version has recorded. It fails like NormalizeLeases.
func CheckNewCounts(leases []Lease) error {
	for i := range leases {
		if err := leases[i].checkNewCounts(); err != nil {
			return atLease(i, err)
		}
	}
	return nil
}

func (l *Lease) checkNewCounts() error {
	return l.checkCounts(LeaseCPUCountMaximum, LeaseMemoryGBMaximum, LeaseDiskGBMaximum)
}

// checkPast checks that the lease did not start or finish after now, as far as clocks agree.
func (l *Lease) checkPast(now Time) error {
	if err := checkPast("started_at", l.StartedAt, now); err != nil {
		return Faultf(ErrLeaseInvalid, "%w", err)
	}
	if l.FinishedAt != nil {
		if err := checkPast("finished_at", *l.FinishedAt, now); err != nil {
			return Faultf(ErrLeaseInvalid, "%w", err)
		}
	}
	return nil
}

func checkPast(name string, t, now Time) error {
	if t > now+LeaseFutureToleranceSeconds*Second {
		return fmt.Errorf("%s must not be more than %d seconds ahead of the server's clock", name, LeaseFutureToleranceSeconds)
	}
	return nil
}

// normalizeBilled checks a lease that another server has billed by the given time, and computes a missing duration. It returns the same
// errors as normalize.
func (l *Lease) normalizeBilled(now Time) error {
	if err := l.checkPast(now); err != nil {
		return err
	}
	if err := l.checkFields(); err != nil {
		return err
	}
	if err := checkText("build_external_id", l.BuildExternalID, billedMaxText); err != nil {
		return Faultf(ErrLeaseInvalid, "%w", err)
	}
	return l.checkDuration(billedMaxDuration)
}

// checkFields checks each field independently of the others.
func (l *Lease) checkFields() error {
	if l.JobID == nil && l.ID == nil {
		return Faultf(ErrLeaseInvalid, "job_id or lease_id is required")
	}
	for i := range LeaseFields {
		f := &LeaseFields[i]
		if text, ok := f.Of(l).(**string); ok && f.MaxLength > 0 {
			if err := checkText(f.Name, *text, f.MaxLength); err != nil {
				return Faultf(ErrLeaseInvalid, "%w", err)
			}
		}
	}
	if err := checkLabels(l.Labels); err != nil {
		return Faultf(ErrLeaseInvalid, "%w", err)
	}
	if err := l.checkCounts(LeaseCPUCountRecordedMaximum, LeaseMemoryGBRecordedMaximum, LeaseDiskGBRecordedMaximum); err != nil {
		return err
	}
	if l.StartedAt < 0 || l.StartedAt > maxTime {
		return Faultf(ErrLeaseInvalid, "started_at must be in the years 1970 to 9999")
	}
	if l.FinishedAt != nil && *l.FinishedAt > maxTime {
		return Faultf(ErrLeaseInvalid, "finished_at must not be after the year 9999")
	}
	return nil
}

func (l *Lease) checkCounts(maxCPUs, maxMemoryGB, maxDiskGB int64) error {
	for _, count := range []struct {
		name                    string
		value, minimum, maximum int64
	}{
		{"cpu_count", l.CPUCount, LeaseCPUCountMinimum, maxCPUs}, {"memory_gb", l.MemoryGB, LeaseMemoryGBMinimum, maxMemoryGB},
		{"disk_gb", l.DiskGB, LeaseDiskGBMinimum, maxDiskGB},
	} {
		if count.value < count.minimum || count.value > count.maximum {
			return Faultf(ErrLeaseInvalid, "%s must be %d to %d", count.name, count.minimum, count.maximum)
		}
	}
	return nil
}

// checkDuration checks the finish and the duration. A missing duration becomes the number of whole seconds from start to finish.
func (l *Lease) checkDuration(maximum int64) error {
	if l.FinishedAt == nil {
		if l.DurationSeconds != nil {
			return Faultf(ErrLeaseInvalid, "duration_seconds is given, but finished_at is not")
		}
		return nil
	}
	if *l.FinishedAt < l.StartedAt {
		return Faultf(ErrLeaseInvalid, "finished_at must not be before started_at")
	}
	if l.DurationSeconds == nil {
		wholeSeconds := int64((*l.FinishedAt - l.StartedAt) / Second)
		l.DurationSeconds = &wholeSeconds
	}
	if *l.DurationSeconds < LeaseDurationSecondsMinimum || *l.DurationSeconds > maximum {
		return Faultf(ErrLeaseInvalid, "duration_seconds must be %d to %d", LeaseDurationSecondsMinimum, maximum)
	}
	return nil
}

// checkText checks a text of at most maxLength characters.
func checkText(name string, text *string, maxLength int) error {
	if text == nil {
		return nil
	}
	if utf8.RuneCountInString(*text) > maxLength {
		return fmt.Errorf("%s must have at most %d characters", name, maxLength)
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

// merge returns the stored lease with the values that a report about the same lease adds. A value that the report does not have stays
// unchanged, so that the report of a start does nothing if it arrives again after that of the finish. While the lease runs, a report may add
// unknown texts and ids; it may not change any other value, so that no report makes a lease cheaper. It fails with ErrLeaseConflict.
func (l Lease) merge(report Lease) (Lease, error) {
	running := l.FinishedAt == nil
	conflict := func(field string) error {
		if running {
			return Faultf(ErrLeaseConflict, "lease %s is running and was recorded with another value of %s", l.ID, field)
		}
		return Faultf(ErrLeaseConflict, "lease %s is billed and was recorded with another value of %s", l.ID, field)
	}
	for _, same := range []struct {
		field string
		same  bool
	}{
		{"started_at", l.StartedAt == report.StartedAt}, {"cpu_count", l.CPUCount == report.CPUCount},
		{"memory_gb", l.MemoryGB == report.MemoryGB}, {"disk_gb", l.DiskGB == report.DiskGB},
	} {
		if !same.same {
			return Lease{}, conflict(same.field)
		}
	}
	for i := range LeaseFields {
		if f := &LeaseFields[i]; f.Fill && !fillIn(f.Of(&l), f.Of(&report), running) {
			return Lease{}, conflict(f.Name)
		}
	}
	switch {
	case running:
		l.FinishedAt, l.DurationSeconds = report.FinishedAt, report.DurationSeconds
	case report.FinishedAt == nil:
	case *report.FinishedAt != *l.FinishedAt:
		return Lease{}, conflict("finished_at")
	case *report.DurationSeconds != *l.DurationSeconds:
		return Lease{}, conflict("duration_seconds")
	}
	return l, nil
}

// fillIn stores a reported value if none is stored and allowed is true. It reports whether stored and reported value agree then.
func fillIn(stored, reported any, allowed bool) bool {
	switch stored := stored.(type) {
	case **ID:
		return fillInValue(stored, *reported.(**ID), allowed) //nolint:errcheck // both are of the same field
	case **int64:
		return fillInValue(stored, *reported.(**int64), allowed) //nolint:errcheck // both are of the same field
	case **string:
		return fillInValue(stored, *reported.(**string), allowed) //nolint:errcheck // both are of the same field
	}
	panic(fmt.Sprintf("a %T cannot be filled in", stored))
}

func fillInValue[T comparable](stored **T, reported *T, allowed bool) bool {
	switch {
	case reported == nil:
		return true
	case *stored == nil && allowed:
		*stored = reported
		return true
	}
	return *stored != nil && **stored == *reported
}

// usage returns the usage of a billed lease, which is added to the sums of its day, hour and minute.
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

// Describe returns the description of the lease's debit. It names the job and the start of the lease, which a breakdown shows as well, so
// that the entry can be traced to its source.
func (l Lease) Describe() *string {
	what := "VM lease " + l.ID.String()
	if l.JobID != nil {
		what = "VM lease of job " + l.JobID.String()
	}
	text := what + " started " + l.StartedAt.String()
	return &text
}

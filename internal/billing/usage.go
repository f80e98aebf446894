package billing

import "cmp"

// Usage is a sum over finished leases.
type Usage struct {
	CPUSeconds      int64 // CPUs × seconds
	MemoryGBSeconds int64 // gigabytes of memory × seconds
	DiskGBSeconds   int64 // gigabytes of disk × seconds
	Cents           int64 // the billed amount; positive
}

func (u Usage) plus(v Usage) (sum Usage, err error) {
	for _, p := range []struct {
		a, b int64
		sum  *int64
	}{
		{u.CPUSeconds, v.CPUSeconds, &sum.CPUSeconds},
		{u.MemoryGBSeconds, v.MemoryGBSeconds, &sum.MemoryGBSeconds},
		{u.DiskGBSeconds, v.DiskGBSeconds, &sum.DiskGBSeconds},
		{u.Cents, v.Cents, &sum.Cents},
	} {
		if *p.sum, err = add(p.a, p.b); err != nil {
			return Usage{}, err
		}
	}
	return sum, nil
}

// Spans are the lengths of time over which usage is kept in sums, longest first. Each is a multiple of the next one.
var Spans = [...]Time{Day, Hour, Minute}

// Period is a span of time that starts at a multiple of its length.
type Period struct{ Span, Start Time }

// Compare orders periods by their length and then by their start.
func (p Period) Compare(other Period) int {
	return cmp.Or(cmp.Compare(p.Span, other.Span), cmp.Compare(p.Start, other.Start))
}

// PeriodUsage is the usage of the leases that started in a period.
type PeriodUsage struct {
	Period
	Usage
}

// DayUsage is the usage of the leases that started on one UTC day.
type DayUsage struct {
	Day Time // its midnight
	Usage
}

// BuildUsage sums the leases of one build in a window.
type BuildUsage struct {
	StartedAt  Time  // the earliest start
	FinishedAt *Time // the latest finish; nil when none has finished
	Cents      int64 // the sum of the leases' amounts; negative or 0
	Jobs       int64 // how many leases
}

// BreakdownRow is one lease of a breakdown, with the sums of the build that it belongs to.
type BreakdownRow struct {
	Build BuildUsage
	Lease Lease
}

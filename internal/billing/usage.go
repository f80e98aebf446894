package billing

import (
	"cmp"
	"math"
)

// Usage is a sum over finished leases. The counters of resources are statistics: one that would exceed MaxCounter stays at MaxCounter,
// so a full counter refuses no lease. Cents are money, and their overflow is an error.
type Usage struct {
	CPUSeconds      int64 // CPUs × seconds; at most MaxCounter
	MemoryGBSeconds int64 // gigabytes of memory × seconds; at most MaxCounter
	DiskGBSeconds   int64 // gigabytes of disk × seconds; at most MaxCounter
	Cents           int64 // the billed amount; positive
}

// MaxCounter is the largest value of a counter of resources. It stands for this much or more.
const MaxCounter = math.MaxInt64

// plus adds two sums. It fails where the cents overflow.
func (u Usage) plus(v Usage) (Usage, error) {
	cents, err := add(u.Cents, v.Cents)
	if err != nil {
		return Usage{}, err
	}
	return Usage{
		CPUSeconds:      addCounter(u.CPUSeconds, v.CPUSeconds),
		MemoryGBSeconds: addCounter(u.MemoryGBSeconds, v.MemoryGBSeconds),
		DiskGBSeconds:   addCounter(u.DiskGBSeconds, v.DiskGBSeconds),
		Cents:           cents,
	}, nil
}

// Add adds the usage of a billed lease. It fails where a sum of cents overflows.
func (u Usage) Add(l Lease) (Usage, error) {
	usage, err := l.usage()
	if err != nil {
		return Usage{}, err
	}
	return u.plus(usage)
}

// IsFull reports whether a counter is full, so that it is not known by how much it would exceed MaxCounter.
func (u Usage) IsFull() bool {
	return max(u.CPUSeconds, u.MemoryGBSeconds, u.DiskGBSeconds) == MaxCounter
}

// addCounter adds b to a counter, up to MaxCounter. A negative b takes back what is in the counter, which must not be full.
func addCounter(a, b int64) int64 {
	if b > 0 && a > MaxCounter-b {
		return MaxCounter
	}
	return a + b
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

package billing

import (
	"errors"
	"math"
	"math/bits"
)

var errOverflow = errors.New("a sum would leave the range of a 64-bit integer")

// add adds two int64 and fails on overflow.
func add(a, b int64) (int64, error) {
	sum := a + b
	if (sum > a) != (b > 0) {
		return 0, errOverflow
	}
	return sum, nil
}

// Rates are the prices of a lease, in micro-cents per unit and second.
type Rates struct {
	CPU      int64 // one CPU for one second
	MemoryGB int64 // one gigabyte of memory for one second
	DiskGB   int64 // one gigabyte of disk for one second
}

// StandardRates are the prices of Harmont.
var StandardRates = Rates{CPU: 10_000, MemoryGB: 5_000, DiskGB: 100}

const microCents = 1_000_000

// Cost returns the cost of a machine of the given shape for the given seconds, in cents, rounded down. Neither the shape nor the
// duration may be negative. It fails if the cost exceeds an int64, or the micro-cents of one second exceed an uint64.
func (r Rates) Cost(cpus, memoryGB, diskGB, seconds int64) (int64, error) {
	var perSecond uint64
	for _, part := range [...][2]int64{{cpus, r.CPU}, {memoryGB, r.MemoryGB}, {diskGB, r.DiskGB}} {
		high, low := bits.Mul64(uint64(part[0]), uint64(part[1]))
		sum, carry := bits.Add64(perSecond, low, 0)
		if high != 0 || carry != 0 {
			return 0, errOverflow
		}
		perSecond = sum
	}
	high, low := bits.Mul64(perSecond, uint64(seconds))
	if high >= microCents {
		return 0, errOverflow
	}
	cents, _ := bits.Div64(high, low, microCents)
	if cents > math.MaxInt64 {
		return 0, errOverflow
	}
	return int64(cents), nil
}

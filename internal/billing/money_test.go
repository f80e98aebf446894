package billing

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func TestCostExamples(t *testing.T) {
	for _, c := range []struct{ cpus, memory, disk, seconds, cents int64 }{
		{2, 4, 20, 0, 0},
		{2, 4, 20, 23, 0},
		{2, 4, 20, 24, 1},
		{2, 4, 20, 300, 12},
		{2, 4, 20, 3600, 151},
		{1, 1, 1, 1, 0},
		{LeaseCPUCountRecordedMaximum, LeaseMemoryGBRecordedMaximum, LeaseDiskGBRecordedMaximum, billedMaxDuration, 15_100_000_000_000_000},
	} {
		cents, err := StandardRates.Cost(c.cpus, c.memory, c.disk, c.seconds)
		if err != nil || cents != c.cents {
			t.Errorf("Cost(%d, %d, %d, %d) = %d, %v; want %d", c.cpus, c.memory, c.disk, c.seconds, cents, err, c.cents)
		}
	}
}

// edges are the numbers at which 32-, 53- and 64-bit arithmetic breaks.
var edges = []int64{
	0, 1, 2, 3, 999_999, 1_000_000, 1_000_001, math.MaxInt32, 1 << 32, 1<<53 - 1, 1 << 53, 1<<53 + 1, 1 << 62,
	math.MaxInt64 - 1, math.MaxInt64,
}

// number is one of the edges or any number, of any magnitude.
func number(r *rand.Rand) int64 {
	if r.IntN(3) == 0 {
		return edges[r.IntN(len(edges))]
	}
	return r.Int64() >> r.IntN(63)
}

func TestCostIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	overflows, costs := 0, 0
	for range 40_000 {
		rates := Rates{CPU: number(r), MemoryGB: number(r), DiskGB: number(r)}
		cpus, memory, disk, seconds := number(r), number(r), number(r), number(r)

		perSecond := new(big.Int)
		for _, part := range [][2]int64{{cpus, rates.CPU}, {memory, rates.MemoryGB}, {disk, rates.DiskGB}} {
			perSecond.Add(perSecond, new(big.Int).Mul(big.NewInt(part[0]), big.NewInt(part[1])))
		}
		want := new(big.Int).Mul(perSecond, big.NewInt(seconds))
		want.Quo(want, big.NewInt(1_000_000))

		got, err := rates.Cost(cpus, memory, disk, seconds)
		if !perSecond.IsUint64() || !want.IsInt64() {
			overflows++
			if err == nil {
				t.Fatalf("%+v.Cost(%d, %d, %d, %d) = %d; want an error, the cost is %s", rates, cpus, memory, disk, seconds, got, want)
			}
			continue
		}
		costs++
		if err != nil || got != want.Int64() {
			t.Fatalf("%+v.Cost(%d, %d, %d, %d) = %d, %v; want %s", rates, cpus, memory, disk, seconds, got, err, want)
		}
	}
	if overflows < 1000 || costs < 1000 {
		t.Fatalf("%d overflows and %d costs leave one of them hardly tested", overflows, costs)
	}
}

func TestCostAtTheEdgesOfItsRange(t *testing.T) {
	for _, c := range []struct {
		name    string
		rates   Rates
		cpus    int64
		seconds int64
		cents   int64
		fails   bool
	}{
		{"the largest", Rates{CPU: 1_000_000}, math.MaxInt64, 1, math.MaxInt64, true},
		{"the largest, a cent at a time", Rates{CPU: 1}, 1_000_000, math.MaxInt64, math.MaxInt64, false},
		{"one micro-cent more than the largest", Rates{CPU: 1, DiskGB: 1}, 1_000_000, math.MaxInt64, 0, true},
		{"beyond an uint64 before it is divided", Rates{CPU: 1 << 32}, 1 << 30, 1 << 20, 4_835_703_278_458_516_698, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cents, err := c.rates.Cost(c.cpus, 0, 1, c.seconds)
			if (err != nil) != c.fails || err == nil && cents != c.cents {
				t.Errorf("got %d, %v; want %d, failing %t", cents, err, c.cents, c.fails)
			}
		})
	}
}

func TestAdd(t *testing.T) {
	var numbers []int64
	for _, n := range edges {
		numbers = append(numbers, n, -n, -n-1)
	}
	for _, a := range numbers {
		for _, b := range numbers {
			want := new(big.Int).Add(big.NewInt(a), big.NewInt(b))
			got, err := add(a, b)
			if want.IsInt64() != (err == nil) || err == nil && got != want.Int64() {
				t.Errorf("add(%d, %d) = %d, %v; want %s", a, b, got, err, want)
			}
		}
	}
}

package store

import (
	"cmp"
	"errors"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/storetest"
)

var allTime = billing.Window{From: 0, To: 1 << 60}

// fillBuilds records 20 builds of one to four jobs, one of thirty, and seven leases without a build. Each lease starts an hour after the one
// before. It returns the ids of the builds, oldest first; the build of thirty is the first.
func fillBuilds(t *testing.T, s *Store, org billing.ID) (builds []billing.ID) {
	t.Helper()
	start := storetest.Lease().StartedAt
	var leases []billing.Lease
	add := func(build *billing.ID) {
		l := storetest.Lease()
		l.StartedAt = start
		l.FinishedAt, l.BuildID = new(start+300*billing.Second), build
		start += billing.Hour
		leases = append(leases, l)
	}
	for range 7 {
		add(nil)
	}
	for i, jobs := range append([]int{30}, slices.Repeat([]int{1, 2, 3, 4}, 5)...) {
		builds = append(builds, billing.NewID())
		for range jobs {
			add(&builds[i])
		}
	}
	storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), org, storetest.Record(leases...)))...))
	return builds
}

func collect(t *testing.T, rows iter.Seq2[*billing.BreakdownRow, error]) (all []*billing.BreakdownRow) {
	t.Helper()
	for row, err := range rows {
		storetest.Must(t, err)
		all = append(all, row)
	}
	return all
}

// A breakdown with a slow receiver holds no connection. It yields the builds that there were when it began, in their order, each with the
// jobs and sums of one moment.
func TestSlowReceiver(t *testing.T) {
	onEach(t, func(t *testing.T, database string) {
		s := open(t, database)
		s.parts, s.patience = partSize{leases: 4, builds: 2, listed: 3}, time.Millisecond
		org := storetest.CreateOrganization(t, s, "acme")
		builds := fillBuilds(t, s, org)
		want := collect(t, s.Breakdown(t.Context(), org, allTime))
		record := func(start billing.Time, build *billing.ID) {
			l := storetest.Lease()
			l.StartedAt, l.BuildID = start, build
			l.FinishedAt = new(start + 300*billing.Second)
			storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), org, storetest.Record(l)))...))
		}
		var got []*billing.BreakdownRow
		changed := builds[5]
		for row, err := range s.Breakdown(t.Context(), org, allTime) {
			storetest.Must(t, err)
			if got = append(got, row); len(got) != 1 {
				continue
			}
			storetest.Eventually(t, "the connection to be given back", func() bool { return len(s.turns) == 0 && s.listed.Load() > 0 })
			record(want[0].Build.StartedAt+billing.Day, new(billing.NewID())) // a new build
			record(want[0].Build.StartedAt, &changed)                         // a new job of a build that is to come
			record(1, &changed)                                               // one that would have made it an older build
			record(1, &builds[len(builds)-1])                                 // one of a build that was sent
		}
		var others, before []*billing.BreakdownRow
		for _, row := range got {
			if row.Lease.BuildID == nil || *row.Lease.BuildID != changed {
				others = append(others, row)
			} else if sums := (billing.BuildUsage{StartedAt: row.Build.StartedAt, FinishedAt: new(want[0].Build.StartedAt + 300*billing.Second), Jobs: 2, Cents: -24}); row.Build.Jobs != 2 || row.Build.Cents != sums.Cents || *row.Build.FinishedAt != *sums.FinishedAt {
				t.Errorf("the build with a new job has %+v, want %+v", row.Build, sums)
			}
		}
		for _, row := range want {
			if row.Lease.BuildID == nil || *row.Lease.BuildID != changed {
				before = append(before, row)
			}
		}
		if len(others) != len(got)-2 || !slices.EqualFunc(others, before, func(a, b *billing.BreakdownRow) bool {
			return *a.Lease.ID == *b.Lease.ID && a.Build.Jobs == b.Build.Jobs && a.Build.Cents == b.Build.Cents && a.Build.StartedAt == b.Build.StartedAt
		}) {
			t.Errorf("the other rows are %d of %d, and not those of before, %d", len(others), len(got), len(before))
		}
		if !slices.IsSortedFunc(got, func(a, b *billing.BreakdownRow) int { return cmp.Compare(b.Build.StartedAt, a.Build.StartedAt) }) {
			t.Error("the builds are not in their order")
		}
		if s.listed.Load() != 0 {
			t.Errorf("%d builds are still listed", s.listed.Load())
		}
	})
}

// A build that is longer than a part and changes after its sums were sent ends the breakdown with an error.
func TestSlowReceiverOfChangedBuild(t *testing.T) {
	onEach(t, func(t *testing.T, database string) {
		s := open(t, database)
		s.parts, s.patience = partSize{leases: 4, builds: 2, listed: 3}, time.Millisecond
		org := storetest.CreateOrganization(t, s, "acme")
		builds := fillBuilds(t, s, org)
		var last error
		rows := 0
		for row, err := range s.Breakdown(t.Context(), org, allTime) {
			if last = err; err != nil {
				break
			}
			rows++
			if row.Lease.BuildID != nil && *row.Lease.BuildID == builds[0] && row.Build.Jobs == 30 && row.Lease.StartedAt == row.Build.StartedAt {
				l := storetest.Lease()
				l.StartedAt, l.BuildID = row.Build.StartedAt+25*billing.Hour-1, &builds[0]
				l.FinishedAt = new(l.StartedAt + 24*billing.Hour)
				storetest.Eventually(t, "the connection to be given back", func() bool { return len(s.turns) == 0 })
				storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), org, storetest.Record(l)))...))
			}
		}
		if last == nil || !strings.Contains(last.Error(), "changed while") {
			t.Errorf("after %d rows the error is %v", rows, last)
		}
	})
}

// However many receivers are slow, there is a connection for a breakdown: one of those that wait gives its snapshot back.
func TestSlowReceiversGiveWay(t *testing.T) {
	onEach(t, func(t *testing.T, database string) {
		s := open(t, database)
		s.parts, s.patience = partSize{leases: 4, builds: 2, listed: 3}, time.Hour
		org := storetest.CreateOrganization(t, s, "acme")
		fillBuilds(t, s, org)
		want := len(collect(t, s.Breakdown(t.Context(), org, allTime)))
		for range cap(s.turns) + 3 {
			next, stop := iter.Pull2(s.Breakdown(t.Context(), org, allTime))
			t.Cleanup(stop)
			_, err, _ := next()
			storetest.Must(t, err)
		}
		if got := len(collect(t, s.Breakdown(t.Context(), org, allTime))); got != want {
			t.Errorf("a breakdown beside slow receivers has %d rows, want %d", got, want)
		}
	})
}

// Breakdowns with slow receivers do not keep SQLite from using its log again from the beginning.
func TestSlowReceiversLetTheLogBeReset(t *testing.T) {
	file := newFile(t)
	s := open(t, file)
	s.parts, s.patience = partSize{leases: 4, builds: 2, listed: 3}, time.Millisecond
	org := storetest.CreateOrganization(t, s, "acme")
	fillBuilds(t, s, org)
	for range 2 {
		next, stop := iter.Pull2(s.Breakdown(t.Context(), org, allTime))
		t.Cleanup(stop)
		_, err, _ := next()
		storetest.Must(t, err)
	}
	storetest.Eventually(t, "the connections to be given back", func() bool { return len(s.turns) == 0 })
	long := strings.Repeat("x", billing.LeaseVMHandleMaxLength)
	var sizes []int64
	for range 4 {
		leases := make([]billing.Lease, 500)
		for i := range leases {
			leases[i] = storetest.Lease()
			leases[i].JobName, leases[i].StepKey, leases[i].VMHandle, leases[i].PipelineName, leases[i].PipelineSlug = &long, &long, &long, &long, &long
		}
		storetest.Must(t, errors.Join(storetest.First(s.Write(t.Context(), org, storetest.Record(leases...)))...))
		info, err := os.Stat(file + "-wal")
		storetest.Must(t, err)
		sizes = append(sizes, info.Size())
	}
	if sizes[3] > sizes[0]*2 {
		t.Errorf("the log grows: %v", sizes)
	}
}

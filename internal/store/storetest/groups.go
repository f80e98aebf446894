package storetest

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/testlong"
)

var groupTests = []test{
	{"RandomWindows", testGroupsOfRandomWindows},
	{"Names", testGroupNames},
	{"ManyValues", testManyValues},
	{"Imported", testGroupsOfImportedLeases},
	{"Empty", testNoGroups},
}

// labelled makes up finished leases over some months, of a few pipelines, authors and teams. Some have none of these.
func labelled(r *rand.Rand, n int) []billing.Lease {
	pipelines := []billing.ID{billing.NewID(), billing.NewID(), billing.NewID()}
	leases := make([]billing.Lease, n)
	for i := range leases {
		start := someDay + billing.Time(r.Int64N(100))*billing.Day + billing.Time(r.Int64N(3)-1)*billing.Time(r.Int64N(int64(billing.Day)))
		l := running(start)
		if r.IntN(20) > 0 {
			l = finish(l, r.Int64N(20_000))
		}
		switch kind := r.IntN(6); kind {
		case 0: // no pipeline
		case 1:
			l.PipelineSlug = new("by-slug")
		case 2:
			l.PipelineName = new("By name")
		default:
			l.PipelineID, l.PipelineName = &pipelines[kind-3], new(fmt.Sprint("Pipeline ", kind))
		}
		if step := r.IntN(4); step > 0 {
			l.StepKey, l.JobName = new(fmt.Sprint("step-", step)), new(fmt.Sprint("Step ", step))
		}
		l.CPUCount = 1 << r.IntN(4)
		if author := r.IntN(5); author > 0 {
			l.Author = new(fmt.Sprint("author ", author))
		}
		if team := r.IntN(4); team > 0 {
			l.Labels = billing.FormatLabels(map[string]string{"team": fmt.Sprint("team ", team), "a.b/c-d": "x"})
		}
		leases[i] = l
	}
	return leases
}

// naiveValue is the value of a lease in a grouping, nil if it has none.
func naiveValue(by billing.Grouping, l *billing.Lease) *string {
	pipeline := cmp.Or(l.PipelineSlug, l.PipelineName)
	if l.PipelineID != nil {
		pipeline = new(l.PipelineID.String())
	}
	switch by {
	case "pipeline":
		return pipeline
	case "job":
		if l.StepKey == nil {
			return nil
		}
		if pipeline == nil {
			return new("/" + *l.StepKey)
		}
		return new(*pipeline + "/" + *l.StepKey)
	case "shape":
		return new(fmt.Sprintf("%d-%d-%d", l.CPUCount, l.MemoryGB, l.DiskGB))
	case "author":
		return l.Author
	case "label.":
	}
	labels, err := billing.ParseLabels(l.Labels)
	if value, ok := labels[string(by[len("label."):])]; ok && err == nil {
		return &value
	}
	return nil
}

// naiveGroups groups leases by looking at each of them.
func naiveGroups(leases []billing.Lease, q billing.GroupQuery) billing.Groups {
	all := map[string]*billing.Group{} // a group without a value has a key that no value has
	var starts []billing.Time
	if q.Interval != billing.IntervalNone {
		for day := q.Window.From.Floor(billing.Day); day < q.Window.To; day += billing.Day {
			at := day.Std()
			if first := at.AddDate(0, 0, 1-at.Day()); q.Interval == billing.IntervalMonth && !at.Equal(first) && len(starts) > 0 {
				continue
			} else if q.Interval == billing.IntervalMonth {
				at = first
			}
			starts = append(starts, billing.TimeOf(at))
		}
	}
	newGroup := func(value *string) *billing.Group {
		g := &billing.Group{Value: value}
		for _, start := range starts {
			g.Series = append(g.Series, billing.GroupBucket{Start: start})
		}
		return g
	}
	count := func(u *billing.GroupUsage, l *billing.Lease) {
		u.Leases++
		u.CPUSeconds += l.CPUCount * *l.DurationSeconds
		u.MemoryGBSeconds += l.MemoryGB * *l.DurationSeconds
		u.DiskGBSeconds += l.DiskGB * *l.DurationSeconds
		u.Cents -= *l.AmountCents
	}
	for i := range leases {
		l := &leases[i]
		if l.FinishedAt == nil || l.StartedAt < q.Window.From || l.StartedAt >= q.Window.To {
			continue
		}
		value := naiveValue(q.Grouping, l)
		key := "none"
		if value != nil {
			key = "value " + *value
		}
		if all[key] == nil {
			all[key] = newGroup(value)
		}
		count(&all[key].GroupUsage, l)
		for b := len(starts) - 1; b >= 0; b-- {
			if starts[b] <= l.StartedAt {
				count(&all[key].Series[b].GroupUsage, l)
				break
			}
		}
	}
	sorted := slices.SortedFunc(maps.Values(all), func(a, b *billing.Group) int {
		order := cmp.Or(cmp.Compare(b.Cents, a.Cents), cmp.Compare(b.CPUSeconds, a.CPUSeconds))
		switch {
		case order != 0:
			return order
		case a.Value == nil:
			return 1
		case b.Value == nil:
			return -1
		}
		return cmp.Compare(*a.Value, *b.Value)
	})
	groups := billing.Groups{Count: int64(len(sorted))}
	for i, g := range sorted {
		if i < q.Limit {
			groups.Listed = append(groups.Listed, *g)
			continue
		}
		if groups.Other == nil {
			groups.Other = newGroup(nil)
		}
		sum := func(into *billing.GroupUsage, u billing.GroupUsage) {
			into.Leases += u.Leases
			into.CPUSeconds += u.CPUSeconds
			into.MemoryGBSeconds += u.MemoryGBSeconds
			into.DiskGBSeconds += u.DiskGBSeconds
			into.Cents += u.Cents
		}
		sum(&groups.Other.GroupUsage, g.GroupUsage)
		for b := range g.Series {
			sum(&groups.Other.Series[b].GroupUsage, g.Series[b].GroupUsage)
		}
	}
	return groups
}

// withoutNames removes the names of groups, which naiveGroups does not know.
func withoutNames(g billing.Groups) billing.Groups {
	for i := range g.Listed {
		g.Listed[i].Name = nil
	}
	return g
}

// addUp adds groups up.
func addUp(g billing.Groups) (sum billing.Usage) {
	groups := g.Listed
	if g.Other != nil {
		groups = append(slices.Clone(groups), *g.Other)
	}
	for _, group := range groups {
		sum.CPUSeconds += group.CPUSeconds
		sum.MemoryGBSeconds += group.MemoryGBSeconds
		sum.DiskGBSeconds += group.DiskGBSeconds
		sum.Cents += group.Cents
	}
	return sum
}

// testGroupsOfRandomWindows compares groups with a loop over the leases, and their sum with the usage of the window. Of the leases, some
// two thirds are in the sums of groups, and the others are read from the ledger.
func testGroupsOfRandomWindows(s *suite) {
	r := rand.New(rand.NewPCG(31, 32))
	acme, globex := s.organization("acme"), s.organization("globex")
	for _, n := range []int{900, 400, 100} {
		s.record(acme, labelled(r, n)...)
		s.record(globex, labelled(r, n/10)...)
	}
	c, err := export(s.Context(), s.store)
	s.must(err)
	leases := c.Leases["acme"]
	groupings := []billing.Grouping{"pipeline", "job", "shape", "author", "label.team", "label.a.b/c-d", "label.unknown"}
	intervals := []billing.Interval{billing.IntervalNone, billing.IntervalNone, billing.IntervalDay, billing.IntervalMonth}
	moment := func() billing.Time {
		at := someDay + billing.Time(r.Int64N(120)-10)*billing.Day
		switch r.IntN(5) {
		case 0:
			return at
		case 1: // where a lease is the first or the last of the window
			return leases[r.IntN(len(leases))].StartedAt + billing.Time(r.IntN(2))
		case 2:
			at := at.Std()
			return billing.TimeOf(at.AddDate(0, 0, 1-at.Day()))
		case 3:
			return at + 22*billing.Hour
		}
		return at + billing.Time(r.Int64N(int64(billing.Day)))
	}
	for range testlong.Pick(100, 1000) {
		q := billing.GroupQuery{Grouping: groupings[r.IntN(len(groupings))], Interval: intervals[r.IntN(len(intervals))], Limit: 1 + r.IntN(8)}
		from, to := moment(), moment()
		q.Window = billing.Window{From: min(from, to), To: max(from, to) + 1}
		got, err := s.store.UsageByGroup(s.Context(), acme.ID, q)
		s.must(err)
		usage, err := s.store.Usage(s.Context(), acme.ID, q.Window)
		s.must(err)
		s.same(fmt.Sprintf("the sum of groups of %+v", q), usage, addUp(got))
		s.same(fmt.Sprintf("the groups of %+v", q), naiveGroups(leases, q), withoutNames(got))
		if s.Failed() {
			return
		}
	}
	s.audit()
}

// always is a query without a series.
func always(by billing.Grouping) billing.GroupQuery {
	return billing.GroupQuery{Grouping: by, Window: billing.Window{From: 0, To: endOfTime}, Interval: billing.IntervalNone, Limit: 100}
}

func (s *suite) groups(org billing.Organization, q billing.GroupQuery) billing.Groups {
	s.Helper()
	groups, err := s.store.UsageByGroup(s.Context(), org.ID, q)
	s.must(err)
	return groups
}

// A group has the name that its leases had last, and keeps it if later leases have none.
func testGroupNames(s *suite) {
	acme := s.organization("acme")
	id := billing.NewID()
	name := func() string {
		groups := s.groups(acme, always("pipeline"))
		if len(groups.Listed) != 1 {
			s.Fatalf("there are %d groups; want 1", len(groups.Listed))
		}
		return *groups.Listed[0].Name
	}
	for _, c := range []struct {
		slug, name *string
		want       string
	}{{nil, nil, id.String()}, {new("web"), new("Web"), "Web"}, {new("web"), nil, "Web"}, {nil, new("Website"), "Website"}} {
		l := finished(someDay, 60)
		l.PipelineID, l.PipelineSlug, l.PipelineName = &id, c.slug, c.name
		s.record(acme, l)
		s.same("the name of the pipeline", c.want, name())
	}
	l := finished(someDay, 60)
	l.PipelineID, l.PipelineName, l.JobName = &id, new("Website"), new("Build")
	s.record(acme, l)
	jobs := s.groups(acme, always("job"))
	s.same("the job", []string{id.String() + "/Build", "Website / Build"}, []string{*jobs.Listed[1].Value, *jobs.Listed[1].Name})
}

// Values of a label beyond a bound are summed in Other, and in no group, whether or not the leases are in the sums yet.
func testManyValues(s *suite) {
	acme := s.organization("acme")
	const bound, leases = 1000, 1100
	batch := make([]billing.Lease, 0, leases)
	for i := range leases {
		l := finished(someDay+billing.Time(i)*billing.Minute, 300)
		l.Labels = billing.FormatLabels(map[string]string{"commit": fmt.Sprintf("%04d", i), "team": "web"})
		batch = append(batch, l)
	}
	s.record(acme, batch[:1000]...)
	s.record(acme, batch[1000:]...)
	for _, window := range []billing.Window{{From: 0, To: endOfTime}, {From: someDay + 1, To: someDay + 1099*billing.Minute + 1}} {
		q := always("label.commit")
		q.Window = window
		groups := s.groups(acme, q)
		first := int64(0)
		if window.From > someDay {
			first = 1
		}
		s.same("the number of groups", bound-first, groups.Count)
		s.same("the leases in Other", int64(leases-bound)+bound-first-100, groups.Other.Leases)
		s.same("the groups listed", int64(1), groups.Listed[99].Leases)
	}
	teams := s.groups(acme, always("label.team"))
	s.same("the leases of the team", int64(leases), teams.Listed[0].Leases)
	s.audit()
}

// Leases that were imported as billed count from then on, though the entries that bill them follow later.
func testGroupsOfImportedLeases(s *suite) {
	acme := s.organization("acme")
	l := billedAs(finished(someDay, 300), -12)
	l.ID, l.Author = new(billing.NewID()), new("mara")
	s.write(acme, &billing.ImportLease{Lease: l})
	want := naiveGroups([]billing.Lease{l}, always("author"))
	s.same("the groups before the entry", want, withoutNames(s.groups(acme, always("author"))))
	s.write(acme, debitOf(l, someDay+billing.Hour))
	s.same("the groups after the entry", want, withoutNames(s.groups(acme, always("author"))))
}

func testNoGroups(s *suite) {
	acme := s.organization("acme")
	s.record(acme, running(someDay))
	q := always("pipeline")
	s.same("the groups of a running lease", billing.Groups{}, s.groups(acme, q))
	q.Window, q.Interval = billing.Window{From: someDay, To: someDay + billing.Day}, billing.IntervalDay
	s.same("the groups by day", billing.Groups{}, s.groups(acme, q))
	_, err := s.store.UsageByGroup(s.Context(), billing.NewID(), q)
	s.wantError("the groups of nobody", err, billing.ErrOrganizationNotFound)
}

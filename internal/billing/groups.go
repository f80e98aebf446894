package billing

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Grouping says what the leases of a group have in common: their pipeline, job, shape or author, or the value of a label.
type Grouping string

// The groupings. That of a label is GroupByLabel followed by the key.
const (
	GroupByPipeline Grouping = "pipeline"
	GroupByJob      Grouping = "job"
	GroupByShape    Grouping = "shape"
	GroupByAuthor   Grouping = "author"
	GroupByLabel    Grouping = "label."
)

// IsLabel reports whether the grouping is that of a label.
func (g Grouping) IsLabel() bool { return strings.HasPrefix(string(g), string(GroupByLabel)) }

// GroupValue is what the leases of a group have in common.
type GroupValue struct {
	Grouping Grouping
	Number   int64  // among the values of the grouping, from 1 on; 0 stands for all values that are not kept apart
	Value    string // which identifies the group
	Name     string // for people
}

// groupValues returns the values of a lease, without numbers. If the lease does not have a name for people, named is false in turn, and the
// Name is made of what it has.
func groupValues(l *Lease, take func(v GroupValue, named bool)) {
	pipeline, hasPipeline := firstOf(idText(l.PipelineID), l.PipelineSlug, l.PipelineName)
	pipelineName, _ := firstOf(l.PipelineName, l.PipelineSlug, &pipeline)
	if hasPipeline {
		take(GroupValue{Grouping: GroupByPipeline, Value: pipeline, Name: pipelineName}, l.PipelineName != nil)
	}
	if job, ok := firstOf(l.StepKey, l.JobName); ok {
		name, _ := firstOf(l.JobName, &job)
		if hasPipeline {
			name = pipelineName + " / " + name
		}
		take(GroupValue{Grouping: GroupByJob, Value: pipeline + "/" + job, Name: name}, l.JobName != nil && (!hasPipeline || l.PipelineName != nil))
	}
	shape := fmt.Sprintf("%d-%d-%d", l.CPUCount, l.MemoryGB, l.DiskGB)
	take(GroupValue{Grouping: GroupByShape, Value: shape, Name: shape}, true)
	if l.Author != nil {
		take(GroupValue{Grouping: GroupByAuthor, Value: *l.Author, Name: *l.Author}, true)
	}
	labels := labelsOf(l)
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		take(GroupValue{Grouping: GroupByLabel + Grouping(key), Value: labels[key], Name: labels[key]}, true)
	}
}

// firstOf returns the first text that is known.
func firstOf(texts ...*string) (string, bool) {
	for _, text := range texts {
		if text != nil {
			return *text, true
		}
	}
	return "", false
}

func idText(id *ID) *string {
	if id == nil {
		return nil
	}
	return new(id.String())
}

// How many values of an organization are kept apart. The contract names these numbers.
const (
	maxGroupValues = 10_000 // of pipelines, jobs, shapes and authors each, and of all labels together
	maxLabelValues = 1_000  // of one label
)

// GroupValues are the values of an organization that are kept apart. A value gets the next number of its grouping when the first lease with
// it is billed, and keeps it.
type GroupValues struct {
	byGrouping map[Grouping]map[string]*GroupValue
	labels     int // how many values all labels have
	changed    map[*GroupValue]bool
}

// NewGroupValues returns an empty set of values.
func NewGroupValues() *GroupValues {
	return &GroupValues{byGrouping: map[Grouping]map[string]*GroupValue{}, changed: map[*GroupValue]bool{}}
}

// Load adds a stored value.
func (s *GroupValues) Load(v GroupValue) {
	values := s.byGrouping[v.Grouping]
	if values == nil {
		values = map[string]*GroupValue{}
		s.byGrouping[v.Grouping] = values
	}
	values[v.Value] = &v
	if v.Grouping.IsLabel() {
		s.labels++
	}
}

// Of returns the values of a grouping.
func (s *GroupValues) Of(g Grouping) map[string]*GroupValue { return s.byGrouping[g] }

// Learn adds the values of a lease, as far as there is room, and renames those whose names have changed. Leases are learned in the order in
// which they were billed.
func (s *GroupValues) Learn(l *Lease) {
	groupValues(l, func(v GroupValue, named bool) {
		known := s.byGrouping[v.Grouping][v.Value]
		switch {
		case known == nil && s.hasRoom(v.Grouping):
			v.Number = int64(len(s.byGrouping[v.Grouping])) + 1
			s.Load(v)
			s.changed[s.byGrouping[v.Grouping][v.Value]] = true
		case known != nil && named && known.Name != v.Name:
			known.Name = v.Name
			s.changed[known] = true
		}
	})
}

func (s *GroupValues) hasRoom(g Grouping) bool {
	if g.IsLabel() {
		return len(s.byGrouping[g]) < maxLabelValues && s.labels < maxGroupValues
	}
	return len(s.byGrouping[g]) < maxGroupValues
}

// Changed returns the values that Learn has added or renamed, by grouping and number.
func (s *GroupValues) Changed() []GroupValue {
	list := make([]GroupValue, 0, len(s.changed))
	for v := range s.changed {
		list = append(list, *v)
	}
	slices.SortFunc(list, func(a, b GroupValue) int {
		return cmp.Or(cmp.Compare(a.Grouping, b.Grouping), cmp.Compare(a.Number, b.Number))
	})
	return list
}

// number returns the number of a value, 0 if it is not kept apart.
func (s *GroupValues) number(v GroupValue) int64 {
	if known := s.byGrouping[v.Grouping][v.Value]; known != nil {
		return known.Number
	}
	return 0
}

// GroupUsage is the usage of some finished leases, and their number.
type GroupUsage struct {
	Leases int64
	Usage
}

// plus fails where the cents overflow.
func (u GroupUsage) plus(v GroupUsage) (sum GroupUsage, err error) {
	sum.Leases = u.Leases + v.Leases
	sum.Usage, err = u.Usage.plus(v.Usage)
	return sum, err
}

// Negated returns what takes u back when it is added to a sum that has u and is not full.
func (u GroupUsage) Negated() GroupUsage {
	return GroupUsage{-u.Leases, Usage{-u.CPUSeconds, -u.MemoryGBSeconds, -u.DiskGBSeconds, -u.Cents}}
}

// minus subtracts a part of u. Of full counters it may leave too little, at least 0.
func (u GroupUsage) minus(part GroupUsage) GroupUsage {
	return GroupUsage{u.Leases - part.Leases, Usage{
		CPUSeconds:      max(0, u.CPUSeconds-part.CPUSeconds),
		MemoryGBSeconds: max(0, u.MemoryGBSeconds-part.MemoryGBSeconds),
		DiskGBSeconds:   max(0, u.DiskGBSeconds-part.DiskGBSeconds),
		Cents:           u.Cents - part.Cents,
	}}
}

// GroupSpan is a length of time over which the usage of groups is kept in sums.
type GroupSpan string

// The spans of sums. A month is one of the calendar, in UTC.
const (
	GroupDay   GroupSpan = "day"
	GroupMonth GroupSpan = "month"
)

// Floor returns the start of the span that t is in.
func (s GroupSpan) Floor(t Time) Time {
	if s == GroupDay {
		return t.Floor(Day)
	}
	at := t.Std()
	return TimeOf(time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC))
}

// Ceil returns the start of the first span that begins at t or later.
func (s GroupSpan) Ceil(t Time) Time {
	if s == GroupDay {
		return t.Ceil(Day)
	}
	if start := s.Floor(t); start < t {
		return TimeOf(start.Std().AddDate(0, 1, 0))
	}
	return t
}

// GroupPeriod is a group in a day or month.
type GroupPeriod struct {
	Grouping Grouping
	Span     GroupSpan
	Start    Time
	Number   int64 // of the value
}

// Compare orders periods by their fields.
func (p GroupPeriod) Compare(other GroupPeriod) int {
	return cmp.Or(cmp.Compare(p.Grouping, other.Grouping), cmp.Compare(p.Span, other.Span), cmp.Compare(p.Start, other.Start), cmp.Compare(p.Number, other.Number))
}

// GroupSum is the usage of the leases of a group that started in a period.
type GroupSum struct {
	GroupPeriod
	GroupUsage
}

// GroupSums are sums of periods. Leases without a value of a grouping are in no sum of it. They are the difference to the sums of the
// shapes, because every lease has a shape.
type GroupSums map[GroupPeriod]GroupUsage

// Add adds a billed lease to the sums of its day and month, under the numbers of its values. It fails where the cents overflow.
func (s GroupSums) Add(l *Lease, values *GroupValues) error {
	usage, err := l.usage()
	if err != nil {
		return err
	}
	groupValues(l, func(v GroupValue, _ bool) {
		for _, span := range [...]GroupSpan{GroupDay, GroupMonth} {
			period := GroupPeriod{v.Grouping, span, span.Floor(l.StartedAt), values.number(v)}
			sum, overflow := s[period].plus(GroupUsage{1, usage})
			if overflow != nil {
				err = overflow
			}
			s[period] = sum
		}
	})
	return err
}

// Interval says which parts of a window the groups have in their series.
type Interval string

// The intervals.
const (
	IntervalNone  Interval = "none"
	IntervalDay   Interval = "day"
	IntervalMonth Interval = "month"
)

// GroupQuery asks for the usage of a window by group.
type GroupQuery struct {
	Window   Window
	Grouping Grouping
	Interval Interval
	Limit    int // how many groups are listed
}

// maxDailyWindow bounds a window with an interval of days, and so the size of an answer.
const maxDailyWindow = 366 * Day

// ParseGroupQuery reads a query with values of the contract; nil is a parameter that was left out. It fails with ErrWindowInvalid.
func ParseGroupQuery(by, from, to string, interval *string, limit *int64) (q GroupQuery, err error) {
	q.Window, err = ParseWindow(from, to)
	q.Grouping, q.Interval = Grouping(by), IntervalNone
	if interval != nil {
		q.Interval = Interval(*interval)
	}
	q.Limit = clamp(limit, GetBillingUsageByLimitClampMinimum, GetBillingUsageByLimitClampMaximum, GetBillingUsageByLimitDefault)
	if err == nil && q.Interval == IntervalDay && q.Window.To-q.Window.From > maxDailyWindow {
		err = Faultf(ErrWindowInvalid, "the window must not be longer than %d days where the interval is day", maxDailyWindow/Day)
	}
	return q, err
}

// Groups is the usage of a window by group.
type Groups struct {
	Listed []Group // by descending cents
	Other  *Group  // the sum of the others, and of the leases whose values are not kept apart; nil if there are none
	Count  int64   // of all groups
}

// Group is the usage of a group. Value and Name are nil for leases without a value, and for the sum of the others.
type Group struct {
	Value, Name *string
	GroupUsage
	Series []GroupBucket
}

// GroupBucket is the usage of a group in one day or month of the window.
type GroupBucket struct {
	Start Time
	GroupUsage
}

// GroupParts calls take with usages that add up to the window: each belongs to the value with the number, and to the day of start. A negated
// one takes back what earlier ones have. The number AllLeases stands for all leases of the window. The first error of take ends it and is
// returned.
type GroupParts func(take TakePart) error

// TakePart takes a part of the usage; see GroupParts.
type TakePart func(number int64, start Time, u GroupUsage) error

// AllLeases is the number of no value.
const AllLeases = -1

// noValue is the number of the leases without a value.
const noValue = -2

// LeaseParts returns the parts of a lease.
func (q *GroupQuery) LeaseParts(l *Lease, values *GroupValues, take TakePart) error {
	usage, err := l.usage()
	if err != nil {
		return err
	}
	one := GroupUsage{1, usage}
	if err := take(AllLeases, l.StartedAt, one); err != nil {
		return err
	}
	groupValues(l, func(v GroupValue, _ bool) {
		if v.Grouping == q.Grouping && err == nil {
			err = take(values.number(v), l.StartedAt, one)
		}
	})
	return err
}

// GroupLeases groups billed leases, of which those that started in the window count. Leases with values are kept apart in their order.
func (q *GroupQuery) GroupLeases(leases []Lease) (Groups, error) {
	values := NewGroupValues()
	for i := range leases {
		values.Learn(&leases[i])
	}
	return q.Groups(values, func(take TakePart) error {
		for i := range leases {
			if at := leases[i].StartedAt; at < q.Window.From || at >= q.Window.To {
				continue
			}
			if err := q.LeaseParts(&leases[i], values, take); err != nil {
				return err
			}
		}
		return nil
	})
}

// Groups puts groups together. It reads the parts once for the totals, by which the groups are chosen, and once more for the series of the
// chosen groups, so that it holds the series of no others in memory. It fails where the cents overflow.
func (q *GroupQuery) Groups(values *GroupValues, parts GroupParts) (g Groups, err error) {
	totals, err := sumParts(parts, func(number int64, _ Time) int64 { return number })
	if err != nil {
		return g, err
	}
	// Leases without a value are in no part but AllLeases.
	rest := totals[AllLeases]
	delete(totals, AllLeases)
	for _, u := range totals {
		rest = rest.minus(u)
	}
	totals[noValue] = rest
	byNumber := map[int64]*GroupValue{noValue: {}}
	for _, v := range values.Of(q.Grouping) {
		byNumber[v.Number] = v
	}
	var numbers []int64
	var other GroupUsage
	for number, u := range totals {
		if byNumber[number] == nil {
			other, err = other.plus(u)
		} else if u.Leases > 0 {
			numbers = append(numbers, number)
		}
		if err != nil {
			return g, err
		}
	}
	slices.SortFunc(numbers, func(a, b int64) int {
		order := cmp.Or(cmp.Compare(totals[b].Cents, totals[a].Cents), cmp.Compare(totals[b].CPUSeconds, totals[a].CPUSeconds))
		if order != 0 || a == noValue || b == noValue {
			return cmp.Or(order, cmp.Compare(b, a)) // noValue is the lowest number
		}
		return cmp.Compare(byNumber[a].Value, byNumber[b].Value)
	})
	g.Count = int64(len(numbers))
	listed := numbers[:min(len(numbers), q.Limit)]
	for _, number := range numbers[len(listed):] {
		if other, err = other.plus(totals[number]); err != nil {
			return g, err
		}
	}
	for _, number := range listed {
		group := Group{GroupUsage: totals[number]}
		if number != noValue {
			group.Value, group.Name = &byNumber[number].Value, &byNumber[number].Name
		}
		g.Listed = append(g.Listed, group)
	}
	if other.Leases > 0 {
		g.Other = &Group{GroupUsage: other}
	}
	err = q.addSeries(&g, listed, parts)
	return g, err
}

// sumParts sums the parts by the key that a function gives to each.
func sumParts[K comparable](parts GroupParts, key func(number int64, start Time) K) (map[K]GroupUsage, error) {
	sums := map[K]GroupUsage{}
	return sums, parts(func(number int64, start Time, u GroupUsage) (err error) {
		k := key(number, start)
		sums[k], err = sums[k].plus(u)
		return err
	})
}

// addSeries adds the series of the groups, whose listed ones have the numbers.
func (q *GroupQuery) addSeries(g *Groups, numbers []int64, parts GroupParts) error {
	if q.Interval == IntervalNone {
		return nil
	}
	type bucket struct {
		number int64
		start  Time
	}
	const others = -3
	span := GroupSpan(q.Interval)
	sums, err := sumParts(parts, func(number int64, start Time) bucket {
		if number != AllLeases && !slices.Contains(numbers, number) {
			number = others
		}
		return bucket{number, span.Floor(start)}
	})
	if err != nil {
		return err
	}
	for start := span.Floor(q.Window.From); start < q.Window.To; start = span.Ceil(start + 1) {
		rest := sums[bucket{AllLeases, start}].minus(sums[bucket{others, start}])
		for _, number := range numbers {
			rest = rest.minus(sums[bucket{number, start}])
		}
		other := sums[bucket{others, start}]
		if slices.Contains(numbers, noValue) {
			sums[bucket{noValue, start}] = rest
		} else if other, err = other.plus(rest); err != nil {
			return err
		}
		for i, number := range numbers {
			g.Listed[i].Series = append(g.Listed[i].Series, GroupBucket{start, sums[bucket{number, start}]})
		}
		if g.Other != nil {
			g.Other.Series = append(g.Other.Series, GroupBucket{start, other})
		}
	}
	return nil
}

package audit

import (
	"fmt"
	"maps"
	"slices"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// groups are what is known of the sums of groups of one organization.
type groups struct {
	progress int64 // the entries up to this Seq are in the sums
	stored   []billing.GroupValue
	values   *billing.GroupValues // as they are stored
	learned  *billing.GroupValues // from the entries
	sums     billing.GroupSums    // of the month under way, as far as no row has them yet
}

func (a *auditor) Groups(values []billing.GroupValue, progress int64) error {
	a.groups = groups{
		progress: progress, stored: values, values: billing.NewGroupValues(), learned: billing.NewGroupValues(), sums: billing.GroupSums{},
	}
	for _, v := range values {
		a.groups.values.Load(v)
	}
	if a.head != nil && progress > a.head.Seq {
		a.off("usage_progress: seq %d is beyond the newest entry, %d", progress, a.head.Seq)
	}
	return nil
}

// countInGroups adds a billed lease, whose entry has the seq, to the sums of its groups.
func (a *auditor) countInGroups(l *billing.Lease, seq int64) {
	if seq == 0 || seq > a.groups.progress {
		return
	}
	if err := a.groups.sums.Add(l, a.groups.values); err != nil {
		a.off("leases, lease_id %s: %v", l.ID, err)
	}
}

func (a *auditor) GroupSum(stored billing.GroupSum) error {
	period := stored.GroupPeriod
	switch want, ok := a.groups.sums[period]; {
	case !ok:
		a.off("usage_groups, %s: no lease of these was billed", groupRow(period))
	case want != stored.GroupUsage:
		a.off("usage_groups, %s: it has %d leases and %s, its leases are %d and add up to %s", groupRow(period),
			stored.Leases, sumsOf(stored.Usage), want.Leases, sumsOf(want.Usage))
	}
	delete(a.groups.sums, period)
	return nil
}

func (a *auditor) EndOfMonth() error {
	for _, period := range slices.SortedFunc(maps.Keys(a.groups.sums), billing.GroupPeriod.Compare) {
		a.off("usage_groups, %s: it is missing, its leases add up to %s", groupRow(period), sumsOf(a.groups.sums[period].Usage))
	}
	clear(a.groups.sums)
	return nil
}

func groupRow(p billing.GroupPeriod) string {
	return fmt.Sprintf("%s %d, %s of %s", p.Grouping, p.Number, p.Span, p.Start)
}

// compareValues compares the stored values with those of the entries.
func (a *auditor) compareValues() {
	if a.groups.learned == nil {
		return
	}
	stored := map[billing.GroupValue]bool{}
	for _, v := range a.groups.stored {
		stored[v] = true
	}
	for _, v := range a.groups.learned.Changed() {
		if !stored[v] {
			a.off("usage_values, %s %d: %q named %q is missing", v.Grouping, v.Number, v.Value, v.Name)
		}
		delete(stored, v)
	}
	for _, v := range a.groups.stored {
		if stored[v] {
			a.off("usage_values, %s %d: %q named %q is not what the leases have", v.Grouping, v.Number, v.Value, v.Name)
		}
	}
}

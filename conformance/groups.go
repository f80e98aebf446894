package conformance

import (
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// The rules about usage in groups. A server may lack this call; the rules are skipped then.

// groupSums are the usage of a group, or of a part of it.
type groupSums struct {
	LeaseCount int64 `json:"lease_count"`
	sums
}

type group struct {
	Value *string `json:"value"`
	Name  *string `json:"name"`
	groupSums
	Series []struct {
		Date string `json:"date"`
		groupSums
	} `json:"series"`
}

type groupsAnswer struct {
	Data       []group `json:"data"`
	Other      *group  `json:"other"`
	GroupCount int64   `json:"group_count"`
}

// all returns the groups and the others.
func (g *groupsAnswer) all() []group {
	if g.Other == nil {
		return g.Data
	}
	return append(slices.Clone(g.Data), *g.Other)
}

func (a *account) usageBy(w window, by, more string) call {
	return call{path: "/billing/usage/" + url.PathEscape(a.slug) + "/by", query: w.query() + "&by=" + url.QueryEscape(by) + more}
}

// groups asks for the usage of a window in groups.
func (a *account) groups(w window, by, more string) (x *exchange, answer groupsAnswer, err error) {
	x, err = a.expectOKIfOffered(a.usageBy(w, by, more), &answer)
	return x, answer, err
}

var groupings = []string{"pipeline", "job", "shape", "author", "label.team"}

// groupsSum compares the sum of all groups with the usage, with every grouping and with a limit.
func groupsSum(a *account) error {
	w := a.longestWindow()
	for _, by := range groupings {
		for _, more := range []string{"", "&limit=1", "&limit=100&interval=month"} {
			err := a.compareWithUsage(w, true, true, func() (*exchange, *total, error) {
				x, answer, err := a.groups(w, by, more)
				sum := new(total)
				for _, g := range answer.all() {
					sum.add(g.sums)
				}
				return x, sum, err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// groupsOfJobs compares the shapes of a traced window with its jobs. Leases of the window may have finished since it was traced.
func groupsOfJobs(a *account) error {
	t, err := a.trace()
	if err != nil {
		return err
	}
	x, answer, err := a.groups(t.window, "shape", "&limit=100")
	if err != nil {
		return err
	}
	cents := map[string]int64{}
	for _, g := range answer.Data {
		if g.Value == nil {
			return breachf(x, "there is a group without a shape")
		}
		cents[*g.Value] = g.TotalCents
	}
	want := map[string]*big.Int{}
	for _, j := range t.jobs() {
		shape := fmt.Sprintf("%d-%d-%d", j.CPUCount, j.MemoryGB, j.DiskGB)
		if want[shape] == nil {
			want[shape] = new(big.Int)
		}
		want[shape].Sub(want[shape], big.NewInt(j.AmountCents))
	}
	for shape, sum := range want {
		if answer.Other == nil && sum.Cmp(big.NewInt(cents[shape])) > 0 {
			return breachf(x, "the group %s has %d cents, and the jobs of the breakdown %v", shape, cents[shape], sum)
		}
	}
	return nil
}

// groupsOrder checks the order of groups, and that limit cuts it off.
func groupsOrder(a *account) error {
	for _, by := range groupings {
		x, answer, err := a.groups(a.longestWindow(), by, "")
		if err != nil {
			return err
		}
		seen := map[string]bool{}
		for i, g := range answer.Data {
			key := "none"
			if g.Value != nil {
				key = "value " + *g.Value
			}
			switch {
			case seen[key]:
				return breachf(x, "the value %q comes twice", key)
			case (g.Value == nil) != (g.Name == nil):
				return breachf(x, "the group %d has only one of value and name", i)
			case i > 0 && g.TotalCents > answer.Data[i-1].TotalCents:
				return breachf(x, "the group %d cost more than the one before it", i)
			}
			seen[key] = true
		}
		x, first, err := a.groups(a.longestWindow(), by, "&limit=1")
		switch {
		case err != nil:
			return err
		case len(first.Data) > 1 || first.GroupCount < int64(len(answer.Data)):
			return breachf(x, "with limit=1, it lists %d of %d groups; there are %d", len(first.Data), first.GroupCount, len(answer.Data))
		case first.GroupCount > 1 && first.Other == nil:
			return breachf(x, "there are %d groups, and other is null", first.GroupCount)
		}
	}
	return nil
}

// groupsSeries checks that a series has each day or month of the window, and adds up to its group.
func groupsSeries(a *account) error {
	to := midnight(time.Now()).Add(36 * time.Hour)
	w := window{to.AddDate(0, -2, 0), to}
	for _, interval := range []string{"day", "month"} {
		var dates []string
		for at := midnight(w.from); at.Before(w.to); at = at.AddDate(0, 0, 1) {
			date := at.Format(time.DateOnly)
			if interval == "month" {
				date = date[:len("2026-06")] + "-01"
			}
			dates = append(dates, date)
		}
		dates = slices.Compact(dates)
		x, answer, err := a.groups(w, "shape", "&interval="+interval)
		if err != nil {
			return err
		}
		for i, g := range answer.all() {
			var sum total
			var leases int64
			var got []string
			for _, b := range g.Series {
				sum.add(b.sums)
				leases += b.LeaseCount
				got = append(got, b.Date)
			}
			if !slices.Equal(got, dates) {
				return breachf(x, "the series of group %d has the dates %v, not %v", i, got, dates)
			}
			if err := sum.checkBetween(g.sums, g.sums, true, true); err != nil || leases != g.LeaseCount {
				return breachf(x, "the series of group %d has %d leases of %d: %v", i, leases, g.LeaseCount, err)
			}
		}
	}
	return nil
}

// groupsInvalid checks what is refused.
func groupsInvalid(a *account) error {
	w := a.longestWindow()
	if _, _, err := a.groups(w, "shape", ""); err != nil { // skips the rule where the call is missing
		return err
	}
	year := window{w.to.Add(-366 * day), w.to}
	for _, c := range []struct {
		call call
		code string
	}{
		{a.usageBy(w, "", ""), "usage_group_invalid"},
		{a.usageBy(w, "colour", ""), "usage_group_invalid"},
		{a.usageBy(w, "label.", ""), "usage_group_invalid"},
		{a.usageBy(w, "label.a b", ""), "usage_group_invalid"},
		{a.usageBy(w, "shape", "&interval=hour"), "usage_group_invalid"},
		{a.usageBy(w, "shape", "&limit=ten"), "limit_invalid"},
		{a.usageBy(window{w.to, w.from}, "shape", ""), "billing_usage_window_invalid"},
		{a.usageBy(window{year.from.Add(-time.Microsecond), year.to}, "shape", "&interval=day"), "billing_usage_window_invalid"},
	} {
		if err := a.expectErrors(http.StatusUnprocessableEntity, c.code, c.call); err != nil {
			return err
		}
	}
	x, answer, err := a.groups(year, "shape", "&interval=day&limit="+strconv.Itoa(1000))
	if err == nil && len(answer.Data) > 100 {
		err = breachf(x, "it lists %d groups", len(answer.Data))
	}
	return err
}

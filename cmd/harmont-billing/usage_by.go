package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/internal/billing"
)

const (
	shapeGroup = "shape"
	labelGroup = "label." // begins the name of the groups by a label
)

// usageGroups are the values of 'usage --by'. The key of a label follows the last one.
var usageGroups = []string{"pipeline", "job", shapeGroup, "author", labelGroup}

// groupFlag adds --by, which takes one of the words, or the last of them with the key of a label.
func groupFlag(cmd *cobra.Command, by *string, usage string, words []string) {
	choices := strings.Join(words[:len(words)-1], ", ") + " or label.KEY"
	cmd.Flags().Func("by", fmt.Sprintf(usage, choices), parseInto(by, func(text string) (string, error) {
		key, labelled := strings.CutPrefix(text, labelGroup)
		switch {
		case labelled:
			if err := billing.CheckLabelKey(key); err != nil {
				return "", fmt.Errorf("must be %s, such as label.team: %w", choices, err)
			}
		case !slices.Contains(words, text):
			return "", errors.New("must be " + choices + ", such as label.team")
		}
		return text, nil
	}))
	if err := cmd.RegisterFlagCompletionFunc("by", cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is there
	}
}

// groupTitle is the title of the column of the groups.
func groupTitle(by string) string {
	if key, labelled := strings.CutPrefix(by, labelGroup); labelled {
		return key
	}
	if by == shapeGroup {
		return "CPUxMEMxDISK"
	}
	return strings.ToUpper(by)
}

// groupName names a group for people.
func groupName(by string, name *string) string {
	if name == nil {
		return "(no " + strings.TrimPrefix(by, labelGroup) + ")"
	}
	if by == shapeGroup {
		return strings.ReplaceAll(*name, "-", "x") // as machine writes it
	}
	return *name
}

// groupsQuestion is what 'usage --by' asks.
type groupsQuestion struct {
	by      string
	options client.UsageByOptions
}

// ask asks, and writes the answer.
func (g groupsQuestion) ask(ctx context.Context, q *question, window client.Window) error {
	answer, err := q.GetBillingUsageBy(ctx, q.org, window, g.by, g.options)
	if err != nil {
		return err
	}
	switch q.out.format {
	case formatJSON:
		return q.json(false)
	case formatNDJSON:
		return g.ndjson(q)
	case formatCSV:
		return q.out.csv(g.records(answer)...)
	}
	if key, labelled := strings.CutPrefix(g.by, labelGroup); labelled && !hasValue(answer) {
		q.note("no billed lease of the window has the label " + key)
	}
	return g.table(q.out, answer)
}

// hasValue tells whether any group has a value. One without is that of the leases which have none.
func hasValue(answer *client.UsageByResponse) bool {
	return answer.Other != nil || slices.ContainsFunc(answer.Data, func(g client.UsageGroup) bool { return g.Value != nil })
}

// ndjson writes a line for each group, and one for the others, which only their key tells from the group without a value.
func (g groupsQuestion) ndjson(q *question) error {
	if err := q.json(true); err != nil {
		return err
	}
	var answer struct {
		Other json.RawMessage `json:"other"`
	}
	if err := json.Unmarshal(q.answer.body.Bytes(), &answer); err != nil || string(answer.Other) == "null" {
		return err
	}
	return q.out.jsonOf(answer)
}

// records have the usage of each group, or of each of its days or months.
func (g groupsQuestion) records(answer *client.UsageByResponse) [][]string {
	records := [][]string{{"kind", "value", "name", "date", "lease_count", "cpu_seconds", "memory_gb_seconds", "disk_gb_seconds", "total_cents"}}
	add := func(kind string, group *client.UsageGroup) {
		begin := []string{kind, orEmptyText(group.Value), orEmptyText(group.Name)}
		if g.options.Interval == "" {
			records = append(records, append(begin, "", number(group.LeaseCount), number(group.CPUSeconds), number(group.MemoryGBSeconds),
				number(group.DiskGBSeconds), number(group.TotalCents)))
		}
		for _, b := range group.Series {
			records = append(records, append(slices.Clone(begin), b.Date.String(), number(b.LeaseCount), number(b.CPUSeconds), number(b.MemoryGBSeconds),
				number(b.DiskGBSeconds), number(b.TotalCents)))
		}
	}
	for i := range answer.Data {
		add("group", &answer.Data[i])
	}
	if answer.Other != nil {
		add("other", answer.Other)
	}
	return records
}

// table writes a row for each group, and below it one for each day or month with leases.
func (g groupsQuestion) table(out *output, answer *client.UsageByResponse) error {
	groups := answer.Data
	if answer.Other != nil {
		groups = append(slices.Clone(groups), *answer.Other)
	}
	var total client.UsageGroup
	for _, group := range groups {
		var err error
		if total.TotalCents, err = add(total.TotalCents, group.TotalCents); err != nil {
			return err
		}
		total.LeaseCount += group.LeaseCount
		total.CPUSeconds += min(group.CPUSeconds, math.MaxInt64-total.CPUSeconds)
	}
	var rows []row
	for i, group := range groups {
		name := groupName(g.by, group.Name)
		if i == len(answer.Data) {
			name = "OTHER"
			if more := answer.GroupCount - int64(i); more > 0 {
				name += ": " + count(more, "group", "groups")
			}
		}
		whole := groupRow(group.LeaseCount, group.CPUSeconds, group.TotalCents, share(group.TotalCents, total.TotalCents), name)
		if g.options.Interval != "" {
			whole.style = bold
		}
		rows = append(rows, whole)
		for _, b := range group.Series {
			if b.LeaseCount > 0 {
				rows = append(rows, groupRow(b.LeaseCount, b.CPUSeconds, b.TotalCents, "", "  "+b.Date.Format(g.dateLayout())))
			}
		}
	}
	last := groupRow(total.LeaseCount, total.CPUSeconds, total.TotalCents, share(total.TotalCents, total.TotalCents), "TOTAL")
	last.style = bold
	newTable(out, column{title: "LEASES", right: true}, column{title: "CPU HOURS", right: true}, column{title: "COST", right: true},
		column{title: "SHARE", right: true}, column{title: groupTitle(g.by)}).writeRows(append(rows, last))
	return nil
}

// dateLayout is how the table writes the day or month of a bucket.
func (g groupsQuestion) dateLayout() string {
	if g.options.Interval == client.IntervalMonth {
		return "2006-01"
	}
	return time.DateOnly
}

func groupRow(leases, cpuSeconds, cents int64, share, name string) row {
	return row{cells: []string{grouped(leases), hours(cpuSeconds), money(cents), share, name}}
}

// hours writes seconds, 0 or more, as hours to the nearest tenth.
func hours(seconds int64) string {
	tenths := (uint64(seconds) + 180) / 360
	return thousands(fmt.Sprintf("%d.%d", tenths/10, tenths%10))
}

// share is a part in percent of a whole. There is none of nothing.
func share(part, whole int64) string {
	if whole == 0 {
		return ""
	}
	return percent(part, whole)
}

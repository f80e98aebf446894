package main

import (
	"context"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strings"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
)

func usageCommand() *cobra.Command {
	var compared bool
	var groups groupsQuestion
	var per *string
	var cmd *cobra.Command
	cmd = windowCommand(&cobra.Command{
		Use:   "usage [ORG]",
		Short: "Sum an organization's usage of a window of time",
		Long: `Shows what the leases that started in the window used, a count of each resource
times seconds, and what was billed for them. A lease that is still running adds
nothing.

With --compare it also shows the period before and the change since then. The
period before ends where the window begins. It is the calendar month before for
--month, as many days for --last 30d, and else as long as the window. A window
that is not over is compared with the same part of the period before: on the
15th of a month at noon, with the month before up to its 15th at noon, in the
time zone of --tz.

With --by it shows what each pipeline, job, shape of machines, author or value
of a label has cost, the most expensive first. The groups beyond --limit are
summed in the line OTHER, so that all lines add up to the usage of the window.
With --per it also shows the UTC days or months of each group; the table leaves
those without leases out. The CSV has a column kind, which is group or other,
and in ndjson the others are an object under the key other.

` + windowHelp,
		Example: `  harmont-billing usage acme --month last
  harmont-billing usage acme --month this --compare
  harmont-billing usage acme --last 7d --by pipeline
  harmont-billing usage acme --month last --by label.team --per day -o csv
  harmont-billing usage acme --from 2026-06-01 --to 2026-07-01 -o json`,
	}, func(ctx context.Context, q *question, w window) error {
		given := cmd.Flags().Changed
		switch {
		case given("by") && compared:
			return usagef("--by goes without --compare")
		case given("by"):
			groups.options.Interval = client.Interval(*per)
			return groups.ask(ctx, q, w.Window)
		case given("limit"):
			return usagef("--limit goes with --by")
		case given("per"):
			return usagef("--per goes with --by")
		case compared && w.toCome:
			return usagef("--compare needs a window that has begun, and this one begins at %s", zoned(w.From, w.zone))
		}
		usage, err := q.GetBillingUsage(ctx, q.org, w.Window)
		if err != nil {
			return err
		}
		if compared {
			before, err := q.GetBillingUsage(ctx, q.org, w.before)
			if err != nil {
				return err
			}
			c := comparison{newUsageOf(w.before, before), newUsageOf(w.Window, usage)}
			if err := c.write(q.out); err != nil {
				return err
			}
			if q.out.format == formatTable {
				q.out.text(w.against())
			}
			return nil
		}
		switch q.out.format {
		case formatJSON, formatNDJSON:
			return q.json(false)
		case formatCSV:
			return q.out.csv([]string{"cpu_seconds", "memory_gb_seconds", "disk_gb_seconds", "total_cents"},
				[]string{number(usage.CPUSeconds), number(usage.MemoryGBSeconds), number(usage.DiskGBSeconds), number(usage.TotalCents)})
		}
		newTable(q.out, usageColumns...).write([][]string{usageCells(*usage)})
		return nil
	})
	cmd.Flags().BoolVar(&compared, "compare", false, "compare with the period before")
	groupFlag(cmd, &groups.by, "sum by `WHAT`: %s", usageGroups)
	cmd.Flags().Func("limit", fmt.Sprintf("list `N` groups, 1 to %d (default %d)", maxPage, defaultLimit), func(text string) error {
		limit, err := parsePageSize(text)
		groups.options.Limit = int(limit)
		return err
	})
	per = choiceFlag(cmd, "per", "", "", "show also each UTC day or month of a group", string(client.IntervalDay), string(client.IntervalMonth))
	noFileCompletion(cmd, "limit")
	return cmd
}

// comparison is the usage of a window and of the period before, or of the same part of it.
type comparison struct {
	Before usageOf `json:"before"`
	Window usageOf `json:"window"`
}

type usageOf struct {
	From            string `json:"from"`
	To              string `json:"to"`
	CPUSeconds      int64  `json:"cpu_seconds"`
	MemoryGBSeconds int64  `json:"memory_gb_seconds"`
	DiskGBSeconds   int64  `json:"disk_gb_seconds"`
	TotalCents      int64  `json:"total_cents"`

	window client.Window
}

func newUsageOf(w client.Window, u *client.UsageResponse) usageOf {
	return usageOf{timestamp(w.From), timestamp(w.To), u.CPUSeconds, u.MemoryGBSeconds, u.DiskGBSeconds, u.TotalCents, w}
}

func (c comparison) write(out *output) error {
	switch out.format {
	case formatJSON, formatNDJSON:
		return out.jsonOf(c)
	case formatCSV:
		records := [][]string{{"from", "to", "cpu_seconds", "memory_gb_seconds", "disk_gb_seconds", "total_cents"}}
		for _, u := range []usageOf{c.Before, c.Window} {
			records = append(records, []string{u.From, u.To, number(u.CPUSeconds), number(u.MemoryGBSeconds), number(u.DiskGBSeconds), number(u.TotalCents)})
		}
		return out.csv(records...)
	}
	rows := [][]string{
		{"FROM (UTC)", toSecond(c.Before.window.From), toSecond(c.Window.window.From)},
		{"TO (UTC)", toSecond(c.Before.window.To), toSecond(c.Window.window.To)},
	}
	for _, line := range []struct {
		title          string
		before, window int64
		text           func(int64) string
	}{
		{"CPU SEC", c.Before.CPUSeconds, c.Window.CPUSeconds, grouped},
		{"MEM GB SEC", c.Before.MemoryGBSeconds, c.Window.MemoryGBSeconds, grouped},
		{"DISK GB SEC", c.Before.DiskGBSeconds, c.Window.DiskGBSeconds, grouped},
		{"COST", c.Before.TotalCents, c.Window.TotalCents, money},
	} {
		change, relative, err := changeOf(line.before, line.window, line.text)
		if err != nil {
			return err
		}
		rows = append(rows, []string{line.title, line.text(line.before), line.text(line.window), change, relative})
	}
	newTable(out, column{title: ""}, column{title: "BEFORE", right: true}, column{title: "WINDOW", right: true}, column{title: "CHANGE", right: true},
		column{title: "", right: true}).write(rows)
	return nil
}

// changeOf writes the difference, and what it is in percent of the number before, to the nearest tenth. Of zero there is no percentage.
func changeOf(before, after int64, text func(int64) string) (change, relative string, err error) {
	difference, err := add(after, -before)
	if err != nil {
		return "", "", err
	}
	sign := ""
	if difference > 0 {
		sign = "+"
	}
	if before > 0 {
		relative = sign + percent(difference, before)
	}
	return sign + text(difference), relative, nil
}

// percent writes a part in percent of a whole, which is not 0, to the nearest tenth.
func percent(part, whole int64) string {
	hundredfold := new(big.Int).Mul(big.NewInt(part), big.NewInt(100))
	return thousands(new(big.Rat).SetFrac(hundredfold, big.NewInt(whole)).FloatString(1)) + "%"
}

var usageColumns = []column{
	{title: "CPU SEC", right: true}, {title: "MEM GB SEC", right: true}, {title: "DISK GB SEC", right: true}, {title: "COST", right: true},
}

func usageCells(u client.UsageResponse) []string {
	return []string{grouped(u.CPUSeconds), grouped(u.MemoryGBSeconds), grouped(u.DiskGBSeconds), money(u.TotalCents)}
}

func seriesCommand() *cobra.Command {
	return windowCommand(&cobra.Command{
		Use:   "series [ORG]",
		Short: "Sum an organization's usage per day",
		Long: `Shows the sums of 'harmont-billing usage' for each UTC day, from the day on
which the window starts to the day on which it ends. Those two count only as far
as the window reaches; a window that ends at midnight has nothing of the last,
which the table leaves out. On a terminal a bar shows the cost of the day.

` + windowHelp,
		Example: `  harmont-billing series acme --last 30d
  harmont-billing series acme --from 2026-06-01 --to 2026-07-01 -o csv`,
	}, func(ctx context.Context, q *question, w window) error {
		series, err := q.GetBillingUsageSeries(ctx, q.org, w.Window)
		if err != nil {
			return err
		}
		switch q.out.format {
		case formatJSON, formatNDJSON:
			return q.json(true)
		case formatCSV:
			records := [][]string{{"date", "cpu_seconds", "memory_gb_seconds", "disk_gb_seconds", "total_cents"}}
			for _, d := range series.Data {
				records = append(records, []string{
					d.Date.String(), number(d.CPUSeconds), number(d.MemoryGBSeconds), number(d.DiskGBSeconds), number(d.TotalCents),
				})
			}
			return q.out.csv(records...)
		}
		days := series.Data
		if last := len(days) - 1; last > 0 && days[last].Date.Equal(w.To) {
			days = days[:last]
		}
		return seriesTable(q.out, days)
	})
}

// seriesTable writes a row for each day, and on a terminal a bar for its cost beside it.
func seriesTable(out *output, days []client.UsageSeriesBucket) error {
	out.newestLast = true
	t := newTable(out, append(append([]column{{title: "DATE (UTC)"}}, usageColumns...), column{style: always(cyan)})...)
	var rows []row
	var total client.UsageResponse
	var most int64
	for _, d := range days {
		day := client.UsageResponse{
			CPUSeconds: d.CPUSeconds, MemoryGBSeconds: d.MemoryGBSeconds, DiskGBSeconds: d.DiskGBSeconds, TotalCents: d.TotalCents,
		}
		rows = append(rows, row{cells: append(append([]string{d.Date.String()}, usageCells(day)...), "")})
		if err := addUsage(&total, day); err != nil {
			return err
		}
		most = max(most, day.TotalCents)
	}
	rows = append(rows, row{append(append([]string{"TOTAL"}, usageCells(total)...), ""), bold})
	t.measure(rows)
	if out.terminal {
		room := t.room()
		for i, d := range days {
			cells := rows[i].cells
			cells[len(cells)-1] = bar(d.TotalCents, most, room)
		}
	}
	t.writeRows(rows)
	return nil
}

// bar draws a part of a whole as a line of at most the given number of cells, exact to an eighth of a cell. A part above 0 is always
// visible.
func bar(part, whole int64, cells int) string {
	if part <= 0 || whole <= 0 || cells <= 0 {
		return ""
	}
	high, low := bits.Mul64(uint64(min(part, whole)), uint64(cells)*8)
	eighths, _ := bits.Div64(high, low, uint64(whole)) // at most cells × 8, since the part is no more than the whole
	eighths = max(eighths, 1)
	line := strings.Repeat("█", int(eighths/8))
	if rest := eighths % 8; rest > 0 {
		line += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return line
}

// addUsage adds the usage of a day. A counter of resources stays at the largest number once it is there, as the server's do.
func addUsage(total *client.UsageResponse, u client.UsageResponse) (err error) {
	for _, p := range []struct {
		sum *int64
		add int64
	}{
		{&total.CPUSeconds, u.CPUSeconds}, {&total.MemoryGBSeconds, u.MemoryGBSeconds}, {&total.DiskGBSeconds, u.DiskGBSeconds},
	} {
		*p.sum += min(p.add, math.MaxInt64-*p.sum)
	}
	total.TotalCents, err = add(total.TotalCents, u.TotalCents)
	return err
}

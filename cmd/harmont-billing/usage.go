package main

import (
	"context"
	"math"
	"math/bits"
	"strings"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
)

func usageCommand() *cobra.Command {
	return windowCommand(&cobra.Command{
		Use:   "usage [ORG]",
		Short: "Sum an organization's usage of a window of time",
		Long: `Shows what the leases that started in the window used, a count of each resource
times seconds, and what was billed for them. A lease that is still running adds
nothing.

` + windowHelp,
		Example: `  harmont-billing usage acme --month last
  harmont-billing usage acme --from 2026-06-01 --to 2026-07-01 -o json`,
	}, func(ctx context.Context, q *question, w window) error {
		usage, err := q.GetBillingUsage(ctx, q.org, w.Window)
		if err != nil {
			return err
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
}

var usageColumns = []column{
	{title: "CPU SEC", right: true}, {title: "MEM GB SEC", right: true}, {title: "DISK GB SEC", right: true}, {title: "COST", right: true},
}

func usageCells(u client.UsageResponse) []string {
	return []string{number(u.CPUSeconds), number(u.MemoryGBSeconds), number(u.DiskGBSeconds), money(u.TotalCents)}
}

func seriesCommand() *cobra.Command {
	return windowCommand(&cobra.Command{
		Use:   "series [ORG]",
		Short: "Sum an organization's usage per day",
		Long: `Shows the sums of 'harmont-billing usage' for each UTC day, from the day on
which the window starts to the day on which it ends. Those two count only as far
as the window reaches. On a terminal a bar shows the cost of the day.

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
		return seriesTable(q.out, series.Data)
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
	room := out.width
	for _, width := range t.widths[:len(t.widths)-1] {
		room -= width + 2
	}
	if out.terminal {
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

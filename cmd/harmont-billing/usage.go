package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
)

func usageCommand() *cobra.Command {
	return windowCommand(&cobra.Command{
		Use:   "usage ORG",
		Short: "Sum an organization's usage of a window of time",
		Long: `Shows what the leases that started in the window used, a count of each resource
times seconds, and what was billed for them. A lease that is still running adds
nothing.

` + windowHelp,
		Example: `  harmont-billing usage acme --last 30d
  harmont-billing usage acme --from 2026-06-01 --to 2026-07-01 -o json`,
	}, func(ctx context.Context, q *question, window client.Window) error {
		usage, err := q.GetBillingUsage(ctx, q.org, window)
		if err != nil {
			return err
		}
		switch q.out.format {
		case formatJSON:
			return q.json()
		case formatCSV:
			return q.out.csv([]string{"cpu_seconds", "memory_gb_seconds", "disk_gb_seconds", "total_cents"},
				[]string{number(usage.CPUSeconds), number(usage.MemoryGBSeconds), number(usage.DiskGBSeconds), number(usage.TotalCents)})
		}
		newTable(q.out, usageColumns...).write([][]string{usageCells(*usage)})
		return nil
	})
}

var usageColumns = []column{
	{title: "CPU SECONDS", right: true}, {title: "MEMORY GB SECONDS", right: true}, {title: "DISK GB SECONDS", right: true},
	{title: "COST", right: true},
}

func usageCells(u client.UsageResponse) []string {
	return []string{number(u.CPUSeconds), number(u.MemoryGBSeconds), number(u.DiskGBSeconds), money(u.TotalCents)}
}

func seriesCommand() *cobra.Command {
	return windowCommand(&cobra.Command{
		Use:   "series ORG",
		Short: "Sum an organization's usage per day",
		Long: `Shows the sums of 'harmont-billing usage' for each UTC day, from the day on
which the window starts to the day on which it ends. Those two count only as far
as the window reaches.

` + windowHelp,
		Example: `  harmont-billing series acme --last 30d
  harmont-billing series acme --from 2026-06-01 --to 2026-07-01 -o csv`,
	}, func(ctx context.Context, q *question, window client.Window) error {
		series, err := q.GetBillingUsageSeries(ctx, q.org, window)
		if err != nil {
			return err
		}
		if q.out.format == formatJSON {
			return q.json()
		}
		if q.out.format == formatCSV {
			records := [][]string{{"date", "cpu_seconds", "memory_gb_seconds", "disk_gb_seconds", "total_cents"}}
			for _, d := range series.Data {
				records = append(records, []string{
					d.Date.String(), number(d.CPUSeconds), number(d.MemoryGBSeconds), number(d.DiskGBSeconds), number(d.TotalCents),
				})
			}
			return q.out.csv(records...)
		}
		var rows [][]string
		var total client.UsageResponse
		for _, d := range series.Data {
			day := client.UsageResponse{
				CPUSeconds: d.CPUSeconds, MemoryGBSeconds: d.MemoryGBSeconds, DiskGBSeconds: d.DiskGBSeconds, TotalCents: d.TotalCents,
			}
			rows = append(rows, append([]string{d.Date.String()}, usageCells(day)...))
			if err := addUsage(&total, day); err != nil {
				return err
			}
		}
		rows = append(rows, append([]string{"TOTAL"}, usageCells(total)...))
		newTable(q.out, append([]column{{title: "DATE (UTC)"}}, usageColumns...)...).write(rows)
		return nil
	})
}

func addUsage(total *client.UsageResponse, u client.UsageResponse) (err error) {
	for _, p := range []struct {
		sum *int64
		add int64
	}{
		{&total.CPUSeconds, u.CPUSeconds}, {&total.MemoryGBSeconds, u.MemoryGBSeconds}, {&total.DiskGBSeconds, u.DiskGBSeconds},
		{&total.TotalCents, u.TotalCents},
	} {
		if *p.sum, err = add(*p.sum, p.add); err != nil {
			return err
		}
	}
	return nil
}

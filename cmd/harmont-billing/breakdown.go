package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
)

const (
	// A breakdown is one answer however many jobs it lists, and a person who waits for it can interrupt.
	breakdownTimeout  = 10 * time.Minute
	breakdownMaxBytes = 1 << 30
)

func breakdownCommand() *cobra.Command {
	return windowCommand(&cobra.Command{
		Use:   "breakdown [ORG]",
		Short: "Trace an organization's usage to builds and jobs",
		Long: `Lists the leases that started in the window by build, newest build first, and
what each of them has cost. A machine is described by its CPUs, gigabytes of
memory and gigabytes of disk. The duration of a lease is what it is billed for,
that of a build the sum of its leases'. The CSV has one record a lease, the
ndjson one line a build.

` + windowHelp + "\n\n" + outputHelp,
		Example: `  harmont-billing breakdown acme --last 24h
  harmont-billing breakdown acme --from 2026-06-01 --to 2026-07-01 -o csv`,
	}, func(ctx context.Context, q *question, w window) error {
		breakdown, err := q.GetBillingUsageBreakdown(ctx, q.org, w.Window)
		if err != nil {
			return err
		}
		switch q.out.format {
		case formatJSON, formatNDJSON:
			return q.json(true)
		case formatCSV:
			return q.out.csv(breakdownRecords(breakdown.Data)...)
		}
		return breakdownTable(q.out, breakdown.Data)
	}, client.WithTimeout(breakdownTimeout), client.WithMaxResponseBytes(breakdownMaxBytes))
}

func breakdownRecords(builds []client.UsageBreakdownBuild) [][]string {
	records := [][]string{{
		"build_id", "build_number", "build_external_id", "pipeline_id", "pipeline_name", "pipeline_slug", "job_id", "job_name",
		"step_key", "vm_handle", "cpu_count", "memory_gb", "disk_gb", "duration_seconds", "amount_cents", "started_at", "finished_at",
	}}
	for _, b := range builds {
		for _, j := range b.Jobs {
			records = append(records, []string{
				orEmpty(b.BuildID, client.UUID.String), orEmpty(b.BuildNumber, number), orEmpty(b.BuildExternalID, client.UUID.String),
				orEmpty(b.PipelineID, client.UUID.String), orEmptyText(b.PipelineName), orEmptyText(b.PipelineSlug),
				orEmpty(j.JobID, client.UUID.String), orEmptyText(j.JobName), orEmptyText(j.StepKey), orEmptyText(j.VMHandle),
				number(j.CPUCount), number(j.MemoryGB), number(j.DiskGB),
				orEmpty(j.DurationSeconds, number), number(j.AmountCents), timestamp(j.StartedAt), orEmpty(j.FinishedAt, timestamp),
			})
		}
	}
	return records
}

// breakdownTable writes each build with its jobs as a tree. Durations and amounts add up: jobs to builds, builds to the
// total.
func breakdownTable(out *output, builds []client.UsageBreakdownBuild) (err error) {
	var rows []row
	var cents, seconds, jobs int64
	for _, b := range builds {
		build := len(rows)
		rows = append(rows, row{style: bold})
		var inBuild int64
		running := 0
		for i, j := range b.Jobs {
			branch, length := "├─ ", "running"
			if i == len(b.Jobs)-1 {
				branch = "└─ "
			}
			if j.DurationSeconds == nil {
				running++
			} else {
				length = duration(*j.DurationSeconds)
				if inBuild, err = add(inBuild, *j.DurationSeconds); err != nil {
					return err
				}
			}
			machine := fmt.Sprintf("%d/%d/%d", j.CPUCount, j.MemoryGB, j.DiskGB)
			rows = append(rows, row{cells: []string{toSecond(j.StartedAt), length, cost(j.AmountCents), machine, branch + jobName(j)}})
		}
		length := duration(inBuild)
		if running > 0 && running == len(b.Jobs) {
			length = "running"
		}
		rows[build].cells = []string{toSecond(b.StartedAt), length, cost(b.TotalCents), count(b.JobCount, "job", "jobs"), buildName(b)}
		if cents, err = add(cents, b.TotalCents); err != nil {
			return err
		}
		if seconds, err = add(seconds, inBuild); err != nil {
			return err
		}
		jobs += int64(len(b.Jobs))
	}
	rows = append(rows, row{
		[]string{"TOTAL", duration(seconds), cost(cents), count(jobs, "job", "jobs"), count(int64(len(builds)), "build", "builds")}, bold,
	})
	newTable(out, column{title: "STARTED (UTC)"}, column{title: "DURATION", right: true}, column{title: "COST", right: true},
		column{title: "MACHINE", right: true}, column{title: "BUILD AND JOBS"}).writeRows(rows)
	return nil
}

func buildName(b client.UsageBreakdownBuild) string {
	if b.BuildID == nil {
		return "(no build)"
	}
	pipeline := cmp.Or(orEmptyText(b.PipelineName), orEmptyText(b.PipelineSlug), "Build")
	if b.BuildNumber != nil {
		return pipeline + " #" + number(*b.BuildNumber)
	}
	return pipeline + " " + cmp.Or(orEmpty(b.BuildExternalID, client.UUID.String), b.BuildID.String())
}

func jobName(j client.UsageBreakdownJob) string {
	return cmp.Or(orEmptyText(j.JobName), orEmptyText(j.StepKey), orEmptyText(j.VMHandle), orEmpty(j.JobID, client.UUID.String), "(no job)")
}

package main

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
)

const (
	// A breakdown is one answer however many jobs it lists, and a person who waits for it can interrupt.
	breakdownTimeout       = 10 * time.Minute
	breakdownMaxBuildBytes = 1 << 30

	breakdownBatch = 100 // builds that a table measures and shows at once
)

// The orders of builds.
const (
	byStart    = "start" // the server's own
	byCost     = "cost"
	byDuration = "duration"
)

func breakdownCommand() *cobra.Command {
	limit := int64(math.MaxInt64)
	var order *string
	cmd := windowCommand(&cobra.Command{
		Use:   "breakdown [ORG]",
		Short: "Trace an organization's usage to builds and jobs",
		Long: `Lists the leases that started in the window by build, newest build first, and
what each of them has cost. The machine 2x4x20 has 2 CPUs, 4 GB of memory and
20 GB of disk. The duration of a lease is what it is billed for, that of a build
the sum of its leases'. A lease that runs is unbilled: it has no cost yet. A
build with such leases and others has a > before the cost of the others. The CSV
has one record a lease. The JSON has a line for each build, and the ndjson
nothing else.

Builds are written as they arrive, so that a window of any length can be listed.
With --sort cost or --sort duration the largest come first, once all of them are
there; memory holds those that are listed. What the others add up to is in the
line OTHER of the table.

` + windowHelp + "\n\n" + outputHelp,
		Example: `  harmont-billing breakdown acme --last 24h
  harmont-billing breakdown acme --month last --sort cost --limit 10
  harmont-billing breakdown acme --from 2026-06-01 --to 2026-07-01 -o csv`,
	}, func(ctx context.Context, q *question, w window) error {
		return listBuilds(ctx, q, w.Window, *order, limit)
	}, client.WithTimeout(breakdownTimeout), client.WithMaxResponseBytes(breakdownMaxBuildBytes))
	order = choiceFlag(cmd, "sort", "", byStart, "which builds come first: the newest, or the largest by this", byStart, byCost, byDuration)
	cmd.Flags().Func("limit", "list `N` builds (default all)", parseInto(&limit, atLeast(1)))
	noFileCompletion(cmd, "limit")
	return cmd
}

// build is a build of a breakdown.
type build struct {
	client.UsageBreakdownBuild
	raw     []byte // as the server gave it; only for JSON
	seconds int64  // the sum of its leases
	running int64  // how many of its leases run
}

// listBuilds writes builds as they arrive, or keeps the largest until all are known.
func listBuilds(ctx context.Context, q *question, window client.Window, order string, limit int64) error {
	w := newBuildWriter(q.out)
	var all buildSum
	var kept []build
	more := false
	for b, err := range q.UsageBreakdown(ctx, q.org, window) {
		if err != nil {
			return errors.Join(w.show(), err)
		}
		if order == byStart && all.builds == limit {
			more = true
			break
		}
		one := build{UsageBreakdownBuild: b, running: runningOf(b.Jobs)}
		if one.seconds, err = secondsOf(b.Jobs); err != nil {
			return err
		}
		if err := all.add(&one); err != nil {
			return err
		}
		if q.out.isJSON() {
			if one.raw, err = q.answer.item(); err != nil {
				return err
			}
		}
		if order == byStart {
			err = w.write(one)
		} else if kept = append(kept, one); int64(len(kept))/2 >= limit {
			kept = largest(kept, order, limit)
		}
		if err != nil {
			return err
		}
	}
	for _, one := range largest(kept, order, limit) {
		if err := w.write(one); err != nil {
			return err
		}
	}
	return w.end(all, more)
}

func secondsOf(jobs []client.UsageBreakdownJob) (sum int64, err error) {
	for _, j := range jobs {
		if j.DurationSeconds != nil {
			if sum, err = add(sum, *j.DurationSeconds); err != nil {
				return 0, err
			}
		}
	}
	return sum, nil
}

// runningOf counts the leases that run.
func runningOf(jobs []client.UsageBreakdownJob) (running int64) {
	for _, j := range jobs {
		if j.DurationSeconds == nil {
			running++
		}
	}
	return running
}

// largest sorts the builds and returns the first of them. Equal ones stay in the server's order.
func largest(builds []build, order string, limit int64) []build {
	slices.SortStableFunc(builds, func(a, b build) int {
		if order == byCost {
			return cmp.Compare(a.TotalCents, b.TotalCents) // debits, so the most expensive is the smallest
		}
		return cmp.Compare(b.seconds, a.seconds)
	})
	if int64(len(builds)) <= limit {
		return builds
	}
	clear(builds[limit:]) // so that their jobs are not kept
	return builds[:limit]
}

// buildSum adds builds up.
type buildSum struct{ builds, jobs, running, seconds, cents int64 }

func (s *buildSum) add(b *build) (err error) {
	s.builds++
	s.jobs += int64(len(b.Jobs))
	s.running += b.running
	if s.seconds, err = add(s.seconds, b.seconds); err == nil {
		s.cents, err = add(s.cents, b.TotalCents)
	}
	return err
}

func (s buildSum) row(title, note string) row {
	builds := count(s.builds, "build", "builds")
	if s.running > 0 {
		builds += ", " + count(s.running, "job", "jobs") + " running"
	}
	return row{[]string{title, duration(s.seconds), cost(s.cents), count(s.jobs, "job", "jobs"), builds + note}, bold}
}

// buildWriter writes builds one after the other.
type buildWriter struct {
	out    *output
	table  *table
	list   jsonList
	rows   []row // that were not shown yet
	listed buildSum
	titled bool // the CSV
}

func newBuildWriter(out *output) *buildWriter {
	return &buildWriter{out: out, list: jsonList{out: out}, table: newTable(out, column{title: "STARTED (UTC)"}, column{title: "DURATION", right: true},
		column{title: "COST", right: true}, column{title: "MACHINE", right: true}, column{title: "BUILD AND JOBS"})}
}

func (w *buildWriter) write(b build) error {
	if err := w.listed.add(&b); err != nil {
		return err
	}
	switch w.out.format {
	case formatJSON:
		w.list.add(b.raw)
		return nil
	case formatNDJSON:
		return w.out.jsonLine(b.raw)
	case formatCSV:
		return w.csv(buildRecords(b)...)
	}
	w.rows = append(w.rows, buildRows(b)...)
	if w.listed.builds%breakdownBatch == 0 {
		return w.show()
	}
	return nil
}

// show writes the rows that wait for others to be as wide as.
func (w *buildWriter) show() error {
	if len(w.rows) > 0 {
		w.table.writeRows(w.rows)
		w.rows = nil
	}
	return w.out.flush()
}

// csv writes records, under their titles if they are the first.
func (w *buildWriter) csv(records ...[]string) error {
	if !w.titled {
		w.titled = true
		records = append([][]string{{
			"build_id", "build_number", "build_external_id", "pipeline_id", "pipeline_name", "pipeline_slug", "job_id", "job_name",
			"step_key", "vm_handle", "cpu_count", "memory_gb", "disk_gb", "duration_seconds", "amount_cents", "started_at", "finished_at",
		}}, records...)
	}
	return w.out.csv(records...)
}

// end finishes the answer. More tells that there are builds which were not asked for.
func (w *buildWriter) end(all buildSum, more bool) error {
	switch w.out.format {
	case formatJSON:
		w.list.end("")
		return nil
	case formatNDJSON:
		return nil
	case formatCSV:
		return w.csv()
	}
	if other := all.minus(w.listed); other.builds > 0 {
		w.rows = append(w.rows, other.row("OTHER", ""))
	}
	note := ""
	if more {
		note = ", and there are more"
	}
	w.rows = append(w.rows, all.row("TOTAL", note))
	return w.show()
}

func (s buildSum) minus(part buildSum) buildSum {
	return buildSum{s.builds - part.builds, s.jobs - part.jobs, s.running - part.running, s.seconds - part.seconds, s.cents - part.cents}
}

func buildRecords(b build) (records [][]string) {
	for _, j := range b.Jobs {
		records = append(records, []string{
			orEmpty(b.BuildID, client.UUID.String), orEmpty(b.BuildNumber, number), orEmpty(b.BuildExternalID, client.UUID.String),
			orEmpty(b.PipelineID, client.UUID.String), orEmptyText(b.PipelineName), orEmptyText(b.PipelineSlug),
			orEmpty(j.JobID, client.UUID.String), orEmptyText(j.JobName), orEmptyText(j.StepKey), orEmptyText(j.VMHandle),
			number(j.CPUCount), number(j.MemoryGB), number(j.DiskGB),
			orEmpty(j.DurationSeconds, number), number(j.AmountCents), timestamp(j.StartedAt), orEmpty(j.FinishedAt, timestamp),
		})
	}
	return records
}

// buildRows are a build and below it its jobs, as a tree. Durations and costs add up: jobs to builds, builds to the total.
func buildRows(b build) []row {
	const running = "running"
	rows := []row{{style: bold}}
	for i, j := range b.Jobs {
		branch, length, billed := "├─ ", running, notBilled
		if i == len(b.Jobs)-1 {
			branch = "└─ "
		}
		if j.DurationSeconds != nil {
			length, billed = duration(*j.DurationSeconds), cost(j.AmountCents)
		}
		rows = append(rows, row{cells: []string{toSecond(j.StartedAt), length, billed, machine(j.CPUCount, j.MemoryGB, j.DiskGB), branch + jobName(j)}})
	}
	length := running
	if b.running < int64(len(b.Jobs)) {
		length = duration(b.seconds)
	}
	rows[0].cells = []string{
		toSecond(b.StartedAt), length, costSoFar(b.TotalCents, int64(len(b.Jobs)), b.running), count(b.JobCount, "job", "jobs"),
		buildName(b.UsageBreakdownBuild),
	}
	return rows
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

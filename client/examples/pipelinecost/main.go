// Command pipelinecost prints the cost of each pipeline of an organization in the last month, the highest cost first.
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/harmont-dev/harmont-billing/client"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: pipelinecost ORG")
		os.Exit(2)
	}
	c, err := client.FromEnv()
	if err == nil {
		err = report(context.Background(), c, os.Args[1], client.LastMonth(time.UTC), os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// pipeline identifies one line of the report. Leases without a build, and builds without a pipeline, share a line.
type pipeline struct {
	id   client.UUID // zero for none
	name string
}

func pipelineOf(build client.UsageBreakdownBuild) pipeline {
	if build.PipelineID == nil {
		return pipeline{name: "(no pipeline)"}
	}
	return pipeline{*build.PipelineID, cmp.Or(client.Value(build.PipelineName), client.Value(build.PipelineSlug), build.PipelineID.String())}
}

func report(ctx context.Context, c *client.Client, org string, window client.Window, w io.Writer) error {
	costs := map[pipeline]int64{}
	for build, err := range c.UsageBreakdown(ctx, org, window) {
		if err != nil {
			return err // the sums are incomplete
		}
		costs[pipelineOf(build)] -= build.TotalCents // a debit, so negative
	}
	dearest := slices.SortedFunc(maps.Keys(costs), func(a, b pipeline) int {
		return cmp.Or(cmp.Compare(costs[b], costs[a]), cmp.Compare(a.name, b.name))
	})
	for _, p := range dearest {
		if _, err := fmt.Fprintf(w, "%10s  %s\n", client.FormatCents(costs[p]), p.name); err != nil {
			return err
		}
	}
	return nil
}

// Command consumer prints what an organization's builds of the last 30 days have cost. It stands for the programs that
// import the client from outside this project.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/harmont-dev/harmont-billing/client"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: consumer ORG")
		os.Exit(2)
	}
	c, err := client.FromEnv()
	if err == nil {
		err = report(context.Background(), c, os.Args[1], client.Last(30*24*time.Hour), os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func report(ctx context.Context, c *client.Client, org string, window client.Window, w io.Writer) error {
	var total int64
	for build, err := range c.UsageBreakdown(ctx, org, window) {
		if err != nil {
			return err
		}
		total -= build.TotalCents
		fmt.Fprintln(w, build.StartedAt.Format(time.DateTime), build.JobCount, "jobs", -build.TotalCents, "cents")
	}
	fmt.Fprintln(w, "total", total, "cents")
	return nil
}

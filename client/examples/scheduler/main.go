// Command scheduler reports leases to a billing server that may be down, and may be killed itself at any time. It reads one organization
// and one id of a job per line, and prints each id when the lease is safe: in the spool, or on the server's disk.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/harmont-dev/harmont-billing/client"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: scheduler SPOOL <JOBS")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(spool string, in io.Reader, out io.Writer) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	c, err := client.FromEnv(client.WithLogger(log), client.WithUserAgent("example-scheduler/1.0"))
	if err != nil {
		return err
	}
	recorder, err := client.NewSharedRecorder(c, client.RecorderOptions{
		Spool: spool,
		OnOrganizationRejected: func(org string, lease client.Lease, err error) {
			log.Error("a lease is not billed", "org", org, "job", client.Value(lease.JobID), "error", err)
		},
		OnError: func(org string, err error) { log.Warn("a batch waits", "org", org, "error", err) },
	})
	if err != nil {
		return err
	}
	jobs := bufio.NewScanner(in)
	for jobs.Scan() {
		var org, id string
		if _, err := fmt.Sscan(jobs.Text(), &org, &id); err != nil {
			return fmt.Errorf("%q: %w", jobs.Text(), err)
		}
		job, err := uuid.Parse(id)
		if err != nil {
			return err
		}
		// A real scheduler knows when its machine was started and stopped, and the build, the pipeline and the names.
		start := time.Now().Add(-5 * time.Minute)
		lease := client.Lease{JobID: &job, CPUCount: 2, MemoryGB: 4, DiskGB: 20, StartedAt: start, FinishedAt: new(start.Add(5 * time.Minute))}
		if err := recorder.RecordFor(context.Background(), org, lease); err != nil {
			return err // this lease is not safe; report it again
		}
		if _, err := fmt.Fprintln(out, id); err != nil {
			return err
		}
	}
	closing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(jobs.Err(), recorder.Close(closing)) // leases that were not sent stay in the spool
}

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
)

func leasesCommand() *cobra.Command {
	limit := int64(0) // not given
	var filter client.LeaseFilter
	var state *string
	cmd := askCommand(&cobra.Command{
		Use:   "leases [ORG]",
		Short: "List recorded leases, and find one by its id or job",
		Long: `Lists the leases that were recorded, those that started last first, at most
100. With --job or --lease it tells whether a lease was recorded, and what it
cost; the exit status is 1 where there is none.

The cost of a running lease up to now is in the column UNBILLED. It is not
billed, and not in the balance. The machine 2x4x20 has 2 CPUs, 4 GB of memory
and 20 GB of disk.

` + outputHelp,
		Example: `  harmont-billing leases acme --state running
  harmont-billing leases acme --job cda177bc-35de-42c5-b5b2-3076f7c1326b`,
	}, func(ctx context.Context, q *question) error {
		filter.State = client.LeaseState(*state)
		leases, err := q.ListBillingLeases(ctx, q.org, filter, client.ListOptions{Limit: int(cmp.Or(limit, defaultLimit))})
		if err != nil {
			return err
		}
		if len(leases.Data) == 0 && (filter.LeaseID != client.UUID{} || filter.JobID != client.UUID{}) {
			if filter.State != "" {
				return fmt.Errorf("no such lease is %s", filter.State)
			}
			return errors.New("no such lease is recorded")
		}
		return writeLeases(q, leases)
	})
	flags := cmd.Flags()
	state = choiceFlag(cmd, "state", "", "", "list only leases in this state", string(client.LeaseStateRunning), string(client.LeaseStateBilled))
	flags.Func("job", "list only the lease of the job with this `UUID`", parseInto(&filter.JobID, parseUUID))
	flags.Func("lease", "list only the lease with this `UUID`", parseInto(&filter.LeaseID, parseUUID))
	flags.Func("limit", fmt.Sprintf("list `N` leases, 1 to %d (default %d)", maxPage, defaultLimit), parseInto(&limit, parsePageSize))
	for _, flag := range []string{"job", "lease", "limit"} {
		noFileCompletion(cmd, flag)
	}
	return cmd
}

func parseUUID(text string) (client.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return client.UUID{}, errors.New("must be a UUID, such as 01994f00-0000-7000-8000-000000000004")
	}
	return id, nil
}

func parsePageSize(text string) (int64, error) {
	n, err := atLeast(1)(text)
	if err != nil || n > maxPage {
		return 0, fmt.Errorf("must be a whole number from 1 to %d", maxPage)
	}
	return n, nil
}

func writeLeases(q *question, leases *client.LeaseList) error {
	switch q.out.format {
	case formatJSON, formatNDJSON:
		return q.json(true)
	case formatCSV:
		records := [][]string{{
			"lease_id", "state", "job_id", "job_name", "step_key", "vm_handle", "build_id", "build_number", "build_external_id", "pipeline_id",
			"pipeline_name", "pipeline_slug", "cpu_count", "memory_gb", "disk_gb", "started_at", "finished_at", "duration_seconds",
			"amount_cents", "transaction_id", "labels", "author", "rate_card_id", "accrued_cents",
		}}
		for _, l := range leases.Data {
			labels := ""
			if l.Labels != nil {
				text, err := json.Marshal(l.Labels)
				if err != nil {
					return err
				}
				labels = string(text)
			}
			records = append(records, []string{
				l.LeaseID.String(), string(l.State), orEmpty(l.JobID, client.UUID.String), orEmptyText(l.JobName), orEmptyText(l.StepKey),
				orEmptyText(l.VMHandle), orEmpty(l.BuildID, client.UUID.String), orEmpty(l.BuildNumber, number),
				orEmpty(l.BuildExternalID, client.UUID.String), orEmpty(l.PipelineID, client.UUID.String), orEmptyText(l.PipelineName),
				orEmptyText(l.PipelineSlug), number(l.CPUCount), number(l.MemoryGB), number(l.DiskGB), timestamp(l.StartedAt),
				orEmpty(l.FinishedAt, timestamp), orEmpty(l.DurationSeconds, number), number(l.AmountCents),
				orEmpty(l.TransactionID, client.UUID.String), labels, orEmptyText(l.Author), orEmpty(l.RateCardID, client.UUID.String),
				orEmpty(l.AccruedCents, number),
			})
		}
		return q.out.csv(records...)
	}
	columns := []column{
		{title: "STARTED (UTC)"}, {title: "DURATION", right: true}, {title: "COST", right: true},
		{title: "UNBILLED", right: true}, {title: "MACHINE", right: true}, {title: "LEASE"},
	}
	const unbilled = 3 // the column that is left out if no lease has accrued a cost
	var rows []row
	running, accrued := false, int64(0)
	for _, l := range leases.Data {
		length := string(client.LeaseStateRunning)
		if l.DurationSeconds != nil {
			length = duration(*l.DurationSeconds)
		}
		if l.AccruedCents != nil {
			running = true
			var err error
			if accrued, err = add(accrued, *l.AccruedCents); err != nil {
				return err
			}
		}
		name := cmp.Or(orEmptyText(l.JobName), orEmptyText(l.StepKey), orEmptyText(l.VMHandle))
		if pipeline := cmp.Or(orEmptyText(l.PipelineName), orEmptyText(l.PipelineSlug)); pipeline != "" {
			name = pipeline + orEmpty(l.BuildNumber, func(n int64) string { return " #" + number(n) }) + ": " + cmp.Or(name, "(no name)")
		}
		billed := cost(l.AmountCents)
		if l.State == client.LeaseStateRunning {
			billed = ""
		}
		rows = append(rows, row{cells: []string{
			toSecond(l.StartedAt), length, billed, orEmpty(l.AccruedCents, cost), machine(l.CPUCount, l.MemoryGB, l.DiskGB), cmp.Or(name, l.LeaseID.String()),
		}})
	}
	listed := count(int64(len(leases.Data)), "lease", "leases")
	if leases.NextCursor != nil {
		listed += ", and there are more"
	}
	rows = append(rows, row{[]string{"", "", "", cost(accrued), "", listed}, bold})
	if !running {
		columns = slices.Delete(columns, unbilled, unbilled+1)
		for i := range rows {
			rows[i].cells = slices.Delete(rows[i].cells, unbilled, unbilled+1)
		}
	}
	newTable(q.out, columns...).writeRows(rows)
	return nil
}

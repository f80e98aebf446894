package main

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/server"
)

func explainCommand() *cobra.Command {
	var rates *server.Rates
	cmd := askAbout(&cobra.Command{
		Use:   "explain [ORG] TRANSACTION_ID",
		Short: "Trace a ledger entry to its source",
		Long: `Shows where one entry of the ledger comes from: of a debit the job, build,
pipeline and machine, and the arithmetic of its cost. The entry is looked for
from the newest one on; 'harmont-billing transactions --ids' lists the ids.

The server does not tell its prices. The arithmetic uses the standard ones, or
those of the flags, and says so where the amount charged differs from what they
give.`,
		Example: `  harmont-billing explain acme 01994f00-0000-7000-8000-000000000004
  harmont-billing explain acme 01994f00-0000-7000-8000-000000000004 -o json`,
	}, []string{"TRANSACTION_ID"}, func(ctx context.Context, q *question) error {
		e, err := explain(ctx, q, uuid.MustParse(q.args[0]), *rates)
		if err != nil {
			return err
		}
		return errors.Join(e.write(q.out), e.problem)
	}, client.WithTimeout(breakdownTimeout), client.WithMaxResponseBytes(breakdownMaxBytes))
	rates = ratesFlags(cmd)
	known := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := known(cmd, args); err != nil {
			return err
		}
		if _, err := uuid.Parse(args[len(args)-1]); err != nil {
			return errors.New("TRANSACTION_ID must be a UUID, such as 01994f00-0000-7000-8000-000000000004")
		}
		return nil
	}
	return cmd
}

// explanation is what is known of an entry.
type explanation struct {
	entry   client.Transaction
	lease   *tracedLease // nil for what is not the debit of a lease that was found
	cost    *leaseCost   // nil also for a lease without a duration
	problem error        // why there is no lease where there should be one
}

type tracedLease struct {
	build client.UsageBreakdownBuild
	job   client.UsageBreakdownJob
}

func explain(ctx context.Context, q *question, id uuid.UUID, rates server.Rates) (*explanation, error) {
	entry, err := findEntry(ctx, q, id)
	if err != nil {
		return nil, err
	}
	e := &explanation{entry: *entry}
	if entry.Source != client.TransactionSourceVMLeaseDebit {
		return e, nil
	}
	described, ok := parseDescription(orEmptyText(entry.Description))
	if !ok {
		e.problem = errors.New("the entry's description names no lease, so it cannot be traced")
		return e, nil
	}
	second := described.started.Truncate(time.Second)
	breakdown, err := q.GetBillingUsageBreakdown(ctx, q.org, client.Window{From: second, To: second.Add(time.Second)})
	if err != nil {
		return nil, err
	}
	e.lease, e.problem = described.find(breakdown.Data, entry.AmountCents)
	if e.lease != nil && e.lease.job.DurationSeconds != nil {
		e.cost = newLeaseCost(e.lease.job, rates)
	}
	return e, nil
}

func findEntry(ctx context.Context, q *question, id uuid.UUID) (*client.Transaction, error) {
	for tx, err := range q.Transactions(ctx, q.org) {
		if err != nil {
			return nil, err
		}
		if tx.ID == id {
			return &tx, nil
		}
	}
	return nil, fmt.Errorf("the ledger of %s has no entry %s", q.org, id)
}

// description is what the text of a debit says.
type description struct {
	job     *uuid.UUID // nil for a lease without a job
	started time.Time
}

var descriptionForm = regexp.MustCompile(`^VM lease (of job )?([0-9a-f-]{36}) started (\S+)$`)

func parseDescription(text string) (d description, ok bool) {
	found := descriptionForm.FindStringSubmatch(text)
	if found == nil {
		return d, false
	}
	id, errID := uuid.Parse(found[2])
	started, errTime := time.Parse(time.RFC3339, found[3])
	if found[1] != "" {
		d.job = &id
	}
	d.started = started
	return d, errors.Join(errID, errTime) == nil
}

// find finds the lease among those that started in the same second. One without a job is known there by its start and its
// amount alone.
func (d description) find(builds []client.UsageBreakdownBuild, amount int64) (*tracedLease, error) {
	var found []tracedLease
	for _, b := range builds {
		for _, j := range b.Jobs {
			same := j.JobID == nil && j.AmountCents == amount
			if d.job != nil {
				same = j.JobID != nil && *j.JobID == *d.job
			}
			if same && j.StartedAt.Equal(d.started) {
				found = append(found, tracedLease{b, j})
			}
		}
	}
	switch {
	case len(found) == 0:
		return nil, errors.New("the breakdown of the second in which the lease started does not show it")
	case len(found) > 1:
		return nil, fmt.Errorf("%d leases without a job started at that moment for that amount; the breakdown does not tell which is meant", len(found))
	case found[0].job.AmountCents != amount:
		return &found[0], fmt.Errorf("the breakdown has %s for this lease, and the ledger %s", money(found[0].job.AmountCents), money(amount))
	}
	return &found[0], nil
}

// leaseCost is the arithmetic of a lease's cost. Only the result has to fit 64 bits.
type leaseCost struct {
	Lines         []costLine `json:"lines"`
	SumMicrocents *big.Int   `json:"sum_microcents"`
	RestIgnored   *big.Int   `json:"microcents_rounded_off"`
	Cents         *big.Int   `json:"cents"`
	ChargedCents  int64      `json:"charged_cents"`
	Matches       bool       `json:"matches"`
}

type costLine struct {
	Resource   string   `json:"resource"`
	Count      int64    `json:"count"`
	Microcents int64    `json:"microcents_per_second"` // for one
	Seconds    int64    `json:"seconds"`
	Cost       *big.Int `json:"microcents"`

	of string // the resource for people
}

func newLeaseCost(j client.UsageBreakdownJob, rates server.Rates) *leaseCost {
	c := &leaseCost{SumMicrocents: new(big.Int), ChargedCents: -j.AmountCents}
	for _, line := range []costLine{
		{Resource: "cpu", of: "CPU", Count: j.CPUCount, Microcents: rates.CPU},
		{Resource: "memory_gb", of: "GB of memory", Count: j.MemoryGB, Microcents: rates.MemoryGB},
		{Resource: "disk_gb", of: "GB of disk", Count: j.DiskGB, Microcents: rates.DiskGB},
	} {
		line.Seconds = *j.DurationSeconds
		line.Cost = big.NewInt(line.Count)
		line.Cost.Mul(line.Cost, big.NewInt(line.Microcents)).Mul(line.Cost, big.NewInt(line.Seconds))
		c.SumMicrocents.Add(c.SumMicrocents, line.Cost)
		c.Lines = append(c.Lines, line)
	}
	c.Cents, c.RestIgnored = new(big.Int).DivMod(c.SumMicrocents, big.NewInt(microcentsPerCent), new(big.Int))
	c.Matches = c.Cents.Cmp(big.NewInt(c.ChargedCents)) == 0
	return c
}

const microcentsPerCent = 1_000_000

func (e *explanation) write(out *output) error {
	switch out.format {
	case formatJSON, formatNDJSON:
		return out.jsonOf(e.object())
	case formatCSV:
		return out.csv(e.records()...)
	}
	e.facts(out)
	if e.cost != nil {
		out.text("\n")
		e.cost.table(out)
	}
	return nil
}

// facts writes what is known, one thing a line.
func (e *explanation) facts(out *output) {
	rows := [][]string{
		{"Entry", e.entry.ID.String()},
		{"Created", toSecond(e.entry.CreatedAt) + " UTC"},
		{"Amount", money(e.entry.AmountCents)},
		{"Source", string(e.entry.Source) + ": " + describeSource(e.entry.Source)},
	}
	if e.lease == nil {
		rows = append(rows, []string{"Description", orEmptyText(e.entry.Description)})
	} else { // it says no more than what follows
		b, j := e.lease.build, e.lease.job
		machine := fmt.Sprintf("%s, %d GB of memory, %d GB of disk", count(j.CPUCount, "CPU", "CPUs"), j.MemoryGB, j.DiskGB)
		length, finished := "running", ""
		if j.DurationSeconds != nil {
			length = fmt.Sprintf("%s (%s)", duration(*j.DurationSeconds), count(*j.DurationSeconds, "second", "seconds"))
		}
		if j.FinishedAt != nil {
			finished = toSecond(*j.FinishedAt) + " UTC"
		}
		rows = append(rows,
			[]string{"Pipeline", facts(orEmptyText(b.PipelineName), orEmptyText(b.PipelineSlug), orEmpty(b.PipelineID, client.UUID.String))},
			[]string{"Build", facts(orEmpty(b.BuildNumber, func(n int64) string { return "#" + number(n) }),
				orEmptyText(b.BuildExternalID), orEmpty(b.BuildID, client.UUID.String))},
			[]string{"Job", facts(orEmptyText(j.JobName), orEmptyText(j.StepKey), orEmpty(j.JobID, client.UUID.String))},
			[]string{"VM", facts(orEmptyText(j.VMHandle), machine)},
			[]string{"Started", toSecond(j.StartedAt) + " UTC"},
			[]string{"Finished", finished},
			[]string{"Billed for", length},
		)
	}
	width := 0
	for _, r := range rows {
		width = max(width, len(r[0]))
	}
	for _, r := range rows {
		if r[1] != "" {
			out.text(out.styled(bold, fmt.Sprintf("%-*s", width, r[0])) + "  " + printable(r[1]) + "\n")
		}
	}
}

// facts joins what is known and not said twice.
func facts(texts ...string) string {
	var known []string
	for _, text := range texts {
		if text != "" && !slices.Contains(known, text) {
			known = append(known, text)
		}
	}
	return strings.Join(known, ", ")
}

func describeSource(source client.TransactionSource) string {
	switch source {
	case client.TransactionSourceStripeTopup:
		return "a payment"
	case client.TransactionSourceCouponRedemption:
		return "a coupon that was redeemed"
	case client.TransactionSourceAdminGrant:
		return "a credit given by an operator"
	case client.TransactionSourceRefund:
		return "money given back"
	case client.TransactionSourceVMLeaseDebit:
		return "the cost of one lease of a machine"
	}
	return "this program does not know what that is"
}

// table writes the arithmetic line by line.
func (c *leaseCost) table(out *output) {
	var rows []row
	for _, l := range c.Lines {
		rows = append(rows, row{cells: []string{number(l.Count), l.of, number(l.Microcents), number(l.Seconds), l.Cost.String()}})
	}
	rows = append(rows,
		row{[]string{"", "sum", "", "", c.SumMicrocents.String()}, bold},
		row{cells: []string{"", "rounded down by", "", "", "-" + c.RestIgnored.String()}},
		row{[]string{"", fmt.Sprintf("÷ %d = cents", microcentsPerCent), "", "", c.Cents.String()}, bold},
	)
	newTable(out, column{title: "COUNT", right: true}, column{title: "OF"}, column{title: "× MICROCENTS", right: true},
		column{title: "× SECONDS", right: true}, column{title: "= MICROCENTS", right: true}).writeRows(rows)
	charged := fmt.Sprintf("Charged were %s, as these prices give.", count(c.ChargedCents, "cent", "cents"))
	if !c.Matches {
		charged = out.styled(red, fmt.Sprintf("Charged were %s, which is not what these prices give: the lease was billed at others.",
			count(c.ChargedCents, "cent", "cents"))) + "\nSee --price-cpu, --price-memory-gb and --price-disk-gb."
	}
	out.text("\n" + charged + "\n")
}

// object is the explanation as JSON.
func (e *explanation) object() any {
	type entry struct {
		ID          string  `json:"id"`
		AmountCents int64   `json:"amount_cents"`
		Source      string  `json:"source"`
		Description *string `json:"description"`
		CreatedAt   string  `json:"created_at"`
	}
	type lease struct {
		PipelineID      *client.UUID `json:"pipeline_id"`
		PipelineName    *string      `json:"pipeline_name"`
		PipelineSlug    *string      `json:"pipeline_slug"`
		BuildID         *client.UUID `json:"build_id"`
		BuildNumber     *int64       `json:"build_number"`
		BuildExternalID *string      `json:"build_external_id"`
		JobID           *client.UUID `json:"job_id"`
		JobName         *string      `json:"job_name"`
		StepKey         *string      `json:"step_key"`
		VMHandle        *string      `json:"vm_handle"`
		CPUCount        int64        `json:"cpu_count"`
		MemoryGB        int64        `json:"memory_gb"`
		DiskGB          int64        `json:"disk_gb"`
		DurationSeconds *int64       `json:"duration_seconds"`
		StartedAt       string       `json:"started_at"`
		FinishedAt      *string      `json:"finished_at"`
	}
	answer := struct {
		Entry entry      `json:"entry"`
		Lease *lease     `json:"lease"`
		Cost  *leaseCost `json:"cost"`
	}{
		Entry: entry{e.entry.ID.String(), e.entry.AmountCents, string(e.entry.Source), e.entry.Description, timestamp(e.entry.CreatedAt)},
		Cost:  e.cost,
	}
	if e.lease != nil {
		b, j := e.lease.build, e.lease.job
		answer.Lease = &lease{
			b.PipelineID, b.PipelineName, b.PipelineSlug, b.BuildID, b.BuildNumber, b.BuildExternalID, j.JobID, j.JobName, j.StepKey,
			j.VMHandle, j.CPUCount, j.MemoryGB, j.DiskGB, j.DurationSeconds, timestamp(j.StartedAt), nil,
		}
		if j.FinishedAt != nil {
			answer.Lease.FinishedAt = new(timestamp(*j.FinishedAt))
		}
	}
	return answer
}

// records are the lines of the arithmetic, which an entry without a lease does not have.
func (e *explanation) records() [][]string {
	records := [][]string{{"transaction_id", "resource", "count", "microcents_per_second", "seconds", "microcents", "charged_cents"}}
	if e.cost == nil {
		return records
	}
	for _, l := range e.cost.Lines {
		records = append(records, []string{
			e.entry.ID.String(), l.Resource, number(l.Count), number(l.Microcents), number(l.Seconds), l.Cost.String(), number(e.cost.ChargedCents),
		})
	}
	return records
}

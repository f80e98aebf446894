package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
	"github.com/harmont-dev/harmont-billing/server"
)

func explainCommand() *cobra.Command {
	cmd := askAbout(&cobra.Command{
		Use:   "explain [ORG] ID",
		Short: "Trace a ledger entry, a lease or a job to its cost",
		Long: `Takes the id of an entry of the ledger, of a lease or of a job, and shows where
the entry comes from: of a debit the job, build, pipeline and machine, the rate
card that bills it, and the arithmetic of its cost at the prices of the card; of
a credit who posted it. 'harmont-billing transactions --ids' lists the ids of
entries, and 'harmont-billing price try' computes what leases would have cost at
other prices.

A lease that runs has no entry and no arithmetic yet. The table and the JSON
have what it has cost so far, which is not billed.

A lease that was priced elsewhere has an amount that no rate card of the books
gives, such as one of another system, and so has no arithmetic.`,
		Example: `  harmont-billing explain acme 01994f00-0000-7000-8000-000000000004
  harmont-billing explain acme 01994f00-0000-7000-8000-000000000004 -o json`,
	}, []string{"ID"}, func(ctx context.Context, q *question) error {
		e, err := findExplained(ctx, q, uuid.MustParse(q.args[0]))
		if err != nil {
			return err
		}
		if e.entry != nil && e.entry.Cost != nil && e.lease != nil {
			e.cost = newLeaseCost(e.lease, e.entry.Cost)
		}
		return e.write(q.out)
	})
	known := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := known(cmd, args); err != nil {
			return err
		}
		if _, err := parseUUID(args[len(args)-1]); err != nil {
			return fmt.Errorf("ID %w", err)
		}
		return nil
	}
	return cmd
}

// explanation is an entry with its source, or a lease that has no entry: it runs, or the books are incomplete.
type explanation struct {
	entry *client.TransactionDetail // nil for a lease without an entry
	lease *client.LeaseRecord       // nil for an entry without a lease
	cost  *leaseCost                // nil without a lease or an entry, and for a lease that was priced elsewhere
}

// findExplained finds the entry, the lease or the job with the id. The entry of a lease is that of its debit.
func findExplained(ctx context.Context, q *question, id client.UUID) (*explanation, error) {
	entry, err := q.GetBillingTransaction(ctx, q.org, id)
	if err == nil {
		return &explanation{entry: entry, lease: entry.Lease}, nil
	}
	if !errors.Is(err, client.ErrTransactionNotFound) {
		return nil, err
	}
	for _, filter := range []client.LeaseFilter{{LeaseID: id}, {JobID: id}} {
		leases, err := q.ListBillingLeases(ctx, q.org, filter, client.ListOptions{Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(leases.Data) == 0 {
			continue
		}
		lease := &leases.Data[0]
		if lease.TransactionID == nil {
			return &explanation{lease: lease}, nil
		}
		entry, err := q.GetBillingTransaction(ctx, q.org, *lease.TransactionID)
		if err != nil {
			return nil, err
		}
		return &explanation{entry: entry, lease: entry.Lease}, nil
	}
	return nil, fmt.Errorf("nothing in the books of %s has the id %s: no entry, no lease and no job", q.org, id)
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

// newLeaseCost computes the cost of a lease anew, at the prices of the server.
func newLeaseCost(l *client.LeaseRecord, by *client.LeaseCost) *leaseCost {
	c := &leaseCost{SumMicrocents: new(big.Int), ChargedCents: -l.AmountCents}
	for _, line := range []costLine{
		{Resource: "cpu", of: "CPU", Count: l.CPUCount, Microcents: by.CPU.MicrocentsPerSecond},
		{Resource: "memory_gb", of: "GB of memory", Count: l.MemoryGB, Microcents: by.MemoryGB.MicrocentsPerSecond},
		{Resource: "disk_gb", of: "GB of disk", Count: l.DiskGB, Microcents: by.DiskGB.MicrocentsPerSecond},
	} {
		line.Seconds = by.DurationSeconds
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
	switch {
	case e.cost != nil:
		out.text("\n")
		e.cost.table(out)
	case e.entry == nil && e.lease.State == client.LeaseStateRunning:
		out.text("\nThe lease runs. What it has cost so far is not billed.\n")
	case e.entry == nil:
		out.text("\n" + out.styled(red, "The lease is billed, and the ledger has no entry for it. 'harmont-billing verify' finds such leases.") + "\n")
	case e.lease != nil:
		out.text("\n" + out.styled(red, fmt.Sprintf("The lease was priced elsewhere: no rate card of the books gives the %s of the entry.",
			count(-e.entry.AmountCents, "cent", "cents"))) + "\n")
	}
	return nil
}

// facts writes what is known of the entry and of the lease.
func (e *explanation) facts(out *output) {
	var rows [][2]string
	if e.entry != nil {
		rows = [][2]string{
			{"Entry", e.entry.ID.String()},
			{"Created", toSecond(e.entry.CreatedAt) + " UTC"},
			{"Amount", money(e.entry.AmountCents)},
			{"Source", string(e.entry.Source) + ": " + describeSource(e.entry.Source)},
			{"Posted by", orEmptyText(e.entry.Author)},
		}
		if e.lease == nil { // its lines repeat the description
			rows = append(rows, [2]string{"Description", orEmptyText(e.entry.Description)})
		}
	}
	if l := e.lease; l != nil {
		machine := fmt.Sprintf("%s, %d GB of memory, %d GB of disk", count(l.CPUCount, "CPU", "CPUs"), l.MemoryGB, l.DiskGB)
		billedFor, finished, amount := "", "", ""
		if l.DurationSeconds != nil {
			billedFor = fmt.Sprintf("%s (%s)%s", duration(*l.DurationSeconds), count(*l.DurationSeconds, "second", "seconds"), unlikeInterval(l))
		}
		if l.FinishedAt != nil {
			finished = toSecond(*l.FinishedAt) + " UTC"
		}
		if l.FinishedAt != nil && e.entry == nil {
			amount = money(l.AmountCents)
		}
		rows = append(rows,
			[2]string{"Lease", l.LeaseID.String()},
			[2]string{"Pipeline", facts(orEmptyText(l.PipelineName), orEmptyText(l.PipelineSlug), orEmpty(l.PipelineID, client.UUID.String))},
			[2]string{"Build", facts(orEmpty(l.BuildNumber, func(n int64) string { return "#" + number(n) }),
				orEmpty(l.BuildExternalID, client.UUID.String), orEmpty(l.BuildID, client.UUID.String))},
			[2]string{"Job", facts(orEmptyText(l.JobName), orEmptyText(l.StepKey), orEmpty(l.JobID, client.UUID.String))},
			[2]string{"Author", orEmptyText(l.Author)},
			[2]string{"Labels", labelsText(l.Labels)},
			[2]string{"VM", facts(orEmptyText(l.VMHandle), machine)},
			[2]string{"Started", toSecond(l.StartedAt) + " UTC"},
			[2]string{"Finished", finished},
			[2]string{"Billed for", billedFor},
			[2]string{"Amount", amount},
			[2]string{"Cost so far", orEmpty(l.AccruedCents, cost)},
		)
	}
	if e.entry != nil && e.entry.RateCard != nil {
		c := e.entry.RateCard
		card := server.RateCard{
			Organization: orEmptyText(c.Organization), CPUCount: c.CPUCount, MemoryGB: c.MemoryGB, DiskGB: c.DiskGB,
			LabelKey: c.LabelKey, LabelValue: c.LabelValue,
		}
		rows = append(rows,
			[2]string{"Rate card", facts(c.Name, c.ID.String())},
			[2]string{"It is for", leasesOfCard(card) + ", from " + toMicrosecond(c.EffectiveFrom) + " UTC on"},
		)
	}
	out.facts(slices.DeleteFunc(rows, func(r [2]string) bool { return r[1] == "" }))
}

// labelsText writes labels in the order of their keys.
func labelsText(labels map[string]string) string {
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		texts = append(texts, key+"="+labels[key])
	}
	return strings.Join(texts, ", ")
}

// unlikeInterval says so where a lease was billed for another time than from its start to its finish, in whole seconds.
func unlikeInterval(l *client.LeaseRecord) string {
	if l.FinishedAt == nil || l.DurationSeconds == nil {
		return ""
	}
	interval := l.FinishedAt.Sub(l.StartedAt)
	length := duration(int64(interval / time.Second))
	switch billed := time.Duration(*l.DurationSeconds) * time.Second; {
	case billed <= interval-time.Second:
		return fmt.Sprintf(", less than the %s from start to finish", length)
	case billed >= interval+time.Second:
		return fmt.Sprintf(", more than the %s from start to finish", length)
	}
	return ""
}

// facts joins facts, without unknown and repeated ones.
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
		rows = append(rows, row{cells: []string{grouped(l.Count), l.of, grouped(l.Microcents), grouped(l.Seconds), thousands(l.Cost.String())}})
	}
	rows = append(rows,
		row{[]string{"", "sum", "", "", thousands(c.SumMicrocents.String())}, bold},
		row{cells: []string{"", "rounded down by", "", "", thousands("-" + c.RestIgnored.String())}},
		row{[]string{"", fmt.Sprintf("÷ %s = cents", grouped(microcentsPerCent)), "", "", thousands(c.Cents.String())}, bold},
	)
	newTable(out, column{title: "COUNT", right: true}, column{title: "OF"}, column{title: "× MICROCENTS", right: true},
		column{title: "× SECONDS", right: true}, column{title: "= MICROCENTS", right: true}).writeRows(rows)
	charged := "The entry charges " + count(c.ChargedCents, "cent", "cents")
	if c.Matches {
		charged += ", as these prices give."
	} else {
		charged = out.styled(red, charged+", which is not what these prices give.")
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
		Author      *string `json:"author"`
		CreatedAt   string  `json:"created_at"`
	}
	type lease struct {
		LeaseID         client.UUID       `json:"lease_id"`
		State           client.LeaseState `json:"state"`
		PipelineID      *client.UUID      `json:"pipeline_id"`
		PipelineName    *string           `json:"pipeline_name"`
		PipelineSlug    *string           `json:"pipeline_slug"`
		BuildID         *client.UUID      `json:"build_id"`
		BuildNumber     *int64            `json:"build_number"`
		BuildExternalID *client.UUID      `json:"build_external_id"`
		JobID           *client.UUID      `json:"job_id"`
		JobName         *string           `json:"job_name"`
		StepKey         *string           `json:"step_key"`
		VMHandle        *string           `json:"vm_handle"`
		CPUCount        int64             `json:"cpu_count"`
		MemoryGB        int64             `json:"memory_gb"`
		DiskGB          int64             `json:"disk_gb"`
		DurationSeconds *int64            `json:"duration_seconds"`
		StartedAt       string            `json:"started_at"`
		FinishedAt      *string           `json:"finished_at"`

		Labels client.Labels `json:"labels"`
		Author *string       `json:"author"`

		AmountCents  int64  `json:"amount_cents"`
		AccruedCents *int64 `json:"accrued_cents"`
	}
	answer := struct {
		Entry *entry           `json:"entry"`
		Lease *lease           `json:"lease"`
		Card  *client.RateCard `json:"rate_card"`
		Cost  *leaseCost       `json:"cost"`
	}{Cost: e.cost}
	if e.entry != nil {
		answer.Entry = &entry{
			e.entry.ID.String(), e.entry.AmountCents, string(e.entry.Source), e.entry.Description, e.entry.Author, timestamp(e.entry.CreatedAt),
		}
		answer.Card = e.entry.RateCard
	}
	if l := e.lease; l != nil {
		answer.Lease = &lease{
			l.LeaseID, l.State,
			l.PipelineID, l.PipelineName, l.PipelineSlug, l.BuildID, l.BuildNumber, l.BuildExternalID, l.JobID, l.JobName, l.StepKey,
			l.VMHandle, l.CPUCount, l.MemoryGB, l.DiskGB, l.DurationSeconds, timestamp(l.StartedAt), nil,
			l.Labels, l.Author, l.AmountCents, l.AccruedCents,
		}
		if l.FinishedAt != nil {
			answer.Lease.FinishedAt = new(timestamp(*l.FinishedAt))
		}
	}
	return answer
}

// records are the lines of the arithmetic, which an entry without a lease and a lease without an entry do not have.
func (e *explanation) records() [][]string {
	records := [][]string{{"transaction_id", "resource", "count", "microcents_per_second", "seconds", "microcents", "charged_cents", "rate_card_id"}}
	if e.cost == nil {
		return records
	}
	card := ""
	if e.entry.RateCard != nil {
		card = e.entry.RateCard.ID.String()
	}
	for _, l := range e.cost.Lines {
		records = append(records, []string{
			e.entry.ID.String(), l.Resource, number(l.Count), number(l.Microcents), number(l.Seconds), l.Cost.String(), number(e.cost.ChargedCents),
			card,
		})
	}
	return records
}

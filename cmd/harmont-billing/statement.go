package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/harmont-dev/harmont-billing/client"
)

func statementCommand() *cobra.Command {
	var flags *windowFlags
	cmd := askCommand(&cobra.Command{
		Use:   "statement [ORG]",
		Short: "Write the statement of a month for the accounts",
		Long: `Writes what the accounts of a period need: the balance before it, the credits
by source, the debits, and the balance after it; every build, and the usage by
pipeline; and the head of the ledger at the end of the period in the form that
'harmont-billing verify --against' takes.

The period is this month, unless --month, --last, or --from and --to say
otherwise; they mean the same as for 'harmont-billing usage', and so does --tz.
The closing balance of a month is the opening balance of the next, in any time
zone. A statement of a period that is not over is one up to now; the newest
month that is over is --month last.

An entry of the ledger belongs to the period in which it was created, and a
lease to the one in which it started. A lease that starts in one month and
finishes in the next is therefore in the usage of the first and in the debits
of the second. The line OTHER PERIODS has the difference, so that the usage and
this line add up to the debits. Debits that were imported without a lease are
in it as well.

In the usage a cost is above zero, and in the ledger a debit is below zero; in
JSON and CSV all amounts are those of the ledger. A build of which every lease
runs is unbilled, and one of which some run has a > before the cost of the
others. The JSON is one object. CSV and ndjson have records of several kinds,
which the column record names: organization, period, opening_balance, source,
closing_balance, build, pipeline, other_periods and debits. Builds are written
as they arrive, so that a period of any length can be written.`,
		Example: `  harmont-billing statement acme --month last
  harmont-billing statement acme --month 2026-10 --tz Europe/Berlin
  harmont-billing statement acme --month 2026-10 -o csv > 2026-10.csv`,
	}, func(ctx context.Context, q *question) error {
		w, err := flags.window(time.Now())
		if err != nil {
			return err
		}
		q.note(w.note())
		return writeStatement(ctx, q, w)
	}, client.WithTimeout(breakdownTimeout), client.WithMaxResponseBytes(breakdownMaxBuildBytes))
	flags = newWindowFlags(cmd)
	return cmd
}

// statement is what the ledger says of a period, and the sums of the builds that were written so far.
type statement struct {
	*client.StatementResponse
	org    client.Organization
	window window

	pipelines []pipelineUsage // the most expensive first
	leases    int64           // finished ones, of all pipelines
	usage     int64           // the sum of the pipelines, negative or 0
	builds    buildTotals     // of the builds that were written so far
	debits    int64           // of the ledger, negative or 0
	other     int64           // the part of the debits that is not in the usage
}

// pipelineUsage is the usage of one pipeline, of the leases without one, or of all others. It is a debit, negative or 0.
type pipelineUsage struct {
	Value       *string `json:"value"`
	Name        string  `json:"name"`
	LeaseCount  int64   `json:"lease_count"`
	AmountCents int64   `json:"amount_cents"`
}

// buildTotals adds builds up.
type buildTotals struct {
	builds, leases, running int64
	cents                   int64 // debits, negative or 0
}

func (s *buildTotals) add(b *client.UsageBreakdownBuild) (err error) {
	if b.BuildID != nil { // there is a group of the leases without a build
		s.builds++
	}
	s.leases += b.JobCount
	s.running += runningOf(b.Jobs)
	s.cents, err = add(s.cents, b.TotalCents)
	return err
}

// statementWriter writes a statement: what the ledger says, then each build, then what follows from them.
type statementWriter interface {
	begin(*statement) error
	build(*client.UsageBreakdownBuild) error
	end(*statement) error
}

func writeStatement(ctx context.Context, q *question, w window) error {
	s := &statement{window: w, org: client.Organization{Slug: q.org, Name: q.org}}
	for org, err := range q.Organizations(ctx) {
		if err != nil {
			return err
		}
		if org.Slug >= q.org { // they come by slug
			if org.Slug == q.org {
				s.org = org
			}
			break
		}
	}
	var err error
	if s.StatementResponse, err = q.GetBillingStatement(ctx, q.org, w.Window); err != nil {
		return err
	}
	for _, sum := range s.Sources {
		if sum.Source == client.TransactionSourceVMLeaseDebit {
			s.debits = sum.AmountCents
		}
	}
	groups, err := q.GetBillingUsageBy(ctx, q.org, w.Window, "pipeline", client.UsageByOptions{Limit: maxPage})
	if err != nil {
		return err
	}
	if err := s.setPipelines(groups); err != nil {
		return err
	}
	var writer statementWriter
	switch q.out.format {
	case formatJSON:
		writer = &statementJSON{out: q.out}
	case formatTable:
		writer = &statementTables{out: q.out, zone: w.zone}
	default:
		writer = &statementRecords{out: q.out}
	}
	if err := writer.begin(s); err != nil {
		return err
	}
	// The transport of other answers would keep the whole breakdown.
	for b, err := range q.UsageBreakdown(ctx, q.org, w.Window, client.WithHTTPClient(http.DefaultClient)) {
		if err == nil {
			err = cmp.Or(s.builds.add(&b), writer.build(&b))
		}
		if err != nil {
			return err
		}
	}
	return writer.end(s)
}

// setPipelines takes over the usage by pipeline, and compares it with the debits.
func (s *statement) setPipelines(groups *client.UsageByResponse) (err error) {
	for _, g := range groups.Data {
		name := cmp.Or(orEmptyText(g.Name), orEmptyText(g.Value), "(no pipeline)")
		s.pipelines = append(s.pipelines, pipelineUsage{g.Value, name, g.LeaseCount, -g.TotalCents})
	}
	if g := groups.Other; g != nil {
		s.pipelines = append(s.pipelines, pipelineUsage{nil, "(all others)", g.LeaseCount, -g.TotalCents})
	}
	for _, p := range s.pipelines {
		s.leases += p.LeaseCount
		if s.usage, err = add(s.usage, p.AmountCents); err != nil {
			return err
		}
	}
	s.other, err = add(s.debits, -s.usage)
	return err
}

// state is a head of the ledger in the form of 'verify --against'.
func (s *statement) state(h client.LedgerHead) string {
	return fmt.Sprintf("%s:%d:%s", s.org.Slug, h.Seq, h.Digest)
}

// statementTables writes a statement for people. A cost is above zero in the usage, and an amount has its sign in the ledger.
type statementTables struct {
	out    *output
	zone   *time.Location
	builds *table
	rows   []row // builds that the table measures together
}

func (t *statementTables) time(at time.Time) string { return zoned(at, t.zone) }

func (t *statementTables) title(text string) { t.out.text("\n" + t.out.styled(bold, text) + "\n") }

func (t *statementTables) begin(s *statement) error {
	end := t.time(s.window.To)
	switch {
	case s.window.toCome:
		end += ", which is to come"
	case s.window.unfinished:
		end += ", which is now"
	}
	t.out.facts([][2]string{
		{"Statement of", facts(s.org.Name, s.org.Slug)}, {"From", t.time(s.window.From)}, {"To", end}, {"Time zone", t.zone.String()},
	})
	t.title("LEDGER")
	rows := []row{{[]string{"Opening balance", "", "", money(s.OpeningBalanceCents)}, bold}}
	for _, sum := range s.Sources {
		name := string(sum.Source) + ": " + describeSource(sum.Source)
		rows = append(rows, row{cells: []string{name, grouped(sum.EntryCount), money(sum.AmountCents)}})
	}
	rows = append(rows, row{[]string{"Closing balance", grouped(s.EntryCount), "", money(s.ClosingBalanceCents)}, bold})
	newTable(t.out, column{title: "SOURCE"}, column{title: "ENTRIES", right: true}, column{title: "AMOUNT", right: true, style: moneyStyle},
		column{title: "BALANCE", right: true}).writeRows(rows)
	t.title("BUILDS")
	t.builds = newTable(t.out, column{title: "STARTED"}, column{title: "JOBS", right: true}, column{title: "COST", right: true}, column{title: "BUILD"})
	return t.out.flush()
}

func (t *statementTables) build(b *client.UsageBreakdownBuild) error {
	t.rows = append(t.rows, row{cells: []string{t.time(b.StartedAt), grouped(b.JobCount), costSoFar(b.TotalCents, b.JobCount, runningOf(b.Jobs)), buildName(*b)}})
	if len(t.rows) < maxPage {
		return nil
	}
	t.builds.writeRows(t.rows)
	t.rows = t.rows[:0]
	return t.out.flush()
}

func (t *statementTables) end(s *statement) error {
	t.builds.writeRows(append(t.rows, row{
		[]string{"TOTAL", grouped(s.builds.leases), cost(s.builds.cents), count(s.builds.builds, "build", "builds")}, bold,
	}))
	t.title("USAGE BY PIPELINE")
	var rows []row
	for _, p := range s.pipelines {
		rows = append(rows, row{cells: []string{p.Name, grouped(p.LeaseCount), cost(p.AmountCents)}})
	}
	rows = append(rows,
		row{[]string{"TOTAL", grouped(s.leases), cost(s.usage)}, bold},
		row{cells: []string{"OTHER PERIODS", "", cost(s.other)}},
		row{[]string{"DEBITS", "", cost(s.debits)}, bold},
	)
	newTable(t.out, column{title: "PIPELINE"}, column{title: "JOBS", right: true}, column{title: "COST", right: true}).writeRows(rows)
	if s.builds.running > 0 {
		t.out.text("\n" + count(s.builds.running, "lease of this period runs, and is", "leases of this period run, and are") +
			"\nnot billed yet.\n")
	}
	if s.other != 0 {
		t.out.text("\nOTHER PERIODS is what was debited in this period for leases that started before\n" +
			"it, less what leases of this period cost that were debited later.\n")
	}
	t.title("HEAD OF THE LEDGER AT THE END")
	t.out.text(printable(s.state(s.ClosingHead)) + "\n")
	return nil
}

// statementJSON writes a statement as one object.
type statementJSON struct {
	out   *output
	begun bool
}

type periodJSON struct {
	From       string `json:"from"`
	To         string `json:"to"`
	TimeZone   string `json:"time_zone"`
	Unfinished bool   `json:"unfinished"`
}

type organizationJSON struct {
	Slug string `json:"slug"`
	Name string `json:"name"`
}

type buildJSON struct {
	BuildID         *client.UUID `json:"build_id"`
	BuildNumber     *int64       `json:"build_number"`
	BuildExternalID *client.UUID `json:"build_external_id"`
	PipelineID      *client.UUID `json:"pipeline_id"`
	PipelineName    *string      `json:"pipeline_name"`
	PipelineSlug    *string      `json:"pipeline_slug"`
	StartedAt       string       `json:"started_at"`
	FinishedAt      *string      `json:"finished_at"`
	LeaseCount      int64        `json:"lease_count"`
	AmountCents     int64        `json:"amount_cents"`
}

// members writes the members of an object without its braces.
func (j *statementJSON) members(object any) error {
	text, err := json.Marshal(object)
	if err == nil {
		j.out.jsonText(string(text[1 : len(text)-1]))
	}
	return err
}

func (j *statementJSON) begin(s *statement) error {
	j.out.jsonText("{")
	err := j.members(struct {
		Organization organizationJSON `json:"organization"`
		Period       periodJSON       `json:"period"`
	}{
		organizationJSON{s.org.Slug, s.org.Name},
		periodJSON{timestamp(s.window.From), timestamp(s.window.To), s.window.zone.String(), s.window.unfinished},
	})
	j.out.jsonText(",\n")
	err = cmp.Or(err, j.members(s.StatementResponse))
	j.out.jsonText(",\n" + `"builds":[`)
	return err
}

func (j *statementJSON) build(b *client.UsageBreakdownBuild) error {
	before := ",\n"
	if !j.begun {
		j.begun, before = true, "\n"
	}
	build := buildJSON{
		b.BuildID, b.BuildNumber, b.BuildExternalID, b.PipelineID, b.PipelineName, b.PipelineSlug, timestamp(b.StartedAt), nil, b.JobCount, b.TotalCents,
	}
	if b.FinishedAt != nil {
		build.FinishedAt = new(timestamp(*b.FinishedAt))
	}
	text, err := json.Marshal(build)
	j.out.jsonText(before + string(text))
	return err
}

func (j *statementJSON) end(s *statement) error {
	j.out.jsonText("\n],\n")
	err := j.members(struct {
		Pipelines     []pipelineUsage `json:"pipelines"`
		RunningLeases int64           `json:"running_lease_count"`
		Usage         int64           `json:"usage_cents"`
		OtherPeriods  int64           `json:"other_periods_cents"`
		Debits        int64           `json:"debits_cents"`
		ClosingState  string          `json:"closing_state"`
	}{append([]pipelineUsage{}, s.pipelines...), s.builds.running, s.usage, s.other, s.debits, s.state(s.ClosingHead)})
	j.out.jsonText("}\n")
	return err
}

// statementRecords writes a statement as CSV, or as ndjson with an object for each record.
type statementRecords struct {
	out   *output
	begun bool
}

// statementRecord is a line of a statement. What a kind of record does not have is null.
type statementRecord struct {
	Record       string  `json:"record"`
	ID           *string `json:"id"`
	Name         *string `json:"name"`
	From         *string `json:"from"`
	To           *string `json:"to"`
	Count        *int64  `json:"count"` // of entries or leases
	AmountCents  *int64  `json:"amount_cents"`
	BalanceCents *int64  `json:"balance_cents"`
	State        *string `json:"state"`
}

func (r *statementRecords) write(records ...statementRecord) error {
	if r.out.format == formatNDJSON {
		for _, record := range records {
			if err := r.out.jsonOf(record); err != nil {
				return err
			}
		}
		return nil
	}
	var lines [][]string
	if !r.begun {
		r.begun = true
		lines = append(lines, []string{"record", "id", "name", "from", "to", "count", "amount_cents", "balance_cents", "state"})
	}
	for _, record := range records {
		lines = append(lines, []string{
			record.Record, orEmptyText(record.ID), orEmptyText(record.Name), orEmptyText(record.From), orEmptyText(record.To),
			orEmpty(record.Count, number), orEmpty(record.AmountCents, number), orEmpty(record.BalanceCents, number), orEmptyText(record.State),
		})
	}
	return r.out.csv(lines...)
}

func (r *statementRecords) begin(s *statement) error {
	from, to, zone := timestamp(s.window.From), timestamp(s.window.To), s.window.zone.String()
	records := []statementRecord{
		{Record: "organization", ID: &s.org.Slug, Name: &s.org.Name},
		{Record: "period", Name: &zone, From: &from, To: &to},
		{Record: "opening_balance", BalanceCents: &s.OpeningBalanceCents, State: new(s.state(s.OpeningHead))},
	}
	for _, sum := range s.Sources {
		records = append(records, statementRecord{Record: "source", Name: new(string(sum.Source)), Count: &sum.EntryCount, AmountCents: &sum.AmountCents})
	}
	return r.write(append(records, statementRecord{
		Record: "closing_balance", Count: &s.EntryCount, BalanceCents: &s.ClosingBalanceCents, State: new(s.state(s.ClosingHead)),
	})...)
}

func (r *statementRecords) build(b *client.UsageBreakdownBuild) error {
	record := statementRecord{
		Record: "build", Name: new(buildName(*b)), From: new(timestamp(b.StartedAt)), Count: &b.JobCount, AmountCents: &b.TotalCents,
	}
	if b.BuildID != nil {
		record.ID = new(b.BuildID.String())
	}
	if b.FinishedAt != nil {
		record.To = new(timestamp(*b.FinishedAt))
	}
	return r.write(record)
}

func (r *statementRecords) end(s *statement) error {
	var records []statementRecord
	for _, p := range s.pipelines {
		records = append(records, statementRecord{Record: "pipeline", ID: p.Value, Name: &p.Name, Count: &p.LeaseCount, AmountCents: &p.AmountCents})
	}
	return r.write(append(records,
		statementRecord{Record: "other_periods", AmountCents: &s.other}, statementRecord{Record: "debits", AmountCents: &s.debits})...)
}

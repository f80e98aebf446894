// Package demo makes up the books of a company that runs its CI on Harmont.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/transfer"
)

// Days is how far the history goes back.
const Days = 90

type step struct {
	name                    string
	cpu, memoryGB, diskGB   int64
	seconds                 float64 // its usual length
	skipProbability         float64 // the share of builds that leave this step out
	dependsOnStepBeforeThis bool
}

type pipeline struct {
	name         string
	team         string
	buildsPerDay float64
	steps        []step
}

var pipelines = []pipeline{
	{"Web App", "web", 7, []step{
		{"Lint", 2, 4, 20, 45, 0, false},
		{"Unit Tests", 4, 8, 40, 210, 0, false},
		{"Build", 4, 8, 40, 170, 0, false},
		{"End-to-End", 8, 16, 80, 540, 0.2, true},
		{"Deploy", 2, 4, 20, 60, 0.6, true},
	}},
	{"API", "platform", 5, []step{
		{"Lint", 2, 4, 20, 40, 0, false},
		{"Unit Tests", 4, 8, 40, 160, 0, false},
		{"Integration", 4, 16, 80, 420, 0.1, true},
		{"Deploy", 2, 4, 20, 75, 0.6, true},
	}},
	{"Mobile", "mobile", 2.5, []step{
		{"Unit Tests", 4, 8, 40, 240, 0, false},
		{"Package", 8, 16, 80, 780, 0.1, true},
	}},
	{"Data Sync", "data", 1.5, []step{
		{"Unit Tests", 2, 8, 40, 110, 0, false},
		{"Fuzz", 8, 16, 80, 900, 0.5, false},
	}},
}

// authors cause builds in turn.
var authors = []string{"mara", "jonas", "aiko", "samuel", "lin"}

// Importer imports records.
type Importer interface {
	Import(ctx context.Context, records io.Reader, options transfer.Options) (transfer.Summary, error)
}

// Fill imports an organization with the last Days days of usage up to now. The same now gives the same books, but for ids.
func Fill(ctx context.Context, importer Importer, slug, name string, now time.Time) error {
	d := &generator{random: rand.New(rand.NewPCG(90, 2)), now: billing.TimeOf(now)}
	d.org = billing.Organization{ID: billing.NewID(), Slug: slug, Name: name, CreatedAt: d.now}
	d.makeLeases()
	if err := d.bill(); err != nil {
		return err
	}
	var records bytes.Buffer
	if err := transfer.Export(ctx, d, &records); err != nil {
		return err
	}
	var lineErrs error
	_, err := importer.Import(ctx, &records, transfer.Options{Bad: func(_ int, err error) { lineErrs = errors.Join(lineErrs, err) }})
	return errors.Join(err, lineErrs)
}

// generator makes up books, and holds them for the export.
type generator struct {
	random  *rand.Rand
	now     billing.Time
	org     billing.Organization
	leases  []billing.Lease
	entries []billing.Entry
}

// Export implements transfer.Books.
func (d *generator) Export(_ context.Context, sink billing.ExportSink) error {
	if err := sink.Organization(d.org); err != nil {
		return err
	}
	for i := range d.leases {
		if err := sink.Lease(d.org, &d.leases[i]); err != nil {
			return err
		}
	}
	for i := range d.entries {
		if err := sink.Entry(d.org, &d.entries[i]); err != nil {
			return err
		}
	}
	return nil
}

// makeLeases makes up builds day by day, fewer at weekends, most of them during the day.
func (d *generator) makeLeases() {
	numbers := make([]int64, len(pipelines))
	ids := make([]billing.ID, len(pipelines))
	for i := range pipelines {
		ids[i] = billing.NewID()
	}
	for day := d.now.Floor(billing.Day) - Days*billing.Day; day <= d.now; day += billing.Day {
		weekendFactor := 1.0
		if weekday := day.Std().Weekday(); weekday == time.Saturday || weekday == time.Sunday {
			weekendFactor = 0.15
		}
		for i, p := range pipelines {
			var starts []billing.Time
			for range int(p.buildsPerDay*weekendFactor*(0.6+0.8*d.random.Float64()) + d.random.Float64()) {
				hour := 13 + 3*d.random.NormFloat64()
				starts = append(starts, day+billing.Time(min(max(hour, 0), 23.9)*float64(billing.Hour))+billing.Time(d.random.Int64N(int64(billing.Second))))
			}
			slices.Sort(starts)
			for _, start := range starts {
				if start < d.now {
					numbers[i]++
					d.leases = append(d.leases, d.build(p, ids[i], numbers[i], start)...)
				}
			}
		}
	}
	// At least one job is always at work when people look.
	runningBuild := d.build(pipelines[0], ids[0], numbers[0]+1, d.now-20*billing.Second)
	d.leases = append(d.leases, runningBuild...)
	slices.SortStableFunc(d.leases, func(a, b billing.Lease) int { return int(a.StartedAt - b.StartedAt) })
}

func (d *generator) build(p pipeline, pipelineID billing.ID, number int64, start billing.Time) (leases []billing.Lease) {
	buildID, slug := billing.NewID(), strings.ToLower(strings.ReplaceAll(p.name, " ", "-"))
	lastFinish := start
	for _, s := range p.steps {
		if d.random.Float64() < s.skipProbability {
			continue
		}
		begin := start
		if s.dependsOnStepBeforeThis {
			begin = lastFinish
		}
		begin += billing.Time(d.random.Int64N(int64(4 * billing.Second)))
		if begin >= d.now {
			continue
		}
		seconds := max(5, int64(s.seconds*math.Exp(0.25*d.random.NormFloat64())))
		leaseID, jobID := billing.NewID(), billing.NewID()
		l := billing.Lease{
			ID: &leaseID, JobID: &jobID, JobName: new(s.name), StepKey: new(strings.ToLower(strings.ReplaceAll(s.name, " ", "-"))),
			VMHandle: new(fmt.Sprintf("vm-%08x", d.random.Uint32())),
			BuildID:  &buildID, BuildNumber: new(number), BuildExternalID: new(buildID.String()),
			PipelineID: &pipelineID, PipelineName: new(p.name), PipelineSlug: new(slug),
			CPUCount: s.cpu, MemoryGB: s.memoryGB, DiskGB: s.diskGB, StartedAt: begin,
			Author: &authors[number%int64(len(authors))], Labels: billing.FormatLabels(map[string]string{"team": p.team}),
		}
		if end := begin + billing.Time(seconds)*billing.Second; end <= d.now {
			l.FinishedAt, l.DurationSeconds = &end, &seconds
			lastFinish = max(lastFinish, end)
		} else {
			lastFinish = d.now
		}
		leases = append(leases, l)
	}
	return leases
}

// bill debits the leases in the order in which they finished, with credits between them: a coupon to begin with, a payment
// whenever the balance runs low, now and then a refund.
func (d *generator) bill() error {
	balance := int64(0)
	last := billing.Time(0)
	addEntry := func(amount int64, source billing.Source, description *string, at billing.Time, lease *billing.ID) {
		balance += amount
		last = max(at, last+1) // entries of one time would have to come in the order of their ids
		entry := billing.Entry{ID: billing.NewID(), AmountCents: amount, Source: source, Description: description, CreatedAt: last, LeaseID: lease}
		if lease == nil {
			entry.Author = new("accounts")
		}
		d.entries = append(d.entries, entry)
	}
	addEntry(2_500, billing.SourceCouponRedemption, new("Coupon WELCOME25"), d.now.Floor(billing.Day)-Days*billing.Day, nil)
	var finished []*billing.Lease
	for i := range d.leases {
		l := &d.leases[i]
		if l.FinishedAt == nil {
			continue
		}
		cost, err := billing.StandardRates.Cost(l.CPUCount, l.MemoryGB, l.DiskGB, *l.DurationSeconds)
		if err != nil {
			return err
		}
		l.AmountCents = new(-cost)
		finished = append(finished, l)
	}
	slices.SortStableFunc(finished, func(a, b *billing.Lease) int { return int(*a.FinishedAt - *b.FinishedAt) })
	for i, l := range finished {
		at := *l.FinishedAt
		if balance < 1_000 {
			addEntry(20_000, billing.SourceStripeTopup, new("Top-up by card"), at, nil)
		}
		if i%1500 == 1499 {
			addEntry(500, billing.SourceRefund, new("Refund for a disturbance"), at, nil)
		}
		addEntry(*l.AmountCents, billing.SourceVMLeaseDebit, l.Describe(), at, l.ID)
	}
	return nil
}

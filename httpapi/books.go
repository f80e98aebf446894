package httpapi

import (
	"bytes"
	"cmp"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	openapi_types "github.com/oapi-codegen/runtime/types"

	"github.com/harmont-dev/harmont-billing/gen"
	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/models"
)

// Rates are the prices of a lease, in micro-cents per unit and second. Its method Cost computes the cost of a lease in cents.
type Rates = billing.Rates

// StandardRates are Harmont's: 10 000 for a CPU, 5 000 for a gigabyte of memory, 100 for a gigabyte of disk.
var StandardRates = billing.StandardRates

// ParseWindow reads the two ends of a window, in UTC. It fails with the code billing_usage_window_invalid if one of them cannot be read, if
// to does not lie after from, and if the window is longer than the contract allows.
func ParseWindow(from, to string) (start, end time.Time, err error) {
	w, err := billing.ParseWindow(from, to)
	return w.From.Std(), w.To.Std(), err
}

// PageSize returns how many items a page has: 50 if there is no limit, and from 1 to 100.
func PageSize(limit *int64) int {
	if limit == nil {
		return billing.ListBillingTransactionsLimitDefault
	}
	return int(min(max(*limit, billing.ListBillingTransactionsLimitClampMinimum), billing.ListBillingTransactionsLimitClampMaximum))
}

// CheckLeases checks the rules for reported leases that no schema expresses, such as that a lease does not finish before it starts or in
// the future of now. It sets the duration_seconds of finished leases that lack it, and labels without a key to nil. It fails with the code
// lease_invalid.
func CheckLeases(leases []gen.Lease, now time.Time) error {
	converted := make([]billing.Lease, len(leases))
	for i := range leases {
		if labels := leases[i].Labels; labels != nil && len(*labels) == 0 {
			leases[i].Labels = nil
		}
		converted[i] = models.FromLease(&leases[i])
	}
	err := cmp.Or(billing.NormalizeLeases(converted, billing.TimeOf(now)), billing.CheckNewCounts(converted))
	for i := range leases {
		leases[i].DurationSeconds = converted[i].DurationSeconds
	}
	return err
}

// RecordLease returns what a report makes of the lease that is stored under its job_id, or under its lease_id if it has no job; stored is nil
// if there is none. A report adds what was not known of a running lease, and finishes it; any other change fails with the code
// lease_conflict. The record is to be stored, and if the status is billed, an entry of its amount_cents is to be appended in the same
// transaction, as with NextEntry. The report has passed CheckLeases.
func RecordLease(stored *gen.LeaseRecord, report gen.Lease, rates Rates) (record gen.LeaseRecord, status gen.LeaseStatus, err error) {
	var known *billing.Lease
	if stored != nil {
		known = new(models.FromLeaseRecord(stored))
	}
	l, result, err := billing.Record(known, models.FromLease(&report), rates)
	if err != nil {
		return record, "", err
	}
	record = models.ToLeaseRecord(&billing.LeaseRecord{Lease: l})
	if stored != nil {
		record.TransactionID = stored.TransactionID
	}
	return record, gen.LeaseStatus(result.Status), nil
}

// Accrued returns what a lease that is stored and runs has cost so far, which is the accrued_cents of its record in an answer. It returns nil
// for a billed lease, and if the cost exceeds an int64.
func Accrued(stored *gen.LeaseRecord, rates Rates, now time.Time) *int64 {
	return rates.Accrued(new(models.FromLeaseRecord(stored)), billing.TimeOf(now))
}

// Leases returns the page of leases that listBillingLeases asks for. The leases are all of the organization, in any order. Running leases
// have accrued the rates until now, as Accrued computes it. Leases fails with the code cursor_invalid.
func Leases(leases iter.Seq[*gen.LeaseRecord], org string, params gen.ListBillingLeasesParams, rates Rates, now time.Time) (list gen.LeaseList, err error) {
	wanted := sorted(leases, func(l *gen.LeaseRecord) bool {
		return (params.State == nil || string(*params.State) == string(l.State)) && (params.LeaseID == nil || *params.LeaseID == l.LeaseID) &&
			(params.JobID == nil || l.JobID != nil && *params.JobID == *l.JobID)
	})
	slices.Reverse(wanted) // latest start first
	list.Data, list.NextCursor, err = Page(wanted, "leases of "+org, params.Limit, params.Cursor, func(l *gen.LeaseRecord) string { return l.LeaseID.String() })
	for i := range list.Data {
		list.Data[i].AccruedCents = Accrued(&list.Data[i], rates, now)
	}
	return list, err
}

// sorted returns the leases that are wanted, oldest start first.
func sorted(leases iter.Seq[*gen.LeaseRecord], wanted func(*gen.LeaseRecord) bool) (list []gen.LeaseRecord) {
	for l := range leases {
		if wanted(l) {
			list = append(list, *l)
		}
	}
	slices.SortFunc(list, compareStarts)
	return list
}

// within returns the leases that started in a window, oldest start first, and the window.
func within(leases iter.Seq[*gen.LeaseRecord], from, to string) (w billing.Window, list []gen.LeaseRecord, err error) {
	if w, err = billing.ParseWindow(from, to); err != nil {
		return w, nil, err
	}
	return w, sorted(leases, func(l *gen.LeaseRecord) bool {
		at := billing.TimeOf(l.StartedAt)
		return at >= w.From && at < w.To
	}), nil
}

// Organizations returns the page of organizations that listOrganizations asks for. The organizations are all that the token sees, in any
// order. It fails with the code cursor_invalid.
func Organizations(organizations []gen.Organization, params gen.ListOrganizationsParams) (list gen.OrganizationList, err error) {
	bySlug := slices.SortedFunc(slices.Values(organizations), func(a, b gen.Organization) int { return cmp.Compare(a.Slug, b.Slug) })
	list.Data, list.NextCursor, err = Page(bySlug, "organizations", params.Limit, params.Cursor, func(o *gen.Organization) string { return o.Slug })
	return list, err
}

// Cursor makes the cursor of a page that begins at a place. The text list names the list with its organization and its filters, because
// ParseCursor refuses a cursor of another list.
func Cursor(list, place string) string { return billing.EncodeCursor(list, nil, []byte(place)) }

// ParseCursor returns the place of a cursor of the list, and an empty one if there is no cursor. It fails with the code cursor_invalid. A
// caller can make a cursor with a place of its own choice, so the place must be checked like any input.
func ParseCursor(list string, cursor *string) (place string, err error) {
	if cursor == nil {
		return "", nil
	}
	bytes, err := billing.DecodeCursor(list, nil, *cursor)
	if err != nil {
		return "", &Error{Code: gen.CodeCursorInvalid, Message: err.Error()}
	}
	return string(bytes), nil
}

// Page cuts a page out of a list in memory. The key of an item is unique in the list and never changes. The text list is that of Cursor.
// Page fails with the code cursor_invalid.
func Page[T any](items []T, list string, limit *int64, cursor *string, key func(*T) string) (page []T, next *string, err error) {
	place, err := ParseCursor(list, cursor)
	if err != nil {
		return nil, nil, err
	}
	if cursor != nil {
		last := slices.IndexFunc(items, func(item T) bool { return key(&item) == place })
		if last < 0 {
			return nil, nil, &Error{Code: gen.CodeCursorInvalid, Message: "the cursor names no item of this list"}
		}
		items = items[last+1:]
	}
	if size := PageSize(limit); len(items) > size {
		items = items[:size]
		next = new(Cursor(list, key(&items[size-1])))
	}
	return items, next, nil
}

// Usage returns the answer of getBillingUsage: count × duration of each resource, and the billed cents. The leases are all of the
// organization, in any order. Counters of resources that would leave the range of an int64 stay at its end. It fails with the code
// billing_usage_window_invalid, and if the cents would leave the range.
func Usage(leases iter.Seq[*gen.LeaseRecord], params gen.GetBillingUsageParams) (gen.UsageResponse, error) {
	_, list, err := within(leases, params.From, params.To)
	if err != nil {
		return gen.UsageResponse{}, err
	}
	return sum(list)
}

func sum(leases []gen.LeaseRecord) (gen.UsageResponse, error) {
	var sum billing.Usage
	for i := range leases {
		if l := &leases[i]; l.DurationSeconds != nil {
			var err error
			lease := billing.Lease{CPUCount: l.CPUCount, MemoryGB: l.MemoryGB, DiskGB: l.DiskGB, DurationSeconds: l.DurationSeconds, AmountCents: &l.AmountCents}
			if sum, err = sum.Add(lease); err != nil {
				return gen.UsageResponse{}, err
			}
		}
	}
	return gen.UsageResponse{CPUSeconds: sum.CPUSeconds, MemoryGBSeconds: sum.MemoryGBSeconds, DiskGBSeconds: sum.DiskGBSeconds, TotalCents: sum.Cents}, nil
}

// Series returns the answer of getBillingUsageSeries: the usage for each UTC day from that of from to that of to, both included. A lease
// counts on the day on which it started. It takes leases and fails as Usage does.
func Series(leases iter.Seq[*gen.LeaseRecord], params gen.GetBillingUsageSeriesParams) (series gen.UsageSeriesResponse, err error) {
	const day = 24 * time.Hour
	w, list, err := within(leases, params.From, params.To)
	if err != nil {
		return series, err
	}
	byDay := map[time.Time][]gen.LeaseRecord{}
	for _, l := range list {
		at := l.StartedAt.UTC().Truncate(day)
		byDay[at] = append(byDay[at], l)
	}
	for at := w.From.Std().Truncate(day); !at.After(w.To.Std()); at = at.Add(day) {
		u, err := sum(byDay[at])
		if err != nil {
			return series, err
		}
		series.Data = append(series.Data, gen.UsageSeriesBucket{
			Date: openapi_types.Date{Time: at}, CPUSeconds: u.CPUSeconds, MemoryGBSeconds: u.MemoryGBSeconds, DiskGBSeconds: u.DiskGBSeconds, TotalCents: u.TotalCents,
		})
	}
	return series, nil
}

// UsageBy returns the answer of getBillingUsageBy: the usage by pipeline, job, shape, author or label. It takes leases and fails as Usage
// does.
func UsageBy(leases iter.Seq[*gen.LeaseRecord], params gen.GetBillingUsageByParams) (gen.UsageByResponse, error) {
	query, err := models.FromUsageByParams(params)
	if err != nil {
		return gen.UsageByResponse{}, err
	}
	var billed []billing.Lease
	for _, l := range sorted(leases, func(l *gen.LeaseRecord) bool { return l.DurationSeconds != nil }) {
		billed = append(billed, models.FromLeaseRecord(&l))
	}
	groups, err := query.GroupLeases(billed)
	return models.ToUsageBy(&groups), err
}

// Runway returns the answer of getBillingRunway at a time: how long the balance lasts. The entries come newest first. Runway takes leases and
// fails as Usage does.
func Runway(entries []gen.TransactionDetail, leases iter.Seq[*gen.LeaseRecord], now time.Time) (gen.RunwayResponse, error) {
	balanceCents := int64(0)
	if len(entries) > 0 {
		balanceCents = entries[0].BalanceAfterCents
	}
	at := billing.TimeOf(now)
	w := billing.RunwayWindow(at)
	series, err := Series(leases, gen.GetBillingUsageSeriesParams{From: w.From.String(), To: w.To.String()})
	if err != nil {
		return gen.RunwayResponse{}, err
	}
	days := make([]billing.DayUsage, len(series.Data))
	for i, b := range series.Data {
		days[i] = billing.DayUsage{Day: billing.TimeOf(b.Date.Time), Usage: billing.Usage{Cents: b.TotalCents}}
	}
	runway, err := billing.NewRunway(balanceCents, days, at)
	return models.ToRunway(&runway), err
}

// Breakdown returns the answer of getBillingUsageBreakdown: builds newest first by their earliest start, jobs oldest first, and all leases
// without a build as one group. It takes leases and fails as Usage does.
func Breakdown(leases iter.Seq[*gen.LeaseRecord], params gen.GetBillingUsageBreakdownParams) (Streamed, error) {
	_, list, err := within(leases, params.From, params.To)
	if err != nil {
		return nil, err
	}
	builds := map[uuid.UUID][]gen.LeaseRecord{}
	for _, l := range list {
		var id uuid.UUID
		if l.BuildID != nil {
			id = *l.BuildID
		}
		builds[id] = append(builds[id], l)
	}
	newestFirst := slices.SortedFunc(maps.Values(builds), func(a, b []gen.LeaseRecord) int { return compareStarts(b[0], a[0]) })
	return StreamBreakdown(func(yield func(*BreakdownRow, error) bool) {
		for _, jobs := range newestFirst {
			build := buildOf(jobs)
			for i := range jobs {
				l := &jobs[i]
				if !yield(&BreakdownRow{Build: build, Job: &gen.UsageBreakdownJob{
					JobID: l.JobID, JobName: l.JobName, StepKey: l.StepKey, VMHandle: l.VMHandle, CPUCount: l.CPUCount, MemoryGB: l.MemoryGB,
					DiskGB: l.DiskGB, DurationSeconds: l.DurationSeconds, AmountCents: l.AmountCents, StartedAt: l.StartedAt, FinishedAt: l.FinishedAt,
				}}, nil) {
					return
				}
				build = nil
			}
		}
	}), nil
}

func compareStarts(a, b gen.LeaseRecord) int {
	return cmp.Or(a.StartedAt.Compare(b.StartedAt), bytes.Compare(a.LeaseID[:], b.LeaseID[:]))
}

// buildOf sums the jobs of one build, the oldest first, whose fields of the build and the pipeline it takes. The group of jobs without a build
// has no such fields, since its jobs may be of several pipelines.
func buildOf(jobs []gen.LeaseRecord) *gen.UsageBreakdownBuild {
	first := &jobs[0]
	if first.BuildID == nil {
		first = new(gen.LeaseRecord)
	}
	build := &gen.UsageBreakdownBuild{
		BuildID: first.BuildID, BuildNumber: first.BuildNumber, BuildExternalID: first.BuildExternalID, PipelineID: first.PipelineID,
		PipelineName: first.PipelineName, PipelineSlug: first.PipelineSlug, StartedAt: jobs[0].StartedAt, JobCount: int64(len(jobs)),
	}
	for i := range jobs {
		l := &jobs[i]
		build.TotalCents += l.AmountCents
		if l.FinishedAt != nil && (build.FinishedAt == nil || l.FinishedAt.After(*build.FinishedAt)) {
			build.FinishedAt = l.FinishedAt
		}
	}
	return build
}

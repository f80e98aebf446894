package conformance

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The rules about usage. A lease adds nothing while it runs and never changes after it is billed, so the usage of a window only grows. A
// value that must be equal to the usage is therefore read between two calls for the usage, and must lie between their answers.

type window struct{ from, to time.Time }

const (
	day       = 24 * time.Hour
	maxWindow = 3660 * day
)

func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

func midnight(t time.Time) time.Time { return t.UTC().Truncate(day) }

func (w window) query() string {
	return url.Values{"from": {formatTime(w.from)}, "to": {formatTime(w.to)}}.Encode()
}

func (a *account) usage(w window) call {
	return call{path: "/billing/usage/" + url.PathEscape(a.slug), query: w.query()}
}

func (a *account) series(w window) call {
	return call{path: "/billing/usage/" + url.PathEscape(a.slug) + "/series", query: w.query()}
}

func (a *account) breakdown(w window) call {
	return call{path: "/billing/usage/" + url.PathEscape(a.slug) + "/breakdown", query: w.query(), mayBeTooLarge: true}
}

// longestWindow is the longest window that there may be, up to the end of today.
func (a *account) longestWindow() window {
	to := midnight(time.Now()).Add(day)
	return window{to.Add(-maxWindow), to}
}

// sums are the usage of a window, or of a part of it.
type sums struct {
	CPUSeconds      int64 `json:"cpu_seconds"`
	MemoryGBSeconds int64 `json:"memory_gb_seconds"`
	DiskGBSeconds   int64 `json:"disk_gb_seconds"`
	TotalCents      int64 `json:"total_cents"`
}

type bucket struct {
	Date string `json:"date"`
	sums
}

type seriesAnswer struct {
	Data []bucket `json:"data"`
}

type job struct {
	JobID           *string    `json:"job_id"`
	VMHandle        *string    `json:"vm_handle"`
	CPUCount        int64      `json:"cpu_count"`
	MemoryGB        int64      `json:"memory_gb"`
	DiskGB          int64      `json:"disk_gb"`
	DurationSeconds *int64     `json:"duration_seconds"`
	AmountCents     int64      `json:"amount_cents"`
	StartedAt       timestamp  `json:"started_at"`
	FinishedAt      *timestamp `json:"finished_at"`
}

type build struct {
	BuildID      *string    `json:"build_id"`
	PipelineID   *string    `json:"pipeline_id"`
	PipelineName *string    `json:"pipeline_name"`
	PipelineSlug *string    `json:"pipeline_slug"`
	BuildNumber  *int64     `json:"build_number"`
	ExternalID   *string    `json:"build_external_id"`
	TotalCents   int64      `json:"total_cents"`
	StartedAt    timestamp  `json:"started_at"`
	FinishedAt   *timestamp `json:"finished_at"`
	JobCount     int64      `json:"job_count"`
	Jobs         []job      `json:"jobs"`
}

type breakdownAnswer struct {
	Data []build `json:"data"`
}

// timestamp is a timestamp of an answer. Its form is checked by a rule of its own.
type timestamp struct{ time.Time }

func (m *timestamp) UnmarshalJSON(text []byte) error {
	t, err := time.Parse(time.RFC3339, strings.Trim(string(text), `"`))
	m.Time = t
	return err
}

// total is a sum that cannot overflow.
type total struct{ cpu, memory, disk, cents big.Int }

func (t *total) add(s sums) {
	for _, term := range []struct {
		sum  *big.Int
		part int64
	}{{&t.cpu, s.CPUSeconds}, {&t.memory, s.MemoryGBSeconds}, {&t.disk, s.DiskGBSeconds}, {&t.cents, s.TotalCents}} {
		term.sum.Add(term.sum, big.NewInt(term.part))
	}
}

// addJob adds the usage of a lease.
func (t *total) addJob(j *job) {
	t.cents.Sub(&t.cents, big.NewInt(j.AmountCents))
	if j.DurationSeconds == nil {
		return
	}
	duration := big.NewInt(*j.DurationSeconds)
	for _, term := range []struct {
		sum   *big.Int
		count int64
	}{{&t.cpu, j.CPUCount}, {&t.memory, j.MemoryGB}, {&t.disk, j.DiskGB}} {
		product := new(big.Int).Mul(big.NewInt(term.count), duration)
		term.sum.Add(term.sum, product)
	}
}

// checkBetween describes how t lies outside of the sums that were read before and after it.
func (t *total) checkBetween(before, after sums, resources, cents bool) error {
	check := func(name string, got *big.Int, low, high int64) error {
		// The largest number stands for itself or more.
		if got.Cmp(big.NewInt(low)) >= 0 && (high == math.MaxInt64 || got.Cmp(big.NewInt(high)) <= 0) {
			return nil
		}
		if low == high {
			return fmt.Errorf("%s add up to %s, and the usage is %d", name, got, low)
		}
		return fmt.Errorf("%s add up to %s, and the usage grew from %d to %d", name, got, low, high)
	}
	var err error
	if resources {
		err = errors.Join(
			check("cpu_seconds", &t.cpu, before.CPUSeconds, after.CPUSeconds),
			check("memory_gb_seconds", &t.memory, before.MemoryGBSeconds, after.MemoryGBSeconds),
			check("disk_gb_seconds", &t.disk, before.DiskGBSeconds, after.DiskGBSeconds))
	}
	if cents {
		err = errors.Join(err, check("the cents", &t.cents, before.TotalCents, after.TotalCents))
	}
	if err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

// compareWithUsage asks for the usage of a window, for something that should be equal to it, and for the usage again.
func (a *account) compareWithUsage(w window, resources, cents bool, other func() (*exchange, *total, error)) error {
	var before, after sums
	if _, err := a.expectOK(a.usage(w), &before); err != nil {
		return err
	}
	x, got, err := other()
	if err != nil {
		return err
	}
	if _, err := a.expectOK(a.usage(w), &after); err != nil {
		return err
	}
	if err := got.checkBetween(before, after, resources, cents); err != nil {
		return breachf(x, "%v", err)
	}
	return nil
}

// trace is the window that is looked at job by job.
type trace struct {
	window
	x         *exchange
	builds    []build
	splitTime time.Time // when a lease with usage started, inside the window and not at its start; zero where there is none
	err       error
}

// maxJobs is how many jobs a traced window may have.
const maxJobs = 4000

// trace finds the newest days with usage, and of them as much as can be read in a moment.
func (a *account) trace() (*trace, error) {
	if a.cachedTrace == nil {
		a.cachedTrace = new(trace)
		a.cachedTrace.err = a.findTrace(a.cachedTrace)
	}
	return a.cachedTrace, a.cachedTrace.err
}

func (a *account) findTrace(t *trace) error {
	var days seriesAnswer
	x, err := a.expectOK(a.series(a.longestWindow()), &days)
	if err != nil {
		return err
	}
	newest := time.Time{}
	for _, b := range days.Data {
		if b.sums != (sums{}) {
			if newest, err = time.Parse(time.DateOnly, b.Date); err != nil {
				return breachf(x, "the date is %q", b.Date)
			}
		}
	}
	if newest.IsZero() {
		return skip("the organization has no usage in the last 3 660 days")
	}
	for _, days := range []int{7, 1} {
		t.window = window{newest.AddDate(0, 0, 1-days), newest.Add(day)}
		if fits, err := a.readTrace(t); fits || err != nil {
			return err
		}
	}
	// The part of the day that is halved is one with usage.
	for t.to.Sub(t.from) > time.Millisecond {
		half := window{t.from, t.from.Add(t.to.Sub(t.from) / 2).Truncate(time.Microsecond)}
		var used sums
		if _, err := a.expectOK(a.usage(half), &used); err != nil {
			return err
		}
		if used == (sums{}) {
			half = window{half.to, t.to}
		}
		t.window = half
		if fits, err := a.readTrace(t); fits || err != nil {
			return err
		}
	}
	return skip("no window of usage is short enough to be traced")
}

func (a *account) readTrace(t *trace) (fits bool, err error) {
	var answer breakdownAnswer
	if t.x, err = a.expectOK(a.breakdown(t.window), &answer); errors.Is(err, errTooLarge) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	t.builds = answer.Data
	var starts []time.Time
	for _, j := range t.jobs() {
		if j.DurationSeconds != nil && *j.DurationSeconds > 0 && j.StartedAt.After(t.from) {
			starts = append(starts, j.StartedAt.Time)
		}
	}
	if len(starts) > 0 {
		slices.SortFunc(starts, time.Time.Compare)
		t.splitTime = starts[len(starts)/2]
	}
	return len(t.jobs()) <= maxJobs, nil
}

func (t *trace) jobs() (jobs []*job) {
	for i := range t.builds {
		for j := range t.builds[i].Jobs {
			jobs = append(jobs, &t.builds[i].Jobs[j])
		}
	}
	return jobs
}

func (a *account) coverage() Coverage {
	c := Coverage{Organization: a.slug}
	if a.cachedWalk != nil {
		c.Entries, c.WholeLedger = len(a.cachedWalk.entries), a.cachedWalk.complete
	}
	if a.cachedTrace != nil {
		w := a.longestWindow()
		c.SummedFrom, c.SummedTo = formatTime(w.from), formatTime(w.to)
		if a.cachedTrace.err != nil {
			c.NoUsage = a.cachedTrace.err.Error()
		} else {
			c.UsageFrom, c.UsageTo, c.Jobs = formatTime(a.cachedTrace.from), formatTime(a.cachedTrace.to), len(a.cachedTrace.jobs())
		}
	}
	return c
}

// expectWindowErrors is the check that the three calls refuse each of some windows.
func (a *account) expectWindowErrors(queries ...string) error {
	for _, query := range queries {
		for _, c := range []call{a.usage(window{}), a.series(window{}), a.breakdown(window{})} {
			c.query = query
			if err := a.expectErrors(http.StatusUnprocessableEntity, "billing_usage_window_invalid", c); err != nil {
				return err
			}
		}
	}
	return nil
}

func windowRequired(a *account) error {
	return a.expectWindowErrors("", "from=2026-01-01", "to=2026-01-02", "from=&to=2026-01-02")
}

func windowReadable(a *account) error {
	return a.expectWindowErrors("from=yesterday&to=2026-01-02", "from=2026-02-30&to=2026-03-01", "from=2026-01-01&to=2026-01-02T00:00:00",
		"from=2026-01-01&to=1767312000", "from=2026-01-01&to=2026-01-01T25:00:00Z")
}

func windowOrder(a *account) error {
	return a.expectWindowErrors("from=2026-01-02&to=2026-01-01", "from=2026-01-01&to=2026-01-01",
		"from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00%2B02:00", "from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00.0000009Z")
}

func windowLength(a *account) error {
	w := a.longestWindow()
	for _, c := range []call{a.usage(w), a.series(w)} {
		if _, err := a.expectOK(c, nil); err != nil {
			return err
		}
	}
	return a.expectWindowErrors(window{w.from.Add(-time.Microsecond), w.to}.query(), window{w.from.Add(-day), w.to}.query())
}

func windowPlus(a *account) error {
	c := call{path: "/billing/usage/" + url.PathEscape(a.slug), query: "from=2026-01-01T00:00:00+02:00&to=2026-01-02"}
	x, e, err := a.expectError(c, http.StatusUnprocessableEntity, "billing_usage_window_invalid")
	if err != nil {
		return err
	}
	message := strings.ToLower(e.Error.Message)
	if !strings.Contains(message, "space") && !strings.Contains(message, "%2b") && !strings.Contains(message, "plus") && !strings.Contains(message, "+") {
		return breachf(x, "the message does not say that a + arrived as a space: %q", e.Error.Message)
	}
	return nil
}

// sameUsage is the check that a window has the usage of another, however it is written.
func (a *account) sameUsage(w window, queries ...string) error {
	for _, query := range queries {
		err := a.compareWithUsage(w, true, true, func() (*exchange, *total, error) {
			var used sums
			x, err := a.expectOK(call{path: "/billing/usage/" + url.PathEscape(a.slug), query: query}, &used)
			got := new(total)
			got.add(used)
			return x, got, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func windowDates(a *account) error {
	t, err := a.trace()
	if err != nil {
		return err
	}
	w := window{midnight(t.from), midnight(t.to.Add(day - 1))}
	return a.sameUsage(w, "from="+w.from.Format(time.DateOnly)+"&to="+w.to.Format(time.DateOnly))
}

func windowOffsets(a *account) error {
	t, err := a.trace()
	if err != nil {
		return err
	}
	w := t.window
	if !t.splitTime.IsZero() {
		w.from = t.splitTime
	}
	// write adds digits after the six that count. Go has no layout for zeros and nines in one fraction.
	write := func(more string, zone *time.Location) string {
		format := func(t time.Time) string {
			return t.In(zone).Format("2006-01-02T15:04:05.000000") + more + t.In(zone).Format("Z07:00")
		}
		return url.Values{"from": {format(w.from)}, "to": {format(w.to)}}.Encode()
	}
	east, west := time.FixedZone("", 5*3600+1800), time.FixedZone("", -8*3600)
	return a.sameUsage(w, write("", east), write("", west), write("999", time.UTC))
}

// splitTrace is the traced window in two, at a moment at which a lease started.
func (a *account) splitTrace() (t *trace, first, second window, err error) {
	if t, err = a.trace(); err != nil {
		return t, first, second, err
	}
	if t.splitTime.IsZero() {
		return t, first, second, skip("no lease with usage started inside the window that was traced")
	}
	return t, window{t.from, t.splitTime}, window{t.splitTime, t.to}, nil
}

func windowHalfOpen(a *account) error {
	t, first, second, err := a.splitTrace()
	if err != nil {
		return err
	}
	return a.compareWithUsage(t.window, true, true, func() (x *exchange, got *total, err error) {
		got = new(total)
		for _, w := range []window{first, second} {
			var used sums
			if x, err = a.expectOK(a.usage(w), &used); err != nil {
				return x, got, err
			}
			got.add(used)
		}
		return x, got, nil
	})
}

func windowEdges(a *account) error {
	t, first, second, err := a.splitTrace()
	if err != nil {
		return err
	}
	for _, tt := range []struct {
		window
		has bool // the lease that started at the middle
	}{{first, false}, {second, true}, {window{t.splitTime, t.splitTime.Add(time.Microsecond)}, true}} {
		var answer breakdownAnswer
		x, err := a.expectOK(a.breakdown(tt.window), &answer)
		if err != nil {
			return err
		}
		has := false
		for _, j := range (&trace{builds: answer.Data}).jobs() {
			if j.StartedAt.Before(tt.from) || !j.StartedAt.Before(tt.to) {
				return breachf(x, "a job started at %s", formatTime(j.StartedAt.Time))
			}
			has = has || j.StartedAt.Equal(t.splitTime)
		}
		if has != tt.has {
			return breachf(x, "the job that started at %s is missing", formatTime(t.splitTime))
		}
	}
	return nil
}

func seriesDays(a *account) error {
	today := midnight(time.Now())
	for _, w := range []window{
		{today.Add(-7 * day), today}, {today.Add(-7*day + 13*time.Hour), today.Add(-time.Hour)}, {today, today.Add(time.Microsecond)},
	} {
		var answer seriesAnswer
		x, err := a.expectOK(a.series(w), &answer)
		if err != nil {
			return err
		}
		next := midnight(w.from)
		for i, b := range answer.Data {
			if b.Date != next.Format(time.DateOnly) {
				return breachf(x, "bucket %d is of %s, not of %s", i+1, b.Date, next.Format(time.DateOnly))
			}
			next = next.Add(day)
		}
		if want := midnight(w.to).Add(day); !next.Equal(want) {
			return breachf(x, "%d buckets come, and the last day should be %s", len(answer.Data), midnight(w.to).Format(time.DateOnly))
		}
	}
	return nil
}

func seriesSum(a *account) error {
	t, err := a.trace()
	if err != nil {
		return err
	}
	windows := []window{a.longestWindow(), t.window}
	if !t.splitTime.IsZero() {
		windows = append(windows, window{t.splitTime, t.to}, window{t.from, t.splitTime})
	}
	for _, w := range windows {
		err := a.compareWithUsage(w, true, true, func() (*exchange, *total, error) {
			var answer seriesAnswer
			x, err := a.expectOK(a.series(w), &answer)
			got := new(total)
			for _, b := range answer.Data {
				got.add(b.sums)
			}
			return x, got, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func seriesStartDay(a *account) error {
	t, err := a.trace()
	if err != nil {
		return err
	}
	var before, after seriesAnswer
	if _, err := a.expectOK(a.series(t.window), &before); err != nil {
		return err
	}
	var answer breakdownAnswer
	if _, err := a.expectOK(a.breakdown(t.window), &answer); err != nil {
		return err
	}
	x, err := a.expectOK(a.series(t.window), &after)
	if err != nil {
		return err
	}
	days := map[string]*total{}
	for _, j := range (&trace{builds: answer.Data}).jobs() {
		date := j.StartedAt.UTC().Format(time.DateOnly)
		if days[date] == nil {
			days[date] = new(total)
		}
		days[date].addJob(j)
	}
	if len(before.Data) != len(after.Data) {
		return breachf(x, "%d buckets come, and %d came before", len(after.Data), len(before.Data))
	}
	for i, b := range after.Data {
		got := days[b.Date]
		if got == nil {
			got = new(total)
		}
		if err := got.checkBetween(before.Data[i].sums, b.sums, true, true); err != nil {
			return breachf(x, "of the jobs of %s %v", b.Date, err)
		}
	}
	return nil
}

func (a *account) compareBreakdown(resources, cents bool) error {
	t, err := a.trace()
	if err != nil {
		return err
	}
	return a.compareWithUsage(t.window, resources, cents, func() (*exchange, *total, error) {
		var answer breakdownAnswer
		x, err := a.expectOK(a.breakdown(t.window), &answer)
		got := new(total)
		for _, j := range (&trace{builds: answer.Data}).jobs() {
			got.addJob(j)
		}
		return x, got, err
	})
}

func breakdownCents(a *account) error     { return a.compareBreakdown(false, true) }
func breakdownResources(a *account) error { return a.compareBreakdown(true, false) }

// eachBuild is the check of each build that was traced.
func (a *account) eachBuild(check func(b *build) string) error {
	t, err := a.trace()
	if err != nil {
		return err
	}
	for i := range t.builds {
		b := &t.builds[i]
		if problem := check(b); problem != "" {
			name := "the group without a build"
			if b.BuildID != nil {
				name = "build " + *b.BuildID
			}
			return breachf(t.x, "%s: %s", name, problem)
		}
	}
	return nil
}

func breakdownTotals(a *account) error {
	return a.eachBuild(func(b *build) string {
		if int64(len(b.Jobs)) != b.JobCount || len(b.Jobs) == 0 {
			return fmt.Sprintf("job_count is %d, and %d are listed", b.JobCount, len(b.Jobs))
		}
		cents := new(big.Int)
		started, finished := b.Jobs[0].StartedAt.Time, time.Time{}
		for _, j := range b.Jobs {
			cents.Add(cents, big.NewInt(j.AmountCents))
			if j.StartedAt.Before(started) {
				started = j.StartedAt.Time
			}
			if j.FinishedAt != nil && j.FinishedAt.After(finished) {
				finished = j.FinishedAt.Time
			}
		}
		switch {
		case cents.Cmp(big.NewInt(b.TotalCents)) != 0:
			return fmt.Sprintf("total_cents is %d, and the amounts add up to %s", b.TotalCents, cents)
		case !b.StartedAt.Equal(started):
			return fmt.Sprintf("started_at is %s, and the first job started at %s", formatTime(b.StartedAt.Time), formatTime(started))
		case (b.FinishedAt == nil) != finished.IsZero() || b.FinishedAt != nil && !b.FinishedAt.Equal(finished):
			return "finished_at is not the latest of its jobs"
		}
		return ""
	})
}

func breakdownRunning(a *account) error {
	return a.eachBuild(func(b *build) string {
		for _, j := range b.Jobs {
			running := j.FinishedAt == nil
			if running != (j.DurationSeconds == nil) {
				return fmt.Sprintf("of the job that started at %s only one of duration_seconds and finished_at is null", formatTime(j.StartedAt.Time))
			}
			if running && j.AmountCents != 0 {
				return fmt.Sprintf("the job that started at %s runs, and its amount is %d", formatTime(j.StartedAt.Time), j.AmountCents)
			}
		}
		return ""
	})
}

func breakdownAmounts(a *account) error {
	return a.eachBuild(func(b *build) string {
		for _, j := range b.Jobs {
			if j.AmountCents > 0 {
				return fmt.Sprintf("the job that started at %s has the amount %d", formatTime(j.StartedAt.Time), j.AmountCents)
			}
		}
		if b.TotalCents > 0 {
			return fmt.Sprintf("total_cents is %d", b.TotalCents)
		}
		return ""
	})
}

func breakdownOrder(a *account) error {
	newer := time.Time{}
	return a.eachBuild(func(b *build) string {
		if !newer.IsZero() && b.StartedAt.After(newer) {
			return fmt.Sprintf("it started at %s and comes after one that started at %s", formatTime(b.StartedAt.Time), formatTime(newer))
		}
		newer = b.StartedAt.Time
		if !slices.IsSortedFunc(b.Jobs, func(a, b job) int { return a.StartedAt.Compare(b.StartedAt.Time) }) {
			return "its jobs do not come oldest first"
		}
		return ""
	})
}

// breakdownStable compares the order of the builds that both answers have. A build may have been added in between.
func breakdownStable(a *account) error {
	t, err := a.trace()
	if err != nil {
		return err
	}
	var answer breakdownAnswer
	x, err := a.expectOK(a.breakdown(t.window), &answer)
	if err != nil {
		return err
	}
	first, second := buildIDs(t.builds), buildIDs(answer.Data)
	first, second = common(first, second), common(second, first)
	if !slices.Equal(first, second) {
		return breachf(x, "builds or jobs come in another order than before")
	}
	return nil
}

// buildIDs returns the ids of builds and jobs in their order, without builds and jobs that have no id.
func buildIDs(builds []build) (ids []string) {
	for _, b := range builds {
		if b.BuildID != nil {
			ids = append(ids, "build "+*b.BuildID)
		}
		for _, j := range b.Jobs {
			if j.JobID != nil {
				ids = append(ids, "job "+*j.JobID)
			}
		}
	}
	return ids
}

// common returns the ids that are also in others.
func common(ids, others []string) []string {
	in := map[string]bool{}
	for _, id := range others {
		in[id] = true
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !in[id] })
}

func breakdownGroups(a *account) error {
	seen := map[string]bool{}
	return a.eachBuild(func(b *build) string {
		id := ""
		if b.BuildID != nil {
			id = *b.BuildID
		} else if b.BuildNumber != nil || b.ExternalID != nil || b.PipelineID != nil || b.PipelineName != nil || b.PipelineSlug != nil {
			return "it has fields of a build or a pipeline"
		}
		if seen[id] {
			return "it comes more than once"
		}
		seen[id] = true
		return ""
	})
}

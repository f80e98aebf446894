package billing

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
)

// validLease is a finished lease of 300 seconds.
func validLease() Lease {
	start := Time(1_780_000_000) * Second
	return Lease{
		ID: new(NewID()), JobID: new(NewID()), JobName: new("Unit Tests"), CPUCount: 2, MemoryGB: 4, DiskGB: 20,
		StartedAt: start, FinishedAt: new(start + 300*Second),
	}
}

// testNow is the time of the server's clock.
const testNow = 1_790_000_000 * Second

func TestNormalizeAccepts(t *testing.T) {
	text := strings.Repeat("é", LeaseJobNameMaxLength)
	for _, c := range []struct {
		name     string
		change   func(*Lease)
		duration int64 // -1 for a running lease
	}{
		{"a job", func(l *Lease) { l.ID = nil }, 300},
		{"a lease without a job", func(l *Lease) { l.JobID = nil }, 300},
		{"running", func(l *Lease) { l.FinishedAt = nil }, -1},
		{"finished at once", func(l *Lease) { l.FinishedAt = &l.StartedAt }, 0},
		{"a microsecond short of a second", func(l *Lease) { l.FinishedAt = new(l.StartedAt + Second - 1) }, 0},
		{"a second", func(l *Lease) { l.FinishedAt = new(l.StartedAt + Second) }, 1},
		{"billed for less than it took", func(l *Lease) { l.DurationSeconds = new(int64(0)) }, 0},
		{"billed for the whole interval", func(l *Lease) { l.DurationSeconds = new(int64(300)) }, 300},
		{"billed for the interval rounded up", func(l *Lease) {
			l.FinishedAt, l.DurationSeconds = new(l.StartedAt+299*Second+1), new(int64(300))
		}, 300},
		{"the longest", func(l *Lease) {
			l.StartedAt, l.FinishedAt = 0, new(Time(LeaseDurationSecondsMaximum)*Second)
		}, LeaseDurationSecondsMaximum},
		{"the largest", func(l *Lease) {
			l.CPUCount, l.MemoryGB, l.DiskGB = LeaseCPUCountMaximum, LeaseMemoryGBMaximum, LeaseDiskGBMaximum
		}, 300},
		{"the first moment", func(l *Lease) { l.StartedAt, l.FinishedAt = 0, new(Time(0)) }, 0},
		{"as far ahead as a clock may be", func(l *Lease) {
			l.StartedAt, l.FinishedAt = testNow+10*Minute, new(testNow+10*Minute)
		}, 0},
		{"long texts", func(l *Lease) {
			l.JobName, l.StepKey, l.VMHandle, l.PipelineName, l.PipelineSlug = &text, &text, &text, &text, &text
		}, 300},
		{"empty texts", func(l *Lease) { l.JobName, l.StepKey = new(""), new("") }, 300},
		{"any number of a build", func(l *Lease) { l.BuildNumber = new(int64(math.MinInt64)) }, 300},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := validLease()
			c.change(&l)
			if err := l.normalize(testNow); err != nil {
				t.Fatal(err)
			}
			switch {
			case c.duration < 0:
				if l.DurationSeconds != nil {
					t.Errorf("duration_seconds is %d; want none", *l.DurationSeconds)
				}
			case l.DurationSeconds == nil || *l.DurationSeconds != c.duration:
				t.Errorf("duration_seconds is %v; want %d", l.DurationSeconds, c.duration)
			}
			before := l
			if err := l.normalize(testNow); err != nil || !reflect.DeepEqual(l, before) {
				t.Errorf("normalized once more it is %+v, %v", l, err)
			}
		})
	}
}

func TestNormalizeRefuses(t *testing.T) {
	long := strings.Repeat("é", LeaseJobNameMaxLength+1)
	for _, c := range []struct {
		says   string
		change func(*Lease)
	}{
		{"job_id or lease_id is required", func(l *Lease) { l.ID, l.JobID = nil, nil }},
		{"job_name must have at most", func(l *Lease) { l.JobName = &long }},
		{"step_key must have at most", func(l *Lease) { l.StepKey = &long }},
		{"vm_handle must have at most", func(l *Lease) { l.VMHandle = &long }},
		{"build_external_id must be a UUID", func(l *Lease) { l.BuildExternalID = new("gh-1") }},
		{"build_external_id must be a UUID", func(l *Lease) { l.BuildExternalID = new("") }},
		{"pipeline_name must have at most", func(l *Lease) { l.PipelineName = &long }},
		{"pipeline_slug must have at most", func(l *Lease) { l.PipelineSlug = &long }},
		{"job_name must not contain a NUL", func(l *Lease) { l.JobName = new("a\x00b") }},
		{"job_name must be valid UTF-8", func(l *Lease) { l.JobName = new("a\xff") }},
		{"cpu_count must be 1", func(l *Lease) { l.CPUCount = 0 }},
		{"cpu_count must be 1", func(l *Lease) { l.CPUCount = math.MinInt64 }},
		{"cpu_count must be 1", func(l *Lease) { l.CPUCount = LeaseCPUCountRecordedMaximum + 1 }},
		{"memory_gb must be 1", func(l *Lease) { l.MemoryGB = -1 }},
		{"memory_gb must be 1", func(l *Lease) { l.MemoryGB = math.MaxInt64 }},
		{"memory_gb must be 1", func(l *Lease) { l.MemoryGB = LeaseMemoryGBRecordedMaximum + 1 }},
		{"disk_gb must be 1", func(l *Lease) { l.DiskGB = 0 }},
		{"disk_gb must be 1", func(l *Lease) { l.DiskGB = LeaseDiskGBRecordedMaximum + 1 }},
		{"started_at must be in the years", func(l *Lease) { l.StartedAt = -1 }},
		{"started_at must be in the years", func(l *Lease) { l.StartedAt, l.FinishedAt = maxTime+1, nil }},
		{"finished_at must not be before started_at", func(l *Lease) { l.FinishedAt = new(l.StartedAt - 1) }},
		{"finished_at must not be after the year 9999", func(l *Lease) { l.FinishedAt = new(maxTime + 1) }},
		{"duration_seconds is given, but finished_at is not", func(l *Lease) { l.FinishedAt, l.DurationSeconds = nil, new(int64(1)) }},
		{"duration_seconds must be 0", func(l *Lease) { l.DurationSeconds = new(int64(-1)) }},
		{"duration_seconds must be 0", func(l *Lease) { l.StartedAt, l.FinishedAt = 0, new(Time(LeaseDurationSecondsMaximum+1)*Second) }},
		{"duration_seconds must not be greater than the 300 seconds", func(l *Lease) { l.DurationSeconds = new(int64(301)) }},
		{"duration_seconds must not be greater than the 300 seconds", func(l *Lease) { l.DurationSeconds = new(int64(300_000)) }}, // milliseconds
		{"started_at must not be more than 600 seconds ahead", func(l *Lease) { l.StartedAt, l.FinishedAt = testNow+10*Minute+1, nil }},
		{"finished_at must not be more than 600 seconds ahead", func(l *Lease) { l.FinishedAt = new(testNow + 10*Minute + 1) }},
	} {
		l := validLease()
		c.change(&l)
		if err := l.normalize(testNow); !errors.Is(err, ErrLeaseInvalid) || !strings.HasPrefix(err.Error(), c.says) {
			t.Errorf("got %v; want an ErrLeaseInvalid: %s", err, c.says)
		}
	}
}

// A lease that another server has billed obeys the bounds of older books only.
func TestNormalizeBilled(t *testing.T) {
	l := validLease()
	l.CPUCount, l.MemoryGB, l.DiskGB, l.BuildExternalID = LeaseCPUCountRecordedMaximum, LeaseMemoryGBRecordedMaximum, LeaseDiskGBRecordedMaximum, new("gh-1")
	l.DurationSeconds = new(int64(billedMaxDuration))
	if err := l.normalizeBilled(testNow); err != nil || *l.BuildExternalID != "gh-1" || *l.DurationSeconds != billedMaxDuration {
		t.Errorf("it is %+v, %v", l, err)
	}
	for says, change := range map[string]func(*Lease){
		"cpu_count must be 1":                 func(l *Lease) { l.CPUCount = LeaseCPUCountRecordedMaximum + 1 },
		"duration_seconds must be 0":          func(l *Lease) { l.DurationSeconds = new(int64(billedMaxDuration + 1)) },
		"build_external_id must have at most": func(l *Lease) { l.BuildExternalID = new(strings.Repeat("x", billedMaxText+1)) },
		"finished_at must not be before":      func(l *Lease) { l.FinishedAt = new(l.StartedAt - 1) },
		"started_at must not be more than":    func(l *Lease) { l.StartedAt = testNow + 10*Minute + 1 },
		"finished_at must not be more than":   func(l *Lease) { l.FinishedAt = new(testNow + 10*Minute + 1) },
	} {
		l := validLease()
		change(&l)
		if err := l.normalizeBilled(testNow); !errors.Is(err, ErrLeaseInvalid) || !strings.HasPrefix(err.Error(), says) {
			t.Errorf("got %v; want an ErrLeaseInvalid: %s", err, says)
		}
	}
}

func TestNormalizeExternalID(t *testing.T) {
	l := validLease()
	l.BuildExternalID = new("2E34238D-BBFC-420E-B419-75E1A004D32B")
	if err := l.normalize(testNow); err != nil || *l.BuildExternalID != "2e34238d-bbfc-420e-b419-75e1a004d32b" {
		t.Errorf("build_external_id is %s, %v", *l.BuildExternalID, err)
	}
}

// leaseChanges has a change of each field that a report may have beside the key.
var leaseChanges = map[string]func(*Lease){
	"job_name": func(l *Lease) { l.JobName = new("Lint") }, "step_key": func(l *Lease) { l.StepKey = new("lint") },
	"vm_handle": func(l *Lease) { l.VMHandle = new("vm-2") }, "build_id": func(l *Lease) { l.BuildID = &ID{2} },
	"build_number": func(l *Lease) { l.BuildNumber = new(int64(2)) }, "build_external_id": func(l *Lease) { l.BuildExternalID = new(ID{2}.String()) },
	"pipeline_id": func(l *Lease) { l.PipelineID = &ID{2} }, "pipeline_name": func(l *Lease) { l.PipelineName = new("Two") },
	"pipeline_slug": func(l *Lease) { l.PipelineSlug = new("two") },
}

// fixedChanges has the changes that no report may bring.
var fixedChanges = map[string]func(*Lease){
	"started_at": func(l *Lease) { l.StartedAt++ }, "cpu_count": func(l *Lease) { l.CPUCount-- }, "memory_gb": func(l *Lease) { l.MemoryGB-- },
	"disk_gb": func(l *Lease) { l.DiskGB-- },
}

func TestMerge(t *testing.T) {
	minimal := validLease()
	minimal.JobName, minimal.FinishedAt = nil, nil
	full := minimal
	for _, change := range leaseChanges {
		change(&full)
	}
	other := full
	other.JobName, other.StepKey, other.VMHandle, other.PipelineName, other.PipelineSlug = new("x"), new("x"), new("x"), new("x"), new("x")
	other.BuildID, other.BuildNumber, other.BuildExternalID, other.PipelineID = &ID{9}, new(int64(9)), new("x"), &ID{9}
	finished := func(l Lease) Lease {
		l.FinishedAt, l.DurationSeconds = new(l.StartedAt+300*Second), new(int64(300))
		return l
	}
	pick := func(from Lease, field string) Lease {
		l := minimal
		switch field {
		case "job_name":
			l.JobName = from.JobName
		case "step_key":
			l.StepKey = from.StepKey
		case "vm_handle":
			l.VMHandle = from.VMHandle
		case "build_id":
			l.BuildID = from.BuildID
		case "build_number":
			l.BuildNumber = from.BuildNumber
		case "build_external_id":
			l.BuildExternalID = from.BuildExternalID
		case "pipeline_id":
			l.PipelineID = from.PipelineID
		case "pipeline_name":
			l.PipelineName = from.PipelineName
		case "pipeline_slug":
			l.PipelineSlug = from.PipelineSlug
		}
		return l
	}
	for field := range leaseChanges {
		partial := pick(full, field)
		// While the lease runs, a report fills in fields that were null, and so does the report that finishes the lease.
		if merged, err := minimal.merge(partial); err != nil || !reflect.DeepEqual(merged, partial) {
			t.Errorf("%s is not filled in: %+v, %v", field, merged, err)
		}
		if merged, err := minimal.merge(finished(partial)); err != nil || !reflect.DeepEqual(merged, finished(partial)) {
			t.Errorf("%s is not filled in at the finish: %+v, %v", field, merged, err)
		}
		// A field that a report leaves out keeps its value.
		if merged, err := full.merge(partial); err != nil || merged != full {
			t.Errorf("a report with %s alone changes the lease: %+v, %v", field, merged, err)
		}
		if merged, err := finished(full).merge(finished(partial)); err != nil || !reflect.DeepEqual(merged, finished(full)) {
			t.Errorf("a repeated report with %s alone changes the billed lease: %+v, %v", field, merged, err)
		}
		// A known value never changes, and no report fills in fields of a billed lease.
		if _, err := full.merge(pick(other, field)); !errors.Is(err, ErrLeaseConflict) || !strings.Contains(err.Error(), field) {
			t.Errorf("another %s while it runs: %v", field, err)
		}
		if _, err := finished(minimal).merge(finished(partial)); !errors.Is(err, ErrLeaseConflict) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is filled in once billed: %v", field, err)
		}
	}
	for field, change := range fixedChanges {
		changed := full
		change(&changed)
		for _, report := range []Lease{changed, finished(changed)} {
			if _, err := full.merge(report); !errors.Is(err, ErrLeaseConflict) || !strings.Contains(err.Error(), field) {
				t.Errorf("another %s: %v", field, err)
			}
		}
	}
	longer := finished(full)
	longer.FinishedAt = new(*longer.FinishedAt + 1)
	shorter := finished(full)
	shorter.DurationSeconds = new(int64(1))
	for field, report := range map[string]Lease{"finished_at": longer, "duration_seconds": shorter} {
		if _, err := finished(full).merge(report); !errors.Is(err, ErrLeaseConflict) || !strings.Contains(err.Error(), field) {
			t.Errorf("another %s: %v", field, err)
		}
	}
	for name, start := range map[string]Lease{"all": full, "some": minimal} {
		billed := finished(full)
		if merged, err := billed.merge(start); err != nil || merged != billed {
			t.Errorf("the start of a billed lease, sent again with %s of its values: %+v, %v", name, merged, err)
		}
	}
}

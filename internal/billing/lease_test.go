package billing

import (
	"errors"
	"math"
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

func TestNormalizeAccepts(t *testing.T) {
	text := strings.Repeat("é", MaxText)
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
		{"billed for more than it took", func(l *Lease) { l.DurationSeconds = new(int64(MaxDuration)) }, MaxDuration},
		{"the longest", func(l *Lease) { l.FinishedAt = new(l.StartedAt + MaxDuration*Second) }, MaxDuration},
		{"the largest", func(l *Lease) { l.CPUCount, l.MemoryGB, l.DiskGB = MaxCount, MaxCount, MaxCount }, 300},
		{"the first moment", func(l *Lease) { l.StartedAt, l.FinishedAt = 0, new(Time(0)) }, 0},
		{"the last moment", func(l *Lease) { l.StartedAt, l.FinishedAt = maxTime, new(maxTime) }, 0},
		{"long texts", func(l *Lease) {
			l.JobName, l.StepKey, l.VMHandle, l.BuildExternalID, l.PipelineName, l.PipelineSlug = &text, &text, &text, &text, &text, &text
		}, 300},
		{"empty texts", func(l *Lease) { l.JobName, l.StepKey = new(""), new("") }, 300},
		{"any number of a build", func(l *Lease) { l.BuildNumber = new(int64(math.MinInt64)) }, 300},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := validLease()
			c.change(&l)
			if err := l.normalize(); err != nil {
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
			if err := l.normalize(); err != nil || !l.sameContents(before) {
				t.Errorf("normalized once more it is %+v, %v", l, err)
			}
		})
	}
}

func TestNormalizeRefuses(t *testing.T) {
	long := strings.Repeat("é", MaxText+1)
	for _, c := range []struct {
		says   string
		change func(*Lease)
	}{
		{"job_id or lease_id is required", func(l *Lease) { l.ID, l.JobID = nil, nil }},
		{"job_name must have at most", func(l *Lease) { l.JobName = &long }},
		{"step_key must have at most", func(l *Lease) { l.StepKey = &long }},
		{"vm_handle must have at most", func(l *Lease) { l.VMHandle = &long }},
		{"build_external_id must have at most", func(l *Lease) { l.BuildExternalID = &long }},
		{"pipeline_name must have at most", func(l *Lease) { l.PipelineName = &long }},
		{"pipeline_slug must have at most", func(l *Lease) { l.PipelineSlug = &long }},
		{"job_name must not contain a NUL", func(l *Lease) { l.JobName = new("a\x00b") }},
		{"job_name must be valid UTF-8", func(l *Lease) { l.JobName = new("a\xff") }},
		{"cpu_count must be 1", func(l *Lease) { l.CPUCount = 0 }},
		{"cpu_count must be 1", func(l *Lease) { l.CPUCount = math.MinInt64 }},
		{"cpu_count must be 1", func(l *Lease) { l.CPUCount = MaxCount + 1 }},
		{"memory_gb must be 1", func(l *Lease) { l.MemoryGB = -1 }},
		{"memory_gb must be 1", func(l *Lease) { l.MemoryGB = math.MaxInt64 }},
		{"disk_gb must be 1", func(l *Lease) { l.DiskGB = 0 }},
		{"disk_gb must be 1", func(l *Lease) { l.DiskGB = MaxCount + 1 }},
		{"started_at must be in the years", func(l *Lease) { l.StartedAt = -1 }},
		{"started_at must be in the years", func(l *Lease) { l.StartedAt, l.FinishedAt = maxTime+1, nil }},
		{"finished_at must not be before started_at", func(l *Lease) { l.FinishedAt = new(l.StartedAt - 1) }},
		{"finished_at must not be after the year 9999", func(l *Lease) { l.FinishedAt = new(maxTime + 1) }},
		{"duration_seconds is given, but finished_at is not", func(l *Lease) { l.FinishedAt, l.DurationSeconds = nil, new(int64(1)) }},
		{"duration_seconds must be 0", func(l *Lease) { l.DurationSeconds = new(int64(-1)) }},
		{"duration_seconds must be 0", func(l *Lease) { l.DurationSeconds = new(int64(MaxDuration + 1)) }},
		{"duration_seconds must be 0", func(l *Lease) { l.FinishedAt = new(l.StartedAt + (MaxDuration+1)*Second) }},
	} {
		l := validLease()
		c.change(&l)
		if err := l.normalize(); !errors.Is(err, ErrLeaseInvalid) || !strings.HasPrefix(err.Error(), c.says) {
			t.Errorf("got %v; want an ErrLeaseInvalid: %s", err, c.says)
		}
	}
}

// Every field but what was billed tells one lease from another.
func TestSameContents(t *testing.T) {
	l := validLease()
	if err := l.normalize(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Lease){
		"ID": func(l *Lease) { l.ID = new(NewID()) }, "JobID": func(l *Lease) { l.JobID = nil },
		"JobName": func(l *Lease) { l.JobName = new("Lint") }, "StepKey": func(l *Lease) { l.StepKey = new("") },
		"VMHandle": func(l *Lease) { l.VMHandle = new("vm") }, "BuildID": func(l *Lease) { l.BuildID = new(ID{}) },
		"BuildNumber":     func(l *Lease) { l.BuildNumber = new(int64(0)) },
		"BuildExternalID": func(l *Lease) { l.BuildExternalID = new("") }, "PipelineID": func(l *Lease) { l.PipelineID = new(ID{}) },
		"PipelineName": func(l *Lease) { l.PipelineName = new("") }, "PipelineSlug": func(l *Lease) { l.PipelineSlug = new("") },
		"CPUCount": func(l *Lease) { l.CPUCount++ }, "MemoryGB": func(l *Lease) { l.MemoryGB++ }, "DiskGB": func(l *Lease) { l.DiskGB++ },
		"StartedAt": func(l *Lease) { l.StartedAt++ }, "FinishedAt": func(l *Lease) { l.FinishedAt = new(*l.FinishedAt + 1) },
		"DurationSeconds": func(l *Lease) { l.DurationSeconds = new(*l.DurationSeconds + 1) },
	} {
		other := l
		change(&other)
		if l.sameContents(other) {
			t.Errorf("another %s makes no difference", name)
		}
	}
	copied := l
	copied.ID, copied.JobName, copied.AmountCents = new(*l.ID), new(*l.JobName), new(int64(-1))
	if !l.sameContents(copied) {
		t.Error("a copy differs")
	}
}

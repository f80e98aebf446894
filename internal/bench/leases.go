package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// The organizations that every database has.
const (
	smallOrg = "small"
	largeOrg = "large"
)

var orgIDs = map[string]billing.ID{smallOrg: {0: 1, 6: 0x70, 8: 0x80}, largeOrg: {0: 2, 6: 0x70, 8: 0x80}}

// organizations are their lines for import. Ids that are the same everywhere let rows be compared and copied.
func organizations() (lines string) {
	for slug, id := range orgIDs {
		lines += fmt.Sprintf(`{"type":"organization","slug":%q,"name":%q,"id":%q,"created_at":"2025-01-01T00:00:00Z"}`+"\n", slug, slug, id)
	}
	return lines
}

// The leases of every history start in this year.
var (
	yearStart = billing.TimeOf(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))
	yearEnd   = billing.TimeOf(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
)

// history makes up the finished leases of an organization, evenly spread from the start of the year on, ordered by start.
// The same history is the same each time.
type history struct {
	org  string
	n    int
	span billing.Time
}

func yearOf(org string, n int) history { return history{org, n, yearEnd - yearStart} }

const (
	jobsPerBuild = 4
	pipelines    = 12
)

var jobNames = [jobsPerBuild]string{"Lint", "Unit Tests", "Integration", "Deploy"}

// at is when the i-th lease starts at the earliest.
func (h history) at(i int) billing.Time { return yearStart + h.span/billing.Time(h.n)*billing.Time(i) }

func (h history) lease(i int) billing.Lease {
	chance := mixBits(uint64(i))
	start := h.at(i) + billing.Time(chance%1000)
	build, pipeline := i/jobsPerBuild, int(mixBits(uint64(i/jobsPerBuild))%pipelines)
	number, seconds := int64(build+1), int64(15+chance>>10%900)
	end := start + billing.Time(seconds)*billing.Second
	// The ids of a build are of its first lease's time, as if the scheduler had made them then.
	buildStart := h.at(build * jobsPerBuild)
	leaseID, jobID := h.id('l', start, i), h.id('j', start, i)
	buildID, pipelineID := h.id('b', buildStart, build), h.id('p', yearStart, pipeline)
	size := int64(1) << (chance >> 40 % 3)
	name := jobNames[i%jobsPerBuild]
	return billing.Lease{
		ID: &leaseID, JobID: &jobID, JobName: &name, StepKey: new(fmt.Sprintf("step-%d", i%jobsPerBuild)),
		VMHandle: new(fmt.Sprintf("vm-%08x", uint32(chance))),
		BuildID:  &buildID, BuildNumber: &number, BuildExternalID: new(buildID.String()),
		PipelineID: &pipelineID, PipelineName: new(fmt.Sprintf("Pipeline %d", pipeline)), PipelineSlug: new(fmt.Sprintf("pipeline-%d", pipeline)),
		CPUCount: 2 * size, MemoryGB: 4 * size, DiskGB: 20 * size, StartedAt: start, FinishedAt: &end, DurationSeconds: &seconds,
	}
}

// leases makes the leases from the first to before the end.
func (h history) leases(first, end int) []billing.Lease {
	leases := make([]billing.Lease, 0, end-first)
	for i := first; i < end; i++ {
		leases = append(leases, h.lease(i))
	}
	return leases
}

// id makes a UUID of version 7 that is the same each time.
func (h history) id(kind byte, at billing.Time, i int) (id billing.ID) {
	binary.BigEndian.PutUint64(id[:], uint64(at/1000)<<16)
	binary.BigEndian.PutUint64(id[8:], uint64(i))
	id[6], id[7], id[8], id[9] = 0x70, kind, 0x80, orgIDs[h.org][0]
	return id
}

// mixBits spreads the bits of a number (splitmix64), so that the result looks random.
func mixBits(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// leaseJSON is a lease in a request, or in a line for import.
type leaseJSON struct {
	Type            string  `json:"type,omitempty"`
	Org             string  `json:"org,omitempty"`
	LeaseID         string  `json:"lease_id"`
	JobID           string  `json:"job_id"`
	JobName         *string `json:"job_name"`
	StepKey         *string `json:"step_key"`
	VMHandle        *string `json:"vm_handle"`
	BuildID         string  `json:"build_id"`
	BuildNumber     *int64  `json:"build_number"`
	BuildExternalID *string `json:"build_external_id"`
	PipelineID      string  `json:"pipeline_id"`
	PipelineName    *string `json:"pipeline_name"`
	PipelineSlug    *string `json:"pipeline_slug"`
	CPUCount        int64   `json:"cpu_count"`
	MemoryGB        int64   `json:"memory_gb"`
	DiskGB          int64   `json:"disk_gb"`
	StartedAt       string  `json:"started_at"`
	FinishedAt      string  `json:"finished_at"`
	DurationSeconds *int64  `json:"duration_seconds"`
}

func toJSON(l billing.Lease) leaseJSON {
	return leaseJSON{
		LeaseID: l.ID.String(), JobID: l.JobID.String(), JobName: l.JobName, StepKey: l.StepKey, VMHandle: l.VMHandle,
		BuildID: l.BuildID.String(), BuildNumber: l.BuildNumber, BuildExternalID: l.BuildExternalID,
		PipelineID: l.PipelineID.String(), PipelineName: l.PipelineName, PipelineSlug: l.PipelineSlug,
		CPUCount: l.CPUCount, MemoryGB: l.MemoryGB, DiskGB: l.DiskGB,
		StartedAt: l.StartedAt.String(), FinishedAt: l.FinishedAt.String(), DurationSeconds: l.DurationSeconds,
	}
}

// recordBody is the body of a request that records the leases.
func recordBody(leases []billing.Lease) (string, error) {
	var body struct {
		Leases []leaseJSON `json:"leases"`
	}
	for _, l := range leases {
		body.Leases = append(body.Leases, toJSON(l))
	}
	text, err := json.Marshal(body)
	return string(text), err
}

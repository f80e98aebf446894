// Package transfer reads and writes the books as NDJSON, one record a line.
package transfer

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/strictjson"
)

// The types of records.
const (
	typeOrganization = "organization"
	typeToken        = "token"
	typeLease        = "lease"
	typeCredit       = "credit"
	typeEntry        = "entry"
)

type organizationRecord struct {
	Type      string        `json:"type"`
	Slug      string        `json:"slug"`
	Name      string        `json:"name"`
	ID        *billing.ID   `json:"id"`
	CreatedAt *billing.Time `json:"created_at"`
}

type tokenRecord struct {
	Type          string        `json:"type"`
	SHA256        string        `json:"sha256"`
	Name          string        `json:"name"`
	Role          billing.Role  `json:"role"`
	Organizations []string      `json:"organizations"`
	CreatedAt     *billing.Time `json:"created_at"`
	ExpiresAt     *billing.Time `json:"expires_at"`
	RevokedAt     *billing.Time `json:"revoked_at"`
}

type leaseRecord struct {
	Type            string        `json:"type"`
	Org             string        `json:"org"`
	LeaseID         *billing.ID   `json:"lease_id"`
	JobID           *billing.ID   `json:"job_id"`
	JobName         *string       `json:"job_name"`
	StepKey         *string       `json:"step_key"`
	VMHandle        *string       `json:"vm_handle"`
	BuildID         *billing.ID   `json:"build_id"`
	BuildNumber     *int64        `json:"build_number"`
	BuildExternalID *string       `json:"build_external_id"`
	PipelineID      *billing.ID   `json:"pipeline_id"`
	PipelineName    *string       `json:"pipeline_name"`
	PipelineSlug    *string       `json:"pipeline_slug"`
	CPUCount        int64         `json:"cpu_count"`
	MemoryGB        int64         `json:"memory_gb"`
	DiskGB          int64         `json:"disk_gb"`
	StartedAt       *billing.Time `json:"started_at"`
	FinishedAt      *billing.Time `json:"finished_at"`
	DurationSeconds *int64        `json:"duration_seconds"`
	AmountCents     *int64        `json:"amount_cents,omitzero"` // there only where the lease is billed already
}

type creditRecord struct {
	Type           string         `json:"type"`
	Org            string         `json:"org"`
	AmountCents    int64          `json:"amount_cents"`
	Source         billing.Source `json:"source"`
	Description    *string        `json:"description"`
	IdempotencyKey string         `json:"idempotency_key"`
}

type entryRecord struct {
	Type           string         `json:"type"`
	ID             *billing.ID    `json:"id"`
	Org            string         `json:"org"`
	AmountCents    *int64         `json:"amount_cents"`
	Source         billing.Source `json:"source"`
	Description    *string        `json:"description"`
	CreatedAt      *billing.Time  `json:"created_at"`
	LeaseID        *billing.ID    `json:"lease_id"`
	IdempotencyKey *string        `json:"idempotency_key,omitzero"` // kept, so that a credit sent again after a move is still known
}

// encoding and decoding write ids and times as text.
var (
	encoding = json.WithMarshalers(json.JoinMarshalers(
		json.MarshalToFunc(func(enc *jsontext.Encoder, id billing.ID) error {
			return enc.WriteToken(jsontext.String(id.String()))
		}),
		json.MarshalToFunc(func(enc *jsontext.Encoder, t billing.Time) error {
			return enc.WriteToken(jsontext.String(t.String()))
		}),
	))
	decoding = json.JoinUnmarshalers(strictjson.Text(billing.ParseID), strictjson.Text(billing.ParseTime))
)

// typeOf tells what a line is; one that does not say is known by its keys.
func typeOf(line []byte) (string, error) {
	if line[0] != '{' {
		return "", errors.New("the line is not a JSON object")
	}
	var keys struct {
		Type        jsontext.Value `json:"type"`
		CPUCount    jsontext.Value `json:"cpu_count"`
		AmountCents jsontext.Value `json:"amount_cents"`
	}
	// Keys that come twice are for the decoder of the type to refuse.
	if err := json.Unmarshal(line, &keys, jsontext.AllowDuplicateNames(true)); err != nil {
		return "", fmt.Errorf("the line is not valid JSON: %s", strictjson.Plain(err))
	}
	switch {
	case keys.Type.Kind() == '"':
		kind, err := jsontext.AppendUnquote(nil, keys.Type)
		return string(kind), err
	case keys.Type != nil:
		return "", errors.New("type: must be a string")
	case keys.CPUCount != nil:
		return typeLease, nil
	case keys.AmountCents != nil:
		return typeCredit, nil
	}
	return "", errors.New("the line has no type, and neither the keys of a lease nor of a credit")
}

func (r leaseRecord) lease() (billing.Lease, error) {
	if r.StartedAt == nil {
		return billing.Lease{}, errors.New("started_at is required")
	}
	return billing.Lease{
		ID: r.LeaseID, JobID: r.JobID, JobName: r.JobName, StepKey: r.StepKey, VMHandle: r.VMHandle,
		BuildID: r.BuildID, BuildNumber: r.BuildNumber, BuildExternalID: r.BuildExternalID,
		PipelineID: r.PipelineID, PipelineName: r.PipelineName, PipelineSlug: r.PipelineSlug,
		CPUCount: r.CPUCount, MemoryGB: r.MemoryGB, DiskGB: r.DiskGB,
		StartedAt: *r.StartedAt, FinishedAt: r.FinishedAt, DurationSeconds: r.DurationSeconds, AmountCents: r.AmountCents,
	}, nil
}

func toLeaseRecord(org string, l *billing.Lease) leaseRecord {
	return leaseRecord{
		Type: typeLease, Org: org,
		LeaseID: l.ID, JobID: l.JobID, JobName: l.JobName, StepKey: l.StepKey, VMHandle: l.VMHandle,
		BuildID: l.BuildID, BuildNumber: l.BuildNumber, BuildExternalID: l.BuildExternalID,
		PipelineID: l.PipelineID, PipelineName: l.PipelineName, PipelineSlug: l.PipelineSlug,
		CPUCount: l.CPUCount, MemoryGB: l.MemoryGB, DiskGB: l.DiskGB,
		StartedAt: &l.StartedAt, FinishedAt: l.FinishedAt, DurationSeconds: l.DurationSeconds, AmountCents: l.AmountCents,
	}
}

func (r entryRecord) entry() (billing.Entry, error) {
	if r.ID == nil || r.AmountCents == nil || r.CreatedAt == nil {
		return billing.Entry{}, errors.New("id, amount_cents and created_at are required")
	}
	return billing.Entry{
		ID: *r.ID, AmountCents: *r.AmountCents, Source: r.Source, Description: r.Description, CreatedAt: *r.CreatedAt,
		LeaseID: r.LeaseID, IdempotencyKey: r.IdempotencyKey,
	}, nil
}

func (r tokenRecord) token() (t billing.Token, err error) {
	t = billing.Token{
		Name: r.Name, Role: r.Role, Organizations: r.Organizations, ExpiresAt: r.ExpiresAt, RevokedAt: r.RevokedAt,
	}
	if n, err := hex.Decode(t.Hash[:], []byte(r.SHA256[:min(len(r.SHA256), 2*len(t.Hash))])); err != nil || n != len(t.Hash) || len(r.SHA256) != 2*n {
		return t, fmt.Errorf("sha256 must be %d hexadecimal digits", 2*len(t.Hash))
	}
	if r.CreatedAt == nil {
		return t, errors.New("created_at is required")
	}
	t.CreatedAt = *r.CreatedAt
	return t, t.Validate()
}

package store

import (
	"database/sql"
	"fmt"
	"strings"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// idValue is an id as a parameter; a nil id is NULL.
func idValue(id *billing.ID) any {
	if id == nil {
		return nil
	}
	return id[:]
}

// idColumn reads an id that is not NULL, whether the database hands it over as 16 bytes or as text.
type idColumn struct{ into *billing.ID }

func (c idColumn) Scan(value any) (err error) {
	switch v := value.(type) {
	case []byte:
		if len(v) != len(c.into) {
			return fmt.Errorf("an id of %d bytes", len(v))
		}
		copy(c.into[:], v)
	case string:
		*c.into, err = billing.ParseID(v)
	default:
		return fmt.Errorf("an id of type %T", value)
	}
	return err
}

// nullIDColumn reads an id that may be NULL.
type nullIDColumn struct{ into **billing.ID }

func (c nullIDColumn) Scan(value any) error {
	if value == nil {
		*c.into = nil
		return nil
	}
	id := new(billing.ID)
	*c.into = id
	return idColumn{id}.Scan(value)
}

const leaseColumns = `lease_id, job_id, job_name, step_key, vm_handle, build_id, build_number, build_external_id,
	pipeline_id, pipeline_name, pipeline_slug, cpu_count, memory_gb, disk_gb,
	started_at, finished_at, duration_seconds, amount_cents`

func scanLease(rows *sql.Rows, l *billing.Lease, more ...any) error {
	l.ID = new(billing.ID)
	return rows.Scan(append([]any{
		idColumn{l.ID}, nullIDColumn{&l.JobID}, &l.JobName, &l.StepKey, &l.VMHandle,
		nullIDColumn{&l.BuildID}, &l.BuildNumber, &l.BuildExternalID,
		nullIDColumn{&l.PipelineID}, &l.PipelineName, &l.PipelineSlug, &l.CPUCount, &l.MemoryGB, &l.DiskGB,
		&l.StartedAt, &l.FinishedAt, &l.DurationSeconds, &l.AmountCents,
	}, more...)...)
}

func leaseValues(org billing.ID, l *billing.Lease, args []any) []any {
	return append(args, org[:],
		idValue(l.ID), idValue(l.JobID), l.JobName, l.StepKey, l.VMHandle,
		idValue(l.BuildID), l.BuildNumber, l.BuildExternalID,
		idValue(l.PipelineID), l.PipelineName, l.PipelineSlug, l.CPUCount, l.MemoryGB, l.DiskGB,
		int64(l.StartedAt), (*int64)(l.FinishedAt), l.DurationSeconds, l.AmountCents)
}

const entryColumns = `seq, entry_id, amount_cents, balance_after_cents, source, description, created_at, lease_id,
	idempotency_key`

func scanEntry(rows *sql.Rows, e *billing.Entry, more ...any) error {
	return rows.Scan(append([]any{
		&e.Seq, idColumn{&e.ID}, &e.AmountCents, &e.BalanceAfterCents, &e.Source, &e.Description,
		&e.CreatedAt, nullIDColumn{&e.LeaseID}, &e.IdempotencyKey,
	}, more...)...)
}

func entryValues(org billing.ID, e *billing.Entry, args []any) []any {
	return append(args, org[:],
		e.Seq, e.ID[:], e.AmountCents, e.BalanceAfterCents, string(e.Source), e.Description,
		int64(e.CreatedAt), idValue(e.LeaseID), e.IdempotencyKey)
}

const usageColumns = `cpu_seconds, memory_gb_seconds, disk_gb_seconds, total_cents`

func usageInto(u *billing.Usage) []any {
	return []any{&u.CPUSeconds, &u.MemoryGBSeconds, &u.DiskGBSeconds, &u.Cents}
}

// parameters writes rows of parameters, "($1,$2),($3,$4)" for two rows of two, beginning at $first. It must follow upon
// $first-1, since some databases just count them.
func (d dialect) parameters(first, rows, width int) string {
	var b strings.Builder
	for row := range rows {
		for column := range width {
			switch {
			case column > 0:
				b.WriteByte(',')
			case row > 0:
				b.WriteString("),(")
			default:
				b.WriteByte('(')
			}
			b.WriteString(d.parameter(first + row*width + column))
		}
	}
	b.WriteByte(')')
	return b.String()
}

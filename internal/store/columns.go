package store

import (
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// columns takes rows apart one column after the other, without reflection: where a million rows go through, scanning them takes
// longer than reading them. Each method puts the next column where it is told to and returns that, or nil for NULL.
type columns struct {
	raw    [][]byte // of a row of PostgreSQL, in binary
	values []any    // of a row of SQLite
	into   []any    // pointers to them
	next   int
	err    error
}

// read begins a row with n columns.
func (c *columns) read(r row, n int) error {
	c.next = 0
	if native, ok := r.(pgx.Rows); ok {
		c.raw = native.RawValues()
		return nil
	}
	if c.into == nil {
		c.values, c.into = make([]any, n), make([]any, n)
		for i := range c.values {
			c.into[i] = &c.values[i]
		}
	}
	return r.Scan(c.into...)
}

// column returns the next column, in one of the two forms; both are nil for NULL.
func (c *columns) column() (raw []byte, value any) {
	i := c.next
	c.next++
	if c.raw != nil {
		return c.raw[i], nil
	}
	return nil, c.values[i]
}

func (c *columns) wrong(what string, raw []byte, value any) {
	c.err = fmt.Errorf("column %d is not %s: %d bytes, %T", c.next, what, len(raw), value)
}

func (c *columns) number(into *int64) *int64 {
	raw, value := c.column()
	switch v := value.(type) {
	case int64:
		*into = v
		return into
	case nil:
		if len(raw) == 8 {
			*into = int64(binary.BigEndian.Uint64(raw))
			return into
		}
		if raw == nil {
			return nil
		}
	}
	c.wrong("a number", raw, value)
	return nil
}

func (c *columns) time(into *billing.Time) *billing.Time {
	return (*billing.Time)(c.number((*int64)(into)))
}

func (c *columns) text(into *string) *string {
	raw, value := c.column()
	switch v := value.(type) {
	case string:
		*into = v
		return into
	case nil:
		if raw == nil {
			return nil
		}
		*into = string(raw)
		return into
	}
	c.wrong("a text", raw, value)
	return nil
}

func (c *columns) id(into *billing.ID) *billing.ID {
	raw, value := c.column()
	if v, ok := value.([]byte); ok {
		raw = v
	} else if raw == nil && value == nil {
		return nil
	}
	if len(raw) != len(into) {
		c.wrong("an id", raw, value)
		return nil
	}
	copy(into[:], raw)
	return into
}

// breakdownRow is a row with the values that it points to, so that they take one allocation.
type breakdownRow struct {
	billing.BreakdownRow
	id, job, build, pipeline                                         billing.ID
	jobName, stepKey, vmHandle, external, pipelineName, pipelineSlug string
	buildNumber, duration, amount                                    int64
	finishedAt, buildFinishedAt                                      billing.Time
}

// breakdownColumns is how many columns a breakdown has: those of a lease and the sums of its build.
const breakdownColumns = 22

func (c *columns) breakdown(r row) (*billing.BreakdownRow, error) {
	if err := c.read(r, breakdownColumns); err != nil {
		return nil, err
	}
	b := new(breakdownRow)
	l := &b.Lease
	l.ID, l.JobID = c.id(&b.id), c.id(&b.job)
	l.JobName, l.StepKey, l.VMHandle = c.text(&b.jobName), c.text(&b.stepKey), c.text(&b.vmHandle)
	l.BuildID, l.BuildNumber, l.BuildExternalID = c.id(&b.build), c.number(&b.buildNumber), c.text(&b.external)
	l.PipelineID, l.PipelineName, l.PipelineSlug = c.id(&b.pipeline), c.text(&b.pipelineName), c.text(&b.pipelineSlug)
	c.number(&l.CPUCount)
	c.number(&l.MemoryGB)
	c.number(&l.DiskGB)
	c.time(&l.StartedAt)
	l.FinishedAt = c.time(&b.finishedAt)
	l.DurationSeconds, l.AmountCents = c.number(&b.duration), c.number(&b.amount)
	c.time(&b.Build.StartedAt)
	b.Build.FinishedAt = c.time(&b.buildFinishedAt)
	c.number(&b.Build.Cents)
	c.number(&b.Build.Jobs)
	return &b.BreakdownRow, c.err
}

package store

import (
	"encoding/binary"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// columns takes a row apart one column after the other, without reflection: where a million rows go through, scanning them
// takes longer than reading them. Each method puts the next column where it is told to and returns that, or nil for NULL.
type columns struct {
	raw  [][]byte     // of a row of PostgreSQL, in binary
	stmt *sqlite.Stmt // at a row of SQLite
	next int
	err  error // the first that was not what was asked for
}

// column returns the number of the next column and, of PostgreSQL, its bytes; ok tells that it is not NULL.
func (c *columns) column() (i int, raw []byte, ok bool) {
	i = c.next
	c.next++
	if c.stmt != nil {
		return i, nil, !c.stmt.ColumnIsNull(i)
	}
	return i, c.raw[i], c.raw[i] != nil
}

func (c *columns) wrong(i int, what string) {
	if c.err == nil {
		c.err = fmt.Errorf("column %d is not %s", i, what)
	}
}

func (c *columns) number(into *int64) *int64 {
	i, raw, ok := c.column()
	switch {
	case !ok:
		return nil
	case c.stmt != nil:
		if c.stmt.ColumnType(i) != sqlite.TypeInteger {
			c.wrong(i, "a number")
		}
		*into = c.stmt.ColumnInt64(i)
	case len(raw) == 8:
		*into = int64(binary.BigEndian.Uint64(raw))
	default:
		c.wrong(i, "a number")
	}
	return into
}

func (c *columns) time(into *billing.Time) *billing.Time {
	return (*billing.Time)(c.number((*int64)(into)))
}

func (c *columns) text(into *string) *string {
	i, raw, ok := c.column()
	switch {
	case !ok:
		return nil
	case c.stmt != nil:
		*into = c.stmt.ColumnText(i)
	default:
		*into = string(raw)
	}
	return into
}

func (c *columns) id(into *billing.ID) *billing.ID {
	i, raw, ok := c.column()
	if !ok {
		return nil
	}
	n := len(raw)
	if c.stmt != nil {
		n = c.stmt.ColumnBytes(i, into[:])
	} else {
		copy(into[:], raw)
	}
	if n != len(into) {
		c.wrong(i, "an id")
	}
	return into
}

// Scan implements row.
func (c *columns) Scan(into ...any) error {
	for _, v := range into {
		switch v := v.(type) {
		case *int64:
			c.number(v)
		case *billing.Time:
			c.time(v)
		case idColumn:
			c.id(v.into)
		case nullIDColumn:
			*v.into = c.id(new(billing.ID))
		case **int64:
			*v = c.number(new(int64))
		case **billing.Time:
			*v = c.time(new(billing.Time))
		case **string:
			*v = c.text(new(string))
		case *billing.Source:
			c.text((*string)(v))
		default:
			return fmt.Errorf("a column into %T", v)
		}
	}
	return c.err
}

// breakdownRow is a row with the values that it points to, so that they take one allocation.
type breakdownRow struct {
	billing.BreakdownRow
	id, job, build, pipeline                                         billing.ID
	jobName, stepKey, vmHandle, external, pipelineName, pipelineSlug string
	buildNumber, duration, amount                                    int64
	finishedAt                                                       billing.Time
}

// lease reads the columns leaseColumns, and nothing of the build.
func (c *columns) lease() (*breakdownRow, error) {
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
	return b, c.err
}

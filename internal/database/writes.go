package database

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

// Writes has the numbers of writes since the database was opened.
type Writes struct {
	Calls      int64         // calls of Write; concurrent calls share a transaction
	InProgress int64         // calls that are queued or being committed
	Committed  int64         // committed transactions, including those for organizations and tokens
	RolledBack int64         // transactions without a change, and refused ones
	Failed     int64         // transactions that the database could not commit at the time
	Busy       time.Duration // of all transactions together
}

type writeCounts struct{ calls, inProgress, committed, rolledBack, failed, busy atomic.Int64 }

// Writes returns the numbers of writes.
func (d *Database) Writes() Writes {
	n := d.writes
	return Writes{
		Calls: n.calls.Load(), InProgress: n.inProgress.Load(), Committed: n.committed.Load(), RolledBack: n.rolledBack.Load(), Failed: n.failed.Load(),
		Busy: time.Duration(n.busy.Load()),
	}
}

// Write implements billing.Ledger.
func (d *Database) Write(ctx context.Context, org billing.ID, ops ...billing.Operation) ([]error, error) {
	d.writes.calls.Add(1)
	d.writes.inProgress.Add(1)
	defer d.writes.inProgress.Add(-1)
	return d.Store.Write(ctx, org, ops...)
}

// counted is a database that counts its write transactions.
type counted struct {
	driver.Database
	*writeCounts
}

// Write implements driver.Database.
func (c counted) Write(ctx context.Context, do func(driver.Tx) error) error {
	start := time.Now()
	err := c.Database.Write(ctx, do)
	c.busy.Add(int64(time.Since(start)))
	switch {
	case err == nil:
		c.committed.Add(1)
	case ctx.Err() != nil || c.Classify(err) == driver.Unavailable || c.Classify(err) == driver.Conflict:
		c.failed.Add(1)
	default:
		c.rolledBack.Add(1)
	}
	return err
}

// Package driver has the interfaces between the store and a database. The packages sqlite and postgres implement them.
package driver

import (
	"context"
	"iter"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// Database is an open database with an up-to-date schema. Its methods may be called concurrently.
type Database interface {
	// Reader reads the database itself, not a replica. It sees every transaction that was committed before the call.
	Reader
	Dialect

	// ReadReplica runs do with the Reader of a replica that is at most five seconds behind. If there is no such replica, or do
	// fails on it, ReadReplica runs do with the Reader of the database. So do may be called twice, and has to start over.
	ReadReplica(ctx context.Context, do func(context.Context, Reader) error) error

	// Snapshots returns how many snapshots the database, or one replica, can have open at the same time. It is at least one. Further
	// calls of Snapshot wait.
	Snapshots() int

	// Write runs do in a write transaction. It executes the statements that are still queued in the Tx, and commits. These must not
	// be queries, because an error of scan would come after the commit. If do returns an error or panics, or the context ends
	// before the commit, nothing is written. At most as many calls may overlap as there are Writers.
	Write(ctx context.Context, do func(Tx) error) error

	// Writers returns how many write transactions the database runs at the same time.
	Writers() int

	// Split reports whether organizations are on different nodes, so that a write transaction should be of one organization only: one of
	// several nodes takes longer, and fails if one of the nodes is down.
	Split() bool

	// Check looks for damage in tables and indexes, and calls damaged with a description of each. It reads the whole database.
	Check(ctx context.Context, damaged func(what string) error) error

	// Classify returns the kind of an error that another method has returned.
	Classify(error) Failure

	Close() error
}

// Querier runs a SELECT and calls scan with each row. A row is valid until scan returns; an error of scan ends the query. The first
// argument is the parameter $1, and the numbers first appear in ascending order. An argument is nil, an int64, a string or a []byte.
type Querier interface {
	Query(ctx context.Context, text string, args []any, scan func(*Row) error) error
}

// Reader reads committed data.
type Reader interface {
	Querier
	// Snapshot runs do in a read transaction. If the connection turns out to be broken before do has seen a row, do is called again.
	Snapshot(ctx context.Context, do func(Snapshot) error) error
}

// Snapshot is a read transaction. All of its statements see the same state of the database.
type Snapshot interface {
	Querier
	// Start starts a SELECT. Next reads its rows. Other statements may run between two calls of Next.
	Start(ctx context.Context, text string, args []any) error
	// Next calls scan with at most n further rows.
	Next(ctx context.Context, n int, scan func(*Row) error) error
}

// Tx is a write transaction. Its statements may be queued until Run, so that many statements share one round trip to the database.
type Tx interface {
	Query(text string, args []any, scan func(*Row) error)
	Exec(text string, args []any)
	// Run executes the queued statements, and returns the first error. The end of the context may end a statement.
	Run(context.Context) error
}

// Dialect builds the statements that differ between databases. Its methods yield statements, each a text and its arguments.
type Dialect interface {
	// Lock builds statements that read columns of the rows of organizations, in a table that has one row for each, and lock these rows
	// until the write transaction ends, in the order of the organizations. Rows that others have locked are waited for if wait is
	// true, and are missing otherwise.
	Lock(columns, table string, orgs []any, wait bool) iter.Seq2[string, []any]
	// LockRateCards builds statements that lock the rate cards until the write transaction ends: exclusively to add one, and otherwise
	// only against transactions that do.
	LockRateCards(toAdd bool) iter.Seq2[string, []any]
	// ByIndex returns the clause that follows the name of a table to search it by the index.
	ByIndex(index string) string
	// Lookup builds statements that find the rows that have one of the keys in a column.
	Lookup(Lookup) iter.Seq2[string, []any]
	// Find builds statements that find the rows of organizations that have one of the keys in a column.
	Find(Find) iter.Seq2[string, []any]
	// Insert builds statements that insert rows. A row has a value for each column of the table. The clause conflict, which may
	// be empty, tells the database how to handle a row with a key that exists.
	Insert(into *Table, rows [][]any, conflict string) iter.Seq2[string, []any]
}

// Lookup describes a search for many keys.
type Lookup struct {
	Select string // the columns of the result
	From   string // a table and a WHERE clause, which is extended
	Args   []any  // of the condition
	Column string // that has one of the keys
	Type   Type   // of the column
	Keys   []any
}

// Find describes a search for keys of several organizations.
type Find struct {
	Select string // the columns of the result
	Table  string // which has the column org_id
	Index  string // to search by; "" if it is the primary key
	Column string // that has one of the keys
	Type   Type   // of the column
	Orgs   []any
	Keys   [][]any // of each of the organizations
}

// Of describes the search for the keys of one of the organizations. The clause index follows the name of the table.
func (f Find) Of(org int, index string) Lookup {
	return Lookup{
		Select: f.Select, From: f.Table + index + ` WHERE org_id = $1`, Args: []any{f.Orgs[org]}, Column: f.Column, Type: f.Type, Keys: f.Keys[org],
	}
}

// Table is a table of the database.
type Table struct {
	Name    string
	Columns []Column
}

// Column is a column of a table.
type Column struct {
	Name string
	Type Type
}

// Type is the type of a column, by its name in PostgreSQL.
type Type string

// The types of columns.
const (
	UUID   Type = "uuid"
	Text   Type = "text"
	Bigint Type = "bigint"
	Bytea  Type = "bytea"
)

// Failure is the kind of an error.
type Failure int

// The kinds of failures.
const (
	Other       Failure = iota
	Duplicate           // a row with the same key exists
	Conflict            // the transaction collided with another one, and may be tried again
	Unavailable         // the database could not do its work for now
)

// Fault turns an error of a database into an error of the domain: the error of the context if it has ended, and ErrUnavailable for a
// Conflict and for Unavailable.
func Fault(ctx context.Context, failure Failure, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil: // libraries report different errors for a query that its context has ended
		return ctx.Err()
	case failure == Unavailable || failure == Conflict:
		return billing.Faultf(billing.ErrUnavailable, "%w", err)
	}
	return err
}

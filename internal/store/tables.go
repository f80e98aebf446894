package store

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

// table is a table that stores values of T. It has a column for each field of T, in the order of the fields. If its rows belong to
// an organization, the first column is the id of the organization.
type table[T any] struct {
	driver.Table
	fields  []billing.Field[T]
	columns string // of the fields, without the organization, separated by commas
}

// newTable makes a table with rows that belong to an organization.
func newTable[T any](name string, fields []billing.Field[T]) *table[T] {
	t := newSharedTable(name, fields)
	t.Columns = slices.Insert(t.Columns, 0, driver.Column{Name: "org_id", Type: driver.UUID})
	return t
}

// newSharedTable makes a table with rows that belong to no organization.
func newSharedTable[T any](name string, fields []billing.Field[T]) *table[T] {
	t := &table[T]{Table: driver.Table{Name: name}, fields: fields}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
		t.Columns = append(t.Columns, driver.Column{Name: f.Name, Type: typeOf(f.Of(new(T)))})
	}
	t.columns = strings.Join(names, ", ")
	return t
}

var (
	organizationTable = newSharedTable("organizations", billing.OrganizationFields)
	tokenTable        = newSharedTable("tokens", billing.TokenFields)
	headTable         = newTable("ledger_heads", billing.HeadFields)
	cardTable         = newSharedTable("rate_cards", billing.RateCardFields)
	leaseTable        = newTable("leases", billing.LeaseFields)
	entryTable        = newTable("ledger_entries", billing.EntryFields)
	sumTable          = newTable("usage_sums", billing.SumFields)
	groupValueTable   = newTable("usage_values", billing.GroupValueFields)
	groupSumTable     = newTable("usage_groups", billing.GroupSumFields)
	usageColumns      = newSharedTable("", billing.UsageFields) // no table, but columns of heads and sums
)

// into appends pointers to the fields of v, into which a row can be scanned.
func (t *table[T]) into(v *T, places []any) []any {
	for i := range t.fields {
		places = append(places, t.fields[i].Of(v))
	}
	return places
}

// scan reads a row that has the columns of the fields and then the columns for more.
func (t *table[T]) scan(r *driver.Row, v *T, more ...any) error {
	return r.Scan(append(t.into(v, nil), more...)...)
}

// values appends the fields of v as arguments of a statement.
func (t *table[T]) values(v *T, args []any) []any {
	for i := range t.fields {
		args = append(args, argument(t.fields[i].Known(v)))
	}
	return args
}

// rows returns rows of an organization for an insertion.
func (t *table[T]) rows(org billing.ID, of []T) [][]any {
	rows := make([][]any, len(of))
	for i := range of {
		rows[i] = t.values(&of[i], append(make([]any, 0, len(t.Columns)), org[:]))
	}
	return rows
}

// set returns the assignments of an UPDATE to all columns but the first ones, which are the key. The expression change gives the new
// value of a column.
func (t *table[T]) set(keys int, change func(column string) string) string {
	parts := make([]string, 0, len(t.fields))
	for _, f := range t.fields[keys:] {
		parts = append(parts, f.Name+` = `+change(f.Name))
	}
	return strings.Join(parts, `, `)
}

// typeOf returns the type of the column of a field, which value points to.
func typeOf(value any) driver.Type {
	switch value.(type) {
	case *billing.ID, **billing.ID:
		return driver.UUID
	case *int64, **int64, *billing.Time, **billing.Time:
		return driver.Bigint
	case *string, **string, *billing.Source, *billing.Role:
		return driver.Text
	case *billing.TokenHash, *billing.Digest:
		return driver.Bytea
	}
	panic(fmt.Sprintf("a field of type %T", value))
}

// argument turns a pointer to the value of a field, or nil, into an argument of a statement.
func argument(value any) any {
	switch v := value.(type) {
	case *int64:
		return *v
	case *billing.Time:
		return int64(*v)
	case *string:
		return *v
	case *billing.Source:
		return string(*v)
	case *billing.Role:
		return string(*v)
	case *billing.ID:
		return v[:]
	case *billing.TokenHash:
		return v[:]
	case *billing.Digest:
		return v[:]
	case nil:
		return nil
	}
	panic(fmt.Sprintf("a field with a value of type %T", value))
}

// The clauses of an insertion for rows that exist.
var (
	changeLease = ` ON CONFLICT (org_id, lease_id) DO UPDATE SET ` + leaseTable.set(2, func(c string) string { return `excluded.` + c })
	addToSum    = ` ON CONFLICT (org_id, span, start_at) DO UPDATE SET ` + increase(sumTable, 2)
	addToGroup  = ` ON CONFLICT (org_id, grouped_by, span, start_at, number) DO UPDATE SET ` + increase(groupSumTable, 4)
	renameValue = ` ON CONFLICT (org_id, grouped_by, number) DO UPDATE SET name = excluded.name`
	changeHead  = ` ON CONFLICT (org_id) DO UPDATE SET ` + headTable.set(0, func(c string) string { return `excluded.` + c })
)

// increase returns assignments that add to all columns but the first ones, which are the key. A counter that is full stays full. Neither
// database adds beyond an int64.
func increase[T any](t *table[T], keys int) string {
	return t.set(keys, func(c string) string {
		return fmt.Sprintf(`CASE WHEN %[1]s.%[2]s > %[3]d - excluded.%[2]s THEN %[3]d ELSE %[1]s.%[2]s + excluded.%[2]s END`, t.Name, c, billing.MaxCounter)
	})
}

// insert inserts rows. The clause conflict tells the database how to handle a row with a key that exists.
func (s *Store) insert(tx driver.Tx, into *driver.Table, rows [][]any, conflict string) {
	for text, args := range s.db.Insert(into, rows, conflict) {
		tx.Exec(text, args)
	}
}

// flush writes the changes of the books of a batch. It returns errNothingToCommit if there are none.
func (s *Store) flush(tx driver.Tx, b *batch, books map[billing.ID]*billing.Book) error {
	var leases, changed, entries, sums, heads [][]any
	for _, share := range b.shares {
		org, book := share.line.org, books[share.line.org]
		if book == nil {
			continue
		}
		c := book.Changes()
		if c.Empty() {
			continue
		}
		leases = append(leases, leaseTable.rows(org, c.Leases)...)
		changed = append(changed, leaseTable.rows(org, c.Changed)...)
		entries = append(entries, entryTable.rows(org, c.Entries)...)
		// The rows of a span then lie together in the table.
		for _, period := range slices.SortedFunc(maps.Keys(c.Sums), billing.Period.Compare) {
			sums = append(sums, sumTable.rows(org, []billing.PeriodUsage{{Period: period, Usage: c.Sums[period]}})...)
		}
		heads = append(heads, headTable.rows(org, []billing.Head{book.Head})...)
	}
	if len(heads) == 0 {
		return errNothingToCommit
	}
	s.insert(tx, &leaseTable.Table, leases, ``)
	s.insert(tx, &leaseTable.Table, changed, changeLease)
	s.insert(tx, &entryTable.Table, entries, ``)
	s.insert(tx, &sumTable.Table, sums, addToSum)
	s.insert(tx, &headTable.Table, heads, changeHead)
	return nil
}

package driver

import (
	"slices"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// Opening says what may be done to a database in order to open it.
type Opening struct {
	// Create makes the tables of the books in a database that has none.
	Create bool
	// BesideOthers makes them also in a database that has tables of another program.
	BesideOthers bool
	// ReadOnly opens also books that this process cannot write. Nothing is written to them then.
	ReadOnly bool
}

// versionTable has the versions of the schema. The library for migrations makes it before all other tables.
const versionTable = "goose_db_version"

// bookTables tell the books from the tables of other programs. Every version of the schema has them.
var bookTables = []string{versionTable, "ledger_entries", "ledger_heads", "organizations"}

// HasBooks reports whether the tables of a schema are those of books.
func HasBooks(tables []string) bool {
	return !slices.ContainsFunc(bookTables, func(table string) bool { return !slices.Contains(tables, table) })
}

// IsBookTable reports whether a table may be one that HasBooks looks for.
func IsBookTable(table string) bool { return slices.Contains(bookTables, table) }

// Check fails with ErrInvalid unless the schema has the books, or they may be made there. It is given the tables and views of the
// schema, and words that name the place.
func (o Opening) Check(place string, tables []string) error {
	if HasBooks(tables) {
		return nil
	}
	others := slices.DeleteFunc(slices.Clone(tables), func(table string) bool { return table == versionTable })
	switch {
	case !o.Create && len(others) > 0:
		return billing.Faultf(billing.ErrInvalid, "%s has tables of another program, such as %q, and no books", place, others[0])
	case !o.Create:
		return billing.Faultf(billing.ErrInvalid, "%s has no books; 'harmont-billing serve', 'org create', 'import' and 'migrate' make them", place)
	case len(others) == 0:
		return nil
	case !o.BesideOthers:
		return billing.Faultf(billing.ErrInvalid, "%s has tables of another program, such as %q, and no books; name another database, "+
			"or allow the tables of the books beside them with --beside-other-tables", place, others[0])
	case len(others) < len(tables):
		return billing.Faultf(billing.ErrInvalid, "%s has tables of another program, and one of them is %s, which the books need", place, versionTable)
	}
	return nil
}

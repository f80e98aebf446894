package store

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// table is where values of T are stored, in columns in the order of the fields. Rows of tables other than organizations and
// tokens begin with the id of the organization.
type table[T any] struct {
	name    string
	fields  []billing.Field[T]
	columns string   // separated by commas
	types   []string // of the columns
}

func newTable[T any](name string, fields []billing.Field[T]) *table[T] {
	t := &table[T]{name: name, fields: fields}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
		t.types = append(t.types, typeOf(f.Of(new(T))))
	}
	t.columns = strings.Join(names, ", ")
	return t
}

var (
	organizations = newTable("organizations", billing.OrganizationFields)
	tokens        = newTable("tokens", billing.TokenFields)
	heads         = newTable("ledger_heads", billing.HeadFields)
	leases        = newTable("leases", billing.LeaseFields)
	entries       = newTable("ledger_entries", billing.EntryFields)
	sums          = newTable("usage_sums", billing.SumFields)
	usage         = newTable("", billing.UsageFields) // a part of heads and sums
)

// into appends where the columns of a row belong.
func (t *table[T]) into(v *T, places []any) []any {
	for i := range t.fields {
		places = append(places, t.fields[i].Of(v))
	}
	return places
}

// scan reads a row with the columns of the table, and those that more points to.
func (t *table[T]) scan(r *row, v *T, more ...any) error {
	return r.Scan(append(t.into(v, nil), more...)...)
}

// values appends the columns of a row as parameters, which point into it.
func (t *table[T]) values(v *T, args []any) []any {
	for i := range t.fields {
		args = append(args, t.fields[i].Known(v))
	}
	return args
}

// set is what follows SET where every column but the first ones, which name a row, becomes what change makes of it.
func (t *table[T]) set(keys int, change func(column string) string) string {
	parts := make([]string, 0, len(t.fields))
	for _, f := range t.fields[keys:] {
		parts = append(parts, f.Name+` = `+change(f.Name))
	}
	return strings.Join(parts, `, `)
}

// The types of columns.
const (
	uuids   = "uuid"
	texts   = "text"
	numbers = "bigint"
	hashes  = "bytea"
)

// typeOf is the type of the column of a field, which the value belongs to.
func typeOf(value any) string {
	switch value.(type) {
	case *billing.ID, **billing.ID:
		return uuids
	case *int64, **int64, *billing.Time, **billing.Time:
		return numbers
	case *string, **string, *billing.Source, *billing.Role:
		return texts
	case *billing.TokenHash:
		return hashes
	}
	panic(fmt.Sprintf("a field of type %T", value))
}

// plain makes of a parameter that points to the value of a field one of bytes, an int64 or a string.
func plain(parameter any) any {
	switch v := parameter.(type) {
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
	}
	return parameter
}

// What follows an insertion where a row with the same key is there.
var (
	changeLease = ` ON CONFLICT (org_id, lease_id) DO UPDATE SET ` + leases.set(2, func(c string) string { return `excluded.` + c })
	addToSum    = ` ON CONFLICT (org_id, span, start_at) DO UPDATE SET ` +
		sums.set(2, func(c string) string { return `usage_sums.` + c + ` + excluded.` + c })
)

// few is as many rows as a single lease changes of one table: a sum of each span.
const few = len(billing.Spans)

// insert inserts rows of an organization, with what follows where a row with the same key is there. PostgreSQL gets many as an
// array for each column, which takes it longer than a few parameters of their own do.
func insert[T any](d dialect, p pipeline, org billing.ID, into *table[T], rows []T, conflict string) {
	before, width := `INSERT INTO `+into.name+` (org_id, `+into.columns+`) `, len(into.types)+1
	if d.pipelined && len(rows) > few {
		columns := make([][]any, len(into.types))
		for i := range rows {
			for c, value := range into.values(&rows[i], make([]any, 0, len(columns))) {
				columns[c] = append(columns[c], plain(value))
			}
		}
		args, parameters := []any{org[:]}, make([]string, len(columns))
		for c, of := range into.types {
			args = append(args, array(of, columns[c]))
			parameters[c] = fmt.Sprintf(`$%d::%s[]`, c+2, of)
		}
		p.exec(before+`SELECT $1::uuid, * FROM unnest(`+strings.Join(parameters, `, `)+`) AS new`+conflict, args)
		return
	}
	for len(rows) > 0 {
		size := 1
		for _, larger := range []int{few, 8, 64} {
			if larger <= len(rows) {
				size = larger
			}
		}
		args := make([]any, 0, size*width)
		for i := range size {
			args = into.values(&rows[i], append(args, org[:]))
		}
		rows = rows[size:]
		p.exec(before+`VALUES `+d.placeholders(size, width)+conflict, args)
	}
}

// updateSum has the parameters of an insertion into sums.
var updateSum = func() string {
	n := 3 // after the organization and the key
	return `UPDATE usage_sums SET ` + sums.set(2, func(c string) string {
		n++
		return fmt.Sprintf(`%s + ?%d`, c, n)
	}) + ` WHERE org_id = ?1 AND span = ?2 AND start_at = ?3`
}()

// addSums adds to the sums of periods, most of which are stored already.
func (d dialect) addSums(p pipeline, org billing.ID, added map[billing.Period]billing.Usage) {
	// In this order the rows of a period lie together in the table.
	var rows []billing.PeriodUsage
	for _, period := range slices.SortedFunc(maps.Keys(added), billing.Period.Compare) {
		rows = append(rows, billing.PeriodUsage{Period: period, Usage: added[period]})
	}
	sqlite, ok := p.(*sqlitePipeline)
	if !ok {
		insert(d, p, org, sums, rows, addToSum)
		return
	}
	// SQLite takes half as long again to insert where a row is there as to update it.
	for i := range rows {
		if !sqlite.update(updateSum, sums.values(&rows[i], []any{org[:]})) {
			insert(d, p, org, sums, rows[i:i+1], addToSum)
		}
	}
}

// lookups are the statements that find rows whose column has one of the keys. What follows FROM ends in a condition, of which
// args are the parameters.
func (d dialect) lookups(columns, from string, args []any, column, of string, keys []any) iter.Seq2[string, []any] {
	return func(yield func(string, []any) bool) {
		if d.pipelined {
			// Each key is looked up by itself. PostgreSQL would rather read all rows of an organization that its statistics take for
			// small, than search for many keys.
			switch len(keys) {
			case 0:
			case 1:
				yield(fmt.Sprintf(`SELECT %s FROM %s AND %s = $%d`, columns, from, column, len(args)+1), append(slices.Clone(args), keys[0]))
			default:
				yield(fmt.Sprintf(`SELECT %s FROM unnest($%d::%s[]) AS key, LATERAL (SELECT * FROM %s AND %s = key OFFSET 0) AS found`,
					columns, len(args)+1, of, from, column), append(slices.Clone(args), array(of, keys)))
			}
			return
		}
		// Only a few sizes of the list of keys occur, so that each is prepared once; a list is filled up with its last key.
		for len(keys) > 0 {
			size := 1
			for size < len(keys) && size < 512 {
				size *= 8
			}
			n := min(size, len(keys))
			all := append(append(make([]any, 0, len(args)+size), args...), keys[:n]...)
			for len(all) < len(args)+size {
				all = append(all, keys[n-1])
			}
			if !yield(`SELECT `+columns+` FROM `+from+` AND `+column+` IN `+d.placeholders(1, size), all) {
				return
			}
			keys = keys[n:]
		}
	}
}

// placeholders writes rows of parameters, "(?,?),(?,?)" for two rows of two. A parameter with a number has a name to SQLite, and
// the driver searches all names for each parameter that it binds: a statement with a thousand of them takes twice as long.
func (d dialect) placeholders(rows, width int) string {
	if !d.pipelined {
		one := `(` + strings.Repeat(`,?`, width)[1:] + `)`
		return strings.Repeat(`,`+one, rows)[1:]
	}
	var text []byte
	for i := range rows * width {
		switch {
		case i == 0:
			text = append(text, '(')
		case i%width == 0:
			text = append(text, "),("...)
		default:
			text = append(text, ',')
		}
		text = strconv.AppendInt(append(text, '$'), int64(i+1), 10)
	}
	return string(append(text, ')'))
}

// array makes one parameter of many values, which are as they would be for a parameter each. The driver takes such an array apart
// without reflection.
func array(of string, values []any) any {
	switch of {
	case uuids:
		all := make(pgtype.FlatArray[pgtype.UUID], len(values))
		for i, value := range values {
			if id, ok := value.([]byte); ok {
				all[i] = pgtype.UUID{Bytes: [16]byte(id), Valid: true}
			}
		}
		return all
	case texts:
		all := make(pgtype.FlatArray[pgtype.Text], len(values))
		for i, value := range values {
			all[i].String, all[i].Valid = value.(string)
		}
		return all
	case numbers:
		all := make(pgtype.FlatArray[pgtype.Int8], len(values))
		for i, value := range values {
			all[i].Int64, all[i].Valid = value.(int64)
		}
		return all
	}
	panic("no array of " + of)
}

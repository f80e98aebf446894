package postgres

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

// Lock implements driver.Dialect.
func (*Database) Lock(columns, table string, orgs []any, wait bool) iter.Seq2[string, []any] {
	lock := ` FOR UPDATE`
	if !wait {
		lock += ` SKIP LOCKED`
	}
	return func(yield func(string, []any) bool) {
		if len(orgs) == 1 {
			yield(`SELECT `+columns+` FROM `+table+` WHERE org_id = $1`+lock, orgs)
		} else {
			yield(`SELECT `+columns+` FROM `+table+` WHERE org_id = ANY($1) ORDER BY org_id`+lock, []any{array(driver.UUID, orgs)})
		}
	}
}

// rateCardsLock is the number of the advisory lock for the rate cards. A lock of the table would also wait for long reads of it.
const rateCardsLock = 0x68617263 // "harc"

// LockRateCards implements driver.Dialect. A transaction that waits to add a card holds up all others, so it does not wait long.
func (*Database) LockRateCards(toAdd bool) iter.Seq2[string, []any] {
	return func(yield func(string, []any) bool) {
		if !toAdd {
			yield(`SELECT pg_advisory_xact_lock_shared($1)`, []any{int64(rateCardsLock)})
			return
		}
		_ = yield(`SELECT set_config('lock_timeout', '2s', true)`, nil) && yield(`SELECT pg_advisory_xact_lock($1)`, []any{int64(rateCardsLock)})
	}
}

// ByIndex implements driver.Dialect. The planner finds the index by itself.
func (*Database) ByIndex(string) string { return "" }

// Lookup implements driver.Dialect. Each of many keys is looked up by itself: PostgreSQL would rather read all rows of an
// organization that its statistics take for small, than search for many keys.
func (*Database) Lookup(l driver.Lookup) iter.Seq2[string, []any] {
	return func(yield func(string, []any) bool) {
		parameter := len(l.Args) + 1
		switch len(l.Keys) {
		case 0:
		case 1:
			yield(fmt.Sprintf(`SELECT %s FROM %s AND %s = $%d`, l.Select, l.From, l.Column, parameter), append(slices.Clone(l.Args), l.Keys[0]))
		default:
			yield(fmt.Sprintf(`SELECT %s FROM unnest($%d::%s[]) AS key, LATERAL (SELECT * FROM %s AND %s = key OFFSET 0) AS found`,
				l.Select, parameter, l.Type, l.From, l.Column), append(slices.Clone(l.Args), array(l.Type, l.Keys)))
		}
	}
}

// Find implements driver.Dialect. Keys of several organizations are looked up together, each by itself.
func (d *Database) Find(f driver.Find) iter.Seq2[string, []any] {
	var orgs, keys []any
	for i, org := range f.Orgs {
		for _, key := range f.Keys[i] {
			orgs, keys = append(orgs, org), append(keys, key)
		}
	}
	return func(yield func(string, []any) bool) {
		switch {
		case len(keys) == 0:
		case len(f.Orgs) == 1:
			d.Lookup(f.Of(0, ""))(yield)
		default:
			yield(fmt.Sprintf(`SELECT %s FROM unnest($1::uuid[], $2::%s[]) AS wanted (org, key),
				LATERAL (SELECT * FROM %s WHERE org_id = wanted.org AND %s = wanted.key OFFSET 0) AS found`, f.Select, f.Type, f.Table, f.Column),
				[]any{array(driver.UUID, orgs), array(f.Type, keys)})
		}
	}
}

// maxValues is for how many rows each value is a parameter of its own. More rows go as an array for each column, which takes
// PostgreSQL longer than a few parameters do. Three is how many sums a lease adds to.
const maxValues = 3

// Insert implements driver.Dialect.
func (*Database) Insert(into *driver.Table, rows [][]any, conflict string) iter.Seq2[string, []any] {
	return func(yield func(string, []any) bool) {
		names := make([]string, len(into.Columns))
		for i, column := range into.Columns {
			names[i] = column.Name
		}
		text := `INSERT INTO ` + into.Name + ` (` + strings.Join(names, `, `) + `) `
		switch {
		case len(rows) == 0:
		case len(rows) <= maxValues:
			yield(text+`VALUES `+placeholders(len(rows), len(names))+conflict, slices.Concat(rows...))
		default:
			args, parameters := make([]any, len(names)), make([]string, len(names))
			for i, column := range into.Columns {
				values := make([]any, len(rows))
				for r := range rows {
					values[r] = rows[r][i]
				}
				args[i], parameters[i] = array(column.Type, values), fmt.Sprintf(`$%d::%s[]`, i+1, column.Type)
			}
			yield(text+`SELECT * FROM unnest(`+strings.Join(parameters, `, `)+`) AS new`+conflict, args)
		}
	}
}

// placeholders writes rows of parameters, "($1,$2),($3,$4)" for two rows of two.
func placeholders(rows, width int) string {
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

// array makes one parameter of many values. pgx takes such an array apart without reflection.
func array(of driver.Type, values []any) any {
	switch of {
	case driver.UUID:
		all := make(pgtype.FlatArray[pgtype.UUID], len(values))
		for i, value := range values {
			if id, ok := value.([]byte); ok {
				all[i] = pgtype.UUID{Bytes: [16]byte(id), Valid: true}
			}
		}
		return all
	case driver.Text:
		all := make(pgtype.FlatArray[pgtype.Text], len(values))
		for i, value := range values {
			all[i].String, all[i].Valid = value.(string)
		}
		return all
	case driver.Bigint:
		all := make(pgtype.FlatArray[pgtype.Int8], len(values))
		for i, value := range values {
			all[i].Int64, all[i].Valid = value.(int64)
		}
		return all
	case driver.Bytea:
		all := make(pgtype.FlatArray[[]byte], len(values))
		for i, value := range values {
			all[i], _ = value.([]byte)
		}
		return all
	default:
		panic("no array of " + of)
	}
}

package store

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

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

// ScanUUID implements pgtype.UUIDScanner.
func (c idColumn) ScanUUID(v pgtype.UUID) error {
	if !v.Valid {
		return errors.New("an id is NULL")
	}
	*c.into = v.Bytes
	return nil
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

// ScanUUID implements pgtype.UUIDScanner.
func (c nullIDColumn) ScanUUID(v pgtype.UUID) error {
	*c.into = nil
	if v.Valid {
		*c.into = (*billing.ID)(&v.Bytes)
	}
	return nil
}

const leaseColumns = `lease_id, job_id, job_name, step_key, vm_handle, build_id, build_number, build_external_id,
	pipeline_id, pipeline_name, pipeline_slug, cpu_count, memory_gb, disk_gb,
	started_at, finished_at, duration_seconds, amount_cents`

func scanLease(rows row, l *billing.Lease, more ...any) error {
	l.ID = new(billing.ID)
	return rows.Scan(append([]any{
		idColumn{l.ID}, nullIDColumn{&l.JobID}, &l.JobName, &l.StepKey, &l.VMHandle,
		nullIDColumn{&l.BuildID}, &l.BuildNumber, &l.BuildExternalID,
		nullIDColumn{&l.PipelineID}, &l.PipelineName, &l.PipelineSlug, &l.CPUCount, &l.MemoryGB, &l.DiskGB,
		&l.StartedAt, &l.FinishedAt, &l.DurationSeconds, &l.AmountCents,
	}, more...)...)
}

func leaseValues(l *billing.Lease, args []any) []any {
	return append(args,
		idValue(l.ID), idValue(l.JobID), l.JobName, l.StepKey, l.VMHandle,
		idValue(l.BuildID), l.BuildNumber, l.BuildExternalID,
		idValue(l.PipelineID), l.PipelineName, l.PipelineSlug, l.CPUCount, l.MemoryGB, l.DiskGB,
		int64(l.StartedAt), (*int64)(l.FinishedAt), l.DurationSeconds, l.AmountCents)
}

const entryColumns = `seq, entry_id, amount_cents, balance_after_cents, source, description, created_at, lease_id,
	idempotency_key`

func scanEntry(rows row, e *billing.Entry, more ...any) error {
	return rows.Scan(append([]any{
		&e.Seq, idColumn{&e.ID}, &e.AmountCents, &e.BalanceAfterCents, &e.Source, &e.Description,
		&e.CreatedAt, nullIDColumn{&e.LeaseID}, &e.IdempotencyKey,
	}, more...)...)
}

func entryValues(e *billing.Entry, args []any) []any {
	return append(args,
		e.Seq, e.ID[:], e.AmountCents, e.BalanceAfterCents, string(e.Source), e.Description,
		int64(e.CreatedAt), idValue(e.LeaseID), e.IdempotencyKey)
}

const usageColumns = `cpu_seconds, memory_gb_seconds, disk_gb_seconds, total_cents`

func usageInto(u *billing.Usage) []any {
	return []any{&u.CPUSeconds, &u.MemoryGBSeconds, &u.DiskGBSeconds, &u.Cents}
}

// insertion is how rows of a table are inserted. Each begins with the organization.
type insertion struct {
	table    string
	columns  string   // but the organization
	types    []string // of these columns
	conflict string   // what follows where a row with the same key is there
}

const (
	uuids   = "uuid"
	texts   = "text"
	numbers = "bigint"
)

var (
	leaseInsertion = insertion{"leases", leaseColumns, []string{
		uuids, uuids, texts, texts, texts, uuids, numbers, texts, uuids, texts, texts,
		numbers, numbers, numbers, numbers, numbers, numbers, numbers,
	}, ``}
	leaseChange = insertion{leaseInsertion.table, leaseInsertion.columns, leaseInsertion.types,
		` ON CONFLICT (org_id, lease_id) DO UPDATE SET job_name = excluded.job_name, step_key = excluded.step_key,
		vm_handle = excluded.vm_handle, build_id = excluded.build_id, build_number = excluded.build_number,
		build_external_id = excluded.build_external_id, pipeline_id = excluded.pipeline_id,
		pipeline_name = excluded.pipeline_name, pipeline_slug = excluded.pipeline_slug,
		cpu_count = excluded.cpu_count, memory_gb = excluded.memory_gb, disk_gb = excluded.disk_gb,
		started_at = excluded.started_at, finished_at = excluded.finished_at,
		duration_seconds = excluded.duration_seconds, amount_cents = excluded.amount_cents`}
	entryInsertion = insertion{"ledger_entries", entryColumns, []string{
		numbers, uuids, numbers, numbers, texts, texts, numbers, uuids, texts,
	}, ``}
	sumInsertion = insertion{"usage_sums", `span, start_at, ` + usageColumns, []string{
		numbers, numbers, numbers, numbers, numbers, numbers,
	}, ` ON CONFLICT (org_id, span, start_at) DO UPDATE SET
		cpu_seconds = usage_sums.cpu_seconds + excluded.cpu_seconds,
		memory_gb_seconds = usage_sums.memory_gb_seconds + excluded.memory_gb_seconds,
		disk_gb_seconds = usage_sums.disk_gb_seconds + excluded.disk_gb_seconds,
		total_cents = usage_sums.total_cents + excluded.total_cents`}
)

// sumUpdate has the parameters of sumInsertion.
const sumUpdate = `UPDATE usage_sums SET cpu_seconds = cpu_seconds + ?4, memory_gb_seconds = memory_gb_seconds + ?5,
	disk_gb_seconds = disk_gb_seconds + ?6, total_cents = total_cents + ?7 WHERE org_id = ?1 AND span = ?2 AND start_at = ?3`

// few is as many rows as a single lease changes of one table: a sum of each span.
const few = len(billing.Spans)

// insert inserts n rows; values appends the columns of one of them. PostgreSQL gets many as an array for each column, which takes
// it longer than a few parameters of their own do.
func (d dialect) insert(p pipeline, org billing.ID, into insertion, n int, values func(i int, row []any) []any) {
	before, width := `INSERT INTO `+into.table+` (org_id, `+into.columns+`) `, len(into.types)+1
	if d.pipelined && n > few {
		columns := make([][]any, len(into.types))
		for i := range n {
			for c, value := range values(i, make([]any, 0, len(columns))) {
				columns[c] = append(columns[c], value)
			}
		}
		args, parameters := []any{org[:]}, make([]string, len(columns))
		for c, of := range into.types {
			args = append(args, array(of, columns[c]))
			parameters[c] = fmt.Sprintf(`$%d::%s[]`, c+2, of)
		}
		p.exec(before+`SELECT $1::uuid, * FROM unnest(`+strings.Join(parameters, `, `)+`) AS new`+into.conflict, args)
		return
	}
	for at := 0; at < n; {
		size := 1
		for _, larger := range []int{few, 8, 64} {
			if at+larger <= n {
				size = larger
			}
		}
		args := make([]any, 0, size*width)
		for range size {
			args = values(at, append(args, org[:]))
			at++
		}
		p.exec(before+`VALUES `+d.placeholders(size, width)+into.conflict, args)
	}
}

// addSums adds to the sums of periods, most of which are stored already.
func (d dialect) addSums(p pipeline, org billing.ID, sums map[billing.Period]billing.Usage) {
	// Several servers lock the rows in the same order.
	periods := slices.SortedFunc(maps.Keys(sums), billing.Period.Compare)
	values := func(i int, row []any) []any {
		u := sums[periods[i]]
		return append(row, int64(periods[i].Span), int64(periods[i].Start), u.CPUSeconds, u.MemoryGBSeconds, u.DiskGBSeconds, u.Cents)
	}
	sqlite, ok := p.(*sqlitePipeline)
	if !ok {
		d.insert(p, org, sumInsertion, len(periods), values)
		return
	}
	// SQLite takes half as long again to insert where a row is there as to update it.
	for i := range periods {
		if !sqlite.update(sumUpdate, values(i, []any{org[:]})) {
			d.insert(p, org, sumInsertion, 1, func(_ int, row []any) []any { return values(i, row) })
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
			all[i].String, all[i].Valid = valueOf[string](value)
		}
		return all
	default:
		all := make(pgtype.FlatArray[pgtype.Int8], len(values))
		for i, value := range values {
			all[i].Int64, all[i].Valid = valueOf[int64](value)
		}
		return all
	}
}

// valueOf returns what a parameter holds or points to; it is not ok for NULL.
func valueOf[T any](parameter any) (value T, ok bool) {
	switch v := parameter.(type) {
	case *T:
		if v != nil {
			return *v, true
		}
	case T:
		return v, true
	}
	return value, false
}

package postgres

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
	"github.com/harmont-dev/harmont-billing/internal/store/migrate"
)

// schema is a schema of the database that the role may use.
type schema struct {
	name    string
	visible bool     // whether it is in the search_path
	tables  []string // all tables and views of one in the search_path, and those of books of another
}

// schemas are what a connection finds in the database.
type schemas struct {
	searchPath string
	all        []schema // those in the search_path first and in its order
}

// readSchemas leaves out the tables of extensions, which are no tables of another program.
func readSchemas(ctx context.Context, conn *pgx.Conn) (found schemas, err error) {
	if err := conn.QueryRow(ctx, `SHOW search_path`, pgx.QueryExecModeSimpleProtocol).Scan(&found.searchPath); err != nil {
		return found, err
	}
	rows, err := conn.Query(ctx, `SELECT CAST(n.nspname AS TEXT), array_position(current_schemas(false), n.nspname), CAST(coalesce(c.relname, '') AS TEXT)
		FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
			AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = CAST('pg_class' AS regclass) AND d.objid = c.oid AND d.deptype = 'e')
		WHERE has_schema_privilege(n.oid, 'USAGE') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
		ORDER BY 2 NULLS LAST, 1, 3`, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return found, err
	}
	var name, table string
	var place *int
	_, err = pgx.ForEachRow(rows, []any{&name, &place, &table}, func() error {
		if n := len(found.all); n == 0 || found.all[n-1].name != name {
			found.all = append(found.all, schema{name: name, visible: place != nil})
		}
		if last := &found.all[len(found.all)-1]; table != "" && (last.visible || driver.IsBookTable(table)) {
			last.tables = append(last.tables, table)
		}
		return nil
	})
	return found, err
}

// choose returns the schema that has the books, or in which they may be made. It fails with ErrInvalid if there is none or it is
// ambiguous: a second schema must not hide the books.
func (s schemas) choose(opening driver.Opening) (name string, hasBooks bool, err error) {
	var visible, hidden []string
	for _, schema := range s.all {
		switch {
		case !driver.HasBooks(schema.tables):
		case schema.visible:
			visible = append(visible, schema.name)
		default:
			hidden = append(hidden, schema.name)
		}
	}
	switch {
	case len(visible) == 1:
		return visible[0], true, nil
	case len(visible) > 1:
		return "", false, billing.Faultf(billing.ErrInvalid, "the schemas %s of the search_path have books; name one of them as search_path=… in the database URL", strings.Join(visible, " and "))
	case len(hidden) > 0:
		return "", false, billing.Faultf(billing.ErrInvalid, "the books of the database are in the schema %s, which is not in the search_path %s; "+
			"name it as search_path=%[1]s in the database URL", strings.Join(hidden, " and "), s.searchPath)
	case len(s.all) == 0 || !s.all[0].visible:
		return "", false, billing.Faultf(billing.ErrInvalid, "the search_path %s names no schema that exists and that the role may use; "+
			"create one, or name another as search_path=… in the database URL", s.searchPath)
	}
	first := s.all[0]
	return first.name, false, opening.Check("the schema "+first.name+" of the database", first.tables)
}

// findBooks sets the schema of the books. It fails as choose does.
func (a *address) findBooks(ctx context.Context, conn *pgx.Conn, opening driver.Opening) error {
	found, err := readSchemas(ctx, conn)
	if err != nil {
		return err
	}
	name, hasBooks, err := found.choose(opening)
	if err != nil {
		return err
	}
	a.schema, a.current = name, found.all[0].name == name
	if hasBooks {
		var version int64
		if err := conn.QueryRow(ctx, `SELECT max(version_id) FROM `+pgx.Identifier{name}.Sanitize()+`.goose_db_version WHERE is_applied`,
			pgx.QueryExecModeSimpleProtocol).Scan(&version); err != nil {
			return err
		}
		a.upToDate, err = migrate.Check(version, Migrations)
	}
	return err
}

// pin makes the schema of the books the first of a connection's search_path, so that no other schema can hide their tables. Extensions are
// found in the rest of it.
func (a *address) pin(ctx context.Context, conn *pgx.Conn) error {
	if a.schema == "" || a.pooled {
		return nil
	}
	_, err := conn.Exec(ctx, `SELECT set_config('search_path', concat_ws(', ', CAST($1 AS TEXT), nullif(current_setting('search_path'), '')), false)`,
		pgx.Identifier{a.schema}.Sanitize())
	return err
}

// qualifier writes the schema before the names of tables. It is for connections of a pooler: their search_path is that of whoever set it
// last.
type qualifier struct {
	schema string // none to leave statements as they are
	texts  *sync.Map
}

func newQualifier(schema string) qualifier {
	return qualifier{pgx.Identifier{schema}.Sanitize(), new(sync.Map)}
}

var tableInStatement = regexp.MustCompile(`\b(FROM|JOIN|INTO|UPDATE)(\s+)(` + strings.Join(slices.Concat(referenceTables, distributedTables), `|`) + `)\b`)

func (q qualifier) qualify(text string) string {
	if q.schema == "" {
		return text
	}
	if qualified, ok := q.texts.Load(text); ok {
		return fmt.Sprint(qualified)
	}
	qualified := tableInStatement.ReplaceAllString(text, `${1}${2}`+strings.ReplaceAll(q.schema, `$`, `$$`)+`.${3}`)
	q.texts.Store(text, qualified)
	return qualified
}

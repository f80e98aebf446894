package postgres

import (
	"context"

	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

// Check implements driver.Database. It compares each index with its table where the extension amcheck is installed.
func (d *Database) Check(ctx context.Context, damaged func(what string) error) error {
	var indexes []string
	if err := d.Query(ctx, `SELECT CAST(x.indexrelid::regclass AS TEXT) FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid
			JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am a ON a.oid = i.relam
			WHERE EXISTS (SELECT FROM pg_extension WHERE extname = 'amcheck')
			AND c.relkind = 'r' AND a.amname = 'btree' AND pg_table_is_visible(c.oid) AND c.relname = ANY($1)
			ORDER BY 1`, []any{append(referenceTables, distributedTables...)}, func(r *driver.Row) error {
		var index string
		err := r.Scan(&index)
		indexes = append(indexes, index)
		return err
	}); err != nil {
		return err
	}
	for _, index := range indexes {
		err := d.Query(ctx, `SELECT bt_index_check(CAST($1 AS regclass), true)`, []any{index}, func(*driver.Row) error { return nil })
		if hasCode(err, "XX") { // corruption
			err = damaged(index + ": " + err.Error())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

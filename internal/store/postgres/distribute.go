package postgres

import (
	"context"
	"fmt"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

// How the tables are spread over the nodes of a Citus cluster: a few small ones are on every node, all others are split by
// organization, all rows of one organization on one node. The order is that of their foreign keys.
var (
	referenceTables   = []string{"organizations", "tokens", "token_organizations"}
	distributedTables = []string{"ledger_heads", "leases", "ledger_entries", "usage_sums"}
)

// hasCitus is a condition that holds in a database with Citus.
const hasCitus = `to_regproc('create_reference_table') IS NOT NULL`

// Distribute spreads the tables over the nodes of its Citus cluster. It returns the tables that
// were not spread before. It fails with ErrInvalid where the database has no Citus.
func (d *Database) Distribute(ctx context.Context) (spread []string, err error) {
	defer func() { err = driver.Fault(ctx, d.Classify(err), err) }()
	conn, err := d.writer.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	var citus bool
	if err := conn.QueryRow(ctx, `SELECT `+hasCitus).Scan(&citus); err != nil {
		return nil, err
	}
	if !citus {
		return nil, billing.Faultf(billing.ErrInvalid, "the database has no Citus; install it and run CREATE EXTENSION citus first")
	}
	// The triggers look only at their own row, so they are safe on a shard.
	if _, err := conn.Exec(ctx, `SET citus.enable_unsafe_triggers = on`); err != nil {
		return nil, err
	}
	for _, step := range []struct {
		tables []string
		call   string
	}{
		{referenceTables, `SELECT create_reference_table($1)`},
		{distributedTables, `SELECT create_distributed_table($1, 'org_id')`},
	} {
		for _, table := range step.tables {
			var done bool
			err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = $1::text::regclass)`, table).Scan(&done)
			if err != nil {
				return spread, err
			}
			if done {
				continue
			}
			// Citus spreads row triggers only.
			if _, err := conn.Exec(ctx, `DROP TRIGGER IF EXISTS `+table+`_are_not_truncated ON `+table); err != nil {
				return spread, err
			}
			if _, err := conn.Exec(ctx, step.call, table); err != nil {
				return spread, fmt.Errorf("spread %s: %w", table, err)
			}
			spread = append(spread, table)
		}
	}
	return spread, nil
}

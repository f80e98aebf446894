package store

import (
	"context"
	"fmt"

	"github.com/harmont-dev/harmont-billing/internal/billing"
)

// How the tables are spread over the nodes of a Citus cluster: a few small ones are on every node, all others are split by
// organization, all rows of one organization on one node. The order is that of their foreign keys.
var (
	referenceTables   = []string{"organizations", "tokens", "token_organizations"}
	distributedTables = []string{"ledger_heads", "leases", "ledger_entries", "usage_sums"}
)

// hasCitus is a condition that holds in a database with Citus.
const hasCitus = `to_regproc('create_reference_table') IS NOT NULL`

// Distribute spreads the tables of a PostgreSQL database over the nodes of its Citus cluster. It returns the tables that
// were not spread before. It fails with ErrInvalid where the database has no Citus.
func (s *Store) Distribute(ctx context.Context) (spread []string, err error) {
	if s.dialect.name != postgresDialect.name {
		return nil, billing.Faultf(billing.ErrInvalid, "only a PostgreSQL database can be distributed")
	}
	conn, err := s.writer.Conn(ctx)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	defer conn.Close()
	var citus bool
	if err := conn.QueryRowContext(ctx, `SELECT `+hasCitus).Scan(&citus); err != nil {
		return nil, s.fail(ctx, err)
	}
	if !citus {
		return nil, billing.Faultf(billing.ErrInvalid, "the database has no Citus; install it and run CREATE EXTENSION citus first")
	}
	// The triggers look at nothing but their row, which is what makes them safe on a shard.
	if _, err := conn.ExecContext(ctx, `SET citus.enable_unsafe_triggers = on`); err != nil {
		return nil, s.fail(ctx, err)
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
			err := conn.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = $1::text::regclass)`, table).Scan(&done)
			if err != nil {
				return spread, s.fail(ctx, err)
			}
			if done {
				continue
			}
			// Citus spreads row triggers only.
			if _, err := conn.ExecContext(ctx, `DROP TRIGGER IF EXISTS `+table+`_are_not_truncated ON `+table); err != nil {
				return spread, s.fail(ctx, err)
			}
			if _, err := conn.ExecContext(ctx, step.call, table); err != nil {
				return spread, s.fail(ctx, fmt.Errorf("spread %s: %w", table, err))
			}
			spread = append(spread, table)
		}
	}
	return spread, nil
}

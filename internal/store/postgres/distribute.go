package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/harmont-dev/harmont-billing/internal/billing"
	"github.com/harmont-dev/harmont-billing/internal/store/driver"
)

// How the tables are spread over the nodes of a Citus cluster: a few small ones are on every node, all others are split by
// organization, all rows of one organization on one node. This is also the order in which a transaction locks the tables.
var (
	referenceTables   = []string{"organizations", "tokens", "token_organizations", "rate_cards"}
	distributedTables = []string{"ledger_heads", "leases", "ledger_entries", "usage_sums", "usage_progress", "usage_values", "usage_groups"}
	allTables         = slices.Concat(referenceTables, distributedTables)
)

// truncateTriggers refuse to empty tables. They are like those of the migrations, of which a database may lack some that was distributed by
// an earlier version.
var truncateTriggers = map[string]string{
	"rate_cards": `CREATE TRIGGER rate_cards_are_not_truncated BEFORE TRUNCATE ON %s
		FOR EACH STATEMENT EXECUTE FUNCTION harmont_refuse('rate cards are append-only')`,
	"leases": `CREATE TRIGGER leases_are_not_truncated BEFORE TRUNCATE ON %s
		FOR EACH STATEMENT EXECUTE FUNCTION harmont_refuse('a recorded lease is kept')`,
	"ledger_entries": `CREATE TRIGGER ledger_entries_are_not_truncated BEFORE TRUNCATE ON %s
		FOR EACH STATEMENT EXECUTE FUNCTION harmont_refuse('the ledger is append-only')`,
}

// hasCitus is a condition that holds in a database with Citus.
const hasCitus = `to_regproc('create_reference_table') IS NOT NULL`

// Distribution says how the tables are spread over the nodes of a Citus cluster.
type Distribution struct {
	Tables []Placement
	// Spread has the names of the tables that were not spread as they should be before.
	Spread []string
}

// Placement says where the rows of a table are.
type Placement struct {
	Table    string
	Where    string // in words
	AsWanted bool
}

// lockPatience is for how long Distribute tries to lock the tables, against transactions that use them.
const lockPatience = time.Minute

// Distribute spreads the tables over the nodes of its Citus cluster, all in one transaction, which makes a run that was ended
// before its commit leave everything as it was. Calls that use the tables wait meanwhile. Distribute reads the result back, and
// fails if a table is not spread as it should be. It fails with ErrInvalid where the database has no Citus.
func (d *Database) Distribute(ctx context.Context) (result Distribution, err error) {
	defer func() { err = driver.Fault(ctx, d.Classify(err), err) }()
	conn, err := d.address.connect(ctx)
	if err != nil {
		return Distribution{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the transaction has ended
	return distribute(ctx, conn, func(string) error { return nil })
}

// distribute calls step before each of its steps, and ends with its error.
func distribute(ctx context.Context, conn *pgx.Conn, step func(string) error) (result Distribution, err error) {
	var citus bool
	if err := conn.QueryRow(ctx, `SELECT `+hasCitus).Scan(&citus); err != nil {
		return Distribution{}, err
	}
	if !citus {
		return Distribution{}, billing.Faultf(billing.ErrInvalid, "the database has no Citus; install it and run CREATE EXTENSION citus first")
	}
	var spread []string
	if err := inTransaction(ctx, conn, step, func(tx pgx.Tx, run func(what, statement string) error) error {
		now, err := placements(ctx, tx)
		if err != nil {
			return err
		}
		spread = nil
		for _, p := range now {
			if !p.AsWanted {
				spread = append(spread, p.Table)
			}
		}
		return convert(ctx, tx, now, spread, run)
	}); err != nil {
		return Distribution{}, err
	}
	if err := step("check"); err != nil {
		return Distribution{}, err
	}
	if result.Tables, err = placements(ctx, conn); err != nil {
		return Distribution{}, err
	}
	result.Spread = spread
	if err := result.check(); err != nil {
		return result, err
	}
	return result, protect(ctx, conn, step)
}

// lockTimeout is for how long one try to lock the tables waits.
const lockTimeout = 2 * time.Second

// inTransaction runs do in a transaction that has locked the tables. If others use them, it tries again, for as long as lockPatience.
func inTransaction(ctx context.Context, conn *pgx.Conn, step func(string) error, do func(tx pgx.Tx, run func(what, statement string) error) error) error {
	for begun := time.Now(); ; {
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			run := func(what, statement string) error {
				if err := step(what); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, statement); err != nil {
					return fmt.Errorf("%s: %w", what, err)
				}
				return nil
			}
			for _, statement := range []string{
				`SET LOCAL statement_timeout = 0`,
				`SET LOCAL idle_in_transaction_session_timeout = 0`,
				// Parallel connections to one node would not see the reference tables of this transaction.
				`SET LOCAL citus.multi_shard_modify_mode = 'sequential'`,
				// The triggers look only at their own row, so they are safe on a shard.
				`SET LOCAL citus.enable_unsafe_triggers = on`,
				// With more replicas of a shard, Citus has no foreign keys.
				`SET LOCAL citus.shard_replication_factor = 1`,
				fmt.Sprintf(`SET LOCAL lock_timeout = %d`, lockTimeout.Milliseconds()),
				// Transactions that use the tables in another order could otherwise wait for this one in a circle.
				`LOCK TABLE ` + strings.Join(allTables, `, `) + ` IN ACCESS EXCLUSIVE MODE`,
				`SET LOCAL lock_timeout = 0`,
			} {
				if err := run("lock the tables", statement); err != nil {
					return err
				}
			}
			if err := do(tx, run); err != nil {
				return err
			}
			return step("commit")
		})
		if !hasCode(err, "55P03", "40P01") || time.Since(begun) > lockPatience {
			return err
		}
		select { // others that wait for the same locks get them
		case <-time.After(lockTimeout / 4):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// convert spreads the tables. Citus refuses foreign keys between tables that are spread and others, so those of the tables are
// dropped before and made again afterwards.
func convert(ctx context.Context, tx pgx.Tx, now []Placement, spread []string, run func(what, statement string) error) error {
	keys, err := foreignKeys(ctx, tx, spread)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := run("drop the foreign key "+key.name, `ALTER TABLE `+key.table+` DROP CONSTRAINT `+key.name); err != nil {
			return err
		}
	}
	with := `none` // a table that the others are kept together with
	for _, table := range distributedTables {
		if !slices.Contains(spread, table) {
			with = table
			break
		}
	}
	for _, p := range now {
		table := p.Table
		if !slices.Contains(spread, table) {
			continue
		}
		if p.Where != onCoordinator {
			// It was spread in another way. A table that Citus knows as a local one may have become an ordinary one with its last key.
			if err := run("gather "+table, `SELECT undistribute_table('`+table+`') WHERE EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = '`+table+`'::regclass)`); err != nil {
				return err
			}
		}
		call := `SELECT create_reference_table('` + table + `')`
		if slices.Contains(distributedTables, table) {
			call = `SELECT create_distributed_table('` + table + `', 'org_id', colocate_with => '` + with + `')`
			if with == `none` {
				with = table
			}
		}
		// Shards have the triggers that the table has when they are made.
		if err := makeTrigger(table, run); err != nil {
			return err
		}
		if err := run("spread "+table, call); err != nil {
			return err
		}
		// Citus copies the rows and leaves the old ones in place, where nobody sees them.
		if err := dropTrigger(table, run); err != nil {
			return err
		}
		if err := run("remove the old rows of "+table, `SELECT truncate_local_data_after_distributing_table('`+table+`')`); err != nil {
			return err
		}
		if err := makeTrigger(table, run); err != nil {
			return err
		}
	}
	for _, key := range keys {
		if err := run("make the foreign key "+key.name, `ALTER TABLE `+key.table+` ADD CONSTRAINT `+key.name+` `+key.definition); err != nil {
			return err
		}
	}
	return nil
}

type foreignKey struct{ name, table, definition string }

// foreignKeys returns the foreign keys from or to one of the tables.
func foreignKeys(ctx context.Context, tx pgx.Tx, tables []string) ([]foreignKey, error) {
	rows, err := tx.Query(ctx, `SELECT quote_ident(conname), CAST(conrelid::regclass AS TEXT), pg_get_constraintdef(oid) FROM pg_constraint
		WHERE contype = 'f' AND (conrelid = ANY($1::text[]::regclass[]) OR confrelid = ANY($1::text[]::regclass[])) ORDER BY 2, 1`, tables)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (k foreignKey, err error) {
		return k, row.Scan(&k.name, &k.table, &k.definition)
	})
}

// makeTrigger makes the trigger that refuses TRUNCATE, where the table has one. Of a table that is distributed, Citus makes it on every
// node, but not on the shards that there are.
func makeTrigger(table string, run func(what, statement string) error) error {
	definition, ok := truncateTriggers[table]
	if !ok {
		return nil
	}
	if err := dropTrigger(table, run); err != nil {
		return err
	}
	return run("make the trigger of "+table, fmt.Sprintf(definition, table))
}

func dropTrigger(table string, run func(what, statement string) error) error {
	if _, ok := truncateTriggers[table]; !ok {
		return nil
	}
	return run("drop the trigger of "+table, `DROP TRIGGER IF EXISTS `+table+`_are_not_truncated ON `+table)
}

// unprotected returns the tables that may be emptied by way of some node or shard.
func unprotected(ctx context.Context, conn *pgx.Conn) (tables []string, err error) {
	for table := range truncateTriggers {
		var missing bool
		const onTruncate = `tgtype & 32 <> 0 AND NOT tgisinternal`
		if err := conn.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = $1::text::regclass AND `+onTruncate+`)
				OR EXISTS (SELECT FROM run_command_on_shards($1::text::regclass, $2) WHERE NOT success OR result = '0')`,
			table, `SELECT count(*) FROM pg_trigger WHERE tgrelid = '%s'::regclass AND `+onTruncate).Scan(&missing); err != nil {
			return nil, err
		}
		if missing {
			tables = append(tables, table)
		}
	}
	slices.Sort(tables)
	return tables, nil
}

// protect makes the triggers that refuse TRUNCATE where they are missing, as in a database that was distributed without them.
func protect(ctx context.Context, conn *pgx.Conn, step func(string) error) error {
	tables, err := unprotected(ctx, conn)
	if err != nil {
		return err
	}
	for _, table := range tables {
		if err := inTransaction(ctx, conn, step, func(_ pgx.Tx, run func(what, statement string) error) error {
			return makeTrigger(table, run)
		}); err != nil {
			return err
		}
		if err := step("make the triggers of the shards of " + table); err != nil {
			return err
		}
		var failed *string
		if err := conn.QueryRow(ctx, `SELECT min(result) FROM run_command_on_shards($1::text::regclass, $2) WHERE NOT success`,
			table, strings.Replace(fmt.Sprintf(truncateTriggers[table], "%s"), "CREATE", "CREATE OR REPLACE", 1)).Scan(&failed); err != nil {
			return err
		}
		if failed != nil {
			return fmt.Errorf("make the triggers of the shards of %s: %s", table, *failed)
		}
	}
	if tables, err = unprotected(ctx, conn); err == nil && len(tables) > 0 {
		err = fmt.Errorf("TRUNCATE is not refused on all nodes for %s", strings.Join(tables, ", "))
	}
	return err
}

// Where the rows of a table may be.
const (
	onCoordinator  = "only on the coordinator"
	knownLocal     = "only on the coordinator, as a local table of Citus"
	onEveryNode    = "on every node"
	byOrganization = "split by organization"
)

// placements reads from the metadata of Citus how the tables are spread.
func placements(ctx context.Context, db interface {
	Query(ctx context.Context, text string, args ...any) (pgx.Rows, error)
}) ([]Placement, error) {
	rows, err := db.Query(ctx, `SELECT t.name, CASE WHEN p.logicalrelid IS NULL THEN '' ELSE p.partmethod::text || p.repmodel::text END,
			COALESCE(column_to_column_name(p.logicalrelid, p.partkey), ''), COALESCE(p.colocationid, 0)
		FROM unnest($1::text[]) WITH ORDINALITY AS t (name, n) LEFT JOIN pg_dist_partition p ON p.logicalrelid = t.name::regclass ORDER BY t.n`,
		allTables)
	if err != nil {
		return nil, err
	}
	colocation := int64(0) // of the first table that is split by organization
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Placement, err error) {
		var kind, column string
		var group int64
		if err := row.Scan(&p.Table, &kind, &column, &group); err != nil {
			return p, err
		}
		wanted := onEveryNode
		if slices.Contains(distributedTables, p.Table) {
			wanted = byOrganization
		}
		switch {
		case kind == "":
			p.Where = onCoordinator
		case kind == "nt":
			p.Where = onEveryNode
		case kind == "ns" && group == 0:
			p.Where = knownLocal
		case kind == "ns":
			p.Where = "on one node"
		case kind == "hs" && column == "org_id" && (colocation == 0 || group == colocation):
			p.Where, colocation = byOrganization, group
		case kind == "hs" && column == "org_id":
			p.Where = "split by organization, apart from the other tables"
		default:
			p.Where = fmt.Sprintf("split by %s in another way (partmethod %c, repmodel %c)", column, kind[0], kind[1])
		}
		p.AsWanted = p.Where == wanted
		return p, nil
	})
}

// check fails if a table is not spread as it should be.
func (d Distribution) check() error {
	var wrong []string
	for _, p := range d.Tables {
		if !p.AsWanted {
			wrong = append(wrong, p.Table+" is "+p.Where)
		}
	}
	if len(wrong) > 0 {
		return errors.New("not all tables are distributed: " + strings.Join(wrong, "; "))
	}
	return nil
}

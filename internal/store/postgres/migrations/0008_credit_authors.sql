-- Of a database that is distributed, Citus takes these settings; PostgreSQL ignores them. The trigger looks only at its own row.
SET LOCAL citus.enable_unsafe_triggers = on;
SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- A credit has the name of the token that posted it, or none if it is not known. It never changes, like the rest of an entry.
ALTER TABLE ledger_entries ADD COLUMN author TEXT;

DROP TRIGGER ledger_entries_are_kept ON ledger_entries;
CREATE TRIGGER ledger_entries_are_kept
    BEFORE DELETE OR UPDATE OF org_id, seq, entry_id, amount_cents, balance_after_cents, source, description, created_at, lease_id, idempotency_key,
        author
    ON ledger_entries FOR EACH ROW EXECUTE FUNCTION harmont_refuse('the ledger is append-only');

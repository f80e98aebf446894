-- Of a database that is distributed, Citus takes these settings; PostgreSQL ignores them. The triggers look only at their own row.
SET LOCAL citus.enable_unsafe_triggers = on;
SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- Each entry has a digest that covers it and all entries before it, and the head has that of the newest entry. They are NULL in rows that
-- earlier versions have written, until the program has computed them. NOT VALID means that only these rows may lack one: a program of an
-- earlier version that still runs must not add rows without a digest.
ALTER TABLE ledger_heads ADD COLUMN digest BYTEA;
ALTER TABLE ledger_heads ADD CONSTRAINT ledger_heads_digest_check CHECK (digest IS NOT NULL AND length(digest) = 32) NOT VALID;
ALTER TABLE ledger_entries ADD COLUMN digest BYTEA;
ALTER TABLE ledger_entries ADD CONSTRAINT ledger_entries_digest_check CHECK (digest IS NOT NULL AND length(digest) = 32) NOT VALID;

-- Nothing of an entry changes, but for a digest that is missing.
DROP TRIGGER ledger_entries_are_kept ON ledger_entries;
CREATE TRIGGER ledger_entries_are_kept
    BEFORE DELETE OR UPDATE OF org_id, seq, entry_id, amount_cents, balance_after_cents, source, description, created_at, lease_id, idempotency_key
    ON ledger_entries FOR EACH ROW EXECUTE FUNCTION harmont_refuse('the ledger is append-only');
CREATE TRIGGER ledger_entries_keep_their_digests BEFORE UPDATE OF digest ON ledger_entries
    FOR EACH ROW WHEN (OLD.digest IS NOT NULL) EXECUTE FUNCTION harmont_refuse('the ledger is append-only');

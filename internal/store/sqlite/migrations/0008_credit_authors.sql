-- A credit has the name of the token that posted it, or none if it is not known. It never changes, like the rest of an entry.
ALTER TABLE ledger_entries ADD COLUMN author TEXT;

DROP TRIGGER ledger_entries_are_not_updated;

CREATE TRIGGER ledger_entries_are_not_updated
BEFORE UPDATE OF org_id, seq, entry_id, amount_cents, balance_after_cents, source, description, created_at, lease_id, idempotency_key, author
ON ledger_entries
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

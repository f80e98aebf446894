-- Each entry has a digest that covers it and all entries before it, and the head has that of the newest entry. They are NULL in rows that
-- earlier versions have written, until the program has computed them.
ALTER TABLE ledger_heads ADD COLUMN digest BLOB CHECK (length(digest) = 32);
ALTER TABLE ledger_entries ADD COLUMN digest BLOB CHECK (length(digest) = 32);

-- A program of an earlier version that still runs must not add rows without a digest.
CREATE TRIGGER ledger_heads_have_digests BEFORE INSERT ON ledger_heads
WHEN NEW.digest IS NULL
BEGIN
    SELECT RAISE(ABORT, 'the head has no digest; this program is older than the database');
END;

CREATE TRIGGER ledger_entries_have_digests BEFORE INSERT ON ledger_entries
WHEN NEW.digest IS NULL
BEGIN
    SELECT RAISE(ABORT, 'the entry has no digest; this program is older than the database');
END;

-- Nothing of an entry changes, but for a digest that is missing.
DROP TRIGGER ledger_entries_are_not_updated;

CREATE TRIGGER ledger_entries_are_not_updated
BEFORE UPDATE OF org_id, seq, entry_id, amount_cents, balance_after_cents, source, description, created_at, lease_id, idempotency_key
ON ledger_entries
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

CREATE TRIGGER ledger_entries_keep_their_digests BEFORE UPDATE OF digest ON ledger_entries
WHEN OLD.digest IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

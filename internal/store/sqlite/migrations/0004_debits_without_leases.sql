-- A debit without a lease is history of another system. SQLite cannot change a constraint, so the table is made anew.
CREATE TABLE new_ledger_entries (
    org_id              BLOB    NOT NULL REFERENCES ledger_heads (org_id),
    seq                 INTEGER NOT NULL CHECK (seq >= 1),
    entry_id            BLOB    NOT NULL CHECK (length(entry_id) = 16),
    amount_cents        INTEGER NOT NULL,
    balance_after_cents INTEGER NOT NULL,
    source              TEXT    NOT NULL
        CHECK (source IN ('stripe_topup', 'coupon_redemption', 'admin_grant', 'vm_lease_debit', 'refund')),
    description         TEXT,
    created_at          INTEGER NOT NULL,
    lease_id            BLOB,
    idempotency_key     TEXT,
    PRIMARY KEY (org_id, seq),
    FOREIGN KEY (org_id, lease_id) REFERENCES leases (org_id, lease_id),
    CHECK (lease_id IS NULL OR source = 'vm_lease_debit'),
    CHECK ((source = 'vm_lease_debit') = (amount_cents <= 0))
) STRICT, WITHOUT ROWID;

INSERT INTO new_ledger_entries SELECT * FROM ledger_entries;
DROP TABLE ledger_entries;
ALTER TABLE new_ledger_entries RENAME TO ledger_entries;

CREATE UNIQUE INDEX ledger_entries_by_id ON ledger_entries (org_id, entry_id);
CREATE UNIQUE INDEX ledger_entries_by_lease ON ledger_entries (org_id, lease_id) WHERE lease_id IS NOT NULL;
CREATE UNIQUE INDEX ledger_entries_by_key ON ledger_entries (org_id, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TRIGGER ledger_entries_are_not_updated BEFORE UPDATE ON ledger_entries
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

CREATE TRIGGER ledger_entries_are_not_deleted BEFORE DELETE ON ledger_entries
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

-- INSERT OR REPLACE removes the rows that it collides with without asking the trigger before.
CREATE TRIGGER ledger_entries_are_not_replaced BEFORE INSERT ON ledger_entries
WHEN EXISTS (SELECT 1 FROM ledger_entries WHERE org_id = NEW.org_id AND seq = NEW.seq)
    OR EXISTS (SELECT 1 FROM ledger_entries WHERE org_id = NEW.org_id AND entry_id = NEW.entry_id)
    OR EXISTS (SELECT 1 FROM ledger_entries WHERE org_id = NEW.org_id AND lease_id = NEW.lease_id)
    OR EXISTS (SELECT 1 FROM ledger_entries WHERE org_id = NEW.org_id AND idempotency_key = NEW.idempotency_key)
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

-- Those who ask for the leases that run find them among any number that have finished.
CREATE INDEX leases_running ON leases (org_id, started_at, lease_id) WHERE finished_at IS NULL;

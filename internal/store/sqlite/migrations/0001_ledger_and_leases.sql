-- Ids are the 16 bytes of a UUID, times are microseconds since 1970 UTC, money is cents.

CREATE TABLE organizations (
    org_id     BLOB    NOT NULL PRIMARY KEY CHECK (length(org_id) = 16),
    slug       TEXT    NOT NULL UNIQUE,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    sha256     BLOB    NOT NULL PRIMARY KEY CHECK (length(sha256) = 32),
    name       TEXT    NOT NULL,
    role       TEXT    NOT NULL CHECK (role IN ('read', 'write', 'admin')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE token_organizations (
    token_sha256 BLOB NOT NULL REFERENCES tokens (sha256),
    org_id       BLOB NOT NULL REFERENCES organizations (org_id),
    PRIMARY KEY (token_sha256, org_id)
) STRICT, WITHOUT ROWID;

-- Where each ledger stands: the newest entry's seq, balance and time, and the sums over all finished leases. Whoever
-- appends to a ledger holds its row.
CREATE TABLE ledger_heads (
    org_id            BLOB    NOT NULL PRIMARY KEY REFERENCES organizations (org_id),
    seq               INTEGER NOT NULL CHECK (seq >= 0),
    balance_cents     INTEGER NOT NULL,
    last_at           INTEGER NOT NULL,
    cpu_seconds       INTEGER NOT NULL CHECK (cpu_seconds >= 0),
    memory_gb_seconds INTEGER NOT NULL CHECK (memory_gb_seconds >= 0),
    disk_gb_seconds   INTEGER NOT NULL CHECK (disk_gb_seconds >= 0),
    total_cents       INTEGER NOT NULL CHECK (total_cents >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE leases (
    org_id            BLOB    NOT NULL REFERENCES organizations (org_id),
    lease_id          BLOB    NOT NULL CHECK (length(lease_id) = 16),
    job_id            BLOB    CHECK (length(job_id) = 16),
    job_name          TEXT,
    step_key          TEXT,
    vm_handle         TEXT,
    build_id          BLOB    CHECK (length(build_id) = 16),
    build_number      INTEGER,
    build_external_id TEXT,
    pipeline_id       BLOB    CHECK (length(pipeline_id) = 16),
    pipeline_name     TEXT,
    pipeline_slug     TEXT,
    cpu_count         INTEGER NOT NULL CHECK (cpu_count > 0),
    memory_gb         INTEGER NOT NULL CHECK (memory_gb > 0),
    disk_gb           INTEGER NOT NULL CHECK (disk_gb > 0),
    started_at        INTEGER NOT NULL CHECK (started_at >= 0),
    finished_at       INTEGER CHECK (finished_at >= started_at),
    duration_seconds  INTEGER CHECK (duration_seconds >= 0),
    amount_cents      INTEGER CHECK (amount_cents <= 0),
    PRIMARY KEY (org_id, lease_id),
    CHECK ((finished_at IS NULL) = (duration_seconds IS NULL)),
    CHECK ((finished_at IS NULL) = (amount_cents IS NULL))
) STRICT;

CREATE UNIQUE INDEX leases_by_job ON leases (org_id, job_id) WHERE job_id IS NOT NULL;
CREATE INDEX leases_by_start ON leases (org_id, started_at);

CREATE TABLE ledger_entries (
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
    CHECK ((source = 'vm_lease_debit') = (lease_id IS NOT NULL)),
    CHECK ((source = 'vm_lease_debit') = (amount_cents <= 0))
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX ledger_entries_by_id ON ledger_entries (org_id, entry_id);
CREATE UNIQUE INDEX ledger_entries_by_lease ON ledger_entries (org_id, lease_id) WHERE lease_id IS NOT NULL;
CREATE UNIQUE INDEX ledger_entries_by_key ON ledger_entries (org_id, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- The sums over the finished leases that started in the hour beginning at hour_start.
CREATE TABLE usage_hours (
    org_id            BLOB    NOT NULL REFERENCES organizations (org_id),
    hour_start        INTEGER NOT NULL CHECK (hour_start % 3600000000 = 0),
    cpu_seconds       INTEGER NOT NULL CHECK (cpu_seconds >= 0),
    memory_gb_seconds INTEGER NOT NULL CHECK (memory_gb_seconds >= 0),
    disk_gb_seconds   INTEGER NOT NULL CHECK (disk_gb_seconds >= 0),
    total_cents       INTEGER NOT NULL CHECK (total_cents >= 0),
    PRIMARY KEY (org_id, hour_start)
) STRICT, WITHOUT ROWID;

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

CREATE TRIGGER billed_leases_are_not_updated BEFORE UPDATE ON leases
WHEN OLD.finished_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a billed lease does not change');
END;

CREATE TRIGGER leases_keep_their_keys BEFORE UPDATE OF org_id, lease_id, job_id ON leases
BEGIN
    SELECT RAISE(ABORT, 'a recorded lease keeps its ids');
END;

CREATE TRIGGER leases_are_not_replaced BEFORE INSERT ON leases
WHEN EXISTS (SELECT 1 FROM leases WHERE org_id = NEW.org_id AND lease_id = NEW.lease_id AND finished_at IS NOT NULL)
    OR EXISTS (SELECT 1 FROM leases WHERE org_id = NEW.org_id AND job_id = NEW.job_id AND lease_id <> NEW.lease_id)
BEGIN
    SELECT RAISE(ABORT, 'a recorded lease is kept');
END;

CREATE TRIGGER leases_are_not_deleted BEFORE DELETE ON leases
BEGIN
    SELECT RAISE(ABORT, 'a recorded lease is kept');
END;

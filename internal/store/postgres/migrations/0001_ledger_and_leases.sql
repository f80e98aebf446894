-- Times are microseconds since 1970 UTC, money is cents.

CREATE TABLE organizations (
    org_id     UUID NOT NULL PRIMARY KEY,
    slug       TEXT COLLATE "C" NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE tokens (
    sha256     BYTEA NOT NULL PRIMARY KEY CHECK (length(sha256) = 32),
    name       TEXT NOT NULL,
    role       TEXT NOT NULL CHECK (role IN ('read', 'write', 'admin')),
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);

CREATE TABLE token_organizations (
    token_sha256 BYTEA NOT NULL REFERENCES tokens (sha256),
    org_id       UUID NOT NULL REFERENCES organizations (org_id),
    PRIMARY KEY (token_sha256, org_id)
);

-- Where each ledger stands: the newest entry's seq, balance and time, and the sums over all finished leases. Whoever
-- appends to a ledger locks its row.
CREATE TABLE ledger_heads (
    org_id            UUID NOT NULL PRIMARY KEY REFERENCES organizations (org_id),
    seq               BIGINT NOT NULL CHECK (seq >= 0),
    balance_cents     BIGINT NOT NULL,
    last_at           BIGINT NOT NULL,
    cpu_seconds       BIGINT NOT NULL CHECK (cpu_seconds >= 0),
    memory_gb_seconds BIGINT NOT NULL CHECK (memory_gb_seconds >= 0),
    disk_gb_seconds   BIGINT NOT NULL CHECK (disk_gb_seconds >= 0),
    total_cents       BIGINT NOT NULL CHECK (total_cents >= 0)
);

CREATE TABLE leases (
    org_id            UUID NOT NULL REFERENCES organizations (org_id),
    lease_id          UUID NOT NULL,
    job_id            UUID,
    job_name          TEXT,
    step_key          TEXT,
    vm_handle         TEXT,
    build_id          UUID,
    build_number      BIGINT,
    build_external_id TEXT,
    pipeline_id       UUID,
    pipeline_name     TEXT,
    pipeline_slug     TEXT,
    cpu_count         BIGINT NOT NULL CHECK (cpu_count > 0),
    memory_gb         BIGINT NOT NULL CHECK (memory_gb > 0),
    disk_gb           BIGINT NOT NULL CHECK (disk_gb > 0),
    started_at        BIGINT NOT NULL CHECK (started_at >= 0),
    finished_at       BIGINT CHECK (finished_at >= started_at),
    duration_seconds  BIGINT CHECK (duration_seconds >= 0),
    amount_cents      BIGINT CHECK (amount_cents <= 0),
    PRIMARY KEY (org_id, lease_id),
    CHECK ((finished_at IS NULL) = (duration_seconds IS NULL)),
    CHECK ((finished_at IS NULL) = (amount_cents IS NULL))
);

CREATE UNIQUE INDEX leases_by_job ON leases (org_id, job_id) WHERE job_id IS NOT NULL;
CREATE INDEX leases_by_start ON leases (org_id, started_at);

CREATE TABLE ledger_entries (
    org_id              UUID NOT NULL REFERENCES ledger_heads (org_id),
    seq                 BIGINT NOT NULL CHECK (seq >= 1),
    entry_id            UUID NOT NULL,
    amount_cents        BIGINT NOT NULL,
    balance_after_cents BIGINT NOT NULL,
    source              TEXT NOT NULL
        CHECK (source IN ('stripe_topup', 'coupon_redemption', 'admin_grant', 'vm_lease_debit', 'refund')),
    description         TEXT,
    created_at          BIGINT NOT NULL,
    lease_id            UUID,
    idempotency_key     TEXT,
    PRIMARY KEY (org_id, seq),
    FOREIGN KEY (org_id, lease_id) REFERENCES leases (org_id, lease_id),
    CHECK ((source = 'vm_lease_debit') = (lease_id IS NOT NULL)),
    CHECK ((source = 'vm_lease_debit') = (amount_cents <= 0))
);

CREATE UNIQUE INDEX ledger_entries_by_id ON ledger_entries (org_id, entry_id);
CREATE UNIQUE INDEX ledger_entries_by_lease ON ledger_entries (org_id, lease_id) WHERE lease_id IS NOT NULL;
CREATE UNIQUE INDEX ledger_entries_by_key ON ledger_entries (org_id, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- The sums over the finished leases that started in the hour beginning at hour_start.
CREATE TABLE usage_hours (
    org_id            UUID NOT NULL REFERENCES organizations (org_id),
    hour_start        BIGINT NOT NULL CHECK (hour_start % 3600000000 = 0),
    cpu_seconds       BIGINT NOT NULL CHECK (cpu_seconds >= 0),
    memory_gb_seconds BIGINT NOT NULL CHECK (memory_gb_seconds >= 0),
    disk_gb_seconds   BIGINT NOT NULL CHECK (disk_gb_seconds >= 0),
    total_cents       BIGINT NOT NULL CHECK (total_cents >= 0),
    PRIMARY KEY (org_id, hour_start)
);

-- The triggers look at nothing but their row, so they hold on every shard as well.

CREATE FUNCTION harmont_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER ledger_entries_are_kept BEFORE UPDATE OR DELETE ON ledger_entries
    FOR EACH ROW EXECUTE FUNCTION harmont_refuse('the ledger is append-only');
CREATE TRIGGER billed_leases_are_not_updated BEFORE UPDATE ON leases
    FOR EACH ROW WHEN (OLD.finished_at IS NOT NULL) EXECUTE FUNCTION harmont_refuse('a billed lease does not change');
CREATE TRIGGER leases_keep_their_keys BEFORE UPDATE OF org_id, lease_id, job_id ON leases
    FOR EACH ROW EXECUTE FUNCTION harmont_refuse('a recorded lease keeps its ids');
CREATE TRIGGER leases_are_not_deleted BEFORE DELETE ON leases
    FOR EACH ROW EXECUTE FUNCTION harmont_refuse('a recorded lease is kept');

-- These have no row to look at, so the tables of a cluster do without them.
CREATE TRIGGER ledger_entries_are_not_truncated BEFORE TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION harmont_refuse('the ledger is append-only');
CREATE TRIGGER leases_are_not_truncated BEFORE TRUNCATE ON leases
    FOR EACH STATEMENT EXECUTE FUNCTION harmont_refuse('a recorded lease is kept');

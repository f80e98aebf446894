-- Of a database that is distributed, Citus takes this setting; PostgreSQL ignores it.
SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- How far the ledger has been added to the sums of groups: up to the entry seq. Leases of later entries are in no row of usage_groups.
CREATE TABLE usage_progress (
    org_id UUID NOT NULL PRIMARY KEY REFERENCES organizations (org_id),
    seq    BIGINT NOT NULL CHECK (seq >= 0)
);

-- The values by which leases are grouped, such as a pipeline. The number of a value is unique in its grouping.
CREATE TABLE usage_values (
    org_id     UUID NOT NULL REFERENCES organizations (org_id),
    grouped_by TEXT NOT NULL,
    number     BIGINT NOT NULL CHECK (number >= 1),
    value      TEXT NOT NULL,
    name       TEXT NOT NULL,
    PRIMARY KEY (org_id, grouped_by, number)
);

-- The sums over the billed leases with a value that started in the UTC day or month beginning at start_at. The number 0 stands for all
-- values that are not in usage_values.
CREATE TABLE usage_groups (
    org_id            UUID NOT NULL REFERENCES organizations (org_id),
    grouped_by        TEXT NOT NULL,
    span              TEXT NOT NULL CHECK (span IN ('day', 'month')),
    start_at          BIGINT NOT NULL,
    number            BIGINT NOT NULL CHECK (number >= 0),
    lease_count       BIGINT NOT NULL CHECK (lease_count >= 1),
    cpu_seconds       BIGINT NOT NULL CHECK (cpu_seconds >= 0),
    memory_gb_seconds BIGINT NOT NULL CHECK (memory_gb_seconds >= 0),
    disk_gb_seconds   BIGINT NOT NULL CHECK (disk_gb_seconds >= 0),
    total_cents       BIGINT NOT NULL CHECK (total_cents >= 0),
    PRIMARY KEY (org_id, grouped_by, span, start_at, number)
);

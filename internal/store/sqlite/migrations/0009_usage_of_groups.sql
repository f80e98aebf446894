-- How far the ledger has been added to the sums of groups: up to the entry seq. Leases of later entries are in no row of usage_groups.
CREATE TABLE usage_progress (
    org_id BLOB NOT NULL PRIMARY KEY REFERENCES organizations (org_id),
    seq    INTEGER NOT NULL CHECK (seq >= 0)
) STRICT, WITHOUT ROWID;

-- The values by which leases are grouped, such as a pipeline. The number of a value is unique in its grouping.
CREATE TABLE usage_values (
    org_id     BLOB NOT NULL REFERENCES organizations (org_id),
    grouped_by TEXT NOT NULL,
    number     INTEGER NOT NULL CHECK (number >= 1),
    value      TEXT NOT NULL,
    name       TEXT NOT NULL,
    PRIMARY KEY (org_id, grouped_by, number)
) STRICT, WITHOUT ROWID;

-- The sums over the billed leases with a value that started in the UTC day or month beginning at start_at. The number 0 stands for all
-- values that are not in usage_values.
CREATE TABLE usage_groups (
    org_id            BLOB NOT NULL REFERENCES organizations (org_id),
    grouped_by        TEXT NOT NULL,
    span              TEXT NOT NULL CHECK (span IN ('day', 'month')),
    start_at          INTEGER NOT NULL,
    number            INTEGER NOT NULL CHECK (number >= 0),
    lease_count       INTEGER NOT NULL CHECK (lease_count >= 1),
    cpu_seconds       INTEGER NOT NULL CHECK (cpu_seconds >= 0),
    memory_gb_seconds INTEGER NOT NULL CHECK (memory_gb_seconds >= 0),
    disk_gb_seconds   INTEGER NOT NULL CHECK (disk_gb_seconds >= 0),
    total_cents       INTEGER NOT NULL CHECK (total_cents >= 0),
    PRIMARY KEY (org_id, grouped_by, span, start_at, number)
) STRICT, WITHOUT ROWID;

-- The sums over the finished leases that started in the day, hour or minute beginning at start_at; span is its length in
-- microseconds. Whoever sums a window reads the fewest spans that make it up, and leases for less than a minute at its ends.
CREATE TABLE usage_sums (
    org_id            UUID NOT NULL REFERENCES organizations (org_id),
    span              BIGINT NOT NULL CHECK (span IN (86400000000, 3600000000, 60000000)),
    start_at          BIGINT NOT NULL CHECK (start_at % span = 0),
    cpu_seconds       BIGINT NOT NULL CHECK (cpu_seconds >= 0),
    memory_gb_seconds BIGINT NOT NULL CHECK (memory_gb_seconds >= 0),
    disk_gb_seconds   BIGINT NOT NULL CHECK (disk_gb_seconds >= 0),
    total_cents       BIGINT NOT NULL CHECK (total_cents >= 0),
    PRIMARY KEY (org_id, span, start_at)
);

INSERT INTO usage_sums
SELECT org_id, span, started_at - started_at % span, sum(cpu_count * duration_seconds), sum(memory_gb * duration_seconds),
    sum(disk_gb * duration_seconds), -sum(amount_cents)
FROM leases, (VALUES (86400000000), (3600000000), (60000000)) AS spans (span)
WHERE finished_at IS NOT NULL
GROUP BY 1, 2, 3;

DROP TABLE usage_hours;

-- Of a database that is distributed, Citus takes this setting; PostgreSQL ignores it.
SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- What leases cost. A card is for one organization or for all, for machines of one shape or with one label or for all, and in force from a
-- time on. One without prices ends those before it for the same leases. Prices are micro-cents for one unit and one second.
-- A card that was imported into books with leases bills no new one. The column
-- org_id has no foreign key, so that Citus takes the table for a local one until it is spread.
CREATE TABLE rate_cards (
    card_id              UUID   NOT NULL PRIMARY KEY,
    seq                  BIGINT NOT NULL UNIQUE CHECK (seq >= 1),
    imported_at          BIGINT,
    org_id               UUID,
    cpu_count            BIGINT CHECK (cpu_count > 0),
    memory_gb            BIGINT CHECK (memory_gb > 0),
    disk_gb              BIGINT CHECK (disk_gb > 0),
    label_key            TEXT,
    label_value          TEXT,
    effective_from       BIGINT NOT NULL CHECK (effective_from >= 0),
    cpu_microcents       BIGINT CHECK (cpu_microcents >= 0),
    memory_gb_microcents BIGINT CHECK (memory_gb_microcents >= 0),
    disk_gb_microcents   BIGINT CHECK (disk_gb_microcents >= 0),
    name                 TEXT   NOT NULL,
    created_at           BIGINT NOT NULL,
    idempotency_key      TEXT,
    CHECK ((cpu_count IS NULL) = (memory_gb IS NULL) AND (cpu_count IS NULL) = (disk_gb IS NULL)),
    CHECK ((label_key IS NULL) = (label_value IS NULL)),
    CHECK ((cpu_microcents IS NULL) = (memory_gb_microcents IS NULL) AND (cpu_microcents IS NULL) = (disk_gb_microcents IS NULL))
);

CREATE TRIGGER rate_cards_are_kept BEFORE UPDATE OR DELETE ON rate_cards
    FOR EACH ROW EXECUTE FUNCTION harmont_refuse('rate cards are append-only');
CREATE TRIGGER rate_cards_are_not_truncated BEFORE TRUNCATE ON rate_cards
    FOR EACH STATEMENT EXECUTE FUNCTION harmont_refuse('rate cards are append-only');

-- A billed lease has the card that gave its amount, or none if it was billed before the books had cards, or by another system. Labels are
-- a JSON object.
ALTER TABLE leases ADD COLUMN labels TEXT;
ALTER TABLE leases ADD COLUMN author TEXT;
ALTER TABLE leases ADD COLUMN card_id UUID;

-- A program of an earlier version that still runs leaves the column out, and must not bill leases at prices that are not in the books.
ALTER TABLE leases ALTER COLUMN card_id SET DEFAULT '00000000-0000-0000-0000-000000000000';
ALTER TABLE leases ADD CONSTRAINT leases_card_id_check CHECK (card_id <> '00000000-0000-0000-0000-000000000000');

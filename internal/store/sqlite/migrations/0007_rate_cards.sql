-- What leases cost. A card is for one organization or for all, for machines of one shape or with one label or for all, and in force from a
-- time on. One without prices ends those before it for the same leases. Prices are micro-cents for one unit and one second.
-- A card that was imported into books with leases bills no new one.
CREATE TABLE rate_cards (
    card_id              BLOB    NOT NULL PRIMARY KEY CHECK (length(card_id) = 16),
    seq                  INTEGER NOT NULL UNIQUE CHECK (seq >= 1),
    imported_at          INTEGER,
    org_id               BLOB    REFERENCES organizations (org_id),
    cpu_count            INTEGER CHECK (cpu_count > 0),
    memory_gb            INTEGER CHECK (memory_gb > 0),
    disk_gb              INTEGER CHECK (disk_gb > 0),
    label_key            TEXT,
    label_value          TEXT,
    effective_from       INTEGER NOT NULL CHECK (effective_from >= 0),
    cpu_microcents       INTEGER CHECK (cpu_microcents >= 0),
    memory_gb_microcents INTEGER CHECK (memory_gb_microcents >= 0),
    disk_gb_microcents   INTEGER CHECK (disk_gb_microcents >= 0),
    name                 TEXT    NOT NULL,
    created_at           INTEGER NOT NULL,
    idempotency_key      TEXT,
    CHECK ((cpu_count IS NULL) = (memory_gb IS NULL) AND (cpu_count IS NULL) = (disk_gb IS NULL)),
    CHECK ((label_key IS NULL) = (label_value IS NULL)),
    CHECK ((cpu_microcents IS NULL) = (memory_gb_microcents IS NULL) AND (cpu_microcents IS NULL) = (disk_gb_microcents IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TRIGGER rate_cards_are_not_updated BEFORE UPDATE ON rate_cards
BEGIN
    SELECT RAISE(ABORT, 'rate cards are append-only');
END;

CREATE TRIGGER rate_cards_are_not_deleted BEFORE DELETE ON rate_cards
BEGIN
    SELECT RAISE(ABORT, 'rate cards are append-only');
END;

-- INSERT OR REPLACE removes the rows that it collides with without asking the trigger before.
CREATE TRIGGER rate_cards_are_not_replaced BEFORE INSERT ON rate_cards
WHEN EXISTS (SELECT 1 FROM rate_cards WHERE card_id = NEW.card_id OR seq = NEW.seq)
BEGIN
    SELECT RAISE(ABORT, 'rate cards are append-only');
END;

-- A billed lease has the card that gave its amount, or none if it was billed before the books had cards, or by another system. Labels are
-- a JSON object.
ALTER TABLE leases ADD COLUMN labels TEXT;
ALTER TABLE leases ADD COLUMN author TEXT;
ALTER TABLE leases ADD COLUMN card_id BLOB CHECK (length(card_id) = 16);

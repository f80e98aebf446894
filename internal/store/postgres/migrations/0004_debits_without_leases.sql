-- A debit without a lease is history of another system.
ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_check;
ALTER TABLE ledger_entries ADD CONSTRAINT ledger_entries_lease_check CHECK (lease_id IS NULL OR source = 'vm_lease_debit');

-- Those who ask for the leases that run find them among any number that have finished.
CREATE INDEX leases_running ON leases (org_id, started_at, lease_id) WHERE finished_at IS NULL;

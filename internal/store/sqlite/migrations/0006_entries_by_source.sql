-- Entries of one source are listed by this index. Debits of leases, which are most of a ledger, are found among all entries, so they do not
-- pay for it.
CREATE INDEX ledger_entries_by_source ON ledger_entries (org_id, source, seq) WHERE source <> 'vm_lease_debit';

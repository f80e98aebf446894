-- A breakdown lists the builds of a window from the first, and finds what is left of their leases by the second.
CREATE INDEX leases_by_start_and_build ON leases (org_id, started_at, build_id);
DROP INDEX leases_by_start;
CREATE INDEX leases_by_build ON leases (org_id, build_id, started_at);

-- A breakdown lists the builds of a window from the first, and finds what is left of their leases by the second. The condition
-- always holds, and only queries for windows imply it: of an organization that its statistics do not know yet, PostgreSQL takes
-- any index for good enough to find a lease, and would read all that the organization has.
CREATE INDEX leases_by_start_and_build ON leases (org_id, started_at, build_id) WHERE started_at IS NOT NULL;
DROP INDEX leases_by_start;
CREATE INDEX leases_by_build ON leases (org_id, build_id, started_at) WHERE started_at IS NOT NULL;

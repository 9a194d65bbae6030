-- What is not to be started for now: a kind, a serial key, both together, or (both null) all work of the tenant.
CREATE TABLE work.pauses (
    id         uuid PRIMARY KEY,
    tenant_id  uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    kind       text,
    serial_key text,
    reason     text NOT NULL,
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pauses_scope UNIQUE NULLS NOT DISTINCT (tenant_id, kind, serial_key)
);
SELECT kernel.protect('work.pauses');
CREATE POLICY worker_reads ON work.pauses FOR SELECT TO agentplatform_worker USING (current_user = 'agentplatform_worker');
GRANT SELECT ON work.pauses TO agentplatform_worker;

-- Urgency that ages: a point of priority is worth a minute of waiting. Nothing in it depends on the clock, so an index can hold it,
-- and nothing starves: an item of priority p starts before whatever fell due more than p minutes after it.
CREATE FUNCTION work.claim_order(p_priority smallint, p_run_at timestamptz) RETURNS timestamp LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (p_run_at AT TIME ZONE 'UTC') + p_priority * interval '1 minute';

-- The claim: due items by urgency.
CREATE INDEX items_claimable ON work.items (work.claim_order(priority, run_at), id) WHERE state = 'ready';
DROP INDEX work.items_due;

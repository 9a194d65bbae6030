-- A claim changes nothing that an index holds, so that Postgres writes the new version of the row beside the old one and touches no index: less
-- than half of what a claim costs otherwise. No index may name state, owner, lease, fence or attempts, then, not in its predicate either, and a
-- page keeps room for a second version of each of its rows.
ALTER TABLE work.items SET (fillfactor = 45);
ALTER TABLE work.items
    -- What indexes need to know of the state, null for the many items it does not matter for: these are not changed by a claim.
    ADD COLUMN running_serial_key text COLLATE "C" GENERATED ALWAYS AS (CASE WHEN state = 'running' THEN serial_key END) STORED,
    ADD COLUMN waiting_merge_key text GENERATED ALWAYS AS (CASE WHEN state = 'ready' AND fence = 0 THEN merge_key END) STORED,
    ADD COLUMN waiting_start_by timestamptz GENERATED ALWAYS AS (CASE WHEN state = 'ready' AND fence = 0 THEN start_by END) STORED;

DROP INDEX work.items_lane, work.items_leased, work.items_serial, work.items_serial_runs_alone, work.items_start_by, work.items_merge, work.items_dead,
    work.items_dead_alike;
CREATE INDEX items_lane ON work.items (tenant_id, kind, priority, run_at, id) WHERE finished_at IS NULL;
CREATE INDEX items_serial ON work.items (tenant_id, serial_key, id) WHERE serial_key IS NOT NULL AND finished_at IS NULL;
CREATE UNIQUE INDEX items_serial_runs_alone ON work.items (tenant_id, running_serial_key) WHERE running_serial_key IS NOT NULL;
CREATE INDEX items_start_by ON work.items (waiting_start_by) WHERE waiting_start_by IS NOT NULL;
CREATE UNIQUE INDEX items_merge ON work.items (tenant_id, kind, waiting_merge_key) WHERE waiting_merge_key IS NOT NULL;
CREATE INDEX items_dead ON work.items (tenant_id, id DESC) WHERE error_signature IS NOT NULL;
CREATE INDEX items_dead_alike ON work.items (tenant_id, kind, error_signature) WHERE error_signature IS NOT NULL;

CREATE OR REPLACE VIEW work.statistics WITH (security_invoker = true) AS
SELECT tenant_id, kind,
       count(*) FILTER (WHERE state = 'ready') AS waiting,
       count(*) FILTER (WHERE state = 'ready' AND run_at <= now()) AS due,
       count(*) FILTER (WHERE state = 'ready' AND attempts > 0) AS retrying,
       count(*) FILTER (WHERE state = 'running') AS running,
       count(*) FILTER (WHERE state = 'dead') AS dead,
       coalesce(sum(interruptions), 0)::bigint AS interruptions,
       coalesce(extract(epoch FROM now() - min(run_at) FILTER (WHERE state = 'ready' AND run_at <= now())), 0)::double precision AS oldest_due_seconds
FROM work.items
WHERE finished_at IS NULL OR error_signature IS NOT NULL
GROUP BY tenant_id, kind;

-- What was claimed together, and when to see whether its leases have run out: the way to what runs, as no index holds it any more. Written by the claim,
-- forgotten when all of it has ended. Whether an item runs, and whether its lease has run out, is said by the item alone.
CREATE TABLE work.claims (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    look_at    timestamptz NOT NULL,
    tenant_ids uuid[] NOT NULL,
    item_ids   bigint[] NOT NULL,
    CONSTRAINT claims_name_items CHECK (cardinality(tenant_ids) = cardinality(item_ids) AND cardinality(item_ids) > 0)
);
CREATE INDEX claims_to_look_at ON work.claims (look_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON work.claims TO agentplatform_worker;

INSERT INTO work.claims (look_at, tenant_ids, item_ids)
SELECT min(lease_until), array_agg(tenant_id), array_agg(id) FROM work.items WHERE state = 'running' HAVING count(*) > 0;

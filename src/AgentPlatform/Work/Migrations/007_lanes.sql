-- Kinds and keys are names for programs. Compared byte by byte, an index over them costs half of what the database's language costs.
DROP VIEW work.statistics;
ALTER TABLE work.items ALTER COLUMN kind TYPE text COLLATE "C", ALTER COLUMN key TYPE text COLLATE "C", ALTER COLUMN serial_key TYPE text COLLATE "C";
CREATE VIEW work.statistics WITH (security_invoker = true) AS
SELECT tenant_id, kind,
       count(*) FILTER (WHERE state = 'ready') AS waiting,
       count(*) FILTER (WHERE state = 'ready' AND run_at <= now()) AS due,
       count(*) FILTER (WHERE state = 'ready' AND attempts > 0) AS retrying,
       count(*) FILTER (WHERE state = 'running') AS running,
       count(*) FILTER (WHERE state = 'dead') AS dead,
       coalesce(sum(interruptions), 0)::bigint AS interruptions,
       coalesce(extract(epoch FROM now() - min(run_at) FILTER (WHERE state = 'ready' AND run_at <= now())), 0)::double precision AS oldest_due_seconds
FROM work.items
WHERE state IN ('ready', 'running', 'dead')
GROUP BY tenant_id, kind;
GRANT SELECT ON work.statistics TO agentplatform_app, agentplatform_worker;

-- A lane is the work of one tenant, kind and priority, in the order it falls due. A claim goes by lanes: tenants take turns in it whatever
-- each has waiting, a paused kind is passed over as a whole, and what is due is the beginning of its lane, however much waits for later.
CREATE INDEX items_lane ON work.items (tenant_id, kind, priority, run_at, id) WHERE state = 'ready';
-- Counts of what waits in a kind go by the lanes too; no one asked by owner alone any more.
DROP INDEX work.items_claimable, work.items_waiting, work.items_owned;

-- One index serves an item's own row and an operator's list of a tenant's items, newest first.
ALTER TABLE work.items DROP CONSTRAINT items_pkey, ADD CONSTRAINT items_pkey PRIMARY KEY (tenant_id, id);
DROP INDEX work.items_listed;

-- Retention reads the whole of it once a night, and a summary of pages costs a completion next to nothing.
DROP INDEX work.items_finished;
CREATE INDEX items_finished ON work.items USING brin (finished_at);

-- Fails the transaction of a worker that completes what another has taken over by now, so that the question needs no round trip of its own.
CREATE FUNCTION work.require_held(p_settled bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_settled <> 1 THEN
        RAISE EXCEPTION 'The lease was lost.' USING ERRCODE = 'WL001';
    END IF;
END
$$;

-- The key to the tenant cost more than half of an enqueue, and says nothing that row level security has not said: only the acting tenant's
-- rows can be put in. What the key did when a tenant is deleted, a trigger does.
ALTER TABLE work.items DROP CONSTRAINT items_tenant_id_fkey;
CREATE FUNCTION work.forget_tenant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM work.items WHERE tenant_id = OLD.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER work_forget AFTER DELETE ON tenancy.tenants FOR EACH ROW EXECUTE FUNCTION work.forget_tenant();

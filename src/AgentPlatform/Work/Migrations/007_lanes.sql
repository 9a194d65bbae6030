-- A lane is the work of one tenant, kind and priority, in the order it falls due. A claim goes by lanes: tenants take turns in it whatever
-- each has waiting, a paused kind is passed over as a whole, and what is due is the beginning of its lane, however much waits for later.
CREATE INDEX items_lane ON work.items (tenant_id, kind, priority, run_at, id) WHERE state = 'ready';
-- Counts of what waits in a kind go by the lanes too; no one asked by owner alone any more.
DROP INDEX work.items_claimable, work.items_waiting, work.items_owned;

-- One index serves an item's own row and an operator's list of a tenant's items, newest first.
ALTER TABLE work.items DROP CONSTRAINT items_pkey, ADD CONSTRAINT items_pkey PRIMARY KEY (tenant_id, id);
DROP INDEX work.items_listed;

-- Fails the transaction of a worker that completes what another has taken over by now, so that the question needs no round trip of its own.
CREATE FUNCTION work.require_held(p_settled bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_settled <> 1 THEN
        RAISE EXCEPTION 'The lease was lost.' USING ERRCODE = 'WL001';
    END IF;
END
$$;

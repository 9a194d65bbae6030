-- Published for triggers, which cannot call WorkQueue. Without a nudge: the claim after the writer's own work, or the sweep, finds it.
CREATE FUNCTION work.enqueue(p_tenant_id uuid, p_kind text, p_key text, p_payload jsonb, p_serial_key text, p_priority smallint, p_run_at timestamptz, p_max_attempts integer)
    RETURNS void LANGUAGE sql AS $$
    INSERT INTO work.items (tenant_id, kind, key, serial_key, priority, run_at, max_attempts, payload)
    VALUES (p_tenant_id, p_kind, p_key, p_serial_key, p_priority, coalesce(p_run_at, now()), p_max_attempts, p_payload)
    ON CONFLICT ON CONSTRAINT items_key DO NOTHING
$$;

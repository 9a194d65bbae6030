-- Both statements are planned once a session and not once a call, and lists in a SELECT are read side by side as they are, where a function in FROM
-- wrote them down first: a tenth less for a thousand items, and half for a few. What all of them have in common is told once: no list where all leave it
-- open, and a list of one kind, priority or number of attempts.
CREATE FUNCTION work.told(
    p_kinds text[], p_keys text[], p_serial_keys text[], p_priorities smallint[], p_run_at timestamptz[], p_max_attempts integer[], p_payloads text[],
    p_start_by timestamptz[], p_concurrency_keys text[])
    RETURNS TABLE (
        kind text, key text, serial_key text, priority smallint, run_at timestamptz, max_attempts integer, payload jsonb, start_by timestamptz, concurrency_key text)
    LANGUAGE sql STABLE AS $$
    SELECT coalesce(n.kind, p_kinds[1]), n.key, n.serial_key, coalesce(n.priority, p_priorities[1]), coalesce(n.run_at, now()),
           coalesce(n.max_attempts, p_max_attempts[1]), n.payload::jsonb, n.start_by, n.concurrency_key
    FROM (SELECT unnest(p_kinds) AS kind, unnest(p_keys) AS key, unnest(p_serial_keys) AS serial_key, unnest(p_priorities) AS priority,
                 unnest(p_run_at) AS run_at, unnest(p_max_attempts) AS max_attempts, unnest(p_payloads) AS payload, unnest(p_start_by) AS start_by,
                 unnest(p_concurrency_keys) AS concurrency_key) AS n
$$;

CREATE OR REPLACE FUNCTION work.enqueue_many(
    p_tenant_id uuid, p_kinds text[], p_keys text[], p_serial_keys text[], p_priorities smallint[], p_run_at timestamptz[], p_max_attempts integer[],
    p_payloads text[], p_start_by timestamptz[], p_concurrency_keys text[], p_trace_parent text)
    RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO work.items (tenant_id, trace_parent, kind, key, serial_key, priority, run_at, max_attempts, payload, start_by, concurrency_key)
    SELECT p_tenant_id, p_trace_parent, t.*
    FROM work.told(p_kinds, p_keys, p_serial_keys, p_priorities, p_run_at, p_max_attempts, p_payloads, p_start_by, p_concurrency_keys) AS t;
EXCEPTION WHEN unique_violation THEN
    INSERT INTO work.items (tenant_id, trace_parent, kind, key, serial_key, priority, run_at, max_attempts, payload, start_by, concurrency_key)
    SELECT p_tenant_id, p_trace_parent, t.*
    FROM work.told(p_kinds, p_keys, p_serial_keys, p_priorities, p_run_at, p_max_attempts, p_payloads, p_start_by, p_concurrency_keys) AS t
    ON CONFLICT ON CONSTRAINT items_key DO NOTHING;
END
$$;

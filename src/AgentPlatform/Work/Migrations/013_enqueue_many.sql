-- Many items at once. Whoever puts in many puts in what is new, nearly always: tried as such, it costs a third less than looking for a conflict with each
-- of them. Where one of the keys is there, all are put in once more, and those that are there left alone.
CREATE FUNCTION work.enqueue_many(
    p_tenant_id uuid, p_kinds text[], p_keys text[], p_serial_keys text[], p_priorities smallint[], p_run_at timestamptz[], p_max_attempts integer[],
    p_payloads text[], p_start_by timestamptz[], p_concurrency_keys text[], p_trace_parent text)
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    put_in constant text :=
        'INSERT INTO work.items (tenant_id, kind, key, serial_key, priority, run_at, max_attempts, payload, start_by, concurrency_key, trace_parent)
         SELECT $1, n.kind, n.key, n.serial_key, n.priority, coalesce(n.run_at, now()), n.max_attempts, n.payload::jsonb, n.start_by, n.concurrency_key, $11
         FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10)
              WITH ORDINALITY AS n (kind, key, serial_key, priority, run_at, max_attempts, payload, start_by, concurrency_key, place)
         ORDER BY n.place';
BEGIN
    EXECUTE put_in USING p_tenant_id, p_kinds, p_keys, p_serial_keys, p_priorities, p_run_at, p_max_attempts, p_payloads, p_start_by,
        p_concurrency_keys, p_trace_parent;
EXCEPTION WHEN unique_violation THEN
    EXECUTE put_in || ' ON CONFLICT ON CONSTRAINT items_key DO NOTHING' USING p_tenant_id, p_kinds, p_keys, p_serial_keys, p_priorities, p_run_at,
        p_max_attempts, p_payloads, p_start_by, p_concurrency_keys, p_trace_parent;
END
$$;

-- A foreign key is asked about with every item that is put in, and cost a tenth of that. This one is only set from the redrive itself, and redrives go with
-- their tenant alone.
ALTER TABLE work.items DROP CONSTRAINT items_redrive;

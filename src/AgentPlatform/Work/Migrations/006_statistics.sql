-- How each queue stands. With the rights of the one who asks: a tenant sees its own.
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

-- How far back vacuum is held: the age of the oldest snapshot of this database. Finished claims pile up as dead rows for as long.
-- Runs as its owner, because sessions show their snapshots only to their own login.
CREATE FUNCTION work.oldest_snapshot_seconds() RETURNS double precision LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT coalesce(max(extract(epoch FROM clock_timestamp() - s.since)), 0)::double precision
    FROM (SELECT xact_start AS since FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND datname = current_database()
          UNION ALL
          SELECT prepared FROM pg_prepared_xacts WHERE database = current_database()) AS s
$$;

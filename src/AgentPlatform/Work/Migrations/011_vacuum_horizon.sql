-- A vacuum has a snapshot, too, and holds no other back by it.
CREATE OR REPLACE FUNCTION work.oldest_snapshot_seconds() RETURNS double precision LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT coalesce(max(extract(epoch FROM clock_timestamp() - s.since)), 0)::double precision
    FROM (SELECT xact_start AS since FROM pg_stat_activity
          WHERE backend_xmin IS NOT NULL AND datname = current_database() AND backend_type <> 'autovacuum worker'
          UNION ALL
          SELECT prepared FROM pg_prepared_xacts WHERE database = current_database()) AS s
$$;

-- How far back vacuum is held, in time and in transactions (what a replica or its slot holds has no age in time), and what lies dead in
-- work.items, by Postgres's own count.
CREATE FUNCTION work.vacuum_horizon(OUT oldest_snapshot_seconds double precision, OUT oldest_snapshot_transactions bigint, OUT dead_rows bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT work.oldest_snapshot_seconds(),
           (SELECT coalesce(max(age(h.held)), 0)::bigint
            FROM (SELECT backend_xmin AS held FROM pg_stat_activity
                  WHERE datname = current_database() AND backend_type <> 'autovacuum worker' OR backend_type = 'walsender'
                  UNION ALL SELECT transaction FROM pg_prepared_xacts WHERE database = current_database()
                  UNION ALL SELECT xmin FROM pg_replication_slots) AS h),
           coalesce(pg_stat_get_dead_tuples('work.items'::regclass), 0)
$$;

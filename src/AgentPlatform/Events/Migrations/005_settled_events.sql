-- Below the transaction that this returns all events are there: none can still be committed there. Cheaply, that is the oldest transaction
-- that runs in the whole cluster; on second thought, the oldest that is not known to run in another database, where it can store none here.
-- A transaction holds the lock of its own number until it ends; one whose lock is not found may be about to take it, and is waited for.
CREATE FUNCTION events.settled_before(p_on_second_thought boolean) RETURNS xid8
    LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN NOT p_on_second_thought THEN pg_snapshot_xmin(seen.now)
                ELSE least(pg_snapshot_xmax(seen.now), pg_current_xact_id_if_assigned(), (
                    SELECT min(running.id) FROM pg_snapshot_xip(seen.now) AS running (id)
                    WHERE NOT EXISTS (
                        SELECT FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
                        WHERE l.locktype = 'transactionid' AND l.granted AND l.mode = 'ExclusiveLock' AND l.transactionid = running.id::xid
                          AND a.datid <> (SELECT oid FROM pg_database WHERE datname = current_database())))) END
    FROM (SELECT pg_current_snapshot() AS now) AS seen
$$;

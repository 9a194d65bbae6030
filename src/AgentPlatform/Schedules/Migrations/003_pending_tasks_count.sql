-- Published under the name the first systems had for it. It counts with the rights of the one who asks: a tenant its own.
CREATE FUNCTION schedules.get_pending_tasks_count() RETURNS bigint LANGUAGE sql STABLE
    RETURN (SELECT count(*) FROM schedules.agent_tasks WHERE status = 'pending');

-- Published under the name the first systems had for it. It counts with the rights of the one who asks: a tenant its own.
CREATE FUNCTION messaging.get_queued_messages_count() RETURNS bigint LANGUAGE sql STABLE
    RETURN (SELECT count(*) FROM messaging.message_queue WHERE status IN ('queued', 'held', 'approved'));

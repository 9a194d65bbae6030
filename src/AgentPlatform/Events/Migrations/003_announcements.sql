-- A transaction that notifies commits alone: Postgres holds one lock of the whole cluster from before the commit until after its flush,
-- so that notifications arrive in the order of commits. That would make all writers of events take turns at the disk. The application
-- therefore says app.announce = 'later', and announces its events after the commit, many at once, in transactions that write nothing.
-- Whoever inserts an event by other means is announced by the trigger, as before.

CREATE FUNCTION events.announcement(e events.events) RETURNS text
    LANGUAGE sql STABLE
    RETURN json_build_object(
        'id', e.id, 'event_type', e.event_type, 'aggregate_id', e.aggregate_id, 'tenant_id', e.tenant_id,
        -- A notification holds at most 8000 bytes: a longer payload is left out, and its reader fetches the event by its id.
        'payload', CASE WHEN octet_length(e.payload::text) <= 7000 THEN e.payload END)::text;

CREATE OR REPLACE FUNCTION events.notify_event() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('agent_events', events.announcement(NEW));
    RETURN NULL;
END
$$;

DROP TRIGGER on_event_created ON events.events;
CREATE TRIGGER on_event_created AFTER INSERT ON events.events
    FOR EACH ROW WHEN (current_setting('app.announce', true) IS DISTINCT FROM 'later') EXECUTE FUNCTION events.notify_event();

-- The event store. Events are never changed; what has been handled is known per consumer, by its cursor.

GRANT USAGE ON SCHEMA events TO agentplatform_app, agentplatform_worker;

-- The current version of each aggregate; its row lock makes versions gapless and writers of one aggregate take turns.
CREATE TABLE events.aggregates (
    tenant_id      uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    aggregate_type text NOT NULL,
    aggregate_id   uuid NOT NULL,
    version        integer NOT NULL,
    PRIMARY KEY (tenant_id, aggregate_type, aggregate_id)
) WITH (fillfactor = 70);

CREATE TABLE events.events (
    tenant_id      uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id             uuid NOT NULL,
    -- The order of reading is (transaction, position): see decision 0201.
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    position       bigint GENERATED ALWAYS AS IDENTITY,
    event_type     varchar(100) NOT NULL,
    aggregate_type varchar(50) NOT NULL,
    aggregate_id   uuid NOT NULL,
    version        integer NOT NULL,
    payload        jsonb NOT NULL,
    metadata       jsonb,
    user_id        uuid DEFAULT nullif(kernel.current_user_id(), '00000000-0000-0000-0000-000000000000') REFERENCES identity.users (id) ON DELETE SET NULL,
    created_by     varchar(100),
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT event_type_is_given CHECK (length(event_type) > 0),
    CONSTRAINT event_version_starts_at_one CHECK (version >= 1)
);

CREATE UNIQUE INDEX idx_events_aggregate_version ON events.events (tenant_id, aggregate_type, aggregate_id, version);
CREATE INDEX idx_events_type ON events.events (tenant_id, event_type, id DESC);
CREATE INDEX idx_events_unread ON events.events (tenant_id, transaction_id, position);
CREATE INDEX idx_events_created ON events.events USING brin (created_at);
CREATE INDEX idx_events_user ON events.events (user_id) WHERE user_id IS NOT NULL;

SELECT kernel.protect('events.aggregates');
SELECT kernel.protect('events.events');
SELECT kernel.append_only('events.events');

-- Numbers an event. The upsert locks its aggregate, so the check below sees whatever another writer of it has committed; an
-- event that is already stored is skipped and its number given back. A writer may name the version it expects to write.
CREATE FUNCTION events.number_event() RETURNS trigger
    LANGUAGE plpgsql AS $$
DECLARE
    next_version integer;
BEGIN
    INSERT INTO events.aggregates AS a (tenant_id, aggregate_type, aggregate_id, version)
    VALUES (NEW.tenant_id, NEW.aggregate_type, NEW.aggregate_id, 1)
    ON CONFLICT (tenant_id, aggregate_type, aggregate_id) DO UPDATE SET version = a.version + 1
    RETURNING version INTO next_version;

    IF EXISTS (SELECT FROM events.events e WHERE e.tenant_id = NEW.tenant_id AND e.id = NEW.id) THEN
        UPDATE events.aggregates SET version = next_version - 1
        WHERE tenant_id = NEW.tenant_id AND aggregate_type = NEW.aggregate_type AND aggregate_id = NEW.aggregate_id;
        RETURN NULL;
    ELSIF NEW.version <> next_version THEN
        RAISE EXCEPTION 'the aggregate is at version %', next_version - 1 USING ERRCODE = 'unique_violation', CONSTRAINT = 'event_version_is_next';
    END IF;

    NEW.version := next_version;
    RETURN NEW;
END
$$;

CREATE TRIGGER number_event BEFORE INSERT ON events.events FOR EACH ROW EXECUTE FUNCTION events.number_event();

-- A notification holds at most 8000 bytes: a longer payload is left out, and its reader fetches the event by its id.
CREATE FUNCTION events.notify_event() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('agent_events', json_build_object(
        'id', NEW.id, 'event_type', NEW.event_type, 'aggregate_id', NEW.aggregate_id, 'tenant_id', NEW.tenant_id,
        'payload', CASE WHEN octet_length(NEW.payload::text) <= 7000 THEN NEW.payload END)::text);
    RETURN NULL;
END
$$;

CREATE TRIGGER on_event_created AFTER INSERT ON events.events FOR EACH ROW EXECUTE FUNCTION events.notify_event();

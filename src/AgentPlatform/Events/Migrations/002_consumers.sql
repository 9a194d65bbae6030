-- Who reads the events, how far each reader is, and where old events go.

CREATE TABLE events.consumers (
    tenant_id         uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    name              text NOT NULL,
    -- Which events it wants; none named means all.
    event_types       text[] NOT NULL DEFAULT '{}',
    status            text NOT NULL DEFAULT 'active',
    cursor_transaction xid8 NOT NULL DEFAULT '0',
    cursor_position   bigint NOT NULL DEFAULT 0,
    handled           bigint NOT NULL DEFAULT 0,
    attempts          integer NOT NULL DEFAULT 0,
    failed_event_id   uuid,
    last_error        text,
    retry_at          timestamptz,
    last_handled_at   timestamptz,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, name),
    CONSTRAINT consumer_status_is_known CHECK (status IN ('active', 'retrying', 'dead')),
    CONSTRAINT consumer_failure_is_whole CHECK ((status = 'active') = (failed_event_id IS NULL)),
    CONSTRAINT consumer_retry_is_planned CHECK ((status = 'retrying') = (retry_at IS NOT NULL))
);

SELECT kernel.protect('events.consumers');

CREATE TABLE events.archived_events (
    tenant_id      uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id             uuid NOT NULL,
    event_type     varchar(100) NOT NULL,
    aggregate_type varchar(50) NOT NULL,
    aggregate_id   uuid NOT NULL,
    version        integer NOT NULL,
    payload        jsonb NOT NULL,
    metadata       jsonb,
    user_id        uuid REFERENCES identity.users (id) ON DELETE SET NULL,
    created_by     varchar(100),
    created_at     timestamptz NOT NULL,
    archived_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);

CREATE UNIQUE INDEX idx_archived_events_aggregate_version ON events.archived_events (tenant_id, aggregate_type, aggregate_id, version);
CREATE INDEX idx_archived_events_user ON events.archived_events (user_id) WHERE user_id IS NOT NULL;

SELECT kernel.protect('events.archived_events');
SELECT kernel.append_only('events.archived_events');

-- An event leaves the store only by arriving in the archive.
CREATE FUNCTION events.leave_for_archive() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM events.events WHERE tenant_id = NEW.tenant_id AND id = NEW.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER on_event_archived AFTER INSERT ON events.archived_events FOR EACH ROW EXECUTE FUNCTION events.leave_for_archive();

-- The archiving job works in every tenant, and only on what is older than ninety days.
CREATE POLICY archiving ON events.events TO agentplatform_worker USING (created_at < now() - interval '90 days');
CREATE POLICY archiving ON events.archived_events FOR INSERT TO agentplatform_worker WITH CHECK (created_at < now() - interval '90 days');
CREATE POLICY archiving ON events.consumers FOR SELECT TO agentplatform_worker USING (true);
GRANT SELECT ON events.events, events.consumers TO agentplatform_worker;
GRANT INSERT ON events.archived_events TO agentplatform_worker;
REVOKE INSERT ON events.archived_events FROM agentplatform_app;

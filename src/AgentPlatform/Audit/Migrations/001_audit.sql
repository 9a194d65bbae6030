-- Who changed what, which sensitive operations were tried, and what threatened whom. Only owners and admins read it.

GRANT USAGE ON SCHEMA audit TO agentplatform_app, agentplatform_worker;

CREATE TABLE audit.audit_logs (
    tenant_id   uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id          uuid         NOT NULL,
    user_id     uuid         NOT NULL,
    action      varchar(100) NOT NULL,
    entity_type varchar(100) NOT NULL,
    entity_id   varchar(255),
    old_values  jsonb,
    new_values  jsonb,
    metadata    jsonb        NOT NULL DEFAULT '{}',
    ip_address  inet,
    user_agent  text,
    created_at  timestamptz  NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT audit_action_is_known CHECK (action IN ('create', 'update', 'delete')),
    CONSTRAINT audit_values_are_whole CHECK ((old_values IS NULL) = (action = 'create') AND (new_values IS NOT NULL OR action = 'delete'))
);
CREATE INDEX audit_logs_user ON audit.audit_logs (tenant_id, user_id, id DESC);
CREATE INDEX audit_logs_entity ON audit.audit_logs (tenant_id, entity_type, entity_id, id DESC);
CREATE INDEX audit_logs_created_at ON audit.audit_logs USING brin (created_at);

CREATE TABLE audit.security_audit_log (
    tenant_id     uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id            uuid         NOT NULL,
    user_id       uuid         NOT NULL,
    action        varchar(100) NOT NULL,
    resource_type varchar(50)  NOT NULL,
    resource_id   text,
    details       jsonb        NOT NULL DEFAULT '{}',
    ip_address    inet,
    user_agent    text,
    success       boolean      NOT NULL,
    error_message text,
    created_at    timestamptz  NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT security_failure_says_why CHECK (success = (error_message IS NULL))
);
CREATE INDEX security_audit_log_user ON audit.security_audit_log (tenant_id, user_id, action, created_at DESC);
CREATE INDEX security_audit_log_created_at ON audit.security_audit_log USING brin (created_at);

CREATE TABLE audit.security_events (
    tenant_id     uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id            uuid        NOT NULL,
    user_id       uuid,
    event_type    varchar(50) NOT NULL,
    severity      varchar(20) NOT NULL DEFAULT 'low',
    description   text        NOT NULL,
    resource_type varchar(50) NOT NULL,
    resource_id   uuid        NOT NULL,
    metadata      jsonb       NOT NULL DEFAULT '{"addresses": []}',
    ip_address    inet,
    user_agent    text,
    geo_location  jsonb,
    occurrences   bigint      NOT NULL DEFAULT 1,
    resolved      boolean     NOT NULL DEFAULT false,
    resolved_by   uuid,
    resolved_at   timestamptz,
    notes         text,
    created_at    timestamptz NOT NULL,
    last_seen_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT security_event_type_is_known CHECK (event_type IN (
        'revoked_key', 'expired_key', 'closed_account_key', 'bad_signature', 'retired_token', 'login_lockout', 'reused_refresh_token')),
    CONSTRAINT security_event_severity_is_known CHECK (severity IN ('low', 'medium', 'high')),
    CONSTRAINT security_event_location_is_an_object CHECK (jsonb_typeof(geo_location) = 'object'),
    CONSTRAINT security_event_resolution_is_whole CHECK (
        resolved = (resolved_at IS NOT NULL) AND resolved = (resolved_by IS NOT NULL) AND (resolved OR notes IS NULL))
);
-- What goes on is one open event, however often and from wherever it comes: nobody fills the table by attacking.
CREATE UNIQUE INDEX security_events_one_open ON audit.security_events (tenant_id, event_type, resource_id) WHERE NOT resolved;
CREATE INDEX security_events_created_at ON audit.security_events USING brin (created_at);

-- What goes on for long is worse than it was reported as.
CREATE FUNCTION audit.severity_of(p_reported text, p_occurrences bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN p_occurrences >= 100 THEN 'high' WHEN p_occurrences >= 10 AND p_reported = 'low' THEN 'medium' ELSE p_reported END;

-- Read by owners and admins. Written by whoever does something; the platform itself writes what it sees, and folds it.
DO $$
DECLARE
    log  text;
    mine constant text := 'tenant_id = (SELECT kernel.current_tenant_id())';
BEGIN
    FOREACH log IN ARRAY ARRAY['audit_logs', 'security_audit_log', 'security_events'] LOOP
        EXECUTE format('ALTER TABLE audit.%I ENABLE ROW LEVEL SECURITY', log);
        EXECUTE format('ALTER TABLE audit.%I FORCE ROW LEVEL SECURITY', log);
        EXECUTE format('CREATE POLICY managers_read ON audit.%I FOR SELECT TO agentplatform_app USING (%s AND (SELECT tenancy.may_manage()))', log, mine);
        EXECUTE format('GRANT SELECT, INSERT ON audit.%I TO agentplatform_app', log);
        EXECUTE format('CREATE POLICY retention ON audit.%I TO agentplatform_worker USING (created_at < now() - interval ''400 days'')', log);
        EXECUTE format('GRANT SELECT, DELETE ON audit.%I TO agentplatform_worker', log);
    END LOOP;
    EXECUTE format('CREATE POLICY own_insert ON audit.audit_logs FOR INSERT TO agentplatform_app WITH CHECK (%s AND user_id = kernel.current_user_id())', mine);
    EXECUTE format('CREATE POLICY system_insert ON audit.security_audit_log FOR INSERT TO agentplatform_app WITH CHECK (%s AND kernel.is_system())', mine);
    EXECUTE format('CREATE POLICY system_insert ON audit.security_events FOR INSERT TO agentplatform_app WITH CHECK (%s AND kernel.is_system())', mine);
    EXECUTE format('CREATE POLICY managers_update ON audit.security_events FOR UPDATE TO agentplatform_app USING (%s AND (SELECT tenancy.may_manage()))', mine);
END
$$;
GRANT UPDATE ON audit.security_events TO agentplatform_app;

-- Logs: never changed, and deleted only past their 400 days (a cascade from the tenant runs one trigger deeper).
CREATE TRIGGER refuse_update BEFORE UPDATE ON audit.audit_logs
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION kernel.refuse_change();
CREATE TRIGGER refuse_early_delete BEFORE DELETE ON audit.audit_logs
    FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND OLD.created_at > now() - interval '400 days') EXECUTE FUNCTION kernel.refuse_change();
CREATE TRIGGER refuse_update BEFORE UPDATE ON audit.security_audit_log
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION kernel.refuse_change();
CREATE TRIGGER refuse_early_delete BEFORE DELETE ON audit.security_audit_log
    FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND OLD.created_at > now() - interval '400 days') EXECUTE FUNCTION kernel.refuse_change();
-- What is resolved stays as it was resolved.
CREATE TRIGGER refuse_update BEFORE UPDATE ON audit.security_events
    FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND OLD.resolved) EXECUTE FUNCTION kernel.refuse_change();
CREATE TRIGGER refuse_early_delete BEFORE DELETE ON audit.security_events
    FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND OLD.created_at > now() - interval '400 days') EXECUTE FUNCTION kernel.refuse_change();

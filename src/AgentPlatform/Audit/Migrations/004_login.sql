-- Sign-ins are attacked, too.
ALTER TABLE audit.security_events
    DROP CONSTRAINT security_event_type_is_known,
    ADD CONSTRAINT security_event_type_is_known CHECK (event_type IN (
        'revoked_key', 'expired_key', 'closed_account_key', 'bad_signature', 'retired_token', 'login_lockout', 'reused_refresh_token'));

-- As in 002; who acts in a session of their own is logged with it.
CREATE OR REPLACE FUNCTION audit.record_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    after  jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    origin jsonb := nullif(current_setting('app.origin', true), '');
    entity text := (SELECT string_agg(coalesce(after, before) ->> k, '/') FROM unnest(TG_ARGV[0]::text[]) AS k);
BEGIN
    IF TG_OP = 'UPDATE' THEN
        SELECT jsonb_object_agg(b.key, b.value), jsonb_object_agg(a.key, a.value) INTO before, after
        FROM jsonb_each(before) AS b JOIN jsonb_each(after) AS a ON a.key = b.key AND a.value <> b.value AND a.key <> 'updated_at';
        IF before IS NULL THEN
            RETURN NULL;
        END IF;
    END IF;

    INSERT INTO audit.audit_logs (tenant_id, id, user_id, action, entity_type, entity_id, old_values, new_values, metadata, ip_address, user_agent)
    VALUES (kernel.current_tenant_id(), schedules.new_id(), kernel.current_user_id(),
            CASE TG_OP WHEN 'INSERT' THEN 'create' WHEN 'DELETE' THEN 'delete' ELSE 'update' END, TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME, entity,
            audit.masked(before, TG_ARGV[1]::text[]), audit.masked(after, TG_ARGV[1]::text[]),
            jsonb_strip_nulls(jsonb_build_object('api_key_id', origin -> 'api_key_id', 'session_id', origin -> 'session_id', 'trace_id', origin -> 'trace_id')),
            (origin ->> 'ip_address')::inet, origin ->> 'user_agent');
    RETURN NULL;
END
$$;

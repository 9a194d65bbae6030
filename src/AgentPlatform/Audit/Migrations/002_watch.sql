-- Every change that a person makes to a watched table is logged in its own transaction, whichever statement makes it.

-- What proves an identity is never logged, whichever column or member of a document holds it; nor is what the table's watch hides. A value that
-- is not there shows as null, so that setting and clearing it can be told apart.
CREATE FUNCTION audit.masked(p_value jsonb, p_hidden text[] DEFAULT '{}') RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(p_value)
        WHEN 'object' THEN (
            SELECT coalesce(jsonb_object_agg(m.key, CASE
                WHEN m.value = 'null' THEN m.value
                WHEN m.key = ANY (p_hidden) OR m.key ~* '(secrets?|secret_keys|sealed|passwords?|token|api[-_]?key|private[-_]?key|credentials?|authorization|cookie|hash)$' THEN '"***"'
                ELSE audit.masked(m.value) END), '{}')
            FROM jsonb_each(p_value) AS m)
        WHEN 'array' THEN (SELECT coalesce(jsonb_agg(audit.masked(i.value) ORDER BY i.ordinality), '[]') FROM jsonb_array_elements(p_value) WITH ORDINALITY AS i)
        ELSE p_value END
$$;

-- A person acts, with an account and a key or a session: not the platform at work for a tenant, nor a migration.
CREATE FUNCTION audit.is_person() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(current_setting('app.user_id', true), '') NOT IN ('', '00000000-0000-0000-0000-000000000000');

-- TG_ARGV: the columns of the table's key without the tenant, and the columns that are hidden. Of an update only what changed is kept.
CREATE FUNCTION audit.record_change() RETURNS trigger LANGUAGE plpgsql AS $$
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

-- Changes by the platform itself cost a comparison: the condition is looked at before the trigger is called. So do those that follow from
-- another row's change, such as a cascade: it runs one trigger deeper.
CREATE FUNCTION audit.watch(target regclass, changes text DEFAULT 'INSERT OR UPDATE OR DELETE', hidden text[] DEFAULT '{}') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    key_columns text[] := ARRAY(
        SELECT a.attname FROM pg_index AS i CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k (number, place)
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number
        WHERE i.indrelid = target AND i.indisprimary AND a.attname <> 'tenant_id' ORDER BY k.place);
BEGIN
    EXECUTE format(
        'CREATE TRIGGER audit AFTER %s ON %s FOR EACH ROW WHEN (audit.is_person() AND pg_trigger_depth() = 0) EXECUTE FUNCTION audit.record_change(%L, %L)',
        changes, target, key_columns, hidden);
END
$$;
REVOKE EXECUTE ON FUNCTION audit.watch(regclass, text, text[]) FROM PUBLIC;

-- A tenant's log goes with it.
SELECT audit.watch('tenancy.tenants', 'UPDATE');
SELECT audit.watch('tenancy.workspace_members');
SELECT audit.watch('tenancy.agents');
SELECT audit.watch('tenancy.agent_instances');
SELECT audit.watch('tenancy.instance_configs');
-- An account is not the tenant's: members do not show each other what they may be called at, and what they pay taxes under.
SELECT audit.watch('identity.users', 'UPDATE', hidden => '{phone,gst_number,pan_number}');
SELECT audit.watch('identity.user_profiles', hidden => '{phone,notes}');
SELECT audit.watch('identity.api_keys');
SELECT audit.watch('events.consumers');
SELECT audit.watch('work.limits');
SELECT audit.watch('work.pauses');
SELECT audit.watch('work.redrives');
SELECT audit.watch('resilience.circuits');
SELECT audit.watch('contacts.customer_profiles');
SELECT audit.watch('contacts.channel_identities');
SELECT audit.watch('contacts.channel_consents');
SELECT audit.watch('contacts.profile_fields');
SELECT audit.watch('contacts.profile_assets');
SELECT audit.watch('contacts.user_priorities');
-- A conversation may be private: what it is about is its user's alone.
SELECT audit.watch('conversations.conversations', hidden => '{title,topic,data,conversation_summary,context_memory}');
SELECT audit.watch('conversations.sessions', 'UPDATE OR DELETE', hidden => '{variables,state,step_history}');
SELECT audit.watch('schedules.agent_tasks');
SELECT audit.watch('schedules.scheduled_browser_tasks');
-- The address holds the token.
SELECT audit.watch('channels.user_webhooks', hidden => '{webhook_url,verification_code}');
SELECT audit.watch('messaging.user_message_budget');
SELECT audit.watch('actions.action_registry');
SELECT audit.watch('actions.tool_activations');
SELECT audit.watch('actions.execution_controls');
SELECT audit.watch('actions.dead_letter_queue');
SELECT audit.watch('schemas.brand_schemas');
SELECT audit.watch('agents.rules');
SELECT audit.watch('agents.rule_relations');
SELECT audit.watch('agents.scenarios');
SELECT audit.watch('agents.migration_plans');
SELECT audit.watch('agents.templates');
SELECT audit.watch('agents.template_sets');
SELECT audit.watch('agents.variables');
SELECT audit.watch('costs.cost_budgets');
SELECT audit.watch('models.llm_models');
SELECT audit.watch('tasks.agency_tasks');
SELECT audit.watch('workflows.automation_workflows');
SELECT audit.watch('workflows.workflow_fleet_forks');
SELECT audit.watch('workflows.sop_categories');
SELECT audit.watch('workflows.sop_documents');
SELECT audit.watch('workflows.sop_executions');
SELECT audit.watch('campaigns.foundations');
SELECT audit.watch('campaigns.icp_profiles');
SELECT audit.watch('campaigns.campaigns');
SELECT audit.watch('campaigns.moves');
SELECT audit.watch('alerts.alert_rules');
SELECT audit.watch('brain.shadows');
SELECT audit.watch('audit.security_events', 'UPDATE');

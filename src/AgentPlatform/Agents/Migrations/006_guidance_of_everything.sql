-- The version of an agent's guidance speaks for its registry, tool activations, scenarios and variables too, whichever version of the code writes them.
CREATE FUNCTION agents.raise_guidance() RETURNS trigger
    LANGUAGE plpgsql AS $$
DECLARE
    changed record := coalesce(NEW, OLD);
BEGIN
    -- Of an agent that is going with all it has, nothing is left to say.
    INSERT INTO agents.guidance (tenant_id, agent_id)
    SELECT a.tenant_id, a.id FROM tenancy.agents a JOIN tenancy.tenants t ON t.id = a.tenant_id
    WHERE a.tenant_id = changed.tenant_id AND a.id = changed.agent_id
    ON CONFLICT (tenant_id, agent_id) DO UPDATE SET version = guidance.version + 1;
    RETURN NULL;
END
$$;
CREATE TRIGGER raise_guidance AFTER INSERT OR UPDATE OR DELETE ON actions.action_registry FOR EACH ROW EXECUTE FUNCTION agents.raise_guidance();
CREATE TRIGGER raise_guidance AFTER INSERT OR UPDATE OR DELETE ON actions.tool_activations FOR EACH ROW EXECUTE FUNCTION agents.raise_guidance();
CREATE TRIGGER raise_guidance AFTER INSERT OR UPDATE OR DELETE ON agents.scenarios FOR EACH ROW EXECUTE FUNCTION agents.raise_guidance();
CREATE TRIGGER raise_guidance AFTER INSERT OR UPDATE OR DELETE ON agents.variables FOR EACH ROW EXECUTE FUNCTION agents.raise_guidance();

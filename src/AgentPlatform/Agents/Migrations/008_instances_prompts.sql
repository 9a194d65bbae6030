-- An instance uses a template set of its own agent, at a version that there is.
ALTER TABLE tenancy.agent_instances
    ADD CONSTRAINT instance_template_set FOREIGN KEY (tenant_id, agent_id, template_set_id) REFERENCES agents.template_sets (tenant_id, agent_id, id) ON DELETE CASCADE,
    ADD CONSTRAINT instance_prompt_version FOREIGN KEY (tenant_id, template_set_id, prompt_version) REFERENCES agents.template_set_versions (tenant_id, template_set_id, version) ON DELETE CASCADE;
CREATE INDEX idx_agent_instances_template_set ON tenancy.agent_instances (tenant_id, template_set_id) WHERE template_set_id IS NOT NULL;
-- That an instance was active changes nothing of what guides it.
CREATE TRIGGER raise_guidance AFTER INSERT OR DELETE OR UPDATE OF name, weight, config_json, template_set_id, prompt_version, status ON tenancy.agent_instances
    FOR EACH ROW EXECUTE FUNCTION agents.raise_guidance();

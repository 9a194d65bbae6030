-- Which instance of the agent called the model.
ALTER TABLE models.agent_actions_log ADD COLUMN agent_instance_id uuid;
CREATE INDEX idx_agent_actions_log_instance ON models.agent_actions_log (tenant_id, agent_instance_id, created_at) WHERE agent_instance_id IS NOT NULL;

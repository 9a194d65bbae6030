-- Which instance of the agent understood it.
ALTER TABLE brain.intent_ledger ADD COLUMN agent_instance_id uuid;
CREATE INDEX idx_intent_ledger_agent_instance ON brain.intent_ledger (tenant_id, agent_instance_id, "timestamp") WHERE agent_instance_id IS NOT NULL;

-- Which instance of the agent took the turn, and why it handed over to a person.
ALTER TABLE conversations.turn_records
    ADD COLUMN agent_instance_id uuid,
    ADD COLUMN handoff_reason    text;
CREATE INDEX idx_turn_records_instance ON conversations.turn_records (tenant_id, agent_instance_id, created_at) WHERE agent_instance_id IS NOT NULL;

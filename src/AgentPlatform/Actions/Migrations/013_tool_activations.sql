-- Which of its registry's actions an agent may use, and what of their policies is another for it.
CREATE TABLE actions.tool_activations (
    tenant_id        uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id               uuid        NOT NULL DEFAULT gen_random_uuid(),
    agent_id         uuid        NOT NULL,
    -- An action_id of the agent's registry.
    tool_id          text        NOT NULL,
    enabled          boolean     NOT NULL DEFAULT true,
    policy_overrides jsonb       NOT NULL DEFAULT '{}' CONSTRAINT tool_overrides_are_an_object CHECK (jsonb_typeof(policy_overrides) = 'object'),
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT uq_tool_activations UNIQUE (tenant_id, agent_id, tool_id),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, agent_id, tool_id) REFERENCES actions.action_registry (tenant_id, agent_id, action_id) ON DELETE CASCADE
);
-- What goes with an agent that is purged.
CREATE INDEX idx_tool_activations_agent ON actions.tool_activations (agent_id);

-- What agents could use before there were activations, they can use still. Row security hides all tenants' rows from the owner of the table, too, who
-- migrates: for this statement it does not.
ALTER TABLE actions.action_registry NO FORCE ROW LEVEL SECURITY;
INSERT INTO actions.tool_activations (tenant_id, agent_id, tool_id)
SELECT tenant_id, agent_id, action_id FROM actions.action_registry;
ALTER TABLE actions.action_registry FORCE ROW LEVEL SECURITY;
SELECT kernel.protect('actions.tool_activations');

-- An entry of the registry begins activated, whichever version of the code writes it.
CREATE FUNCTION actions.activate_new_action() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO actions.tool_activations (tenant_id, agent_id, tool_id) VALUES (NEW.tenant_id, NEW.agent_id, NEW.action_id);
    RETURN NEW;
END
$$;
CREATE TRIGGER activate_new_action AFTER INSERT ON actions.action_registry FOR EACH ROW EXECUTE FUNCTION actions.activate_new_action();

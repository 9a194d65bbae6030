-- What of an agent runs: for each role it plays one instance or several, between which contacts are divided by weight. An instance says by which
-- version of which template set its model is told, and may have other models than the agent.
CREATE TABLE tenancy.agent_instances (
    tenant_id       uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id              uuid         NOT NULL,
    agent_id        uuid         NOT NULL,
    agent_type      varchar(50)  NOT NULL CONSTRAINT instance_type_is_known CHECK (agent_type IN ('bouncer', 'concierge', 'innovator', 'agent')),
    name            varchar(100) NOT NULL CONSTRAINT instance_name_is_given CHECK (length(btrim(name)) >= 1),
    -- Of the contacts that come now, in proportion to the other active instances'.
    weight          integer      NOT NULL DEFAULT 100 CONSTRAINT instance_weight_is_bounded CHECK (weight BETWEEN 0 AND 1000),
    config_json     jsonb        NOT NULL DEFAULT '{}' CONSTRAINT instance_config_is_an_object CHECK (jsonb_typeof(config_json) = 'object'),
    -- Null: what the agent uses.
    template_set_id uuid,
    -- Null: the set's latest.
    prompt_version  integer,
    status          varchar(50)  NOT NULL DEFAULT 'active' CONSTRAINT instance_status_is_known CHECK (status IN ('active', 'terminated')),
    last_active_at  timestamptz,
    created_at      timestamptz  NOT NULL DEFAULT now(),
    updated_at      timestamptz  NOT NULL DEFAULT now(),
    terminated_at   timestamptz,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT instance_is_terminated_at_a_time CHECK ((terminated_at IS NULL) = (status = 'active')),
    CONSTRAINT instance_version_is_of_a_set CHECK (prompt_version IS NULL OR template_set_id IS NOT NULL),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE
);
-- A terminated instance frees its name.
CREATE UNIQUE INDEX uq_agent_instances_name ON tenancy.agent_instances (tenant_id, agent_id, agent_type, name) WHERE status = 'active';
-- The agent's, newest first; what goes with an agent that is purged.
CREATE INDEX idx_instances_agent ON tenancy.agent_instances (tenant_id, agent_id, id DESC);
SELECT kernel.protect('tenancy.agent_instances');

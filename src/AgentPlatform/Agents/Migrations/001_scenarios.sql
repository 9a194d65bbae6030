-- Scenarios: guided talks that an agent leads step by step. The live version is in scenarios, every earlier one, whole, in scenario_archives.
GRANT USAGE ON SCHEMA agents TO agentplatform_app;

CREATE TABLE agents.scenarios (
    tenant_id       uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id              uuid         NOT NULL,
    agent_id        uuid         NOT NULL,
    name            varchar(255) NOT NULL CONSTRAINT scenario_name_is_given CHECK (length(btrim(name)) >= 1),
    description     text,
    version         integer      NOT NULL DEFAULT 1 CONSTRAINT scenario_version_from_one CHECK (version >= 1),
    -- Phrases that enter it, beside its name.
    entry_condition text[]       NOT NULL DEFAULT '{}' CONSTRAINT scenario_entries_are_few CHECK (cardinality(entry_condition) <= 100),
    steps           jsonb        NOT NULL DEFAULT '[]' CONSTRAINT scenario_steps_are_a_list CHECK (jsonb_typeof(steps) = 'array'),
    enabled         boolean      NOT NULL DEFAULT true,
    created_at      timestamptz  NOT NULL DEFAULT now(),
    updated_at      timestamptz  NOT NULL DEFAULT now(),
    deleted_at      timestamptz,

    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE
);
-- Every turn reads the agent's live scenarios.
CREATE INDEX idx_scenarios_tenant_agent ON agents.scenarios (tenant_id, agent_id, id DESC) WHERE deleted_at IS NULL;
-- What goes with an agent that is purged, deleted scenarios included.
CREATE INDEX idx_scenarios_agent ON agents.scenarios (agent_id);
SELECT kernel.protect('agents.scenarios');

CREATE TABLE agents.scenario_archives (
    tenant_id     uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    scenario_id   uuid        NOT NULL,
    version       integer     NOT NULL,
    scenario_data jsonb       NOT NULL CONSTRAINT scenario_data_is_whole CHECK (scenario_data ?& ARRAY['name', 'steps', 'version']),
    archived_at   timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, scenario_id, version),
    FOREIGN KEY (tenant_id, scenario_id) REFERENCES agents.scenarios (tenant_id, id) ON DELETE CASCADE
);
SELECT kernel.protect('agents.scenario_archives');
SELECT kernel.append_only('agents.scenario_archives');

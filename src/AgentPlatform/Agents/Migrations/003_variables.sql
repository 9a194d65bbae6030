-- How the variables of an agent's talks begin, and how they change.
CREATE TABLE agents.variables (
    tenant_id        uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id               uuid         NOT NULL,
    agent_id         uuid         NOT NULL,
    name             varchar(255) NOT NULL CONSTRAINT variable_name_is_a_name CHECK (name ~ '^[a-z][a-z0-9_]*$'),
    description      text,
    default_value    text,
    update_policy    varchar(30)  NOT NULL DEFAULT 'REPLACE' CONSTRAINT chk_variables_policy CHECK (update_policy IN ('REPLACE', 'APPEND', 'MERGE')),
    created_at       timestamptz  NOT NULL DEFAULT now(),
    updated_at       timestamptz  NOT NULL DEFAULT now(),
    deleted_at       timestamptz,

    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE
);
-- A deleted variable frees its name. Every turn reads the agent's.
CREATE UNIQUE INDEX uq_variables_tenant_agent_name ON agents.variables (tenant_id, agent_id, name) WHERE deleted_at IS NULL;
-- What goes with an agent that is purged, deleted variables included.
CREATE INDEX idx_variables_agent ON agents.variables (agent_id);
SELECT kernel.protect('agents.variables');

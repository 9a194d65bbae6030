-- How agents talk to their language models: sets of prompt templates, with all their versions. The one in use is the agent's.
CREATE TABLE agents.template_sets (
    tenant_id   uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id          uuid         NOT NULL,
    agent_id    uuid         NOT NULL,
    name        varchar(100) NOT NULL CONSTRAINT template_set_name_is_given CHECK (length(btrim(name)) >= 1),
    description text,
    -- The latest.
    version     integer      NOT NULL DEFAULT 1 CONSTRAINT template_set_version_from_one CHECK (version >= 1),
    in_use      boolean      NOT NULL DEFAULT false,
    created_at  timestamptz  NOT NULL DEFAULT now(),
    updated_at  timestamptz  NOT NULL DEFAULT now(),
    deleted_at  timestamptz,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT template_set_of_its_agent UNIQUE (tenant_id, agent_id, id),
    CONSTRAINT deleted_template_set_is_not_in_use CHECK (deleted_at IS NULL OR NOT in_use),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE
);
-- A deleted set frees its name.
CREATE UNIQUE INDEX uq_template_sets_name ON agents.template_sets (tenant_id, agent_id, name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX uq_template_sets_in_use ON agents.template_sets (tenant_id, agent_id) WHERE in_use;
-- What goes with an agent that is purged, deleted sets included.
CREATE INDEX idx_template_sets_agent ON agents.template_sets (agent_id);
SELECT kernel.protect('agents.template_sets');

CREATE TABLE agents.template_set_versions (
    tenant_id       uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    template_set_id uuid        NOT NULL,
    version         integer     NOT NULL,
    -- By the name of the part.
    parts           jsonb       NOT NULL CONSTRAINT template_parts_are_named CHECK (jsonb_typeof(parts) = 'object'),
    created_at      timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, template_set_id, version),
    FOREIGN KEY (tenant_id, template_set_id) REFERENCES agents.template_sets (tenant_id, id) ON DELETE CASCADE
);
SELECT kernel.protect('agents.template_set_versions');
SELECT kernel.append_only('agents.template_set_versions');

-- What an agent says in set words: offered to whoever writes the reply, in place of the reply, or when there is none.
CREATE TABLE agents.templates (
    tenant_id  uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id         uuid         NOT NULL,
    agent_id   uuid         NOT NULL,
    name       varchar(255) NOT NULL CONSTRAINT template_name_is_given CHECK (length(btrim(name)) >= 1),
    content    text         NOT NULL CONSTRAINT template_content_is_given CHECK (length(btrim(content)) >= 1),
    mode       varchar(20)  NOT NULL DEFAULT 'SUGGEST' CONSTRAINT chk_templates_mode CHECK (mode IN ('SUGGEST', 'EXCLUSIVE', 'FALLBACK')),
    scope      varchar(20)  NOT NULL DEFAULT 'GLOBAL' CONSTRAINT chk_templates_scope CHECK (scope IN ('GLOBAL', 'SCENARIO', 'STEP')),
    scope_id   uuid,
    created_at timestamptz  NOT NULL DEFAULT now(),
    updated_at timestamptz  NOT NULL DEFAULT now(),
    deleted_at timestamptz,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT template_scope_has_its_target CHECK ((scope = 'GLOBAL') = (scope_id IS NULL)),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE
);
-- The first turn after a change reads the agent's.
CREATE INDEX idx_templates_tenant_agent ON agents.templates (tenant_id, agent_id, id DESC) WHERE deleted_at IS NULL;
-- What goes with an agent that is purged, deleted templates included.
CREATE INDEX idx_templates_agent ON agents.templates (agent_id);
SELECT kernel.protect('agents.templates');

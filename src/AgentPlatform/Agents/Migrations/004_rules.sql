-- What guides an agent beside its registry and its scenarios: rules, and the version by which hosts know that what they hold in memory is still true.
CREATE TABLE agents.guidance (
    tenant_id  uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    agent_id   uuid        NOT NULL,
    -- Every change of the agent's rules or templates raises it, and waits here for the change before it.
    version    bigint      NOT NULL DEFAULT 1 CONSTRAINT guidance_version_from_one CHECK (version >= 1),
    updated_at timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, agent_id),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE
);
SELECT kernel.protect('agents.guidance');

CREATE TABLE agents.rules (
    tenant_id      uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id             uuid         NOT NULL,
    agent_id       uuid         NOT NULL,
    name           varchar(255) NOT NULL CONSTRAINT rule_name_is_given CHECK (length(btrim(name)) >= 1),
    description    text,
    condition_kind varchar(20)  NOT NULL DEFAULT 'phrases' CONSTRAINT chk_rules_condition_kind CHECK (condition_kind IN ('phrases', 'pattern', 'expression')),
    -- Phrases, one a line; a regular expression; or a condition in JSON.
    condition_text text         NOT NULL CONSTRAINT rule_condition_is_given CHECK (length(btrim(condition_text)) >= 1),
    action_type    varchar(50)  NOT NULL
        CONSTRAINT chk_rules_action_type CHECK (action_type IN ('say', 'ask', 'do', 'enter_scenario', 'hand_off', 'set_variable')),
    action_config  jsonb        NOT NULL DEFAULT '{}' CONSTRAINT rule_config_is_an_object CHECK (jsonb_typeof(action_config) = 'object'),
    scope          varchar(20)  NOT NULL DEFAULT 'GLOBAL' CONSTRAINT chk_rules_scope CHECK (scope IN ('GLOBAL', 'SCENARIO', 'STEP')),
    scope_id       uuid,
    priority       integer      NOT NULL DEFAULT 0,
    enabled        boolean      NOT NULL DEFAULT true,
    created_at     timestamptz  NOT NULL DEFAULT now(),
    updated_at     timestamptz  NOT NULL DEFAULT now(),
    deleted_at     timestamptz,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT rule_scope_has_its_target CHECK ((scope = 'GLOBAL') = (scope_id IS NULL)),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE
);
-- The first turn after a change reads the agent's.
CREATE INDEX idx_rules_tenant_agent ON agents.rules (tenant_id, agent_id, id DESC) WHERE deleted_at IS NULL;
-- What goes with an agent that is purged, deleted rules included.
CREATE INDEX idx_rules_agent ON agents.rules (agent_id);
SELECT kernel.protect('agents.rules');

CREATE TABLE agents.rule_relations (
    tenant_id     uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    rule_id       uuid        NOT NULL,
    kind          varchar(20) NOT NULL CONSTRAINT chk_rule_relations_kind CHECK (kind IN ('requires', 'excludes', 'overrides')),
    other_rule_id uuid        NOT NULL,

    PRIMARY KEY (tenant_id, rule_id, kind, other_rule_id),
    CONSTRAINT rule_relates_to_another CHECK (rule_id <> other_rule_id),
    FOREIGN KEY (tenant_id, rule_id) REFERENCES agents.rules (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, other_rule_id) REFERENCES agents.rules (tenant_id, id) ON DELETE CASCADE
);
-- What refers to a rule that goes.
CREATE INDEX idx_rule_relations_other ON agents.rule_relations (tenant_id, other_rule_id);
SELECT kernel.protect('agents.rule_relations');

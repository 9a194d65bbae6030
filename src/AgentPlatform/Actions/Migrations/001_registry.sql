-- What an agent can do: one row per action, the whole configuration of its parameters, eligibility, execution and judgement.

GRANT USAGE ON SCHEMA actions TO agentplatform_app;

CREATE TABLE actions.action_registry (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    action_id text NOT NULL CONSTRAINT action_registry_action_id_shape CHECK (action_id ~ '^[a-z][a-z0-9_]{0,99}$'),
    agent_id uuid NOT NULL,
    action_name text NOT NULL CONSTRAINT action_registry_name_length CHECK (char_length(action_name) BETWEEN 1 AND 255),
    display_name text,
    description text,
    category text,
    synonyms jsonb NOT NULL DEFAULT '[]',

    params_required jsonb NOT NULL DEFAULT '[]',
    params_optional jsonb NOT NULL DEFAULT '[]',
    param_validation jsonb NOT NULL DEFAULT '{}',

    eligibility_criteria jsonb NOT NULL DEFAULT '{}',
    blockers jsonb NOT NULL DEFAULT '[]',
    dependencies jsonb NOT NULL DEFAULT '[]',
    opposites jsonb NOT NULL DEFAULT '[]',

    timeout_seconds int NOT NULL DEFAULT 30 CONSTRAINT action_registry_timeout_range CHECK (timeout_seconds BETWEEN 1 AND 300),
    retry_policy jsonb NOT NULL DEFAULT '{}',
    rollback_possible boolean NOT NULL DEFAULT false,
    rollback_action_id text,
    requires_user_acknowledgement boolean NOT NULL DEFAULT false,
    acknowledgement_timeout_seconds int NOT NULL DEFAULT 300,
    estimated_duration_seconds int,

    execution_type text NOT NULL DEFAULT 'reply'
        CONSTRAINT action_registry_execution_type_known CHECK (execution_type IN ('http', 'reply', 'set_field', 'handoff')),
    api_endpoint text,
    api_method text CONSTRAINT action_registry_method_known CHECK (api_method IN ('GET', 'POST', 'PUT', 'PATCH', 'DELETE')),
    api_auth_type text NOT NULL DEFAULT 'none'
        CONSTRAINT action_registry_auth_type_known CHECK (api_auth_type IN ('none', 'bearer', 'basic', 'api_key')),
    api_auth jsonb NOT NULL DEFAULT '{}',
    api_headers jsonb NOT NULL DEFAULT '{}',
    api_body jsonb,
    response_type text NOT NULL DEFAULT 'text'
        CONSTRAINT action_registry_response_type_known CHECK (response_type IN ('text', 'list', 'none')),
    response_template text,

    workflow_id text,
    sequence_id int,
    triggers_workflow boolean NOT NULL DEFAULT false,

    success_criteria jsonb,
    failure_criteria jsonb,
    priority text NOT NULL DEFAULT 'normal'
        CONSTRAINT action_registry_priority_known CHECK (priority IN ('low', 'normal', 'high', 'critical')),
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT action_registry_once_per_agent UNIQUE (tenant_id, agent_id, action_id),
    CONSTRAINT action_registry_http_is_whole CHECK (execution_type <> 'http' OR (api_endpoint IS NOT NULL AND api_method IS NOT NULL)),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX idx_action_registry_instance_id ON actions.action_registry (agent_id);
CREATE INDEX idx_action_registry_brand_id ON actions.action_registry (tenant_id);
CREATE INDEX idx_action_registry_action_id ON actions.action_registry (action_id);
-- The match of every turn reads an agent's active actions.
CREATE INDEX idx_action_registry_is_active ON actions.action_registry (tenant_id, agent_id, action_id) WHERE is_active;
CREATE INDEX idx_action_registry_workflow_id ON actions.action_registry (workflow_id) WHERE workflow_id IS NOT NULL;

SELECT kernel.protect('actions.action_registry');

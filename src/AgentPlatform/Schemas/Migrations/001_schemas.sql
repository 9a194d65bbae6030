-- What a tenant's own systems know about a contact: how it is asked for, and what was answered for whom.
GRANT USAGE ON SCHEMA schemas TO agentplatform_app, agentplatform_worker;

CREATE TABLE schemas.brand_schemas (
    tenant_id                     uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                            uuid         NOT NULL,
    schema_id                     varchar(100) NOT NULL CONSTRAINT schema_id_is_a_name CHECK (schema_id ~ '^[a-z][a-z0-9_]*$'),
    schema_name                   varchar(200) NOT NULL,
    description                   text,
    version                       varchar(20)  NOT NULL DEFAULT '1.0' CONSTRAINT schema_version_is_a_number CHECK (version ~ '^[0-9]+\.[0-9]+$'),
    category                      varchar(100),

    api_endpoint                  varchar(500) NOT NULL,
    api_method                    varchar(10)  NOT NULL DEFAULT 'GET' CONSTRAINT schema_method CHECK (api_method IN ('GET', 'POST')),
    api_auth                      jsonb        NOT NULL,
    sealed_token                  text,
    token_hint                    text,
    api_headers                   jsonb        NOT NULL DEFAULT '{}',
    api_timeout_seconds           integer      NOT NULL DEFAULT 10 CONSTRAINT schema_timeout CHECK (api_timeout_seconds BETWEEN 1 AND 60),

    refresh_strategy              varchar(50)  NOT NULL DEFAULT 'on_demand' CONSTRAINT schema_refresh_strategy CHECK (refresh_strategy IN ('on_demand')),
    cache_ttl_seconds             integer      NOT NULL DEFAULT 300 CONSTRAINT schema_ttl CHECK (cache_ttl_seconds BETWEEN 1 AND 86400),
    cache_on_error                boolean      NOT NULL DEFAULT true,
    stale_cache_threshold_seconds integer      NOT NULL DEFAULT 600,

    keys                          jsonb        NOT NULL DEFAULT '[]' CONSTRAINT schema_keys_are_a_list CHECK (jsonb_typeof(keys) = 'array'),
    schema_completion_logic       jsonb        NOT NULL,
    api_error_handling            jsonb        NOT NULL DEFAULT '{}',
    is_active                     boolean      NOT NULL DEFAULT true,
    created_at                    timestamptz  NOT NULL DEFAULT now(),
    updated_at                    timestamptz  NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT schema_once_per_brand UNIQUE (tenant_id, schema_id),
    CONSTRAINT schema_stale_not_before_expiry CHECK (stale_cache_threshold_seconds BETWEEN cache_ttl_seconds AND 604800),
    -- The token is sealed with the row's id; a bearer without one could only fail.
    CONSTRAINT schema_token_is_whole CHECK ((api_auth ->> 'type' = 'bearer_token') = (sealed_token IS NOT NULL) AND (sealed_token IS NULL) = (token_hint IS NULL))
);
CREATE INDEX idx_brand_schemas_is_active ON schemas.brand_schemas (tenant_id, is_active);
SELECT kernel.protect('schemas.brand_schemas');

CREATE TABLE schemas.user_schema_state (
    tenant_id                    uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                           uuid         NOT NULL,
    session_id                   uuid         NOT NULL,
    contact_id                   uuid         NOT NULL,
    agent_id                     uuid         NOT NULL,
    conversation_id              uuid         NOT NULL,
    schema_id                    varchar(100) NOT NULL,
    schema_version               varchar(20)  NOT NULL DEFAULT '1.0',

    -- Of the last fetch, whether it brought keys or an error.
    last_fetched_at              timestamptz  NOT NULL,
    api_response_status          varchar(50)  NOT NULL CONSTRAINT schema_state_response CHECK (
        api_response_status ~ '^[1-9][0-9]{2}$' OR api_response_status IN ('timeout', 'network_error', 'configuration', 'circuit_open', 'not_identified')),
    api_response_time_ms         integer      NOT NULL,
    api_error                    text,
    -- When the keys came; null while none have.
    keys_read_at                 timestamptz,
    cache_expires_at             timestamptz  NOT NULL,
    -- Until when they serve although the last fetch failed.
    stale_until                  timestamptz,
    next_refresh_at              timestamptz  NOT NULL,

    keys                         jsonb        NOT NULL DEFAULT '{}',
    schema_status                varchar(50)  NOT NULL DEFAULT 'none' CONSTRAINT schema_state_status CHECK (schema_status IN ('none', 'incomplete', 'complete')),
    schema_completion_percentage integer      CONSTRAINT schema_state_percentage CHECK (schema_completion_percentage BETWEEN 0 AND 100),
    required_keys_complete       integer      NOT NULL DEFAULT 0,
    required_keys_total          integer      NOT NULL DEFAULT 0,
    optional_keys_complete       integer      NOT NULL DEFAULT 0,
    optional_keys_total          integer      NOT NULL DEFAULT 0,
    created_at                   timestamptz  NOT NULL DEFAULT now(),
    updated_at                   timestamptz  NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT schema_state_once_per_session UNIQUE (tenant_id, session_id, schema_id),
    CONSTRAINT schema_state_stale_after_error CHECK (stale_until IS NULL OR (api_error IS NOT NULL AND keys_read_at IS NOT NULL)),
    CONSTRAINT schema_state_counts CHECK (required_keys_complete BETWEEN 0 AND required_keys_total AND optional_keys_complete BETWEEN 0 AND optional_keys_total),
    FOREIGN KEY (tenant_id, session_id) REFERENCES conversations.sessions (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations.conversations (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, schema_id) REFERENCES schemas.brand_schemas (tenant_id, schema_id) ON DELETE CASCADE
) WITH (fillfactor = 80);
CREATE INDEX idx_user_schema_state_session_id ON schemas.user_schema_state (session_id);
CREATE INDEX idx_user_schema_state_user_id ON schemas.user_schema_state (contact_id);
CREATE INDEX idx_user_schema_state_schema_id ON schemas.user_schema_state (tenant_id, schema_id);
-- What goes with them.
CREATE INDEX idx_user_schema_state_agent ON schemas.user_schema_state (agent_id);
CREATE INDEX idx_user_schema_state_conversation ON schemas.user_schema_state (conversation_id);
CREATE INDEX idx_user_schema_state_cache_expires_at ON schemas.user_schema_state (cache_expires_at, id);
SELECT kernel.protect('schemas.user_schema_state');
CREATE POLICY user_isolation_policy ON schemas.user_schema_state AS RESTRICTIVE TO agentplatform_app
    USING (kernel.is_system() OR conversations.is_visible(tenant_id, conversation_id));
-- The sweep finds expired caches of all tenants, and works on each as its tenant.
CREATE POLICY expiry ON schemas.user_schema_state FOR SELECT TO agentplatform_worker USING (cache_expires_at <= now());
GRANT SELECT ON schemas.user_schema_state TO agentplatform_worker;

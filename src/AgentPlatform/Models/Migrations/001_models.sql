-- The language models that a tenant's agents may ask, and every call of one.

GRANT USAGE ON SCHEMA models TO agentplatform_app, agentplatform_worker;

CREATE TABLE models.llm_models (
    tenant_id         uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                uuid NOT NULL,
    -- What agents call it.
    name              varchar(100) NOT NULL,
    provider          varchar(20) NOT NULL CONSTRAINT model_provider_is_known CHECK (provider IN ('anthropic', 'openai')),
    -- What its provider calls it.
    model             varchar(100) NOT NULL,
    -- Null: the provider's own.
    base_url          varchar(500),
    api_key_sealed    text,
    -- US dollars for a million tokens.
    input_price       numeric(12, 6) NOT NULL DEFAULT 0 CONSTRAINT input_price_is_not_negative CHECK (input_price >= 0),
    output_price      numeric(12, 6) NOT NULL DEFAULT 0 CONSTRAINT output_price_is_not_negative CHECK (output_price >= 0),
    cache_write_price numeric(12, 6) NOT NULL DEFAULT 0 CONSTRAINT cache_write_price_is_not_negative CHECK (cache_write_price >= 0),
    cache_read_price  numeric(12, 6) NOT NULL DEFAULT 0 CONSTRAINT cache_read_price_is_not_negative CHECK (cache_read_price >= 0),
    max_output_tokens integer NOT NULL DEFAULT 1024 CONSTRAINT model_output_is_bounded CHECK (max_output_tokens BETWEEN 64 AND 32000),
    timeout_seconds   integer NOT NULL DEFAULT 30 CONSTRAINT model_timeout_is_short CHECK (timeout_seconds BETWEEN 1 AND 120),
    is_active         boolean NOT NULL DEFAULT true,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT llm_model_name_is_unique UNIQUE (tenant_id, name)
);
SELECT kernel.protect('models.llm_models');

-- One row a call, written before it and again after it: a call that a host did not live to see the end of is not made again.
CREATE TABLE models.agent_actions_log (
    tenant_id         uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                uuid NOT NULL,
    -- The turn is known by its first message; its calls are counted.
    turn_id           uuid NOT NULL,
    attempt           integer NOT NULL CONSTRAINT call_attempt_counts_from_one CHECK (attempt >= 1),
    agent_id          uuid NOT NULL,
    agent_type        varchar(50) NOT NULL,
    action_type       varchar(100) NOT NULL,
    contact_id        uuid NOT NULL,
    context_id        uuid NOT NULL,
    context_type      varchar(50) NOT NULL DEFAULT 'conversation',
    -- The latest message that the call was about.
    through_id        uuid NOT NULL,
    model_name        varchar(100) NOT NULL,
    model_used        varchar(100) NOT NULL,
    provider          varchar(20) NOT NULL,
    status            text NOT NULL CONSTRAINT call_status_is_known CHECK (status IN ('started', 'answered', 'failed', 'interrupted')),
    input_data        jsonb NOT NULL,
    output_data       jsonb,
    error             text,
    input_tokens      integer,
    output_tokens     integer,
    cost_usd          numeric(16, 6),
    latency_ms        integer,
    created_at        timestamptz NOT NULL,
    finished_at       timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT call_is_made_once UNIQUE (tenant_id, turn_id, attempt),
    CONSTRAINT finished_call_is_dated CHECK ((finished_at IS NULL) = (status = 'started')),
    CONSTRAINT answered_call_has_an_answer CHECK ((output_data IS NOT NULL) = (status = 'answered')),
    CONSTRAINT failed_call_says_why CHECK ((error IS NOT NULL) = (status IN ('failed', 'interrupted'))),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_agent_actions_log_context ON models.agent_actions_log (tenant_id, context_id, id DESC);
CREATE INDEX idx_agent_actions_log_agent ON models.agent_actions_log (agent_id);
CREATE INDEX idx_agent_actions_log_contact ON models.agent_actions_log (contact_id);
CREATE INDEX idx_agent_actions_log_created ON models.agent_actions_log (created_at);
SELECT kernel.protect('models.agent_actions_log');

-- What people wrote is kept for a month; what it cost is kept in costs.api_token_usage.
CREATE POLICY retention ON models.agent_actions_log TO agentplatform_worker USING (created_at < now() - interval '30 days');
GRANT SELECT, DELETE ON models.agent_actions_log TO agentplatform_worker;

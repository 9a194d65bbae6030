-- What model calls cost, what they may cost, and what is held for those under way. Money is in US dollars.

GRANT USAGE ON SCHEMA costs TO agentplatform_app, agentplatform_worker;

CREATE TABLE costs.cost_budgets (
    tenant_id             uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                    uuid NOT NULL,
    -- Null: the budget of the whole tenant.
    agent_id              uuid,
    daily_budget          numeric(12, 2) CONSTRAINT daily_budget_is_positive CHECK (daily_budget > 0),
    weekly_budget         numeric(12, 2) CONSTRAINT weekly_budget_is_positive CHECK (weekly_budget > 0),
    monthly_budget        numeric(12, 2) CONSTRAINT monthly_budget_is_positive CHECK (monthly_budget > 0),
    alert_threshold       integer NOT NULL DEFAULT 80 CONSTRAINT alert_threshold_is_percent CHECK (alert_threshold BETWEEN 1 AND 100),
    current_daily_spend   numeric(16, 6) NOT NULL DEFAULT 0,
    current_weekly_spend  numeric(16, 6) NOT NULL DEFAULT 0,
    current_monthly_spend numeric(16, 6) NOT NULL DEFAULT 0,
    -- The sum of the open reservations that count against this budget.
    budget_reserved       numeric(16, 6) NOT NULL DEFAULT 0 CONSTRAINT budget_reserved_is_not_negative CHECK (budget_reserved >= 0),
    is_active             boolean NOT NULL DEFAULT true,
    auto_stop_on_limit    boolean NOT NULL DEFAULT true,
    last_alert_sent       timestamptz,
    alerts_sent_today     integer NOT NULL DEFAULT 0,
    -- The days (UTC) that the periods of the current spends began.
    daily_period_start    date NOT NULL,
    weekly_period_start   date NOT NULL,
    monthly_period_start  date NOT NULL,
    created_at            timestamptz NOT NULL DEFAULT now(),
    updated_at            timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT one_budget_each UNIQUE NULLS NOT DISTINCT (tenant_id, agent_id),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE
);
SELECT kernel.protect('costs.cost_budgets');

CREATE TABLE costs.budget_reservations (
    tenant_id  uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id         uuid NOT NULL,
    agent_id   uuid NOT NULL,
    -- The budgets that it was counted against.
    budget_ids uuid[] NOT NULL,
    purpose    varchar(100) NOT NULL,
    amount     numeric(16, 6) NOT NULL CONSTRAINT reservation_is_not_negative CHECK (amount >= 0),
    status     text NOT NULL DEFAULT 'open' CONSTRAINT reservation_status_is_known CHECK (status IN ('open', 'settled', 'released', 'expired')),
    actual     numeric(16, 6) CONSTRAINT settled_reservation_has_its_cost CHECK ((actual IS NOT NULL) = (status = 'settled')),
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX idx_budget_reservations_status ON costs.budget_reservations (tenant_id, status, id DESC);
CREATE INDEX idx_budget_reservations_created ON costs.budget_reservations (created_at) WHERE status <> 'open';
SELECT kernel.protect('costs.budget_reservations');
-- What is over is kept for a month; what it cost is kept in api_token_usage.
CREATE POLICY retention ON costs.budget_reservations TO agentplatform_worker USING (status <> 'open' AND created_at < now() - interval '30 days');
GRANT SELECT, DELETE ON costs.budget_reservations TO agentplatform_worker;

-- One row a call that was paid for. What it was for may be deleted; what was spent stays.
CREATE TABLE costs.api_token_usage (
    tenant_id             uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                    uuid NOT NULL,
    agent_id              uuid NOT NULL,
    contact_id            uuid,
    conversation_id       uuid,
    request_id            varchar(255),
    provider              varchar(20) NOT NULL,
    model                 varchar(100) NOT NULL,
    prompt_type           varchar(100) NOT NULL,
    input_tokens          integer NOT NULL,
    output_tokens         integer NOT NULL,
    cache_creation_tokens integer NOT NULL DEFAULT 0,
    cache_read_tokens     integer NOT NULL DEFAULT 0,
    total_tokens          integer NOT NULL CONSTRAINT total_tokens_is_their_sum CHECK (total_tokens = input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens),
    input_cost            numeric(16, 6) NOT NULL,
    output_cost           numeric(16, 6) NOT NULL,
    cache_cost            numeric(16, 6) NOT NULL,
    total_cost            numeric(16, 6) NOT NULL CONSTRAINT total_cost_is_their_sum CHECK (total_cost = input_cost + output_cost + cache_cost),
    tools_used            jsonb NOT NULL DEFAULT '[]',
    response_time         integer NOT NULL,
    stop_reason           varchar(50),
    created_at            timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX idx_api_token_usage_created ON costs.api_token_usage (tenant_id, created_at);
SELECT kernel.protect('costs.api_token_usage');
SELECT kernel.append_only('costs.api_token_usage');

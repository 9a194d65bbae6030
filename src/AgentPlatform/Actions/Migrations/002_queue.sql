-- Requested actions, their attempts, and those that need a person.

CREATE TABLE actions.action_queue (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    queue_id text NOT NULL UNIQUE,
    action_id text NOT NULL,
    action_name text,

    session_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    intent_id text,
    turn_number int,
    workflow_instance_id text,
    trace_id text,
    request_id text,

    status text NOT NULL DEFAULT 'pending' CONSTRAINT action_queue_status_known
        CHECK (status IN ('pending', 'ready', 'executing', 'completed', 'failed', 'retrying', 'blocked', 'cancelled')),
    priority smallint NOT NULL DEFAULT 1 CONSTRAINT action_queue_priority_range CHECK (priority BETWEEN 1 AND 10),

    params_collected jsonb NOT NULL DEFAULT '{}',
    params_missing jsonb NOT NULL DEFAULT '[]',
    params_validation_errors jsonb NOT NULL DEFAULT '{}',

    retry_count int NOT NULL DEFAULT 0,
    max_retries int NOT NULL DEFAULT 3,
    last_retry_at timestamptz,
    next_retry_at timestamptz,
    retry_errors jsonb NOT NULL DEFAULT '[]',
    backoff_strategy text NOT NULL DEFAULT 'exponential'
        CONSTRAINT action_queue_backoff_known CHECK (backoff_strategy IN ('none', 'fixed', 'linear', 'exponential')),
    initial_delay_seconds int NOT NULL DEFAULT 2,
    max_delay_seconds int NOT NULL DEFAULT 60,
    retry_on_errors text[] NOT NULL DEFAULT '{timeout,api_error,network_error}',

    blocker_reason text,
    blocker_details jsonb,

    idempotency_key text NOT NULL,
    execution_id text,
    result jsonb,

    persisted_to_db boolean NOT NULL DEFAULT true,
    checkpoint_id text,
    last_checkpoint_at timestamptz,

    added_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    completed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT action_queue_blocked_says_why CHECK ((status = 'blocked') = (blocker_reason IS NOT NULL)),
    CONSTRAINT action_queue_ready_is_whole CHECK (status <> 'ready' OR (params_missing = '[]' AND params_validation_errors = '{}')),
    CONSTRAINT action_queue_retry_has_time CHECK (status <> 'retrying' OR next_retry_at IS NOT NULL),
    FOREIGN KEY (tenant_id, session_id) REFERENCES conversations.sessions (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations.conversations (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX idx_action_queue_session_id ON actions.action_queue (session_id, id DESC);
CREATE INDEX idx_action_queue_user_id ON actions.action_queue (contact_id, action_id);
CREATE INDEX idx_action_queue_instance_id ON actions.action_queue (agent_id);
CREATE INDEX idx_action_queue_conversation ON actions.action_queue (conversation_id);
CREATE INDEX idx_action_queue_intent ON actions.action_queue (intent_id) WHERE intent_id IS NOT NULL;
CREATE INDEX idx_action_queue_status ON actions.action_queue (tenant_id, status, id DESC);
-- What runs next: highest priority first, then the oldest.
CREATE INDEX idx_action_queue_priority ON actions.action_queue (tenant_id, priority DESC, added_at) WHERE status = 'ready';
CREATE INDEX idx_action_queue_next_retry_at ON actions.action_queue (tenant_id, next_retry_at) WHERE status = 'retrying';
CREATE UNIQUE INDEX idx_action_queue_idempotency_key ON actions.action_queue (tenant_id, idempotency_key);

SELECT kernel.protect('actions.action_queue');

CREATE TABLE actions.action_execution_log (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    execution_id text NOT NULL UNIQUE,
    action_id text NOT NULL,
    action_name text,

    session_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    intent_id text,
    queue_id text,
    workflow_instance_id text,

    started_at timestamptz NOT NULL,
    completed_at timestamptz,
    duration_ms int GENERATED ALWAYS AS ((extract(epoch FROM completed_at - started_at) * 1000)::int) STORED,
    timeout_seconds int,
    timed_out boolean NOT NULL DEFAULT false,
    status text NOT NULL CONSTRAINT action_execution_log_status_known CHECK (status IN ('executing', 'completed', 'failed', 'timeout')),
    retry_attempt int NOT NULL DEFAULT 0,
    final_retry boolean NOT NULL DEFAULT false,

    params_used jsonb NOT NULL,
    params_validated boolean NOT NULL DEFAULT true,
    validation_errors jsonb NOT NULL DEFAULT '[]',

    result jsonb,
    api_response_status int,
    api_response_body jsonb,
    error text,
    error_type text,
    error_message text,
    error_code text,
    stack_trace text,

    rollback_performed boolean NOT NULL DEFAULT false,
    rollback_action_id text,
    rollback_execution_id text,
    requires_acknowledgement boolean NOT NULL DEFAULT false,
    acknowledged boolean NOT NULL DEFAULT false,
    acknowledged_at timestamptz,
    acknowledgement_timeout boolean NOT NULL DEFAULT false,

    idempotency_key text NOT NULL,
    duplicate_execution boolean NOT NULL DEFAULT false,
    original_execution_id text,
    trace_id text,
    request_id text,
    created_at timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT action_execution_log_finish_is_whole CHECK ((status = 'executing') = (completed_at IS NULL)),
    CONSTRAINT action_execution_log_timeout_agrees CHECK (timed_out = (status = 'timeout')),
    CONSTRAINT action_execution_log_duplicate_names_original CHECK (duplicate_execution = (original_execution_id IS NOT NULL)),
    FOREIGN KEY (tenant_id, session_id) REFERENCES conversations.sessions (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations.conversations (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX idx_execution_log_session_id ON actions.action_execution_log (session_id);
CREATE INDEX idx_execution_log_user_id ON actions.action_execution_log (contact_id);
CREATE INDEX idx_execution_log_instance_id ON actions.action_execution_log (agent_id);
CREATE INDEX idx_execution_log_conversation ON actions.action_execution_log (conversation_id);
CREATE INDEX idx_execution_log_action_id ON actions.action_execution_log (action_id);
CREATE INDEX idx_execution_log_status ON actions.action_execution_log (status);
CREATE INDEX idx_execution_log_started_at ON actions.action_execution_log (started_at);
CREATE INDEX idx_execution_log_idempotency_key ON actions.action_execution_log (idempotency_key);
CREATE INDEX idx_execution_log_trace_id ON actions.action_execution_log (trace_id);
CREATE INDEX idx_execution_log_queue_id ON actions.action_execution_log (queue_id, id DESC);

SELECT kernel.protect('actions.action_execution_log');

-- An attempt in progress is settled once; afterwards only what happens to it later (acknowledgement, rollback) may be noted.
CREATE FUNCTION actions.refuse_rewriting_execution() RETURNS trigger
    LANGUAGE plpgsql AS $$
DECLARE
    -- duration_ms is computed after this trigger, from what it guards.
    later constant text[] := ARRAY['duration_ms', 'rollback_performed', 'rollback_action_id', 'rollback_execution_id',
                                   'acknowledged', 'acknowledged_at', 'acknowledgement_timeout'];
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'actions.action_execution_log keeps every attempt' USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.status <> 'executing' AND to_jsonb(NEW) - later IS DISTINCT FROM to_jsonb(OLD) - later THEN
        RAISE EXCEPTION 'execution % has finished and cannot change', OLD.execution_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;

-- A cascade from the session, contact, agent or tenant runs one trigger deeper and may delete.
CREATE TRIGGER refuse_rewriting BEFORE UPDATE OR DELETE ON actions.action_execution_log
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION actions.refuse_rewriting_execution();

CREATE TABLE actions.dead_letter_queue (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    dlq_id text NOT NULL UNIQUE,
    original_queue_id text NOT NULL,
    action_id text NOT NULL,
    action_name text,
    action_category text,

    session_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    intent_id text,
    turn_number int,

    moved_to_dlq_at timestamptz NOT NULL DEFAULT now(),
    original_added_at timestamptz NOT NULL,
    time_in_queue_seconds int GENERATED ALWAYS AS (floor(extract(epoch FROM moved_to_dlq_at - original_added_at))::int) STORED,
    original_status text NOT NULL CONSTRAINT dead_letter_queue_original_status_known CHECK (original_status IN ('ready', 'executing', 'retrying', 'failed')),
    retry_count int NOT NULL,
    max_retries int NOT NULL,
    final_error jsonb NOT NULL,
    retry_history jsonb NOT NULL DEFAULT '[]',
    params_collected jsonb NOT NULL DEFAULT '{}',

    requires_manual_intervention boolean NOT NULL DEFAULT false,
    intervention_type text CONSTRAINT dead_letter_queue_intervention_known
        CHECK (intervention_type IN ('fix_parameters', 'fix_configuration', 'check_provider', 'investigate')),
    escalated_to_support boolean NOT NULL DEFAULT false,
    escalation_ticket_id text,
    escalated_at timestamptz,
    resolved boolean NOT NULL DEFAULT false,
    resolved_at timestamptz,
    resolution_notes text,

    user_notified boolean NOT NULL DEFAULT false,
    user_notification_sent_at timestamptz,
    user_notification_message text,
    idempotency_key text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT dead_letter_queue_once UNIQUE (tenant_id, original_queue_id),
    CONSTRAINT dead_letter_queue_resolution_is_whole CHECK (resolved = (resolved_at IS NOT NULL)),
    CONSTRAINT dead_letter_queue_escalation_is_whole CHECK (escalated_to_support = (escalated_at IS NOT NULL)),
    CONSTRAINT dead_letter_queue_intervention_is_whole CHECK (requires_manual_intervention = (intervention_type IS NOT NULL)),
    CONSTRAINT dead_letter_queue_notice_is_whole CHECK (user_notified = (user_notification_sent_at IS NOT NULL)),
    FOREIGN KEY (tenant_id, session_id) REFERENCES conversations.sessions (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations.conversations (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX idx_dlq_session_id ON actions.dead_letter_queue (session_id);
CREATE INDEX idx_dlq_user_id ON actions.dead_letter_queue (contact_id);
CREATE INDEX idx_dlq_instance_id ON actions.dead_letter_queue (agent_id);
CREATE INDEX idx_dlq_conversation ON actions.dead_letter_queue (conversation_id);
CREATE INDEX idx_dlq_resolved ON actions.dead_letter_queue (tenant_id, id DESC) WHERE NOT resolved;
CREATE INDEX idx_dlq_escalated ON actions.dead_letter_queue (tenant_id, id DESC) WHERE escalated_to_support;
CREATE INDEX idx_dlq_moved_to_dlq_at ON actions.dead_letter_queue (moved_to_dlq_at);

SELECT kernel.protect('actions.dead_letter_queue');

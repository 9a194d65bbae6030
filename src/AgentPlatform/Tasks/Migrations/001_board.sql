-- The agency's task board: what people asked for or operators put up, and every attempt at it.
GRANT USAGE ON SCHEMA tasks TO agentplatform_app;

CREATE TABLE tasks.agency_tasks (
    tenant_id             uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                    uuid        NOT NULL,
    task_uuid             uuid        NOT NULL DEFAULT gen_random_uuid(),
    -- The member who put it up; null when the platform did.
    user_id               uuid,
    source_type           text        NOT NULL CONSTRAINT agency_task_source_known CHECK (source_type IN ('api', 'conversation')),
    source_webhook_id     uuid,
    source_message_id     uuid,
    conversation_id       uuid,

    title                 text        NOT NULL CONSTRAINT agency_task_title_length CHECK (length(title) BETWEEN 1 AND 500),
    description           text,
    original_message      text,
    category              text        NOT NULL DEFAULT 'general',
    task_type             text        NOT NULL,
    priority              text        NOT NULL DEFAULT 'medium' CONSTRAINT agency_task_priority_known CHECK (priority IN ('low', 'medium', 'high', 'critical')),
    urgency               text        NOT NULL DEFAULT 'normal' CONSTRAINT agency_task_urgency_known CHECK (urgency IN ('normal', 'urgent', 'overdue')),
    status                text        NOT NULL DEFAULT 'pending'
        CONSTRAINT agency_task_status_known CHECK (status IN ('pending', 'queued', 'in_progress', 'completed', 'failed', 'cancelled')),
    status_reason         text,
    assigned_to_bot       boolean     NOT NULL DEFAULT true,
    requires_human_review boolean     NOT NULL DEFAULT false,
    human_reviewed_by     uuid,
    human_reviewed_at     timestamptz,
    execution_type        text        NOT NULL DEFAULT 'automatic' CONSTRAINT agency_task_execution_type_known CHECK (execution_type IN ('automatic', 'manual')),
    execution_config      jsonb       NOT NULL DEFAULT '{}',
    scheduled_for         timestamptz,
    deadline              timestamptz,
    depends_on            uuid[]      NOT NULL DEFAULT '{}',
    blocked_by            uuid,

    result                jsonb,
    result_summary        text,
    last_error            text,
    error_count           integer     NOT NULL DEFAULT 0,
    max_retries           integer     NOT NULL DEFAULT 3 CONSTRAINT agency_task_retries_range CHECK (max_retries BETWEEN 0 AND 100),
    notify_on_complete    boolean     NOT NULL DEFAULT true,
    notify_on_failure     boolean     NOT NULL DEFAULT true,
    notifications_sent    jsonb       NOT NULL DEFAULT '[]',
    tags                  text[]      NOT NULL DEFAULT '{}',
    metadata              jsonb       NOT NULL DEFAULT '{}',

    -- How often it was queued: the key of its work, so that what an earlier queueing left behind does nothing.
    queue_round           integer     NOT NULL DEFAULT 0,
    queued_at             timestamptz,
    started_at            timestamptz,
    completed_at          timestamptz,
    created_at            timestamptz NOT NULL DEFAULT now(),
    updated_at            timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT agency_task_uuid UNIQUE (task_uuid),
    CONSTRAINT agency_task_review_is_whole CHECK ((human_reviewed_by IS NULL) = (human_reviewed_at IS NULL)),
    CONSTRAINT agency_task_queue_is_dated CHECK (status <> 'queued' OR queued_at IS NOT NULL),
    CONSTRAINT agency_task_start_is_dated CHECK (status <> 'in_progress' OR started_at IS NOT NULL),
    CONSTRAINT agency_task_end_is_dated CHECK ((status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)),
    CONSTRAINT agency_task_waits_for_others CHECK (blocked_by <> id AND NOT id = ANY (depends_on)),
    FOREIGN KEY (tenant_id, source_webhook_id) REFERENCES channels.user_webhooks (tenant_id, id) ON DELETE SET NULL (source_webhook_id),
    FOREIGN KEY (tenant_id, source_message_id) REFERENCES channels.inbound_messages (tenant_id, id) ON DELETE SET NULL (source_message_id),
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations.conversations (tenant_id, id) ON DELETE SET NULL (conversation_id),
    FOREIGN KEY (tenant_id, blocked_by) REFERENCES tasks.agency_tasks (tenant_id, id) ON DELETE SET NULL (blocked_by)
) WITH (fillfactor = 80);

CREATE INDEX agency_tasks_user_status_idx ON tasks.agency_tasks (tenant_id, user_id, status);
CREATE INDEX agency_tasks_status_idx ON tasks.agency_tasks (tenant_id, status, id DESC);
CREATE INDEX agency_tasks_task_type_idx ON tasks.agency_tasks (tenant_id, task_type, id DESC);
CREATE INDEX agency_tasks_conversation_id_idx ON tasks.agency_tasks (conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX agency_tasks_webhook_idx ON tasks.agency_tasks (source_webhook_id) WHERE source_webhook_id IS NOT NULL;
CREATE INDEX agency_tasks_message_idx ON tasks.agency_tasks (source_message_id) WHERE source_message_id IS NOT NULL;
-- Who waits for a task that is over now.
CREATE INDEX agency_tasks_depends_on_idx ON tasks.agency_tasks USING gin (depends_on) WHERE status = 'pending';
CREATE INDEX agency_tasks_blocked_by_idx ON tasks.agency_tasks (blocked_by) WHERE blocked_by IS NOT NULL;
SELECT kernel.protect('tasks.agency_tasks');

CREATE TABLE tasks.task_executions (
    tenant_id            uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                   uuid        NOT NULL,
    task_id              uuid        NOT NULL,
    execution_uuid       uuid        NOT NULL DEFAULT gen_random_uuid(),
    attempt_number       integer     NOT NULL,
    status               text        NOT NULL DEFAULT 'started'
        CONSTRAINT task_execution_status_known CHECK (status IN ('started', 'completed', 'failed', 'interrupted', 'cancelled')),
    triggered_by         text        NOT NULL
        CONSTRAINT task_execution_trigger_known CHECK (triggered_by IN ('created', 'schedule', 'dependency', 'review', 'change', 'retry', 'user')),
    triggered_by_user_id uuid,
    -- The action of the registry whose outcome this attempt waits for.
    action_queue_id      uuid,
    browser_session_id   text,
    debug_url            text,
    recording_url        text,
    steps_total          integer     NOT NULL DEFAULT 0,
    steps_completed      integer     NOT NULL DEFAULT 0,
    current_step         text,
    step_results         jsonb       NOT NULL DEFAULT '[]',
    output               jsonb,
    logs                 jsonb       NOT NULL DEFAULT '[]',
    screenshots          jsonb       NOT NULL DEFAULT '[]',
    error                text,
    error_code           text,
    error_stack          text,
    duration             integer     GENERATED ALWAYS AS ((extract(epoch FROM completed_at - started_at) * 1000)::integer) STORED,
    resource_usage       jsonb,
    started_at           timestamptz NOT NULL,
    completed_at         timestamptz,
    created_at           timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT task_execution_uuid UNIQUE (execution_uuid),
    CONSTRAINT task_execution_attempt UNIQUE (tenant_id, task_id, attempt_number),
    CONSTRAINT task_execution_end_is_dated CHECK ((status = 'started') = (completed_at IS NULL)),
    CONSTRAINT task_execution_failure_says_why CHECK (status <> 'failed' OR (error IS NOT NULL AND error_code IS NOT NULL)),
    CONSTRAINT task_execution_steps_in_bounds CHECK (steps_completed BETWEEN 0 AND steps_total),
    FOREIGN KEY (tenant_id, task_id) REFERENCES tasks.agency_tasks (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, action_queue_id) REFERENCES actions.action_queue (tenant_id, id) ON DELETE SET NULL (action_queue_id)
) WITH (fillfactor = 70);

CREATE INDEX task_executions_task_id_idx ON tasks.task_executions (task_id, attempt_number DESC);
-- One attempt at a time, whoever makes it.
CREATE UNIQUE INDEX task_executions_open_idx ON tasks.task_executions (tenant_id, task_id) WHERE status = 'started';
CREATE INDEX task_executions_action_idx ON tasks.task_executions (action_queue_id) WHERE action_queue_id IS NOT NULL;
CREATE INDEX task_executions_browser_session_idx ON tasks.task_executions (tenant_id, browser_session_id) WHERE browser_session_id IS NOT NULL;
SELECT kernel.protect('tasks.task_executions');

CREATE FUNCTION tasks.count_in_conversation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM conversations.count_task(NEW.tenant_id, NEW.conversation_id);
    RETURN NULL;
END $$;

CREATE TRIGGER on_agency_task_created AFTER INSERT ON tasks.agency_tasks
    FOR EACH ROW WHEN (NEW.conversation_id IS NOT NULL) EXECUTE FUNCTION tasks.count_in_conversation();

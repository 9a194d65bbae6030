-- Definitions of workflows with every version they had, and their runs step by step.
GRANT USAGE ON SCHEMA workflows TO agentplatform_app, agentplatform_worker;

CREATE TABLE workflows.automation_workflows (
    tenant_id        uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id               uuid        NOT NULL,
    -- What the registry, other workflows and the API name it by.
    workflow_id      text        NOT NULL CONSTRAINT workflow_id_shape CHECK (workflow_id ~ '^[a-z0-9][a-z0-9_-]{0,99}$'),
    -- The member who owns it; null when the platform made it.
    user_id          uuid,
    -- The agent whose registry has its actions.
    agent_id         uuid        NOT NULL,
    name             text        NOT NULL CONSTRAINT workflow_name_length CHECK (length(name) BETWEEN 1 AND 255),
    description      text,
    category         text        NOT NULL DEFAULT 'custom',
    source           text        NOT NULL DEFAULT 'api' CONSTRAINT workflow_source_known CHECK (source IN ('api', 'registry', 'copy', 'pattern')),
    copied_from      uuid,
    is_template      boolean     NOT NULL DEFAULT false,
    tags             text[]      NOT NULL DEFAULT '{}',
    version          integer     NOT NULL DEFAULT 1 CONSTRAINT workflow_version_counts CHECK (version >= 1),
    is_active        boolean     NOT NULL DEFAULT true,
    -- An event of this type starts it, if its payload is as the condition says.
    trigger_event    text,
    trigger_when     jsonb,
    execution_count  integer     NOT NULL DEFAULT 0,
    last_executed_at timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT workflow_id_once_per_tenant UNIQUE (tenant_id, workflow_id),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, copied_from) REFERENCES workflows.automation_workflows (tenant_id, id) ON DELETE SET NULL (copied_from)
) WITH (fillfactor = 80);

CREATE INDEX automation_workflows_agent_idx ON workflows.automation_workflows (agent_id);
CREATE INDEX automation_workflows_copied_idx ON workflows.automation_workflows (copied_from) WHERE copied_from IS NOT NULL;
-- Which workflows an event starts.
CREATE INDEX automation_workflows_trigger_idx ON workflows.automation_workflows (tenant_id, trigger_event) WHERE trigger_event IS NOT NULL AND is_active;
SELECT kernel.protect('workflows.automation_workflows');
-- A run is counted here, but changes nothing of what somebody has read and means to edit.
DROP TRIGGER set_updated_at ON workflows.automation_workflows;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON workflows.automation_workflows
    FOR EACH ROW WHEN (NEW.execution_count = OLD.execution_count) EXECUTE FUNCTION kernel.update_updated_at_column();

CREATE TABLE workflows.workflow_versions (
    tenant_id  uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    workflow   uuid        NOT NULL,
    version    integer     NOT NULL,
    -- Complete: defaults, undo actions and estimates of the registry are written out.
    definition jsonb       NOT NULL,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, workflow, version),
    FOREIGN KEY (tenant_id, workflow) REFERENCES workflows.automation_workflows (tenant_id, id) ON DELETE CASCADE
);
SELECT kernel.protect('workflows.workflow_versions');
SELECT kernel.append_only('workflows.workflow_versions');

CREATE TABLE workflows.workflow_instances (
    tenant_id               uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                      uuid        NOT NULL,
    workflow_instance_id    text        NOT NULL UNIQUE,
    workflow                uuid        NOT NULL,
    workflow_id             text        NOT NULL,
    workflow_name           text,
    workflow_version        integer     NOT NULL,

    session_id              uuid        NOT NULL,
    contact_id              uuid        NOT NULL,
    agent_id                uuid        NOT NULL,
    conversation_id         uuid        NOT NULL,
    intent_id               text,
    started_by              text        NOT NULL
        CONSTRAINT workflow_instance_start_known CHECK (started_by IN ('api', 'intent', 'event', 'schedule', 'workflow', 'fork', 'task')),
    -- The same key starts once.
    start_key               text        NOT NULL,
    -- The step of another instance that waits for this one.
    parent_step             uuid,
    forked_from             uuid,
    forked_at_step          text,

    status                  text        NOT NULL DEFAULT 'in_progress'
        CONSTRAINT workflow_instance_status_known CHECK (status IN ('in_progress', 'completed', 'failed', 'cancelled')),
    -- Once something has failed, running steps are waited for and then undone.
    phase                   text        NOT NULL DEFAULT 'forward' CONSTRAINT workflow_instance_phase_known CHECK (phase IN ('forward', 'undoing')),
    control                 text        NOT NULL DEFAULT 'running'
        CONSTRAINT workflow_instance_control_known CHECK (control IN ('running', 'paused', 'cancelled', 'awaiting_approval')),
    control_reason          text,
    last_state_change       timestamptz NOT NULL DEFAULT now(),

    current_step            integer,
    progress_percentage     integer     NOT NULL DEFAULT 0 CONSTRAINT workflow_instance_progress_range CHECK (progress_percentage BETWEEN 0 AND 100),
    steps_completed         integer     NOT NULL DEFAULT 0,
    steps_total             integer     NOT NULL,
    steps_remaining         integer     NOT NULL,
    steps_executed          jsonb       NOT NULL DEFAULT '[]',

    started_at              timestamptz NOT NULL,
    completed_at            timestamptz,
    timeout_at              timestamptz,
    timed_out               boolean     NOT NULL DEFAULT false,
    estimated_completion_at timestamptz,
    -- When it has something to do again by itself; what the sweep looks for.
    wake_at                 timestamptz,
    rollback_performed      boolean     NOT NULL DEFAULT false,
    rollback_steps          jsonb       NOT NULL DEFAULT '[]',
    created_at              timestamptz NOT NULL DEFAULT now(),
    updated_at              timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT workflow_instance_start_once UNIQUE (tenant_id, start_key),
    CONSTRAINT workflow_instance_end_is_dated CHECK ((status = 'in_progress') = (completed_at IS NULL)),
    CONSTRAINT workflow_instance_steps_add_up CHECK (steps_completed + steps_remaining = steps_total),
    CONSTRAINT workflow_instance_complete_is_whole CHECK (status <> 'completed' OR progress_percentage = 100),
    CONSTRAINT workflow_instance_time_out_fails CHECK (NOT timed_out OR status <> 'completed'),
    FOREIGN KEY (tenant_id, workflow, workflow_version) REFERENCES workflows.workflow_versions (tenant_id, workflow, version) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, session_id) REFERENCES conversations.sessions (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations.conversations (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, forked_from) REFERENCES workflows.workflow_instances (tenant_id, id) ON DELETE SET NULL (forked_from)
) WITH (fillfactor = 70);

CREATE INDEX idx_workflow_instances_session_id ON workflows.workflow_instances (session_id);
CREATE INDEX idx_workflow_instances_workflow_id ON workflows.workflow_instances (workflow, workflow_version, id DESC);
CREATE INDEX idx_workflow_instances_status ON workflows.workflow_instances (tenant_id, status, id DESC);
CREATE INDEX workflow_instances_contact_idx ON workflows.workflow_instances (contact_id);
CREATE INDEX workflow_instances_agent_idx ON workflows.workflow_instances (agent_id);
CREATE INDEX workflow_instances_conversation_idx ON workflows.workflow_instances (conversation_id, id DESC);
CREATE INDEX workflow_instances_forked_idx ON workflows.workflow_instances (forked_from) WHERE forked_from IS NOT NULL;
CREATE INDEX workflow_instances_parent_idx ON workflows.workflow_instances (parent_step) WHERE parent_step IS NOT NULL;
-- What is overdue for a wake-up, across tenants.
CREATE INDEX workflow_instances_wake_idx ON workflows.workflow_instances (wake_at) WHERE status = 'in_progress';
SELECT kernel.protect('workflows.workflow_instances');

-- What a run was given and what it brought; one for each instance.
CREATE TABLE workflows.workflow_executions (
    tenant_id          uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                 uuid        NOT NULL,
    workflow           uuid        NOT NULL,
    version            integer     NOT NULL,
    -- The browser session it works in, if it works in one.
    browser_session_id text,
    -- The member who started it; null when the platform did.
    user_id            uuid,
    status             text        NOT NULL DEFAULT 'pending'
        CONSTRAINT workflow_execution_status_known CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
    input              jsonb       NOT NULL DEFAULT '{}',
    output             jsonb,
    error              text,
    error_code         text,
    error_step         text,
    -- What runs that failed alike have in common.
    error_signature    text,
    started_at         timestamptz,
    completed_at       timestamptz,
    duration           integer     GENERATED ALWAYS AS ((extract(epoch FROM completed_at - started_at) * 1000)::integer) STORED,
    step_results       jsonb       NOT NULL DEFAULT '[]',
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT workflow_execution_end_is_dated CHECK ((status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)),
    CONSTRAINT workflow_execution_failure_says_why CHECK (status <> 'failed' OR (error IS NOT NULL AND error_code IS NOT NULL AND error_signature IS NOT NULL)),
    FOREIGN KEY (tenant_id, id) REFERENCES workflows.workflow_instances (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, workflow, version) REFERENCES workflows.workflow_versions (tenant_id, workflow, version) ON DELETE CASCADE
) WITH (fillfactor = 70);

CREATE INDEX workflow_executions_workflow_idx ON workflows.workflow_executions (workflow, version, id DESC);
-- Runs that failed alike.
CREATE INDEX workflow_executions_signature_idx ON workflows.workflow_executions (tenant_id, error_signature, id) WHERE error_signature IS NOT NULL;
SELECT kernel.protect('workflows.workflow_executions');

-- What was done of a definition's steps. Iteration 0 is the step itself, 1 and up its elements; direction says whether it was done or undone.
CREATE TABLE workflows.workflow_steps (
    tenant_id       uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id              uuid        NOT NULL,
    instance_id     uuid        NOT NULL,
    step_id         text        NOT NULL,
    iteration       integer     NOT NULL DEFAULT 0,
    direction       text        NOT NULL DEFAULT 'forward' CONSTRAINT workflow_step_direction_known CHECK (direction IN ('forward', 'undo')),
    -- The instance that did it; another one when this was forked from it.
    origin_instance uuid        NOT NULL,
    type            text        NOT NULL CONSTRAINT workflow_step_type_known CHECK (type IN ('action', 'approval', 'workflow', 'sleep', 'wait')),
    action_id       text,
    status          text        NOT NULL
        CONSTRAINT workflow_step_status_known CHECK (status IN ('running', 'waiting', 'completed', 'failed', 'skipped', 'cancelled')),
    input           jsonb,
    result          jsonb,
    error           text,
    error_code      text,
    -- It failed, and nothing tells whether its call was carried out.
    may_have_happened boolean NOT NULL DEFAULT false,
    action_queue_id uuid,
    child_instance  uuid,
    execution_id    text,
    -- The event it waits for.
    event_name      text,
    -- When it is over, or has taken too long.
    due_at          timestamptz,
    started_at      timestamptz NOT NULL,
    completed_at    timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT workflow_step_once UNIQUE (tenant_id, instance_id, step_id, iteration, direction),
    CONSTRAINT workflow_step_end_is_dated CHECK ((status IN ('running', 'waiting')) = (completed_at IS NULL)),
    CONSTRAINT workflow_step_failure_says_why CHECK (status <> 'failed' OR (error IS NOT NULL AND error_code IS NOT NULL)),
    FOREIGN KEY (tenant_id, instance_id) REFERENCES workflows.workflow_instances (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, action_queue_id) REFERENCES actions.action_queue (tenant_id, id) ON DELETE SET NULL (action_queue_id),
    FOREIGN KEY (tenant_id, child_instance) REFERENCES workflows.workflow_instances (tenant_id, id) ON DELETE SET NULL (child_instance)
) WITH (fillfactor = 70);

CREATE INDEX workflow_steps_action_idx ON workflows.workflow_steps (action_queue_id) WHERE action_queue_id IS NOT NULL;
CREATE INDEX workflow_steps_child_idx ON workflows.workflow_steps (child_instance) WHERE child_instance IS NOT NULL;
CREATE INDEX workflow_steps_instance_idx ON workflows.workflow_steps (instance_id, id);
SELECT kernel.protect('workflows.workflow_steps');

ALTER TABLE workflows.workflow_instances
    ADD FOREIGN KEY (tenant_id, parent_step) REFERENCES workflows.workflow_steps (tenant_id, id) ON DELETE SET NULL (parent_step);

-- Events that were sent to an instance; each is taken by one step, also when it came before the step.
CREATE TABLE workflows.workflow_signals (
    tenant_id   uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id          uuid        NOT NULL,
    instance_id uuid        NOT NULL,
    name        text        NOT NULL CONSTRAINT workflow_signal_name_length CHECK (length(name) BETWEEN 1 AND 100),
    payload     jsonb       NOT NULL DEFAULT '{}',
    signal_key  text        NOT NULL,
    sent_by     uuid,
    received_at timestamptz NOT NULL,
    consumed_at timestamptz,
    consumed_by uuid,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT workflow_signal_once UNIQUE (tenant_id, instance_id, signal_key),
    CONSTRAINT workflow_signal_consumption_is_whole CHECK ((consumed_at IS NULL) = (consumed_by IS NULL)),
    FOREIGN KEY (tenant_id, instance_id) REFERENCES workflows.workflow_instances (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX workflow_signals_instance_idx ON workflows.workflow_signals (instance_id, id);
SELECT kernel.protect('workflows.workflow_signals');

-- The sweep finds instances of all tenants whose time to wake up has passed unnoticed; each is woken as its own tenant.
CREATE POLICY waking ON workflows.workflow_instances FOR SELECT TO agentplatform_worker USING (status = 'in_progress');
GRANT SELECT ON workflows.workflow_instances TO agentplatform_worker;

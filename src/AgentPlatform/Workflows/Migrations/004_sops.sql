-- Standard operating procedures: their categories, their steps in every version, and how each execution went.
CREATE TABLE workflows.sop_categories (
    tenant_id   uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id          uuid        NOT NULL,
    -- The member whose it is; the zero id when the platform made it.
    user_id     uuid        NOT NULL,
    name        text        NOT NULL CONSTRAINT sop_category_name_length CHECK (length(name) BETWEEN 1 AND 100),
    description text,
    icon        text,
    color       text,
    sort_order  integer     NOT NULL DEFAULT 0,
    is_active   boolean     NOT NULL DEFAULT true,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id)
);

-- A member's own, in the order in which they show them.
CREATE INDEX sop_categories_user_idx ON workflows.sop_categories (tenant_id, user_id, sort_order);
SELECT kernel.protect('workflows.sop_categories');

CREATE TABLE workflows.sop_documents (
    tenant_id               uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                      uuid        NOT NULL,
    -- The member who owns it; null when the platform made it.
    user_id                 uuid,
    category_id             uuid,
    title                   text        NOT NULL CONSTRAINT sop_title_length CHECK (length(title) BETWEEN 1 AND 255),
    description             text,
    objective               text,
    -- The version that is being written; the one in force is published_version.
    version                 integer     NOT NULL DEFAULT 1 CONSTRAINT sop_version_counts CHECK (version >= 1),
    published_version       integer,
    status                  text        NOT NULL DEFAULT 'draft' CONSTRAINT sop_status_known CHECK (status IN ('draft', 'published', 'archived')),
    applicable_to           text[]      NOT NULL DEFAULT '{}',
    -- A condition on the context of an execution, without which none begins.
    prerequisites           jsonb,
    -- Types of events about a conversation that start it.
    triggers                text[]      NOT NULL DEFAULT '{}',
    estimated_duration      integer     CONSTRAINT sop_estimate_counts CHECK (estimated_duration >= 0),
    priority                text        NOT NULL DEFAULT 'medium' CONSTRAINT sop_priority_known CHECK (priority IN ('low', 'medium', 'high', 'critical')),
    tags                    text[]      NOT NULL DEFAULT '{}',
    ai_enabled              boolean     NOT NULL DEFAULT true,
    human_approval_required boolean     NOT NULL DEFAULT false,
    automation_level        text        NOT NULL DEFAULT 'semi' CONSTRAINT sop_automation_known CHECK (automation_level IN ('manual', 'semi', 'full')),
    metadata                jsonb       NOT NULL DEFAULT '{}',
    last_executed_at        timestamptz,
    execution_count         integer     NOT NULL DEFAULT 0,
    -- Executions that came to their end, well or not; cancelled ones tell nothing of the SOP.
    completed_count         integer     NOT NULL DEFAULT 0,
    failed_count            integer     NOT NULL DEFAULT 0,
    success_rate            numeric(5, 2) GENERATED ALWAYS AS (100.0 * completed_count / nullif(completed_count + failed_count, 0)) STORED,
    published_at            timestamptz,
    created_at              timestamptz NOT NULL DEFAULT now(),
    updated_at              timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT sop_publication_is_whole CHECK ((published_version IS NULL) = (published_at IS NULL)),
    CONSTRAINT sop_published_is_in_force CHECK (status <> 'published' OR published_version = version),
    FOREIGN KEY (tenant_id, category_id) REFERENCES workflows.sop_categories (tenant_id, id) ON DELETE SET NULL (category_id)
) WITH (fillfactor = 80);

CREATE INDEX sop_documents_category_idx ON workflows.sop_documents (category_id) WHERE category_id IS NOT NULL;
CREATE INDEX sop_documents_status_idx ON workflows.sop_documents (tenant_id, status, id DESC);
-- Which SOPs an event starts.
CREATE INDEX sop_documents_triggers_idx ON workflows.sop_documents USING gin (triggers) WHERE published_version IS NOT NULL AND status <> 'archived';
SELECT kernel.protect('workflows.sop_documents');
-- An execution is counted here, but changes nothing of what somebody has read and means to edit.
DROP TRIGGER set_updated_at ON workflows.sop_documents;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON workflows.sop_documents
    FOR EACH ROW WHEN ((NEW.execution_count, NEW.completed_count, NEW.failed_count) = (OLD.execution_count, OLD.completed_count, OLD.failed_count))
    EXECUTE FUNCTION kernel.update_updated_at_column();

CREATE TABLE workflows.sop_steps (
    tenant_id           uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                  uuid        NOT NULL,
    sop_id              uuid        NOT NULL,
    version             integer     NOT NULL,
    step_number         integer     NOT NULL CONSTRAINT sop_step_number_range CHECK (step_number BETWEEN 1 AND 1000),
    title               text        NOT NULL CONSTRAINT sop_step_title_length CHECK (length(title) BETWEEN 1 AND 255),
    instructions        text        NOT NULL,
    action_type         text        NOT NULL DEFAULT 'manual' CONSTRAINT sop_step_action_known CHECK (action_type IN ('manual', 'action')),
    action_config       jsonb,
    conditions          jsonb,
    alternatives        jsonb       NOT NULL DEFAULT '[]',
    expected_outcome    text,
    validation_criteria jsonb,
    error_handling      jsonb       NOT NULL,
    resources           jsonb       NOT NULL DEFAULT '[]',
    examples            jsonb       NOT NULL DEFAULT '[]',
    tips                text,
    estimated_duration  integer     CONSTRAINT sop_step_estimate_counts CHECK (estimated_duration >= 0),
    -- Seconds.
    timeout             integer     CONSTRAINT sop_step_timeout_counts CHECK (timeout >= 1),
    -- Null: the step before it in the list.
    depends_on          integer[],
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT sop_step_number_once UNIQUE (tenant_id, sop_id, version, step_number),
    CONSTRAINT sop_step_action_is_named CHECK ((action_type = 'action') = (action_config IS NOT NULL)),
    FOREIGN KEY (tenant_id, sop_id) REFERENCES workflows.sop_documents (tenant_id, id) ON DELETE CASCADE
);
SELECT kernel.protect('workflows.sop_steps');

CREATE TABLE workflows.sop_executions (
    tenant_id          uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                 uuid        NOT NULL,
    sop_id             uuid        NOT NULL,
    -- The version that was in force when it was started, and that it keeps.
    version            integer     NOT NULL,
    -- The member who started it; null when the platform did.
    user_id            uuid,
    executor_type      text        NOT NULL CONSTRAINT sop_executor_known CHECK (executor_type IN ('human', 'ai_agent', 'hybrid')),
    -- The conversation for whose contact its actions are carried out, and the agent's session in it.
    conversation_id    uuid,
    agent_session_id   uuid,
    -- The same key starts once.
    start_key          text        NOT NULL,
    status             text        NOT NULL DEFAULT 'in_progress'
        CONSTRAINT sop_execution_status_known CHECK (status IN ('awaiting_approval', 'in_progress', 'completed', 'failed', 'cancelled')),
    status_reason      text,
    -- Who let it begin, or refused to.
    decided_by         uuid,
    decided_at         timestamptz,

    -- The place, from 0, of the step that is under way among the version's steps; null when none is.
    current_step_index integer,
    -- How many steps have begun: what an earlier one left behind, a time-out or an outcome, is not for this one.
    step_round         integer     NOT NULL DEFAULT 0,
    step_started_at    timestamptz,
    step_due_at        timestamptz,
    action_queue_id    uuid,
    step_results       jsonb       NOT NULL DEFAULT '[]',
    context            jsonb       NOT NULL DEFAULT '{}',
    result             jsonb,

    feedback           text,
    rating             integer     CONSTRAINT sop_rating_range CHECK (rating BETWEEN 1 AND 5),
    issues             jsonb       NOT NULL DEFAULT '[]',
    started_at         timestamptz NOT NULL DEFAULT now(),
    completed_at       timestamptz,
    duration_ms        bigint      GENERATED ALWAYS AS ((extract(epoch FROM completed_at - started_at) * 1000)::bigint) STORED,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT sop_execution_start_once UNIQUE (tenant_id, start_key),
    CONSTRAINT sop_execution_end_is_dated CHECK ((status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)),
    CONSTRAINT sop_execution_end_has_result CHECK (status NOT IN ('completed', 'failed') OR result IS NOT NULL),
    CONSTRAINT sop_execution_decision_is_whole CHECK (decided_by IS NULL OR decided_at IS NOT NULL),
    CONSTRAINT sop_execution_step_is_whole CHECK ((status = 'in_progress') = (current_step_index IS NOT NULL) AND (current_step_index IS NULL) = (step_started_at IS NULL)),
    CONSTRAINT sop_execution_waits_in_a_step CHECK (current_step_index IS NOT NULL OR (step_due_at IS NULL AND action_queue_id IS NULL)),
    CONSTRAINT sop_execution_is_rated_after CHECK (rating IS NULL OR completed_at IS NOT NULL),
    FOREIGN KEY (tenant_id, sop_id) REFERENCES workflows.sop_documents (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations.conversations (tenant_id, id) ON DELETE SET NULL (conversation_id),
    FOREIGN KEY (tenant_id, agent_session_id) REFERENCES conversations.sessions (tenant_id, id) ON DELETE SET NULL (agent_session_id),
    FOREIGN KEY (tenant_id, action_queue_id) REFERENCES actions.action_queue (tenant_id, id) ON DELETE SET NULL (action_queue_id)
) WITH (fillfactor = 70);

CREATE INDEX sop_executions_sop_idx ON workflows.sop_executions (sop_id, id DESC);
CREATE INDEX sop_executions_status_idx ON workflows.sop_executions (tenant_id, status, id DESC);
CREATE INDEX sop_executions_conversation_idx ON workflows.sop_executions (conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX sop_executions_session_idx ON workflows.sop_executions (agent_session_id) WHERE agent_session_id IS NOT NULL;
-- Whose step waits for an action.
CREATE INDEX sop_executions_action_idx ON workflows.sop_executions (action_queue_id) WHERE action_queue_id IS NOT NULL;
SELECT kernel.protect('workflows.sop_executions');

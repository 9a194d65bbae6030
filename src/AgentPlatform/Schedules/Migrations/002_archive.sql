-- Tasks that are over leave the table that the queue works on. A failed one stays: somebody has to look at it.

CREATE TABLE schedules.archived_agent_tasks (
    tenant_id         uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                uuid         NOT NULL,
    task_type         varchar(100) NOT NULL,
    agent_type        varchar(50)  NOT NULL,
    contact_id        uuid,
    context_id        uuid,
    context_type      varchar(50),
    scheduled_for     timestamptz  NOT NULL,
    priority          varchar(20)  NOT NULL,
    status            varchar(50)  NOT NULL,
    retry_count       integer      NOT NULL,
    max_retries       integer      NOT NULL,
    last_attempted_at timestamptz,
    context_json      jsonb        NOT NULL,
    result_json       jsonb,
    error_log         text,
    created_at        timestamptz  NOT NULL,
    created_by        varchar(100),
    completed_at      timestamptz  NOT NULL,
    archived_at       timestamptz  NOT NULL,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT archived_task_contact FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id),
    CONSTRAINT archived_task_status CHECK (status IN ('completed', 'cancelled'))
);
CREATE INDEX idx_archived_tasks_user ON schedules.archived_agent_tasks (tenant_id, contact_id) WHERE contact_id IS NOT NULL;
SELECT kernel.protect('schedules.archived_agent_tasks');

-- The job's question: which are over for long enough, in whatever tenant.
CREATE INDEX idx_tasks_over ON schedules.agent_tasks (completed_at) WHERE status IN ('completed', 'cancelled');

-- The archiving job works in every tenant, and only on what is over.
GRANT USAGE ON SCHEMA schedules TO agentplatform_worker;
CREATE POLICY archiving ON schedules.agent_tasks TO agentplatform_worker USING (status IN ('completed', 'cancelled'));
CREATE POLICY archiving ON schedules.archived_agent_tasks FOR INSERT TO agentplatform_worker WITH CHECK (status IN ('completed', 'cancelled'));
GRANT SELECT, DELETE ON schedules.agent_tasks TO agentplatform_worker;
GRANT INSERT ON schedules.archived_agent_tasks TO agentplatform_worker;
REVOKE INSERT, DELETE ON schedules.archived_agent_tasks FROM agentplatform_app;

-- Both places as one, for those who look a task up.
CREATE VIEW schedules.every_agent_task WITH (security_invoker = true) AS
    SELECT tenant_id, id, task_type, agent_type, contact_id, context_id, context_type, scheduled_for, priority, status, retry_count, max_retries,
           last_attempted_at, context_json, result_json, error_log, created_at, created_by, completed_at, NULL::timestamptz AS archived_at
    FROM schedules.agent_tasks
    UNION ALL
    SELECT tenant_id, id, task_type, agent_type, contact_id, context_id, context_type, scheduled_for, priority, status, retry_count, max_retries,
           last_attempted_at, context_json, result_json, error_log, created_at, created_by, completed_at, archived_at
    FROM schedules.archived_agent_tasks;
GRANT SELECT ON schedules.every_agent_task TO agentplatform_app;

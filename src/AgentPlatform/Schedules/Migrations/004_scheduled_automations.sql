-- What is run at its times. The names are the first system's; no browser is needed for what is run here.
CREATE TABLE schedules.scheduled_browser_tasks (
    tenant_id              uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                     uuid         NOT NULL,
    user_id                uuid         NOT NULL,
    name                   varchar(255) NOT NULL,
    description            text,
    automation_type        varchar(50)  NOT NULL,
    automation_config      jsonb        NOT NULL,
    schedule_type          varchar(50)  NOT NULL,
    cron_expression        varchar(255) NOT NULL,
    timezone               varchar(100) NOT NULL DEFAULT 'UTC',
    status                 varchar(50)  NOT NULL DEFAULT 'active',
    next_run               timestamptz,
    last_run               timestamptz,
    last_run_status        varchar(50),
    last_run_error         text,
    last_run_duration      integer,
    execution_count        integer      NOT NULL DEFAULT 0,
    success_count          integer      NOT NULL DEFAULT 0,
    failure_count          integer      NOT NULL DEFAULT 0,
    total_duration         bigint       NOT NULL DEFAULT 0,
    -- Out of the sum, so that rounding does not add up.
    average_duration       integer      NOT NULL GENERATED ALWAYS AS (CASE WHEN execution_count = 0 THEN 0 ELSE total_duration / execution_count END) STORED,
    retry_on_failure       boolean      NOT NULL DEFAULT true,
    max_retries            integer      NOT NULL DEFAULT 3,
    retry_delay            integer      NOT NULL DEFAULT 60,
    timeout                integer      NOT NULL DEFAULT 300,
    keep_execution_history boolean      NOT NULL DEFAULT true,
    max_history_records    integer      NOT NULL DEFAULT 100,
    tags                   jsonb        NOT NULL DEFAULT '[]',
    metadata               jsonb        NOT NULL DEFAULT '{}',
    is_active              boolean      NOT NULL DEFAULT true,
    created_by             uuid         NOT NULL,
    last_modified_by       uuid         NOT NULL,
    created_at             timestamptz  NOT NULL,
    updated_at             timestamptz  NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT scheduled_automation_type CHECK (automation_type IN ('chat', 'observe', 'extract', 'workflow', 'custom')),
    CONSTRAINT scheduled_schedule_type CHECK (schedule_type IN ('daily', 'weekly', 'monthly', 'cron', 'once')),
    CONSTRAINT scheduled_status CHECK (status IN ('active', 'paused', 'failed', 'completed', 'archived')),
    CONSTRAINT scheduled_last_run_status CHECK (last_run_status IN ('success', 'failed', 'timeout')),
    CONSTRAINT scheduled_counts_add_up CHECK (execution_count = success_count + failure_count),
    CONSTRAINT scheduled_limits CHECK (max_retries BETWEEN 0 AND 100 AND retry_delay BETWEEN 0 AND 86400 AND timeout BETWEEN 1 AND 86400 AND max_history_records BETWEEN 1 AND 10000),
    CONSTRAINT scheduled_next_run_is_of_active CHECK (next_run IS NULL OR (status = 'active' AND is_active))
) WITH (fillfactor = 80);
SELECT kernel.protect('schedules.scheduled_browser_tasks');

CREATE TABLE schedules.scheduled_task_executions (
    tenant_id      uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id             uuid        NOT NULL,
    task_id        uuid        NOT NULL,
    status         varchar(50) NOT NULL DEFAULT 'queued',
    trigger_type   varchar(50) NOT NULL,
    attempt_number integer     NOT NULL DEFAULT 1,
    scheduled_for  timestamptz NOT NULL,
    started_at     timestamptz,
    completed_at   timestamptz,
    duration       integer,
    output         jsonb,
    error          text,
    logs           jsonb       NOT NULL DEFAULT '[]',
    created_at     timestamptz NOT NULL,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT scheduled_execution_task FOREIGN KEY (tenant_id, task_id) REFERENCES schedules.scheduled_browser_tasks (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT scheduled_execution_status CHECK (status IN ('queued', 'running', 'success', 'failed', 'timeout', 'cancelled')),
    CONSTRAINT scheduled_execution_trigger CHECK (trigger_type IN ('scheduled', 'manual', 'retry')),
    CONSTRAINT scheduled_execution_attempt CHECK (attempt_number >= 1 AND (trigger_type = 'retry') = (attempt_number > 1)),
    CONSTRAINT scheduled_execution_end_is_dated CHECK ((status IN ('queued', 'running')) = (completed_at IS NULL))
) WITH (fillfactor = 80);
-- The history of a task, newest first, and what is pruned of it.
CREATE INDEX idx_scheduled_executions_task ON schedules.scheduled_task_executions (tenant_id, task_id, id DESC);
SELECT kernel.protect('schedules.scheduled_task_executions');

CREATE TABLE schedules.cron_job_registry (
    tenant_id         uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                uuid         NOT NULL,
    task_id           uuid         NOT NULL,
    job_id            varchar(255) NOT NULL,
    job_name          varchar(255) NOT NULL,
    cron_expression   varchar(255) NOT NULL,
    timezone          varchar(100) NOT NULL DEFAULT 'UTC',
    is_running        boolean      NOT NULL DEFAULT false,
    last_started_at   timestamptz,
    last_completed_at timestamptz,
    next_run_at       timestamptz,
    created_at        timestamptz  NOT NULL DEFAULT now(),
    updated_at        timestamptz  NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT cron_job_task UNIQUE (tenant_id, task_id),
    CONSTRAINT cron_job_id UNIQUE (tenant_id, job_id),
    CONSTRAINT cron_job_of_task FOREIGN KEY (tenant_id, task_id) REFERENCES schedules.scheduled_browser_tasks (tenant_id, id) ON DELETE CASCADE
) WITH (fillfactor = 80);
SELECT kernel.protect('schedules.cron_job_registry');

-- Whoever writes a task, its entry in the registry follows in the same transaction.
CREATE FUNCTION schedules.register_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO schedules.cron_job_registry AS r (tenant_id, id, task_id, job_id, job_name, cron_expression, timezone, next_run_at)
    VALUES (NEW.tenant_id, NEW.id, NEW.id, 'job_' || replace(NEW.id::text, '-', ''), NEW.name, NEW.cron_expression, NEW.timezone, NEW.next_run)
    ON CONFLICT (tenant_id, task_id) DO UPDATE
    SET job_name = excluded.job_name, cron_expression = excluded.cron_expression, timezone = excluded.timezone, next_run_at = excluded.next_run_at;
    RETURN NULL;
END $$;

CREATE TRIGGER on_task_scheduled AFTER INSERT OR UPDATE OF name, cron_expression, timezone, next_run ON schedules.scheduled_browser_tasks
    FOR EACH ROW EXECUTE FUNCTION schedules.register_job();

-- Who is told how a task's runs end, and how many in a row ended without success. What is to be repeated has not ended.
ALTER TABLE schedules.scheduled_browser_tasks
    ADD COLUMN notify_on_success     boolean NOT NULL DEFAULT false,
    ADD COLUMN notify_on_failure     boolean NOT NULL DEFAULT true,
    ADD COLUMN notification_channels jsonb   NOT NULL DEFAULT '[{"channel": "in_app", "to": null}]',
    ADD COLUMN failure_streak        integer NOT NULL DEFAULT 0 CONSTRAINT scheduled_failure_streak CHECK (failure_streak >= 0);

-- How the latest runs of a task ended.
CREATE INDEX idx_scheduled_executions_ended ON schedules.scheduled_task_executions (tenant_id, task_id, completed_at) WHERE status IN ('success', 'failed', 'timeout');

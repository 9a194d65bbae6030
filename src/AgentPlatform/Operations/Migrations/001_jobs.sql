-- The recurring jobs of the platform: they work for all tenants, and so have none.

GRANT USAGE ON SCHEMA operations TO agentplatform_app, agentplatform_worker;

CREATE TABLE operations.jobs (
    name            text PRIMARY KEY,
    last_started_at timestamptz NOT NULL,
    last_ended_at   timestamptz NOT NULL,
    last_outcome    text NOT NULL,
    last_error      text,
    runs            bigint NOT NULL,
    failures        bigint NOT NULL,
    CONSTRAINT jobs_outcome_known CHECK (last_outcome IN ('succeeded', 'failed')),
    CONSTRAINT jobs_failure_has_a_reason CHECK ((last_outcome = 'failed') = (last_error IS NOT NULL))
) WITH (fillfactor = 50);
GRANT SELECT, INSERT, UPDATE ON operations.jobs TO agentplatform_worker;

CREATE VIEW operations.cron_job_status AS
SELECT name AS job_name, last_started_at AS last_run_at,
       (extract(epoch FROM last_ended_at - last_started_at) * 1000)::double precision AS last_duration_ms,
       last_outcome, last_error, runs, failures
FROM operations.jobs;
GRANT SELECT ON operations.cron_job_status TO agentplatform_app;

-- Is each trigger of the platform's tables in force?
CREATE VIEW operations.trigger_status AS
SELECT n.nspname || '.' || c.relname AS table_name, t.tgname::text AS trigger_name, t.tgenabled <> 'D' AS is_enabled
FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND NOT c.relispartition;
GRANT SELECT ON operations.trigger_status TO agentplatform_app;

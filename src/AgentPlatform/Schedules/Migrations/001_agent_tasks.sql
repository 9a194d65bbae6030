GRANT USAGE ON SCHEMA schedules TO agentplatform_app;

CREATE TABLE schedules.agent_tasks (
    tenant_id         uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                uuid         NOT NULL,
    task_type         varchar(100) NOT NULL,
    agent_type        varchar(50)  NOT NULL,
    contact_id        uuid,
    context_id        uuid,
    context_type      varchar(50),
    scheduled_for     timestamptz  NOT NULL,
    priority          varchar(20)  NOT NULL DEFAULT 'medium',
    status            varchar(50)  NOT NULL DEFAULT 'pending',
    retry_count       integer      NOT NULL DEFAULT 0,
    max_retries       integer      NOT NULL DEFAULT 3,
    last_attempted_at timestamptz,
    context_json      jsonb        NOT NULL DEFAULT '{}',
    result_json       jsonb,
    error_log         text,
    created_at        timestamptz  NOT NULL DEFAULT now(),
    updated_at        timestamptz  NOT NULL DEFAULT now(),
    created_by        varchar(100),
    completed_at      timestamptz,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT task_contact FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id),
    CONSTRAINT task_priority CHECK (priority IN ('urgent', 'high', 'medium', 'low')),
    CONSTRAINT task_status CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')),
    CONSTRAINT task_retries CHECK (retry_count >= 0 AND max_retries BETWEEN 0 AND 100),
    CONSTRAINT task_context_is_whole CHECK ((context_id IS NULL) = (context_type IS NULL)),
    CONSTRAINT task_end_is_dated CHECK ((status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL))
) WITH (fillfactor = 80);

CREATE INDEX idx_tasks_due ON schedules.agent_tasks (tenant_id, scheduled_for, priority) WHERE status = 'pending';
CREATE INDEX idx_tasks_agent ON schedules.agent_tasks (tenant_id, agent_type, status, scheduled_for);
CREATE INDEX idx_tasks_user ON schedules.agent_tasks (tenant_id, contact_id, status) WHERE contact_id IS NOT NULL;
CREATE INDEX idx_tasks_context ON schedules.agent_tasks (tenant_id, context_type, context_id) WHERE context_id IS NOT NULL;
SELECT kernel.protect('schedules.agent_tasks');

CREATE FUNCTION schedules.work_priority(p_priority text) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE p_priority WHEN 'urgent' THEN 5 WHEN 'high' THEN 25 WHEN 'low' THEN 75 ELSE 50 END::smallint;

-- Every task is driven by one work item, whoever wrote it: the API, a turn, or a trigger.
CREATE FUNCTION schedules.drive_task() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM work.enqueue(NEW.tenant_id, 'schedules.task', NEW.id::text, jsonb_build_object('task_id', NEW.id),
        NEW.context_type || ':task:' || NEW.context_id, schedules.work_priority(NEW.priority), NEW.scheduled_for, NEW.max_retries + 1);
    IF NEW.context_type = 'conversation' AND NEW.agent_type <> 'system' THEN
        PERFORM conversations.count_task(NEW.tenant_id, NEW.context_id);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER on_task_created AFTER INSERT ON schedules.agent_tasks
    FOR EACH ROW WHEN (NEW.status = 'pending') EXECUTE FUNCTION schedules.drive_task();

-- A UUIDv7, so that a task made by a trigger sorts by time like the others.
CREATE FUNCTION schedules.new_id() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE
    RETURN overlay(overlay(replace(gen_random_uuid()::text, '-', '')
        PLACING lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') FROM 1) PLACING '7' FROM 13)::uuid;

-- Published for Conversations: its message counter asks for a summary here.
CREATE FUNCTION schedules.create_summary_task(p_tenant_id uuid, p_conversation_id uuid) RETURNS void LANGUAGE sql AS $$
    INSERT INTO schedules.agent_tasks (tenant_id, id, task_type, agent_type, context_id, context_type, scheduled_for, priority, context_json, created_by)
    VALUES (p_tenant_id, schedules.new_id(), 'create_conversation_summary', 'system', p_conversation_id, 'conversation', now(), 'medium',
            jsonb_build_object('conversation_id', p_conversation_id), 'conversation_summary_trigger');
$$;

-- State of the local runtime's orchestrations. On Azure the Durable Functions backend keeps the same.
-- Ids sort by bytes, so that the primary key serves queries by prefix.

CREATE TABLE durable.instances (
    instance_id          text COLLATE "C" PRIMARY KEY,
    -- New at each start, restart and continue-as-new: what was meant for an earlier execution does not reach a later one.
    execution_id         uuid NOT NULL,
    name                 text NOT NULL,
    version              text NOT NULL DEFAULT '',
    -- The version of the app that last took a step.
    code_version         text,
    status               text NOT NULL,
    input                text,
    output               text,
    failure              text,
    custom_state        text,
    tags                 text,
    parent_instance_id   text COLLATE "C",
    parent_execution_id  uuid,
    parent_name          text,
    parent_task_id       integer,
    created_at           timestamptz NOT NULL,
    last_updated_at      timestamptz NOT NULL,
    completed_at         timestamptz,
    -- A host that steps the instance has it until then; each claim raises the fence, and each write names it.
    locked_until         timestamptz,
    fence                bigint NOT NULL DEFAULT 0,
    next_sequence        integer NOT NULL DEFAULT 0,
    CONSTRAINT instances_status CHECK (status IN ('Pending', 'Running', 'Suspended', 'Completed', 'Failed', 'Terminated')),
    CONSTRAINT instances_end_is_whole CHECK ((completed_at IS NOT NULL) = (status IN ('Completed', 'Failed', 'Terminated'))),
    CONSTRAINT instances_parent_is_whole CHECK (num_nonnulls(parent_instance_id, parent_execution_id, parent_name, parent_task_id) IN (0, 4))
);
-- Queries: oldest first, from a time on.
CREATE INDEX instances_created ON durable.instances (created_at, instance_id);
-- Recursive terminate and purge: the sub-orchestrations of an instance.
CREATE INDEX instances_parent ON durable.instances (parent_instance_id) WHERE parent_instance_id IS NOT NULL;

-- Payloads over 32 KB. A column that holds a payload holds JSON, or '@' and the id of a row here; JSON never begins so.
CREATE TABLE durable.payloads (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    instance_id  text COLLATE "C" NOT NULL REFERENCES durable.instances ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    body         text NOT NULL
);
CREATE INDEX payloads_instance ON durable.payloads (instance_id);

-- What has happened in the current execution, in the order in which an orchestrator sees it again.
CREATE TABLE durable.history (
    instance_id  text COLLATE "C" NOT NULL REFERENCES durable.instances ON DELETE CASCADE,
    sequence     integer NOT NULL,
    kind         text NOT NULL,
    task_id      integer,
    name         text,
    -- The other instance of a sub-orchestration or a sent event.
    target       text,
    due_at       timestamptz,
    happened_at  timestamptz NOT NULL,
    payload      text,
    PRIMARY KEY (instance_id, sequence),
    CONSTRAINT history_kind CHECK (kind IN (
        'TurnStarted', 'ExecutionStarted', 'TaskScheduled', 'TaskCompleted', 'TaskFailed', 'TimerCreated', 'TimerFired',
        'SubOrchestrationCreated', 'SubOrchestrationCompleted', 'SubOrchestrationFailed', 'EventSent', 'EventRaised',
        'ExecutionSuspended', 'ExecutionResumed', 'ExecutionTerminated', 'ExecutionCompleted', 'ExecutionFailed'))
);

-- What an instance has still to take in: results, timers, events, commands. A timer is a message that is due later.
CREATE TABLE durable.messages (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    instance_id   text COLLATE "C" NOT NULL REFERENCES durable.instances ON DELETE CASCADE,
    -- The execution it is meant for; null for any.
    execution_id  uuid,
    kind          text NOT NULL,
    task_id       integer,
    name          text,
    payload       text,
    due_at        timestamptz NOT NULL,
    -- Came while the instance was suspended: it is due when the instance is resumed.
    parked        boolean NOT NULL DEFAULT false,
    CONSTRAINT messages_kind CHECK (kind IN (
        'ExecutionStarted', 'TaskCompleted', 'TaskFailed', 'TimerFired', 'SubOrchestrationCompleted', 'SubOrchestrationFailed',
        'EventRaised', 'ExecutionSuspended', 'ExecutionResumed', 'ExecutionTerminated'))
);
-- Claim: what is due, oldest first, and when the next is.
CREATE INDEX messages_due ON durable.messages (due_at) WHERE NOT parked;
-- Load: the messages of an instance in order.
CREATE INDEX messages_instance ON durable.messages (instance_id, due_at, id);

-- Activities that have been scheduled and not answered yet. A claim hides one until its lease is over.
CREATE TABLE durable.activities (
    instance_id   text COLLATE "C" NOT NULL REFERENCES durable.instances ON DELETE CASCADE,
    execution_id  uuid NOT NULL,
    task_id       integer NOT NULL,
    name          text NOT NULL,
    input         text,
    visible_at    timestamptz NOT NULL,
    claims        integer NOT NULL DEFAULT 0,
    PRIMARY KEY (instance_id, execution_id, task_id)
);
-- Claim: what is due, oldest first, and when the next is.
CREATE INDEX activities_visible ON durable.activities (visible_at);

-- A payload as it is stored: large ones move to their own table.
CREATE FUNCTION durable.keep(owner text, body text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    kept uuid;
BEGIN
    IF body IS NULL OR octet_length(body) <= 32768 THEN
        RETURN body;
    END IF;
    INSERT INTO durable.payloads (instance_id, body) VALUES (owner, keep.body) RETURNING id INTO kept;
    RETURN '@' || kept;
END
$$;

-- A payload as it was given.
CREATE FUNCTION durable.payload(stored text) RETURNS text STABLE LANGUAGE sql AS $$
    SELECT CASE WHEN left(stored, 1) = '@' THEN (SELECT body FROM durable.payloads WHERE id = substr(stored, 2)::uuid) ELSE stored END
$$;

-- Begins a write: the instance is still claimed by the fence, and the messages are taken from it, each exactly once.
CREATE FUNCTION durable.hold(held text, mine bigint, consumed bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    taken integer;
BEGIN
    -- Not FOR UPDATE: the foreign keys of others' messages to this instance need not wait.
    PERFORM FROM durable.instances WHERE instance_id = held AND fence = mine FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'instance % was claimed by another host', held USING ERRCODE = 'AP001';
    END IF;
    DELETE FROM durable.messages WHERE id = ANY (consumed);
    GET DIAGNOSTICS taken = ROW_COUNT;
    IF taken <> cardinality(consumed) THEN
        RAISE EXCEPTION 'messages of instance % were taken already', held USING ERRCODE = 'AP001';
    END IF;
END
$$;

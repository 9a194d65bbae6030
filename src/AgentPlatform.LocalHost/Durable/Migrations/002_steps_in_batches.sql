-- Steps of many instances are written in one transaction, and an activity's answer with the step that takes it in.

-- Begins a write of many steps: each instance is still at its fence and execution; the messages and the answered activities are taken, each
-- exactly once. Hosts of the version before use the function of three parameters.
CREATE FUNCTION durable.hold(
    held text[], mine bigint[], executions uuid[], consumed bigint[],
    answered text[], answered_executions uuid[], answered_tasks integer[], answered_claims integer[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    taken integer;
BEGIN
    -- Every row is found by a key. Plans are kept for long, and those made while a table was small must not read all of it later.
    PERFORM set_config('enable_seqscan', 'off', true);
    -- In the order of their ids, so that two writes never wait for each other. Not FOR UPDATE: the foreign keys of others' messages to these
    -- instances need not wait.
    PERFORM FROM durable.instances i JOIN unnest(held, mine, executions) AS h (instance_id, fence, execution_id) ON i.instance_id = h.instance_id
    WHERE i.fence = h.fence AND i.execution_id = h.execution_id
    ORDER BY i.instance_id FOR NO KEY UPDATE OF i;
    GET DIAGNOSTICS taken = ROW_COUNT;
    IF taken <> cardinality(held) THEN
        RAISE EXCEPTION 'another host has claimed an instance of %', held USING ERRCODE = 'AP001';
    END IF;
    IF cardinality(consumed) > 0 THEN
        DELETE FROM durable.messages WHERE id = ANY (consumed);
        GET DIAGNOSTICS taken = ROW_COUNT;
        IF taken <> cardinality(consumed) THEN
            RAISE EXCEPTION 'messages of an instance of % were taken already', held USING ERRCODE = 'AP001';
        END IF;
    END IF;
    IF cardinality(answered) > 0 THEN
        DELETE FROM durable.activities a
        USING unnest(answered, answered_executions, answered_tasks, answered_claims) AS d (instance_id, execution_id, task_id, claims)
        WHERE a.instance_id = d.instance_id AND a.execution_id = d.execution_id AND a.task_id = d.task_id AND a.claims = d.claims;
        GET DIAGNOSTICS taken = ROW_COUNT;
        IF taken <> cardinality(answered) THEN
            RAISE EXCEPTION 'an activity of an instance of % is another host''s', held USING ERRCODE = 'AP001';
        END IF;
    END IF;
END
$$;

-- Called for every payload that is read: a function in SQL is set up anew at each call, this one is not.
CREATE OR REPLACE FUNCTION durable.payload(stored text) RETURNS text STABLE LANGUAGE plpgsql AS $$
BEGIN
    IF left(stored, 1) = '@' THEN
        RETURN (SELECT body FROM durable.payloads WHERE id = substr(stored, 2)::uuid);
    END IF;
    RETURN stored;
END
$$;

-- History and activities are written only under the lock that durable.hold takes, so no row of theirs can miss its instance. A foreign key
-- would look the instance up once more for every row.
ALTER TABLE durable.history DROP CONSTRAINT history_instance_id_fkey;
ALTER TABLE durable.activities DROP CONSTRAINT activities_instance_id_fkey;

CREATE FUNCTION durable.forget_instances() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM durable.history h USING gone WHERE h.instance_id = gone.instance_id;
    DELETE FROM durable.activities a USING gone WHERE a.instance_id = gone.instance_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER instances_gone AFTER DELETE ON durable.instances
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION durable.forget_instances();

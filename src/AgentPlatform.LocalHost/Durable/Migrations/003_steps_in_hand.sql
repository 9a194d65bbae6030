-- An instance stays claimed while it waits for one short activity after the other: decision 0921.

-- Set while a host has it in hand: the messages that the history holds already. They are deleted when the host puts the instance down; until
-- then they are why somebody claims it, should the host die.
ALTER TABLE durable.instances ADD COLUMN taken bigint[];

-- Writes what steps make of their instances, whose fences and executions are still those that the steps know. What a step takes in is there
-- and is taken once: messages are deleted, or, while the instance stays in hand, only looked for; answered activities are deleted.
-- Hosts of the version before use durable.hold with eight parameters.
CREATE FUNCTION durable.move(
    ids text[], fences bigint[], executions uuid[], statuses text[], nexts integer[], holds boolean[], kept text[], outputs text[], failures text[],
    at timestamptz, code text, seen bigint[], consumed bigint[],
    answered text[], answered_executions uuid[], answered_tasks integer[], answered_claims integer[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    counted integer;
BEGIN
    -- Given in the order of their ids, so that two writes do not wait for each other.
    UPDATE durable.instances i
    SET status = s.status, next_sequence = s.next, last_updated_at = at, code_version = code,
        locked_until = CASE WHEN s.holds THEN i.locked_until END,
        taken = CASE WHEN s.holds THEN coalesce(s.taken::bigint[], i.taken) END,
        output = CASE WHEN s.output IS NULL THEN i.output ELSE durable.keep(i.instance_id, s.output) END, failure = coalesce(s.failure, i.failure),
        completed_at = CASE WHEN s.status IN ('Completed', 'Failed', 'Terminated') THEN coalesce(i.completed_at, at) END
    FROM unnest(ids, fences, executions, statuses, nexts, holds, kept, outputs, failures)
        AS s (instance_id, fence, execution_id, status, next, holds, taken, output, failure)
    WHERE i.instance_id = s.instance_id AND i.fence = s.fence AND i.execution_id = s.execution_id;
    GET DIAGNOSTICS counted = ROW_COUNT;
    IF counted <> cardinality(ids) THEN
        RAISE EXCEPTION 'another host has claimed an instance of %', ids USING ERRCODE = 'AP001';
    END IF;
    IF cardinality(seen) > 0 AND (SELECT count(*) FROM durable.messages WHERE id = ANY (seen)) <> cardinality(seen) THEN
        RAISE EXCEPTION 'messages of an instance of % were taken already', ids USING ERRCODE = 'AP001';
    END IF;
    IF cardinality(consumed) > 0 THEN
        DELETE FROM durable.messages WHERE id = ANY (consumed);
        GET DIAGNOSTICS counted = ROW_COUNT;
        IF counted <> cardinality(consumed) THEN
            RAISE EXCEPTION 'messages of an instance of % were taken already', ids USING ERRCODE = 'AP001';
        END IF;
    END IF;
    IF cardinality(answered) > 0 THEN
        DELETE FROM durable.activities a
        USING unnest(answered, answered_executions, answered_tasks, answered_claims) AS d (instance_id, execution_id, task_id, claims)
        WHERE a.instance_id = d.instance_id AND a.execution_id = d.execution_id AND a.task_id = d.task_id AND a.claims = d.claims;
        GET DIAGNOSTICS counted = ROW_COUNT;
        IF counted <> cardinality(answered) THEN
            RAISE EXCEPTION 'an activity of an instance of % is another host''s', ids USING ERRCODE = 'AP001';
        END IF;
    END IF;
END
$$;

DROP FUNCTION durable.hold(text, bigint, bigint[]);

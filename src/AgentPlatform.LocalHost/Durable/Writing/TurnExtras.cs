using System.Text.Json;
using Npgsql;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>What few steps have, written step by step: sub-orchestrations, events, cancelled timers, statuses, what is told to a parent, a new start.</summary>
internal static class TurnExtras
{
    internal static void Add(NpgsqlBatch batch, Step step, DateTimeOffset now, string code)
    {
        var (head, turn) = (step.Head, step.Turn);
        if (step.Intake.Parked.Count > 0)
        {
            batch.Add(Sql.Park, step.Intake.Parked.ToArray());
        }

        if (step.Recovers)
        {
            batch.Add(OpenSteps.Activities, head.Id, now);
        }

        if (turn.CancelledTimers.Count > 0)
        {
            batch.Add(Sql.CancelTimers, head.Id, head.Execution, turn.CancelledTimers.ToArray());
        }

        if (step.Decides(HistoryKind.SubOrchestrationCreated))
        {
            StartChildren(batch, step, now);
        }

        if (step.Decides(HistoryKind.EventSent))
        {
            batch.Add(Sql.SendEvents, head.Id, head.NextSequence, now);
        }

        if (turn.CustomStatus is { } status)
        {
            batch.Add(Sql.CustomStatus, head.Id, Commands.Text(status.Item1));
        }

        if (turn.Ending is Ending.ContinuedAsNew next)
        {
            StartAnew(batch, head, next, now, code);
        }
        else if (turn.Ending is { } ending)
        {
            TellOthers(batch, head, ending, now);
        }

        if (turn.Ending is Ending.ContinuedAsNew || (turn.CustomStatus is not null && head.HasLargeStatus))
        {
            batch.Add(Sql.Sweep, head.Id);
        }
    }

    private static void StartChildren(NpgsqlBatch batch, Step step, DateTimeOffset now)
    {
        var head = step.Head;
        var children = step.Turn.Decisions.Where(d => d.Kind == HistoryKind.SubOrchestrationCreated).ToArray();
        batch.Add(Sql.ClearChildren, head.Id, head.NextSequence);
        batch.Add(
            Sql.Children, head.Id, head.NextSequence, head.Execution, head.Name, now,
            children.Select(c => c.TaskId!.Value).ToArray(), children.Select(c => c.Version ?? "").ToArray());
        batch.Add(Sql.StartChildren, head.Id, head.NextSequence, head.Execution, now);
        batch.Add(Sql.RefusedChildren, head.Id, head.NextSequence, head.Execution, now);
    }

    private static void StartAnew(NpgsqlBatch batch, InstanceHead head, Ending.ContinuedAsNew next, DateTimeOffset now, string code)
    {
        var execution = Guid.CreateVersion7(now);
        batch.Add(Sql.Forget, head.Id);
        batch.Add(Sql.Discard, head.Id, head.Execution);
        batch.Add(Sql.StartAnew, head.Id, execution, Commands.Text(next.Input), Commands.Text(next.Version), now, code);
        batch.Add(
            Sql.CarryOver, head.Id, execution, now, next.Events.Select(e => e.Name).ToArray(), next.Events.Select(e => e.Stored).ToArray(),
            next.Events.Select(e => e.At.UtcDateTime).ToArray());
    }

    private static void TellOthers(NpgsqlBatch batch, InstanceHead head, Ending ending, DateTimeOffset now)
    {
        if (ending is Ending.Terminated { Recursive: true })
        {
            batch.Add(Sql.TerminateChildren, head.Id, now);
        }

        if (head.Parent is not { } parent)
        {
            return;
        }

        var (kind, payload) = ending switch
        {
            Ending.Completed done => (HistoryKind.SubOrchestrationCompleted, done.Output),
            Ending.Failed failed => (HistoryKind.SubOrchestrationFailed, JsonSerializer.Serialize(failed.Failure)),
            _ => (HistoryKind.SubOrchestrationFailed, JsonSerializer.Serialize(
                new TaskFailureDetails("Terminated", $"The sub-orchestration '{head.Id}' was terminated.", null, null, null))),
        };
        batch.Add(
            Sql.TellParent, parent.InstanceId, head.ParentExecution!.Value, kind.ToString(), head.ParentTask!.Value, head.Name, Commands.Text(payload), now);
    }

    private static class Sql
    {
        internal const string CancelTimers =
            "DELETE FROM durable.messages WHERE instance_id = $1 AND execution_id = $2 AND kind = 'TimerFired' AND task_id = ANY ($3)";

        // A failed attempt, or an instance of long ago, makes room for the sub-orchestration of its id.
        internal const string ClearChildren =
            """
            DELETE FROM durable.instances c USING durable.history h
            WHERE h.instance_id = $1 AND h.sequence >= $2 AND h.kind = 'SubOrchestrationCreated'
              AND c.instance_id = h.target AND c.completed_at IS NOT NULL
            """;

        internal const string Children =
            """
            INSERT INTO durable.instances (
                instance_id, execution_id, name, version, status, input, parent_instance_id, parent_execution_id, parent_name, parent_task_id,
                created_at, last_updated_at)
            SELECT h.target, gen_random_uuid(), h.name, v.version, 'Pending', durable.keep(h.target, durable.payload(h.payload)), $1, $3, $4, h.task_id, $5, $5
            FROM durable.history h JOIN unnest($6::integer[], $7::text[]) AS v (task_id, version) ON v.task_id = h.task_id
            WHERE h.instance_id = $1 AND h.sequence >= $2 AND h.kind = 'SubOrchestrationCreated'
            ON CONFLICT (instance_id) DO NOTHING
            """;

        internal const string StartChildren =
            """
            INSERT INTO durable.messages (instance_id, execution_id, kind, due_at)
            SELECT c.instance_id, c.execution_id, 'ExecutionStarted', $4
            FROM durable.history h JOIN durable.instances c ON c.instance_id = h.target
            WHERE h.instance_id = $1 AND h.sequence >= $2 AND h.kind = 'SubOrchestrationCreated'
              AND c.parent_instance_id = $1 AND c.parent_execution_id = $3 AND c.parent_task_id = h.task_id
            """;

        internal const string RefusedChildren =
            """
            INSERT INTO durable.messages (instance_id, execution_id, kind, task_id, name, payload, due_at)
            SELECT $1, $3, 'SubOrchestrationFailed', h.task_id, h.name, json_build_object(
                'ErrorType', 'System.InvalidOperationException', 'ErrorMessage', format('An instance with the id %s runs already.', h.target))::text, $4
            FROM durable.history h
            WHERE h.instance_id = $1 AND h.sequence >= $2 AND h.kind = 'SubOrchestrationCreated' AND NOT EXISTS (
                SELECT FROM durable.instances c
                WHERE c.instance_id = h.target AND c.parent_instance_id = $1 AND c.parent_execution_id = $3 AND c.parent_task_id = h.task_id)
            """;

        internal const string SendEvents =
            """
            INSERT INTO durable.messages (instance_id, kind, name, payload, due_at)
            SELECT i.instance_id, 'EventRaised', h.name, durable.keep(i.instance_id, durable.payload(h.payload)), $3
            FROM durable.history h JOIN durable.instances i ON i.instance_id = h.target
            WHERE h.instance_id = $1 AND h.sequence >= $2 AND h.kind = 'EventSent' AND i.completed_at IS NULL
            ORDER BY h.sequence
            """;

        internal const string CustomStatus = "UPDATE durable.instances SET custom_state = durable.keep($1, $2) WHERE instance_id = $1";

        internal const string TellParent =
            """
            INSERT INTO durable.messages (instance_id, execution_id, kind, task_id, name, payload, due_at)
            SELECT instance_id, execution_id, $3, $4, $5, durable.keep(instance_id, $6), $7
            FROM durable.instances WHERE instance_id = $1 AND execution_id = $2 AND completed_at IS NULL
            """;

        internal const string TerminateChildren =
            """
            INSERT INTO durable.messages (instance_id, kind, name, due_at)
            SELECT instance_id, 'ExecutionTerminated', 'recursive', $2
            FROM durable.instances WHERE parent_instance_id = $1 AND completed_at IS NULL
            """;

        internal const string Forget = "DELETE FROM durable.history WHERE instance_id = $1";

        internal const string Discard = "DELETE FROM durable.messages WHERE instance_id = $1 AND execution_id = $2";

        internal const string StartAnew =
            """
            UPDATE durable.instances
            SET execution_id = $2, input = durable.keep($1, $3), version = coalesce($4, version), status = 'Running', next_sequence = 0,
                last_updated_at = $5, code_version = $6, locked_until = NULL, taken = NULL
            WHERE instance_id = $1
            """;

        internal const string CarryOver =
            """
            INSERT INTO durable.messages (instance_id, execution_id, kind, name, payload, due_at)
            SELECT $1::text, $2::uuid, 'ExecutionStarted', NULL::text, NULL::text, $3::timestamptz
            UNION ALL
            SELECT $1, NULL, 'EventRaised', e.name, e.payload, e.due_at
            FROM unnest($4::text[], $5::text[], $6::timestamptz[]) AS e (name, payload, due_at)
            """;

        internal const string Sweep =
            """
            DELETE FROM durable.payloads p
            WHERE p.instance_id = $1
              AND NOT EXISTS (SELECT FROM durable.instances i WHERE i.instance_id = $1 AND '@' || p.id IN (i.input, i.output, i.custom_state))
              AND NOT EXISTS (SELECT FROM durable.history h WHERE h.instance_id = $1 AND h.payload = '@' || p.id)
              AND NOT EXISTS (SELECT FROM durable.messages m WHERE m.instance_id = $1 AND m.payload = '@' || p.id)
              AND NOT EXISTS (SELECT FROM durable.activities a WHERE a.instance_id = $1 AND a.input = '@' || p.id)
            """;

        internal const string Park = "UPDATE durable.messages SET parked = true WHERE id = ANY ($1)";
    }
}

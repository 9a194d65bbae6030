using System.Text.Json;
using Npgsql;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>Writes a step: all of it in one transaction and one round trip, or nothing when the claim is no longer this host's.</summary>
internal sealed class TurnWriter(NpgsqlDataSource source, TimeProvider clock, CodeVersion code)
{
    /// <summary>Raised by <c>durable.hold</c>.</summary>
    private const string Lost = "AP001";

    /// <summary>False when another host has stepped the instance: nothing of this step holds.</summary>
    internal async Task<bool> WriteAsync(InstanceHead head, TurnIntake intake, HistoryEvent? started, Turn turn, CancellationToken ct)
    {
        await using var batch = source.CreateBatch();
        batch.Add(Sql.Hold, head.Id, head.Fence, intake.Consumed.ToArray());
        if (intake.Parked.Count > 0)
        {
            batch.Add(Sql.Park, intake.Parked.ToArray());
        }

        var events = new List<HistoryEvent>();
        if (started is not null)
        {
            events.Add(started);
        }

        events.AddRange(intake.Deliver);
        events.AddRange(turn.Decisions);
        if (Epilogue(turn.Ending) is { } last)
        {
            events.Add(last);
        }

        Append(batch, head, events);
        Schedule(batch, head, turn);
        Finish(batch, head, intake, turn, head.NextSequence + events.Count);
        try
        {
            await batch.ExecuteNonQueryAsync(ct);
            return true;
        }
        catch (PostgresException e) when (e.SqlState == Lost)
        {
            return false;
        }
    }

    private HistoryEvent? Epilogue(Ending? ending) => ending switch
    {
        Ending.Completed => new HistoryEvent(HistoryKind.ExecutionCompleted, clock.GetUtcNow()),
        Ending.Failed => new HistoryEvent(HistoryKind.ExecutionFailed, clock.GetUtcNow()),
        Ending.Terminated => new HistoryEvent(HistoryKind.ExecutionTerminated, clock.GetUtcNow()),
        _ => null,
    };

    private static void Append(NpgsqlBatch batch, InstanceHead head, List<HistoryEvent> events)
    {
        if (events.Count > 0)
        {
            batch.Add(
                Sql.Append, head.Id, head.NextSequence, events.Select(e => e.Kind.ToString()).ToArray(), events.Select(e => e.TaskId).ToArray(),
                events.Select(e => e.Name).ToArray(), events.Select(e => e.Target).ToArray(), Commands.Times(events.Select(e => e.DueAt)),
                Commands.Times(events.Select(e => (DateTimeOffset?)e.At)), events.Select(e => e.Stored).ToArray());
        }
    }

    // What the history now says was decided is what gets done.
    private void Schedule(NpgsqlBatch batch, InstanceHead head, Turn turn)
    {
        var now = clock.GetUtcNow();
        var kinds = turn.Decisions.Select(d => d.Kind).ToHashSet();
        if (kinds.Contains(HistoryKind.TaskScheduled))
        {
            batch.Add(Sql.Activities, head.Id, head.NextSequence, head.Execution, now);
        }

        if (kinds.Contains(HistoryKind.TimerCreated))
        {
            batch.Add(Sql.Timers, head.Id, head.NextSequence, head.Execution);
        }

        if (turn.CancelledTimers.Count > 0)
        {
            batch.Add(Sql.CancelTimers, head.Id, head.Execution, turn.CancelledTimers.ToArray());
        }

        if (kinds.Contains(HistoryKind.SubOrchestrationCreated))
        {
            var children = turn.Decisions.Where(d => d.Kind == HistoryKind.SubOrchestrationCreated).ToArray();
            batch.Add(Sql.ClearChildren, head.Id, head.NextSequence);
            batch.Add(
                Sql.Children, head.Id, head.NextSequence, head.Execution, head.Name, now,
                children.Select(c => c.TaskId!.Value).ToArray(), children.Select(c => c.Version ?? "").ToArray());
            batch.Add(Sql.StartChildren, head.Id, head.NextSequence, head.Execution, now);
            batch.Add(Sql.RefusedChildren, head.Id, head.NextSequence, head.Execution, now);
        }

        if (kinds.Contains(HistoryKind.EventSent))
        {
            batch.Add(Sql.SendEvents, head.Id, head.NextSequence, now);
        }
    }

    private void Finish(NpgsqlBatch batch, InstanceHead head, TurnIntake intake, Turn turn, int nextSequence)
    {
        var now = clock.GetUtcNow();
        if (turn.CustomStatus is { } status)
        {
            batch.Add(Sql.CustomStatus, head.Id, Commands.Text(status.Item1));
        }

        switch (turn.Ending)
        {
            case null:
                batch.Add(Sql.GoOn, head.Id, intake.Status, nextSequence, now, code.Text);
                break;
            case Ending.ContinuedAsNew next:
                StartAnew(batch, head, next, now);
                break;
            case Ending.Completed done:
                End(batch, head, "Completed", done.Output, null, nextSequence, now);
                break;
            case Ending.Failed failed:
                End(batch, head, "Failed", null, JsonSerializer.Serialize(failed.Failure), nextSequence, now);
                break;
            case Ending.Terminated ended:
                End(batch, head, "Terminated", ended.Output, null, nextSequence, now);
                if (ended.Recursive)
                {
                    batch.Add(Sql.TerminateChildren, head.Id, now);
                }

                break;
        }

        if (turn.Ending is Ending.ContinuedAsNew || (turn.CustomStatus is not null && head.HasLargeStatus))
        {
            batch.Add(Sql.Sweep, head.Id);
        }
    }

    private void StartAnew(NpgsqlBatch batch, InstanceHead head, Ending.ContinuedAsNew next, DateTimeOffset now)
    {
        var execution = Guid.CreateVersion7(now);
        batch.Add(Sql.Forget, head.Id);
        batch.Add(Sql.Discard, head.Id, head.Execution);
        batch.Add(Sql.StartAnew, head.Id, execution, Commands.Text(next.Input), Commands.Text(next.Version), now, code.Text);
        batch.Add(
            Sql.CarryOver, head.Id, execution, now, next.Events.Select(e => e.Name).ToArray(), next.Events.Select(e => e.Stored).ToArray(),
            next.Events.Select(e => e.At.UtcDateTime).ToArray());
    }

    private void End(NpgsqlBatch batch, InstanceHead head, string status, string? output, string? failure, int nextSequence, DateTimeOffset now)
    {
        batch.Add(Sql.End, head.Id, status, Commands.Text(output), Commands.Text(failure), nextSequence, now, code.Text);
        batch.Add(Sql.DropMessages, head.Id);
        if (head.Parent is { } parent)
        {
            var terminated = new TaskFailureDetails("Terminated", $"The sub-orchestration '{head.Id}' was terminated.", null, null, null);
            batch.Add(
                Sql.TellParent, parent.InstanceId, head.ParentExecution!.Value,
                status == "Completed" ? nameof(HistoryKind.SubOrchestrationCompleted) : nameof(HistoryKind.SubOrchestrationFailed),
                head.ParentTask!.Value, head.Name,
                Commands.Text(status switch { "Completed" => output, "Failed" => failure, _ => JsonSerializer.Serialize(terminated) }), now);
        }
    }

    private static class Sql
    {
        internal const string Hold = "SELECT durable.hold($1, $2, $3)";

        internal const string Park = "UPDATE durable.messages SET parked = true WHERE id = ANY ($1)";

        internal const string Append =
            """
            INSERT INTO durable.history (instance_id, sequence, kind, task_id, name, target, due_at, happened_at, payload)
            SELECT $1, $2 + n::integer - 1, kind, task_id, name, target, due_at, happened_at, durable.keep($1, payload)
            FROM unnest($3::text[], $4::integer[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[], $9::text[])
                WITH ORDINALITY AS e (kind, task_id, name, target, due_at, happened_at, payload, n)
            """;

        internal const string Activities =
            """
            INSERT INTO durable.activities (instance_id, execution_id, task_id, name, input, visible_at)
            SELECT instance_id, $3, task_id, name, payload, $4
            FROM durable.history WHERE instance_id = $1 AND sequence >= $2 AND kind = 'TaskScheduled'
            """;

        internal const string Timers =
            """
            INSERT INTO durable.messages (instance_id, execution_id, kind, task_id, due_at)
            SELECT instance_id, $3, 'TimerFired', task_id, due_at
            FROM durable.history WHERE instance_id = $1 AND sequence >= $2 AND kind = 'TimerCreated'
            """;

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

        internal const string GoOn =
            """
            UPDATE durable.instances SET status = $2, next_sequence = $3, last_updated_at = $4, code_version = $5, locked_until = NULL
            WHERE instance_id = $1
            """;

        internal const string End =
            """
            UPDATE durable.instances
            SET status = $2, output = durable.keep($1, $3), failure = $4, next_sequence = $5, last_updated_at = $6, completed_at = $6, code_version = $7,
                locked_until = NULL
            WHERE instance_id = $1
            """;

        internal const string DropMessages = "DELETE FROM durable.messages WHERE instance_id = $1";

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
                last_updated_at = $5, code_version = $6, locked_until = NULL
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
    }
}

/// <summary>The version of the app that runs here, as its assembly says.</summary>
internal sealed record CodeVersion(string Text);

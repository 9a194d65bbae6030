using Npgsql;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>
/// Takes a failed instance back to before the turn in which it failed. What happened in that turn happens again; activities and
/// sub-orchestrations whose failure it came to run again; and every step that is then without an answer gets one.
/// </summary>
internal sealed class Rewinder(NpgsqlDataSource source, TimeProvider clock)
{
    internal async Task RewindAsync(string instance, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        if (!await RewindAsync(connection, instance, ct))
        {
            throw new ArgumentException($"There is no orchestration instance with the id '{instance}'.", nameof(instance));
        }

        await transaction.CommitAsync(ct);
    }

    /// <summary>Which lines of a history are undone, and which of them are taken in once more.</summary>
    internal static (IReadOnlyList<int> Undone, IReadOnlyList<int> Again, int Next) Plan(IReadOnlyList<(int Sequence, HistoryKind Kind)> history)
    {
        var last = history.Last(h => h.Kind == HistoryKind.TurnStarted).Sequence;
        var undone = history.Where(h => h.Sequence >= last).ToList();
        List<int> again =
        [
            .. undone.Where(h => h.Kind is HistoryKind.ExecutionStarted or HistoryKind.EventRaised or HistoryKind.TimerFired
                or HistoryKind.TaskCompleted or HistoryKind.SubOrchestrationCompleted).Select(h => h.Sequence),
        ];
        undone.AddRange(UnansweredFailures(history.Where(h => h.Sequence < last)));
        return ([.. undone.Select(h => h.Sequence)], again, last);
    }

    // A failure the orchestrator went on from (it scheduled something in the same turn) was dealt with. One it kept to itself, as WhenAll
    // does until all are done, is part of how it failed later.
    private static IEnumerable<(int Sequence, HistoryKind Kind)> UnansweredFailures(IEnumerable<(int Sequence, HistoryKind Kind)> earlier)
    {
        var turn = new List<(int, HistoryKind)>();
        var hasDecided = false;
        foreach (var line in earlier.Append((int.MaxValue, HistoryKind.TurnStarted)))
        {
            if (line.Item2 == HistoryKind.TurnStarted)
            {
                foreach (var failure in hasDecided ? [] : turn)
                {
                    yield return failure;
                }

                turn.Clear();
                hasDecided = false;
            }
            else if (line.Item2 is HistoryKind.TaskFailed or HistoryKind.SubOrchestrationFailed)
            {
                turn.Add(line);
            }
            else
            {
                hasDecided |= line.Item2 is HistoryKind.TaskScheduled or HistoryKind.TimerCreated or HistoryKind.SubOrchestrationCreated or HistoryKind.EventSent;
            }
        }
    }

    private async Task<bool> RewindAsync(NpgsqlConnection connection, string instance, CancellationToken ct)
    {
        if (await LockAsync(connection, instance, ct) is not { } status)
        {
            return false;
        }

        if (status != "Failed")
        {
            throw new InvalidOperationException($"The orchestration instance '{instance}' is {status}; only a failed one can be rewound.");
        }

        var (undone, again, next) = Plan(await HistoryAsync(connection, instance, ct));
        var now = clock.GetUtcNow();
        await using var batch = new NpgsqlBatch(connection);
        batch.Add(Sql.Again, instance, again.ToArray(), now);
        batch.Add(Sql.Withdraw, instance, undone.ToArray());
        batch.Add(Sql.Undo, instance, undone.ToArray());
        batch.Add(OpenSteps.Activities, instance, now);
        batch.Add(Sql.Timers, instance);
        batch.Add(Sql.Answers, instance, now);
        batch.Add(Sql.Revive, instance, next, now);
        await batch.ExecuteNonQueryAsync(ct);
        foreach (var child in await FailedChildrenAsync(connection, instance, ct))
        {
            await RewindAsync(connection, child, ct);
        }

        return true;
    }

    private static async Task<string?> LockAsync(NpgsqlConnection connection, string instance, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand(Sql.Lock, connection) { Parameters = { new() { Value = instance } } };
        return await command.ExecuteScalarAsync(ct) as string;
    }

    private static async Task<List<(int, HistoryKind)>> HistoryAsync(NpgsqlConnection connection, string instance, CancellationToken ct)
    {
        var history = new List<(int, HistoryKind)>();
        await using var command = new NpgsqlCommand(Sql.History, connection) { Parameters = { new() { Value = instance } } };
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            history.Add((reader.GetInt32(0), Enum.Parse<HistoryKind>(reader.GetString(1))));
        }

        return history;
    }

    private static async Task<List<string>> FailedChildrenAsync(NpgsqlConnection connection, string instance, CancellationToken ct)
    {
        var children = new List<string>();
        await using var command = new NpgsqlCommand(Sql.FailedChildren, connection) { Parameters = { new() { Value = instance } } };
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            children.Add(reader.GetString(0));
        }

        return children;
    }

    private static class Sql
    {
        internal const string Lock = "SELECT status FROM durable.instances WHERE instance_id = $1 FOR NO KEY UPDATE";

        internal const string History = "SELECT sequence, kind FROM durable.history WHERE instance_id = $1 ORDER BY sequence";

        internal const string Again =
            """
            INSERT INTO durable.messages (instance_id, execution_id, kind, task_id, name, payload, due_at)
            SELECT h.instance_id, CASE WHEN h.kind <> 'EventRaised' THEN i.execution_id END, h.kind, h.task_id, h.name, h.payload, $3
            FROM durable.history h JOIN durable.instances i ON i.instance_id = h.instance_id
            WHERE h.instance_id = $1 AND h.sequence = ANY ($2)
            ORDER BY h.sequence
            """;

        // Activities that the undone turn scheduled and that have not run yet.
        internal const string Withdraw =
            """
            DELETE FROM durable.activities a USING durable.history h, durable.instances i
            WHERE h.instance_id = $1 AND h.sequence = ANY ($2) AND h.kind = 'TaskScheduled'
              AND i.instance_id = $1 AND a.instance_id = $1 AND a.execution_id = i.execution_id AND a.task_id = h.task_id
            """;

        internal const string Undo = "DELETE FROM durable.history WHERE instance_id = $1 AND sequence = ANY ($2)";

        internal const string Timers =
            """
            INSERT INTO durable.messages (instance_id, execution_id, kind, task_id, due_at)
            SELECT h.instance_id, i.execution_id, 'TimerFired', h.task_id, h.due_at
            FROM durable.history h JOIN durable.instances i ON i.instance_id = h.instance_id
            WHERE h.instance_id = $1 AND h.kind = 'TimerCreated'
              AND NOT EXISTS (SELECT FROM durable.history a WHERE a.instance_id = $1 AND a.task_id = h.task_id AND a.kind = 'TimerFired')
              AND NOT EXISTS (SELECT FROM durable.messages m WHERE m.instance_id = $1 AND m.task_id = h.task_id AND m.kind = 'TimerFired')
            """;

        // Sub-orchestrations that ended otherwise than by failing while nobody listened.
        internal const string Answers =
            """
            INSERT INTO durable.messages (instance_id, execution_id, kind, task_id, name, payload, due_at)
            SELECT h.instance_id, i.execution_id, CASE c.status WHEN 'Completed' THEN 'SubOrchestrationCompleted' ELSE 'SubOrchestrationFailed' END,
                   h.task_id, h.name, CASE c.status WHEN 'Completed' THEN durable.keep(h.instance_id, durable.payload(c.output)) ELSE json_build_object(
                       'ErrorType', 'Terminated', 'ErrorMessage', format('The sub-orchestration ''%s'' was terminated.', h.target))::text END, $2
            FROM durable.history h JOIN durable.instances i ON i.instance_id = h.instance_id JOIN durable.instances c ON c.instance_id = h.target
            WHERE h.instance_id = $1 AND h.kind = 'SubOrchestrationCreated' AND c.status IN ('Completed', 'Terminated')
              AND NOT EXISTS (
                  SELECT FROM durable.history a WHERE a.instance_id = $1 AND a.task_id = h.task_id
                  AND a.kind IN ('SubOrchestrationCompleted', 'SubOrchestrationFailed'))
              AND NOT EXISTS (
                  SELECT FROM durable.messages m WHERE m.instance_id = $1 AND m.task_id = h.task_id
                  AND m.kind IN ('SubOrchestrationCompleted', 'SubOrchestrationFailed'))
            """;

        internal const string Revive =
            """
            UPDATE durable.instances
            SET status = 'Running', output = NULL, failure = NULL, completed_at = NULL, next_sequence = $2, last_updated_at = $3, fence = fence + 1,
                locked_until = NULL
            WHERE instance_id = $1
            """;

        internal const string FailedChildren =
            """
            SELECT c.instance_id
            FROM durable.history h JOIN durable.instances c ON c.instance_id = h.target
            WHERE h.instance_id = $1 AND h.kind = 'SubOrchestrationCreated' AND c.status = 'Failed' AND c.parent_instance_id = $1
              AND c.parent_task_id = h.task_id
              AND NOT EXISTS (
                  SELECT FROM durable.history a WHERE a.instance_id = $1 AND a.task_id = h.task_id
                  AND a.kind IN ('SubOrchestrationCompleted', 'SubOrchestrationFailed'))
            """;
    }
}

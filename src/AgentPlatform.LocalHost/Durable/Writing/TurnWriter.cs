using System.Text.Json;
using Npgsql;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>
/// Writes steps: each whole or not at all, those of one moment in one transaction and one round trip. What most steps have is one statement for
/// all of them.
/// </summary>
internal sealed class TurnWriter
{
    /// <summary>Raised by <c>durable.move</c>.</summary>
    private const string Lost = "AP001";

    private readonly NpgsqlDataSource _source;
    private readonly TimeProvider _clock;
    private readonly DurableSettings _settings;
    private readonly CodeVersion _code;
    private readonly Batcher<Step, bool> _batcher;

    public TurnWriter(NpgsqlDataSource source, DurableSettings settings, TimeProvider clock, CodeVersion code)
    {
        (_source, _settings, _clock, _code) = (source, settings, clock, code);
        _batcher = new Batcher<Step, bool>(WriteManyAsync);
    }

    /// <summary>False when another host has stepped the instance: nothing of this step holds.</summary>
    internal async Task<bool> WriteAsync(Step step, CancellationToken killed)
    {
        try
        {
            return await _batcher.AddAsync(step, killed);
        }
        catch (PostgresException e) when (e.SqlState == Lost)
        {
            return false;
        }
    }

    private async Task<IReadOnlyList<bool>> WriteManyAsync(IReadOnlyList<Step> steps)
    {
        var now = _clock.GetUtcNow();
        // Two writes that meet take their instances in one order.
        steps = [.. steps.OrderBy(s => s.Head.Id, StringComparer.Ordinal)];
        await using var batch = _source.CreateBatch();
        batch.Add(Commands.ByIndex);
        Move(batch, steps, now);
        Append(batch, steps);
        Schedule(batch, steps, now);
        foreach (var step in steps)
        {
            TurnExtras.Add(batch, step, now, _code.Text);
        }

        if (steps.Where(s => s.Turn.Ending is not (null or Ending.ContinuedAsNew)).Select(s => s.Head.Id).ToArray() is { Length: > 0 } ended)
        {
            batch.Add(Sql.DropMessages, (object)ended);
        }

        await batch.ExecuteNonQueryAsync();
        return [.. steps.Select(_ => true)];
    }

    private void Move(NpgsqlBatch batch, IReadOnlyList<Step> steps, DateTimeOffset now)
    {
        var ends = steps.Select(s => End(s)).ToList();
        var answered = steps.SelectMany(s => s.Answers).Select(a => a.Activity).ToList();
        batch.Add(
            Sql.Move, steps.Select(s => s.Head.Id).ToArray(), steps.Select(s => s.Head.Fence).ToArray(), steps.Select(s => s.Head.Execution).ToArray(),
            ends.Select(e => e.Status).ToArray(), steps.Select(s => s.After.NextSequence).ToArray(), steps.Select(s => s.IsHeld).ToArray(),
            steps.Select(Kept).ToArray(), ends.Select(e => e.Output).ToArray(), ends.Select(e => e.Failure).ToArray(), now, _code.Text,
            steps.Where(s => s.IsHeld).SelectMany(s => s.Intake.Consumed).ToArray(),
            steps.Where(s => !s.IsHeld).SelectMany(s => s.Intake.Consumed).ToArray(), answered.Select(a => a.Instance).ToArray(),
            answered.Select(a => a.Execution).ToArray(), answered.Select(a => a.Task).ToArray(), answered.Select(a => a.Claim).ToArray());
    }

    /// <summary>The messages that an instance in hand keeps, as an array of the database's; null when they stay as they are.</summary>
    private static string? Kept(Step step) =>
        step is { IsHeld: true, Intake.Consumed: { Count: > 0 } taken } ? $"{{{string.Join(',', taken)}}}" : null;

    private static void Append(NpgsqlBatch batch, IReadOnlyList<Step> steps)
    {
        var lines = steps.SelectMany(s => s.Events.Select((e, n) => (s.Head.Id, Sequence: s.Head.NextSequence + n, Event: e))).ToList();
        if (lines.Count > 0)
        {
            batch.Add(
                Sql.Append, lines.Select(l => l.Id).ToArray(), lines.Select(l => l.Sequence).ToArray(),
                lines.Select(l => l.Event.Kind.ToString()).ToArray(), lines.Select(l => l.Event.TaskId).ToArray(),
                lines.Select(l => l.Event.Name).ToArray(), lines.Select(l => l.Event.Target).ToArray(), Commands.Times(lines.Select(l => l.Event.DueAt)),
                Commands.Times(lines.Select(l => (DateTimeOffset?)l.Event.At)), lines.Select(l => l.Event.Stored).ToArray());
        }
    }

    // What the history now says was decided is what gets done.
    private void Schedule(NpgsqlBatch batch, IReadOnlyList<Step> steps, DateTimeOffset now)
    {
        if (steps.Where(s => s.Schedules).ToList() is { Count: > 0 } scheduling)
        {
            batch.Add(
                Sql.Activities, scheduling.Select(s => s.Head.Id).ToArray(), scheduling.Select(s => s.SchedulesFrom).ToArray(),
                scheduling.Select(s => s.Head.Execution).ToArray(), scheduling.Select(s => s.Here.Count > 0 ? s.Here[^1] : -1).ToArray(), now,
                now + _settings.Lease);
        }

        if (steps.Where(s => s.Decides(HistoryKind.TimerCreated)).ToList() is { Count: > 0 } timing)
        {
            batch.Add(
                Sql.Timers, timing.Select(s => s.Head.Id).ToArray(), timing.Select(s => s.Head.NextSequence).ToArray(),
                timing.Select(s => s.Head.Execution).ToArray());
        }
    }

    private static (string Status, string? Output, string? Failure) End(Step step) => step.Turn.Ending switch
    {
        Ending.Completed done => ("Completed", done.Output, null),
        Ending.Failed failed => ("Failed", null, JsonSerializer.Serialize(failed.Failure)),
        Ending.Terminated ended => ("Terminated", ended.Output, null),
        _ => (step.Intake.Status, null, null),
    };

    private static class Sql
    {
        internal const string Move = "SELECT durable.move($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";

        internal const string Append =
            """
            INSERT INTO durable.history (instance_id, sequence, kind, task_id, name, target, due_at, happened_at, payload)
            SELECT instance_id, sequence, kind, task_id, name, target, due_at, happened_at,
                   CASE WHEN octet_length(payload) > 32768 THEN durable.keep(instance_id, payload) ELSE payload END
            FROM unnest($1::text[], $2::integer[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[], $9::text[])
                AS e (instance_id, sequence, kind, task_id, name, target, due_at, happened_at, payload)
            """;

        // Those that begin in this process are claimed from the start: nobody looks for them.
        internal const string Activities =
            """
            INSERT INTO durable.activities (instance_id, execution_id, task_id, name, input, visible_at, claims)
            SELECT h.instance_id, s.execution_id, h.task_id, h.name, h.payload,
                   CASE WHEN h.task_id <= s.here THEN $6::timestamptz ELSE $5::timestamptz END, CASE WHEN h.task_id <= s.here THEN 1 ELSE 0 END
            FROM unnest($1::text[], $2::integer[], $3::uuid[], $4::integer[]) AS s (instance_id, since, execution_id, here)
            JOIN durable.history h ON h.instance_id = s.instance_id AND h.sequence >= s.since
            WHERE h.kind = 'TaskScheduled'
            """;

        internal const string Timers =
            """
            INSERT INTO durable.messages (instance_id, execution_id, kind, task_id, due_at)
            SELECT h.instance_id, s.execution_id, 'TimerFired', h.task_id, h.due_at
            FROM unnest($1::text[], $2::integer[], $3::uuid[]) AS s (instance_id, since, execution_id)
            JOIN durable.history h ON h.instance_id = s.instance_id AND h.sequence >= s.since
            WHERE h.kind = 'TimerCreated'
            """;

        internal const string DropMessages = "DELETE FROM durable.messages WHERE instance_id = ANY ($1)";
    }
}

/// <summary>The version of the app that runs here, as its assembly says.</summary>
internal sealed record CodeVersion(string Text);

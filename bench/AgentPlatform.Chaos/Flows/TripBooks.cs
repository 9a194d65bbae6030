using Npgsql;

namespace AgentPlatform.Chaos.Flows;

/// <summary>A step row of a trip or of its payment, as <c>workflow.step.direction.status</c>, with what the provider answered.</summary>
internal sealed record StepRow(string Trip, string What, string? Reference);

/// <summary>An instance, as <c>workflow status steps-completed error-step rolled-back</c>.</summary>
internal sealed record InstanceRow(string Trip, string What);

/// <summary>What the platform's rows say, read as the superuser, past the pooler. Everything that names its tables is here.</summary>
internal sealed class TripBooks(string adminConnectionString) : IAsyncDisposable
{
    private readonly NpgsqlDataSource _source = NpgsqlDataSource.Create(adminConnectionString + ";Pooling=false;Command Timeout=60");

    /// <summary>Trips that are under way; null while the database is away.</summary>
    internal async Task<long?> TryOpenAsync() => await TryAsync(() => ScalarAsync(Sql.Open), null);

    /// <summary>Trips that are over, and steps that were ended; null while the database is away.</summary>
    internal async Task<(long Over, long Moves)?> TryProgressAsync() =>
        await TryAsync<(long, long)?>(async () => ((await ScalarAsync(Sql.Over))!.Value, (await ScalarAsync(Sql.Moves))!.Value), null);

    /// <summary>Trips with a step that waits for its event.</summary>
    internal async Task<IReadOnlyList<Guid>> TryAwaitingAsync() => await TryAsync<IReadOnlyList<Guid>>(async () => await ReadAsync(Sql.Awaiting, row => row.GetGuid(0)), []);

    internal Task<List<InstanceRow>> InstancesAsync() => ReadAsync(Sql.Instances, row => new InstanceRow(row.GetString(0), row.GetString(1)));

    internal Task<List<StepRow>> StepsAsync() => ReadAsync(Sql.Steps, row => new StepRow(row.GetString(0), row.GetString(1), row.IsDBNull(2) ? null : row.GetString(2)));

    /// <summary>Trips whose event was taken, once for each time.</summary>
    internal Task<List<string>> EventsTakenAsync() => ReadAsync(Sql.EventsTaken, row => row.GetString(0));

    /// <summary>Sleeps that ended before their time.</summary>
    internal Task<List<string>> ShortSleepsAsync() => ReadAsync(Sql.ShortSleeps, row => row.GetString(0));

    /// <summary>Orchestrations, activities, requests and work that are still there when all trips are over.</summary>
    internal Task<List<string>> LeftOversAsync() => ReadAsync(Sql.LeftOvers, row => row.GetString(0));

    internal async Task<int> InterruptionsAsync() => (int)(await ScalarAsync(Sql.Interruptions))!.Value;

    public ValueTask DisposeAsync() => _source.DisposeAsync();

    private async Task<long?> ScalarAsync(string sql)
    {
        await using var command = _source.CreateCommand(sql);
        return (long)(await command.ExecuteScalarAsync())!;
    }

    private async Task<List<T>> ReadAsync<T>(string sql, Func<NpgsqlDataReader, T> read)
    {
        var rows = new List<T>();
        await using var command = _source.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            rows.Add(read(reader));
        }

        return rows;
    }

    private static async Task<T> TryAsync<T>(Func<Task<T>> readAsync, T otherwise)
    {
        try
        {
            return await readAsync();
        }
        catch (NpgsqlException)
        {
            return otherwise;
        }
    }

    private static class Sql
    {
        internal const string Open = "SELECT count(*) FROM workflows.workflow_instances WHERE workflow_id = 'trip' AND status = 'in_progress'";

        internal const string Over = "SELECT count(*) FROM workflows.workflow_instances WHERE workflow_id = 'trip' AND status <> 'in_progress'";

        internal const string Moves = "SELECT count(*) FROM workflows.workflow_steps WHERE completed_at IS NOT NULL";

        internal const string Awaiting =
            """
            SELECT s.instance_id FROM workflows.workflow_steps s
            WHERE s.event_name = 'confirmed' AND s.status = 'waiting'
              AND NOT EXISTS (SELECT FROM workflows.workflow_signals g WHERE g.instance_id = s.instance_id)
            """;

        internal const string Instances =
            """
            SELECT e.input->>'n', concat_ws(' ', i.workflow_id, i.status, i.steps_completed, coalesce(e.error_step, '-'), i.rollback_performed::text)
            FROM workflows.workflow_instances i JOIN workflows.workflow_executions e USING (tenant_id, id)
            """;

        internal const string Steps =
            """
            SELECT e.input->>'n', concat_ws('.', i.workflow_id, s.step_id, s.direction, s.status), s.result->>'ref'
            FROM workflows.workflow_steps s
            JOIN workflows.workflow_instances i ON i.tenant_id = s.tenant_id AND i.id = s.instance_id
            JOIN workflows.workflow_executions e ON e.tenant_id = s.tenant_id AND e.id = s.instance_id
            """;

        internal const string EventsTaken =
            """
            SELECT e.input->>'n' FROM workflows.workflow_signals g JOIN workflows.workflow_executions e ON e.tenant_id = g.tenant_id AND e.id = g.instance_id
            WHERE g.consumed_at IS NOT NULL
            """;

        internal const string ShortSleeps =
            "SELECT step_id || ' of ' || instance_id FROM workflows.workflow_steps WHERE type = 'sleep' AND (due_at < started_at + interval '1 second' OR completed_at < due_at)";

        internal const string LeftOvers =
            """
            SELECT 'orchestration ' || instance_id || ' is ' || status FROM durable.instances WHERE completed_at IS NULL OR status <> 'Completed'
            UNION ALL SELECT 'activity ' || name || ' of ' || instance_id || ' is there' FROM durable.activities
            UNION ALL SELECT 'request ' || queue_id || ' is ' || status FROM actions.action_queue WHERE status NOT IN ('completed', 'failed', 'cancelled')
            UNION ALL SELECT kind || ' ' || key || ' is ' || state FROM work.items WHERE (kind LIKE 'workflows.%' OR kind LIKE 'actions.%') AND state <> 'done'
            """;

        internal const string Interruptions = "SELECT coalesce(sum(interruptions), 0)::bigint FROM work.items WHERE kind LIKE 'workflows.%' OR kind LIKE 'actions.%'";
    }
}

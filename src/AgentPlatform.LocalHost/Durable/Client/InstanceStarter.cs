using Npgsql;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>A new instance, begun at <paramref name="At"/> or at once. <paramref name="Refusing"/> are the statuses of one of its id that refuse it.</summary>
internal sealed record NewInstance(
    string Id, Guid Execution, string Name, string Version, string? Input, string? Tags, DateTimeOffset Now, DateTimeOffset At, IReadOnlyList<string> Refusing)
{
    /// <summary>The first line of its history where it begins in this process: it is claimed from the start.</summary>
    internal HistoryEvent? Started { get; init; }
}

/// <summary>Starts instances, those of one moment in one transaction, and begins those that there is room for here.</summary>
internal sealed class InstanceStarter
{
    private readonly NpgsqlDataSource _source;
    private readonly OrchestrationWorker _worker;
    private readonly DurableSettings _settings;
    private readonly DurableSignals _signals;
    private readonly CodeVersion _code;
    private readonly Batcher<NewInstance, long?> _batcher;

    public InstanceStarter(NpgsqlDataSource source, OrchestrationWorker worker, DurableSettings settings, DurableSignals signals, CodeVersion code)
    {
        (_source, _worker, _settings, _signals, _code) = (source, worker, settings, signals, code);
        _batcher = new Batcher<NewInstance, long?>(StartManyAsync);
    }

    /// <summary>False when an instance of its id refuses it.</summary>
    internal async Task<bool> StartAsync(NewInstance instance, CancellationToken ct)
    {
        if (instance.At <= instance.Now && _worker.TryEnter(instance))
        {
            instance = instance with { Started = TurnTaker.TurnStart(instance.Now, _code) };
        }

        long? message = null;
        try
        {
            message = await _batcher.AddAsync(instance, ct);
        }
        finally
        {
            if (message is null && instance.Started is not null)
            {
                _worker.Leave(instance);
            }
        }

        if (message is { } id)
        {
            _signals.Changed(instance.Id, hasEnded: false);
            Begin(instance, id);
        }

        return message is not null;
    }

    private void Begin(NewInstance instance, long message)
    {
        if (instance.Started is not { } started)
        {
            _signals.Pulse(DurableSignals.Turns);
            return;
        }

        var head = new InstanceHead(
            instance.Id, instance.Execution, instance.Name, instance.Version, "Running", Fence: 1, NextSequence: 2, HasLargeStatus: false, null, null, null);
        _worker.Begin(new ClaimedInstance(head, instance.Input, []) { Birth = new Birth(started, message) });
    }

    private async Task<IReadOnlyList<long?>> StartManyAsync(IReadOnlyList<NewInstance> instances)
    {
        var ids = instances.Select(i => i.Id).ToArray();
        var executions = instances.Select(i => i.Execution).ToArray();
        await using var batch = _source.CreateBatch();
        batch.Add(Commands.ByIndex);
        batch.Add(Sql.Replace, ids, instances.Select(i => string.Join(',', i.Refusing)).ToArray());
        batch.Add(
            Sql.Start, ids, executions, instances.Select(i => i.Name).ToArray(), instances.Select(i => i.Version).ToArray(),
            instances.Select(i => i.Input).ToArray(), instances.Select(i => i.Tags).ToArray(), instances.Select(i => i.Now.UtcDateTime).ToArray(),
            Commands.Times(instances.Select(i => i.Started is null ? null : (DateTimeOffset?)(i.Now + _settings.Lease))), _code.Text);
        batch.Add(Sql.Begin, ids, executions, instances.Select(i => i.At.UtcDateTime).ToArray());
        if (instances.Any(i => i.Started is not null))
        {
            batch.Add(Sql.FirstLines, ids, executions, Commands.Times(instances.Select(i => i.Started?.At)), _code.Text);
        }

        await using var reader = await batch.ExecuteReaderAsync();
        await reader.NextResultAsync();
        var begun = new Dictionary<Guid, long>();
        while (await reader.ReadAsync())
        {
            begun[reader.GetGuid(0)] = reader.GetInt64(1);
        }

        return [.. executions.Select(e => begun.TryGetValue(e, out var message) ? message : (long?)null)];
    }

    private static class Sql
    {
        // In the order of their ids, so that two starts never wait for each other.
        internal const string Replace =
            """
            DELETE FROM durable.instances WHERE instance_id = ANY (ARRAY(
                SELECT i.instance_id
                FROM unnest($1::text[], $2::text[]) AS s (instance_id, refusing) JOIN durable.instances i ON i.instance_id = s.instance_id
                WHERE i.status <> ALL (string_to_array(s.refusing, ','))
                ORDER BY i.instance_id FOR UPDATE OF i))
            """;

        // Those that begin in this process are claimed from the start, with the lines that their first turn begins with: nobody looks for them.
        internal const string Start =
            """
            INSERT INTO durable.instances (
                instance_id, execution_id, name, version, status, input, tags, created_at, last_updated_at, locked_until, fence, next_sequence, code_version, taken)
            SELECT s.instance_id, s.execution_id, s.name, s.version, CASE WHEN s.until IS NULL THEN 'Pending' ELSE 'Running' END,
                   durable.keep(s.instance_id, s.input), s.tags, s.created_at, s.created_at, s.until, CASE WHEN s.until IS NULL THEN 0 ELSE 1 END,
                   CASE WHEN s.until IS NULL THEN 0 ELSE 2 END, CASE WHEN s.until IS NOT NULL THEN $9 END,
                   CASE WHEN s.until IS NOT NULL THEN '{}'::bigint[] END
            FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[])
                AS s (instance_id, execution_id, name, version, input, tags, created_at, until)
            ORDER BY s.instance_id
            ON CONFLICT (instance_id) DO NOTHING
            """;

        internal const string Begin =
            """
            INSERT INTO durable.messages (instance_id, execution_id, kind, due_at)
            SELECT i.instance_id, i.execution_id, 'ExecutionStarted', s.due_at
            FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS s (instance_id, execution_id, due_at)
            JOIN durable.instances i ON i.instance_id = s.instance_id AND i.execution_id = s.execution_id
            RETURNING execution_id, id
            """;

        internal const string FirstLines =
            """
            INSERT INTO durable.history (instance_id, sequence, kind, name, happened_at)
            SELECT i.instance_id, line.sequence, line.kind, line.name, s.started_at
            FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS s (instance_id, execution_id, started_at)
            JOIN durable.instances i ON i.instance_id = s.instance_id AND i.execution_id = s.execution_id
            CROSS JOIN (VALUES (0, 'TurnStarted', $4), (1, 'ExecutionStarted', NULL)) AS line (sequence, kind, name)
            WHERE s.started_at IS NOT NULL
            """;
    }
}

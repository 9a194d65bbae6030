using Npgsql;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>A new instance, begun at <paramref name="At"/> or at once. <paramref name="Refusing"/> are the statuses of one of its id that refuse it.</summary>
internal sealed record NewInstance(
    string Id, Guid Execution, string Name, string Version, string? Input, string? Tags, DateTimeOffset Now, DateTimeOffset At, IReadOnlyList<string> Refusing);

/// <summary>Starts instances, those of one moment in one transaction.</summary>
internal sealed class InstanceStarter
{
    private readonly NpgsqlDataSource _source;
    private readonly Batcher<NewInstance, bool> _batcher;

    public InstanceStarter(NpgsqlDataSource source)
    {
        _source = source;
        _batcher = new Batcher<NewInstance, bool>(StartManyAsync);
    }

    /// <summary>False when an instance of its id refuses it.</summary>
    internal Task<bool> StartAsync(NewInstance instance, CancellationToken ct) => _batcher.AddAsync(instance, ct);

    private async Task<IReadOnlyList<bool>> StartManyAsync(IReadOnlyList<NewInstance> instances)
    {
        var ids = instances.Select(i => i.Id).ToArray();
        var executions = instances.Select(i => i.Execution).ToArray();
        await using var batch = _source.CreateBatch();
        batch.Add(Commands.ByIndex);
        batch.Add(Sql.Replace, ids, instances.Select(i => string.Join(',', i.Refusing)).ToArray());
        batch.Add(
            Sql.Start, ids, executions, instances.Select(i => i.Name).ToArray(), instances.Select(i => i.Version).ToArray(),
            instances.Select(i => i.Input).ToArray(), instances.Select(i => i.Tags).ToArray(), instances.Select(i => i.Now.UtcDateTime).ToArray());
        batch.Add(Sql.Begin, ids, executions, instances.Select(i => i.At.UtcDateTime).ToArray());
        await using var reader = await batch.ExecuteReaderAsync();
        await reader.NextResultAsync();
        var begun = new HashSet<Guid>();
        while (await reader.ReadAsync())
        {
            begun.Add(reader.GetGuid(0));
        }

        return [.. executions.Select(begun.Contains)];
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

        internal const string Start =
            """
            INSERT INTO durable.instances (instance_id, execution_id, name, version, status, input, tags, created_at, last_updated_at)
            SELECT s.instance_id, s.execution_id, s.name, s.version, 'Pending', durable.keep(s.instance_id, s.input), s.tags, s.created_at, s.created_at
            FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
                AS s (instance_id, execution_id, name, version, input, tags, created_at)
            ORDER BY s.instance_id
            ON CONFLICT (instance_id) DO NOTHING
            """;

        internal const string Begin =
            """
            INSERT INTO durable.messages (instance_id, execution_id, kind, due_at)
            SELECT i.instance_id, i.execution_id, 'ExecutionStarted', s.due_at
            FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS s (instance_id, execution_id, due_at)
            JOIN durable.instances i ON i.instance_id = s.instance_id AND i.execution_id = s.execution_id
            RETURNING execution_id
            """;
    }
}

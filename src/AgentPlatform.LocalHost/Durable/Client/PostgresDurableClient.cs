using System.Text.Json;
using AgentPlatform.Kernel;
using Npgsql;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>The client: every command is a row in <c>durable.messages</c> that some host takes in.</summary>
internal sealed class PostgresDurableClient(
    NpgsqlDataSource source, InstanceReader reader, InstanceStarter starter, DurableSignals signals, Rewinder rewinder, ManagementUrls urls, TimeProvider clock)
    : DurableTaskClient("LocalHost")
{
    private static readonly string[] NotEnded = ["Pending", "Running", "Suspended"];
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(500);

    internal ManagementUrls Urls => urls;

    public override Task<string> ScheduleNewOrchestrationInstanceAsync(
        TaskName orchestratorName, object? input = null, StartOrchestrationOptions? options = null, CancellationToken cancellation = default) =>
        StartAsync(orchestratorName, DurableJson.Instance.Serialize(input), options ?? new StartOrchestrationOptions(), cancellation);

    /// <summary>Starts with an input that is JSON already.</summary>
    internal async Task<string> StartAsync(TaskName name, string? input, StartOrchestrationOptions options, CancellationToken ct)
    {
        ArgumentException.ThrowIfNullOrEmpty(name.Name);
        var now = clock.GetUtcNow();
        var id = options.InstanceId is { Length: > 0 } chosen ? chosen : clock.NewId().ToString("N");
        var at = options.StartAt is { } later && later > now ? later.ToUniversalTime() : now;
        var tags = options.Tags.Count > 0 ? JsonSerializer.Serialize(options.Tags) : null;
        var isStarted = await starter.StartAsync(
            new NewInstance(id, clock.NewId(), name.Name, options.Version?.Version ?? "", input, tags, now, at, options.DedupeStatuses?.ToArray() ?? NotEnded), ct);
        if (!isStarted)
        {
            var taken = await reader.FindAsync(id, withPayloads: false, ct);
            throw new InvalidOperationException($"An orchestration instance with the id '{id}' and the status {taken?.RuntimeStatus} already exists.");
        }

        return id;
    }

    public override Task RaiseEventAsync(string instanceId, string eventName, object? eventPayload = null, CancellationToken cancellation = default) =>
        RaiseAsync(instanceId, eventName, DurableJson.Instance.Serialize(eventPayload), cancellation);

    /// <summary>Raises an event with a payload that is JSON already.</summary>
    internal Task RaiseAsync(string instanceId, string eventName, string? payload, CancellationToken ct)
    {
        ArgumentException.ThrowIfNullOrEmpty(eventName);
        return SendAsync(instanceId, HistoryKind.EventRaised, eventName, payload, ct);
    }

    public override Task TerminateInstanceAsync(string instanceId, TerminateInstanceOptions? options = null, CancellationToken cancellation = default) =>
        SendAsync(
            instanceId, HistoryKind.ExecutionTerminated, options is { Recursive: true } ? "recursive" : null,
            DurableJson.Instance.Serialize(options?.Output), cancellation);

    public override Task SuspendInstanceAsync(string instanceId, string? reason = null, CancellationToken cancellation = default) =>
        SendAsync(instanceId, HistoryKind.ExecutionSuspended, null, DurableJson.Instance.Serialize(reason), cancellation);

    public override Task ResumeInstanceAsync(string instanceId, string? reason = null, CancellationToken cancellation = default) =>
        SendAsync(instanceId, HistoryKind.ExecutionResumed, null, DurableJson.Instance.Serialize(reason), cancellation);

    public override Task<OrchestrationMetadata?> GetInstanceAsync(string instanceId, bool getInputsAndOutputs = false, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(instanceId);
        return reader.FindAsync(instanceId, getInputsAndOutputs, cancellation);
    }

    public override AsyncPageable<OrchestrationMetadata> GetAllInstancesAsync(OrchestrationQuery? filter = null) => reader.List(filter ?? new OrchestrationQuery());

    public override Task<OrchestrationMetadata> WaitForInstanceStartAsync(
        string instanceId, bool getInputsAndOutputs = false, CancellationToken cancellation = default) =>
        WaitAsync(instanceId, getInputsAndOutputs, end: false, cancellation);

    public override Task<OrchestrationMetadata> WaitForInstanceCompletionAsync(
        string instanceId, bool getInputsAndOutputs = false, CancellationToken cancellation = default) =>
        WaitAsync(instanceId, getInputsAndOutputs, end: true, cancellation);

    public override async Task<PurgeResult> PurgeInstanceAsync(string instanceId, PurgeInstanceOptions? options = null, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(instanceId);
        await using var command = source.Sql(Sql.Purge, instanceId, options?.Recursive ?? false);
        return new PurgeResult(await command.ExecuteNonQueryAsync(cancellation), isComplete: true);
    }

    public override async Task<PurgeResult> PurgeAllInstancesAsync(
        PurgeInstancesFilter filter, PurgeInstanceOptions? options = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(filter);
        await using var command = source.Sql(
            Sql.PurgeAll, InstanceReader.Time(filter.CreatedFrom), InstanceReader.Time(filter.CreatedTo), InstanceReader.Statuses(filter.Statuses),
            options?.Recursive ?? false);
        return new PurgeResult(await command.ExecuteNonQueryAsync(cancellation), isComplete: true);
    }

    public override async Task<string> RestartAsync(string instanceId, bool restartWithNewInstanceId = false, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(instanceId);
        await using var command = source.Sql(Sql.Origin, instanceId);
        await using var origin = await command.ExecuteReaderAsync(cancellation);
        if (!await origin.ReadAsync(cancellation))
        {
            throw new ArgumentException($"There is no orchestration instance with the id '{instanceId}'.", nameof(instanceId));
        }

        var options = new StartOrchestrationOptions(restartWithNewInstanceId ? null : instanceId) { Version = origin.GetString(1) };
        if (origin.Text(3) is { } tags)
        {
            options = options with { Tags = JsonSerializer.Deserialize<Dictionary<string, string>>(tags)! };
        }

        return await StartAsync(origin.GetString(0), origin.Text(2), options, cancellation);
    }

    public override async Task RewindInstanceAsync(string instanceId, string reason, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(instanceId);
        await rewinder.RewindAsync(instanceId, cancellation);
        signals.Changed(instanceId, hasEnded: false);
        signals.Pulse(DurableSignals.Activities);
        signals.Pulse(DurableSignals.Turns);
    }

    // The data source is the host's.
    public override ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private async Task SendAsync(string instance, HistoryKind kind, string? name, string? payload, CancellationToken ct)
    {
        ArgumentException.ThrowIfNullOrEmpty(instance);
        await using var command = source.Sql(Sql.Send, instance, kind.ToString(), Commands.Text(name), Commands.Text(payload), clock.GetUtcNow());
        try
        {
            await command.ExecuteNonQueryAsync(ct);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.ForeignKeyViolation)
        {
            // Purged at this moment: as if it never was.
        }

        signals.Reach(instance);
    }

    private async Task<OrchestrationMetadata> WaitAsync(string instance, bool withPayloads, bool end, CancellationToken ct)
    {
        ArgumentException.ThrowIfNullOrEmpty(instance);
        while (true)
        {
            var change = signals.Next(instance, end);
            // What this process steps at this moment has not ended.
            if (!end || !signals.IsStepped(instance))
            {
                var found = await reader.FindAsync(instance, withPayloads, ct);
                if (found is null || (end ? found.IsCompleted : found.RuntimeStatus != OrchestrationRuntimeStatus.Pending))
                {
                    signals.Forget(instance);
                    return found ?? throw new InvalidOperationException($"There is no orchestration instance with the id '{instance}'.");
                }
            }

            // What other hosts do is seen by looking.
            using var over = CancellationTokenSource.CreateLinkedTokenSource(ct);
            await Task.WhenAny(change, Task.Delay(Poll, clock, over.Token));
            await over.CancelAsync();
            ct.ThrowIfCancellationRequested();
        }
    }

    private static class Sql
    {
        internal const string Send =
            """
            INSERT INTO durable.messages (instance_id, kind, name, payload, due_at)
            SELECT instance_id, $2, $3, durable.keep(instance_id, $4), $5 FROM durable.instances WHERE instance_id = $1 AND completed_at IS NULL
            """;

        internal const string Purge =
            """
            WITH RECURSIVE doomed AS (
                SELECT instance_id FROM durable.instances WHERE instance_id = $1 AND completed_at IS NOT NULL
                UNION
                SELECT c.instance_id FROM durable.instances c JOIN doomed d ON c.parent_instance_id = d.instance_id
                WHERE $2 AND c.completed_at IS NOT NULL
            )
            DELETE FROM durable.instances WHERE instance_id IN (SELECT instance_id FROM doomed)
            """;

        internal const string PurgeAll =
            """
            WITH RECURSIVE doomed AS (
                SELECT instance_id FROM durable.instances
                WHERE completed_at IS NOT NULL AND ($1::timestamptz IS NULL OR created_at >= $1) AND ($2::timestamptz IS NULL OR created_at <= $2)
                  AND ($3::text[] IS NULL OR status = ANY ($3))
                UNION
                SELECT c.instance_id FROM durable.instances c JOIN doomed d ON c.parent_instance_id = d.instance_id
                WHERE $4 AND c.completed_at IS NOT NULL
            )
            DELETE FROM durable.instances WHERE instance_id IN (SELECT instance_id FROM doomed)
            """;

        internal const string Origin = "SELECT name, version, durable.payload(input), tags FROM durable.instances WHERE instance_id = $1";
    }
}

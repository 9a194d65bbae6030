using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Workflows.Running;

internal sealed record WakeWork(Guid InstanceId);

/// <summary>Leaves word, in the caller's transaction, that an instance has news. However much there is, one wake-up waits for it.</summary>
internal sealed class WakeUps(WorkQueue work, TimeProvider clock)
{
    internal const string Kind = "workflows.wake";

    internal void Wake(Transaction tx, Guid instanceId) => work.Enqueue(tx, new NewWork(Kind, clock.NewId().ToString("n"), new WakeWork(instanceId))
    {
        // One at a time: of two wake-ups at once both might start the orchestration.
        SerialKey = $"workflow:{instanceId:n}",
        MergeKey = instanceId.ToString("n"),
        OnWaiting = OnWaiting.Keep,
        Priority = 30,
    });
}

/// <summary>Hands a wake-up to the durable runtime.</summary>
internal sealed class WakeWorkflow(IWorkflowRuntime runtime) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        await runtime.WakeAsync(new WorkflowRef(item.TenantId, item.Read<WakeWork>().InstanceId), ct);
        return new WorkOutcome.Done();
    }
}

/// <summary>
/// Wakes the instances whose time has passed without a move: their orchestration was lost, with its timer. What has news is never missed, for its
/// wake-up is work like any other.
/// </summary>
public sealed class WorkflowSweep
{
    private const int BatchSize = 500;

    /// <summary>Timers of orchestrations come a little late, too.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Database _database;
    private readonly WakeUps _wakeUps;
    private readonly TimeProvider _clock;

    internal WorkflowSweep(Database database, WakeUps wakeUps, TimeProvider clock) => (_database, _wakeUps, _clock) = (database, wakeUps, clock);

    /// <summary>Returns how many were woken.</summary>
    public async Task<int> RunAsync(CancellationToken ct)
    {
        IReadOnlyList<Overdue> overdue;
        await using (var tx = _database.BeginWorker())
        {
            overdue = await tx.QueryAsync<Overdue>(Sql.Overdue, [_clock.GetUtcNow() - Patience, BatchSize], ct);
            await tx.CommitAsync(ct);
        }

        foreach (var tenant in overdue.GroupBy(instance => instance.TenantId))
        {
            await using var tx = _database.Begin(Actor.System(tenant.Key));
            foreach (var instance in tenant)
            {
                _wakeUps.Wake(tx, instance.Id);
            }

            await tx.CommitAsync(ct);
        }

        return overdue.Count;
    }

    private sealed record Overdue(Guid TenantId, Guid Id);

    private static class Sql
    {
        internal const string Overdue =
            "SELECT tenant_id, id FROM workflows.workflow_instances WHERE status = 'in_progress' AND wake_at < $1 ORDER BY wake_at LIMIT $2";
    }
}

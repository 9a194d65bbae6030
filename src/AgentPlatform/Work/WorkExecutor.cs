using System.Diagnostics;
using AgentPlatform.Postgres;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Work;

/// <summary>Runs one claimed item in its own scope, and turns however that ends into a settlement.</summary>
internal sealed class WorkExecutor(IServiceScopeFactory scopes, Database database, WorkKinds kinds, ILogger<WorkExecutor> log)
{
    /// <summary>An item whose run has killed its process this often is not tried again.</summary>
    internal const int MaxInterruptions = 20;

    /// <summary>Null when the item needs no further word: settled by its handler, or lost to another worker.</summary>
    internal async Task<Settlement?> RunAsync(WorkItem item, CancellationToken held)
    {
        var kind = kinds.Find(item.Kind);
        using var activity = WorkRunner.Activities.StartActivity(item.Kind, ActivityKind.Consumer);
        await using var scope = scopes.CreateAsyncScope();
        using var timeout = new CancellationTokenSource(kind.Timeout);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(held, timeout.Token);
        var handler = (IWorkHandler)scope.ServiceProvider.GetRequiredService(kind.Handler);
        try
        {
            var outcome = item.Interruptions > MaxInterruptions
                ? new WorkOutcome.Dead($"Interrupted {item.Interruptions} times.")
                : await AttemptAsync(handler, item, kind, both.Token);
            return await SettleAsync(handler, item, outcome, CancellationToken.None);
        }
        catch (LeaseLostException)
        {
            log.LeaseLost(item.Kind, item.Key);
            return null;
        }
        catch (OperationCanceledException) when (held.IsCancellationRequested)
        {
            log.LeaseLost(item.Kind, item.Key);
            return null;
        }
    }

    private async Task<WorkOutcome> AttemptAsync(IWorkHandler handler, WorkItem item, WorkKind kind, CancellationToken ct)
    {
        try
        {
            return await handler.HandleAsync(item, ct);
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            return new WorkOutcome.Retry($"Ran longer than {kind.Timeout}.");
        }
        catch (Exception e) when (e is not LeaseLostException)
        {
            // The boundary of the engine: a handler's bug or a dead dependency becomes a failed attempt with its reason.
            log.AttemptFailed(item.Kind, item.Key, item.Attempt, item.MaxAttempts, e);
            return new WorkOutcome.Retry($"{e.GetType().Name}: {e.Message}");
        }
    }

    /// <summary>A death is told to the handler's own tables in the transaction that records it; all else is completed in a batch.</summary>
    private async Task<Settlement?> SettleAsync(IWorkHandler handler, WorkItem item, WorkOutcome outcome, CancellationToken ct)
    {
        if (outcome is WorkOutcome.AlreadySettled)
        {
            return null;
        }

        var settlement = Settlement.Of(item, outcome);
        if (settlement.State != "dead")
        {
            return settlement;
        }

        log.ItemDied(item.Kind, item.Key, settlement.Error!);
        await using var tx = database.Begin(Actor.System(item.TenantId));
        await handler.OnDeadAsync(item, settlement.Error!, tx, ct);
        await item.SettleAsync(tx, new WorkOutcome.Dead(settlement.Error!), ct);
        await tx.CommitAsync(ct);
        return null;
    }
}

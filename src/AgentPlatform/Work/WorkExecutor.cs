using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.Work;

/// <summary>Runs one claimed item in its own scope, and turns however that ends into a settlement.</summary>
internal sealed class WorkExecutor(IServiceScopeFactory scopes, Database database, WorkKinds kinds, WorkMetrics metrics, ILogger<WorkExecutor> log)
{
    /// <summary>An item whose run has killed its process this often is not tried again.</summary>
    internal const int MaxInterruptions = 20;

    private static readonly TimeSpan AwayPause = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Null when the item needs no further word: settled by its handler, lost to another worker, or, when even its end could not be
    /// written, left to its lease. Whatever an item does, it ends here: its neighbours and the drain never hear of it.
    /// </summary>
    internal async Task<Settlement?> RunAsync(WorkItem item, CancellationToken held)
    {
        using var activity = WorkRunner.Activities.GoOn(item.Kind, item.TraceParent);
        try
        {
            await using var scope = scopes.CreateAsyncScope();
            var (handler, outcome) = await AttemptAsync(scope.ServiceProvider, item, held);
            var settlement = await SettleAsync(handler, item, outcome, CancellationToken.None);
            if ((settlement ?? item.Settled) is { } end)
            {
                metrics.Ended(item.Kind, end);
            }

            return settlement;
        }
        catch (Exception e) when (LeaseLostException.Means(e) || e is OperationCanceledException && held.IsCancellationRequested)
        {
            log.LeaseLost(item.Kind, item.Key);
            item.LeaveToLease();
            return null;
        }
        catch (Exception e)
        {
            log.EndNotWritten(item.Kind, item.Key, e);
            item.LeaveToLease();
            return null;
        }
    }

    /// <summary>The handler, null when it could not even be made, and how its run ended.</summary>
    private async Task<(IWorkHandler? Handler, WorkOutcome Outcome)> AttemptAsync(IServiceProvider services, WorkItem item, CancellationToken held)
    {
        IWorkHandler? handler = null;
        using var timeout = new CancellationTokenSource();
        using var both = CancellationTokenSource.CreateLinkedTokenSource(held, timeout.Token);
        try
        {
            var kind = kinds.Find(item.Kind);
            timeout.CancelAfter(kind.Timeout);
            handler = (IWorkHandler)services.GetRequiredService(kind.Handler);
            return item.Interruptions > MaxInterruptions
                ? (handler, new WorkOutcome.Dead($"Interrupted {item.Interruptions} times."))
                : (handler, await handler.HandleAsync(item, both.Token));
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested && !held.IsCancellationRequested)
        {
            return (handler, new WorkOutcome.Retry($"Ran longer than {kinds.Find(item.Kind).Timeout}."));
        }
        catch (Exception e) when (Database.IsAway(e))
        {
            // The platform's own database, not the handler, has failed: an interruption, and no attempt.
            log.RunInterrupted(item.Kind, item.Key, e);
            return (handler, new WorkOutcome.Snooze(AwayPause));
        }
        catch (Exception e) when (!LeaseLostException.Means(e) && !(e is OperationCanceledException && held.IsCancellationRequested))
        {
            // The boundary of the engine: a handler's bug or a dead dependency becomes a failed attempt with its reason.
            log.AttemptFailed(item.Kind, item.Key, item.Attempt, item.MaxAttempts, e);
            return (handler, new WorkOutcome.Retry($"{e.GetType().Name}: {e.Message}"));
        }
    }

    /// <summary>A death is told to the handler's own tables in the transaction that records it; all else is completed in a batch.</summary>
    private async Task<Settlement?> SettleAsync(IWorkHandler? handler, WorkItem item, WorkOutcome outcome, CancellationToken ct)
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
        return handler is null ? settlement : await TellDeathAsync(handler, item, settlement, ct);
    }

    /// <summary>A last word that fails by a bug would fail for ever: the item dies without it, and says so.</summary>
    private async Task<Settlement?> TellDeathAsync(IWorkHandler handler, WorkItem item, Settlement settlement, CancellationToken ct)
    {
        try
        {
            await using var tx = database.Begin(Actor.System(item.TenantId));
            await handler.OnDeadAsync(item, settlement.Error!, tx, ct);
            item.Settle(tx, new WorkOutcome.Dead(settlement.Error!));
            await tx.CommitAsync(ct);
            return null;
        }
        catch (Exception e) when (!LeaseLostException.Means(e) && e is not NpgsqlException { IsTransient: true } and not TimeoutException)
        {
            log.LastWordFailed(item.Kind, item.Key, e);
            return settlement with { Error = $"{settlement.Error} (Its last word failed: {e.GetType().Name}.)" };
        }
    }
}

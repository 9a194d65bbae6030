using System.Collections.Concurrent;
using AgentPlatform.LocalHost.Invocation;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>Steps instances: takes in their messages, runs the orchestrator as far as it goes, writes what came of it.</summary>
internal sealed class OrchestrationWorker(
    FunctionCatalog catalog, InstanceStore store, TurnWriter writer, SessionCache sessions, FunctionExecutor executor, IServiceScopeFactory scopes,
    DurableSignals signals, CodeVersion code, TimeProvider clock, ILogger<OrchestrationWorker> log)
{
    private readonly Dictionary<string, LocalFunction> _functions = catalog.Of<OrchestrationTriggerAttribute>()
        .ToDictionary(f => f.Trigger.Orchestration ?? f.Function.Name, f => f.Function, StringComparer.OrdinalIgnoreCase);

    private readonly ConcurrentDictionary<string, InstanceHead> _held = new(StringComparer.Ordinal);

    internal bool HasFunctions => _functions.Count > 0;

    internal async Task<IReadOnlyList<ClaimedInstance>> ClaimAsync(int max, CancellationToken ct)
    {
        var claimed = await store.ClaimAsync(max, ct);
        foreach (var instance in claimed)
        {
            _held[instance.Head.Id] = instance.Head;
        }

        return claimed;
    }

    internal async Task RenewAsync(CancellationToken ct)
    {
        if (_held.Values is { Count: > 0 } held)
        {
            await store.RenewAsync([.. held], ct);
        }
    }

    /// <summary>One step. Whatever goes wrong before it is written leaves no trace: the messages are still there.</summary>
    internal async Task StepAsync(ClaimedInstance claimed, CancellationToken killed)
    {
        var head = claimed.Head;
        OrchestrationSession? session = null;
        try
        {
            var intake = TurnIntake.Sort(head, claimed.Messages);
            HistoryEvent? started = null;
            var turn = intake.Terminate is { } terminate
                ? Turn.Nothing with { Ending = new Ending.Terminated(terminate.Payload, terminate.Name == "recursive") }
                : Turn.Nothing;
            if (intake.Terminate is null && intake.Deliver.Any(e => e.Kind is not (HistoryKind.ExecutionSuspended or HistoryKind.ExecutionResumed)))
            {
                started = new HistoryEvent(HistoryKind.TurnStarted, ToMicroseconds(clock.GetUtcNow()), Name: code.Text);
                (session, turn) = await TakeTurnAsync(head, [started, .. intake.Deliver], killed);
            }

            killed.ThrowIfCancellationRequested();
            if (!head.HasEnded || intake.Consumed.Count > 0)
            {
                await WriteAsync(head, intake, started, turn, session, killed);
                session = null;
            }
        }
        catch (OperationCanceledException) when (killed.IsCancellationRequested)
        {
            // As if the process had ended here.
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException)
        {
            log.StepFailed(head.Id, e);
            await ReleaseAsync(head);
        }
        catch (Exception e)
        {
            // A bug. The claim stays until its lease is over, so that it is not tried in a tight loop.
            log.StepFailed(head.Id, e);
        }
        finally
        {
            _held.TryRemove(new(head.Id, head));
            await (session?.DisposeAsync() ?? ValueTask.CompletedTask);
        }
    }

    private async Task<(OrchestrationSession Session, Turn Turn)> TakeTurnAsync(InstanceHead head, IReadOnlyList<HistoryEvent> fresh, CancellationToken ct)
    {
        if (await sessions.TakeAsync(head) is { } kept)
        {
            return (kept, kept.Advance(fresh));
        }

        var (input, history) = await store.LoadAsync(head.Id, ct);
        var session = new OrchestrationSession(head, input, _functions.GetValueOrDefault(head.Name), executor, scopes.CreateAsyncScope(), code.Text);
        try
        {
            session.Replay(history);
        }
        catch (NonDeterministicOrchestrationException e)
        {
            return (session, Turn.Failing(TaskFailureDetails.FromException(e)));
        }

        return (session, session.Advance(fresh));
    }

    private async Task WriteAsync(
        InstanceHead head, TurnIntake intake, HistoryEvent? started, Turn turn, OrchestrationSession? session, CancellationToken ct)
    {
        var isWritten = await writer.WriteAsync(head, intake, started, turn, ct);
        if (session is not null && isWritten && turn.Ending is null)
        {
            await sessions.KeepAsync(head, session);
        }
        else
        {
            await (session?.DisposeAsync() ?? ValueTask.CompletedTask);
        }

        if (!isWritten)
        {
            log.StepLost(head.Id);
            await ReleaseAsync(head);
            return;
        }

        if (turn.Ending is Ending.Failed failed)
        {
            log.OrchestrationFailed(head.Name, head.Id, failed.Failure.ErrorType, failed.Failure.ErrorMessage);
        }

        signals.Changed(head.Id);
        if (turn.Decisions.Any(d => d.Kind == HistoryKind.TaskScheduled))
        {
            signals.Pulse(DurableSignals.Activities);
        }

        if (turn.Ending is not null || turn.Decisions.Any(d => d.Kind != HistoryKind.TaskScheduled))
        {
            signals.Pulse(DurableSignals.Turns);
        }
    }

    private async Task ReleaseAsync(InstanceHead head)
    {
        try
        {
            await store.ReleaseAsync(head, CancellationToken.None);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException)
        {
            // Its lease runs out.
            log.StepFailed(head.Id, e);
        }
    }

    // What the database keeps: a replay must see the very time that the first run saw.
    private static DateTimeOffset ToMicroseconds(DateTimeOffset time) => time.AddTicks(-(time.Ticks % TimeSpan.TicksPerMicrosecond));
}

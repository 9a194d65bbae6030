using System.Collections.Concurrent;
using AgentPlatform.LocalHost.Invocation;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>Steps instances: takes in their messages, runs the orchestrator as far as it goes, writes what came of it.</summary>
internal sealed class OrchestrationWorker(
    FunctionCatalog catalog, InstanceStore store, TurnWriter writer, SessionCache sessions, ActivityRoom activities, FunctionExecutor executor,
    IServiceScopeFactory scopes, DurableSignals signals, DurableSettings settings, CodeVersion code, TimeProvider clock, ILogger<OrchestrationWorker> log)
    : IDisposable
{
    private readonly Dictionary<string, LocalFunction> _functions = catalog.Of<OrchestrationTriggerAttribute>()
        .ToDictionary(f => f.Trigger.Orchestration ?? f.Function.Name, f => f.Function, StringComparer.OrdinalIgnoreCase);

    private readonly ConcurrentDictionary<string, InstanceHead> _held = new(StringComparer.Ordinal);

    public void Dispose() => Room.Dispose();

    internal bool HasFunctions => _functions.Count > 0;

    /// <summary>How many claimed instances may be stepped at once.</summary>
    internal SemaphoreSlim Room { get; } = new(settings.MaxOrchestrators);

    internal async Task<Claims<ClaimedInstance>> ClaimAsync(int max, CancellationToken ct)
    {
        var heard = signals.TurnPulses;
        var claims = await store.ClaimAsync(max, ct);
        foreach (var instance in claims.Items)
        {
            _held[instance.Head.Id] = instance.Head;
        }

        return claims with { Items = [.. claims.Items.Select(i => i with { Heard = heard })] };
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
        try
        {
            if (!await TryStepAsync(claimed, killed))
            {
                log.StepLost(head.Id);
                await ReleaseAsync(head);
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
            Room.Release();
            if (signals.TurnPulses != claimed.Heard)
            {
                // What came meanwhile may be for this instance, which claims passed over.
                signals.Pulse(DurableSignals.Turns);
            }
        }
    }

    /// <summary>
    /// A step without a claim: answers of activities go to the orchestrator that is kept here. False when it is not, or when somebody else has
    /// stepped the instance since: then the answers still wait to be kept.
    /// </summary>
    internal async Task<bool> GoOnAsync(IReadOnlyList<Answer> answers, CancellationToken killed)
    {
        var first = answers[0].Activity;
        if (sessions.Take(first.Instance, first.Execution) is not { } session)
        {
            return false;
        }

        try
        {
            var started = TurnStart();
            HistoryEvent[] happened =
                [.. answers.Select(a => new HistoryEvent(a.Kind, started.At, a.Activity.Task, a.Activity.Name, Payload: a.Payload))];
            var intake = new TurnIntake("Running", happened, [], [], null);
            var turn = session.Advance([started, .. happened]);
            return await WriteAsync(new Step(session.Head, intake, answers, started, turn, started.At), session, killed);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException)
        {
            log.StepFailed(first.Instance, e);
            return false;
        }
    }

    private async Task<bool> TryStepAsync(ClaimedInstance claimed, CancellationToken killed)
    {
        var head = claimed.Head;
        var intake = TurnIntake.Sort(head, claimed.Messages);
        HistoryEvent? started = null;
        OrchestrationSession? session = null;
        var turn = intake.Terminate is { } terminate
            ? Turn.Nothing with { Ending = new Ending.Terminated(terminate.Payload, terminate.Name == "recursive") }
            : Turn.Nothing;
        if (intake.Terminate is null && intake.Deliver.Any(e => e.Kind is not (HistoryKind.ExecutionSuspended or HistoryKind.ExecutionResumed)))
        {
            started = TurnStart();
            (session, turn) = await TakeTurnAsync(claimed, [started, .. intake.Deliver], killed);
        }

        return await WriteAsync(new Step(head, intake, [], started, turn, started?.At ?? clock.GetUtcNow()), session, killed);
    }

    private async Task<(OrchestrationSession Session, Turn Turn)> TakeTurnAsync(
        ClaimedInstance claimed, IReadOnlyList<HistoryEvent> fresh, CancellationToken ct)
    {
        var head = claimed.Head;
        if (await sessions.TakeAsync(head) is { } kept)
        {
            return (kept, kept.Advance(fresh));
        }

        // What has not begun has no past to read.
        var (input, history) = head.NextSequence == 0 ? (claimed.Input, []) : await store.LoadAsync(head.Id, ct);
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

    /// <summary>Writes the step, keeps the session for the next one, and begins the activities that there is room for here.</summary>
    private async Task<bool> WriteAsync(Step step, OrchestrationSession? session, CancellationToken killed)
    {
        var scheduled = step.Turn.Decisions.Where(d => d.Kind == HistoryKind.TaskScheduled).ToList();
        step = step with { Here = [.. scheduled.Take(activities.Take(scheduled.Count)).Select(d => d.TaskId!.Value)] };
        var isWritten = false;
        try
        {
            killed.ThrowIfCancellationRequested();
            isWritten = await writer.WriteAsync(step, killed);
        }
        finally
        {
            if (isWritten && session is not null && step.Turn.Ending is null)
            {
                await sessions.KeepAsync(step.After, session);
            }
            else
            {
                await (session?.DisposeAsync() ?? ValueTask.CompletedTask);
            }

            if (!isWritten)
            {
                activities.Give(step.Here.Count);
            }
        }

        killed.ThrowIfCancellationRequested();
        if (isWritten)
        {
            // Kept before they begin: an answer finds the orchestrator.
            activities.Begin(scheduled.Take(step.Here.Count)
                .Select(d => new ClaimedActivity(step.Head.Id, step.Head.Execution, d.TaskId!.Value, d.Name!, d.Payload, Claim: 1)));
            Tell(step, scheduled.Count > step.Here.Count);
        }

        return isWritten;
    }

    private void Tell(Step step, bool othersMayRunSome)
    {
        if (step.Turn.Ending is Ending.Failed failed)
        {
            log.OrchestrationFailed(step.Head.Name, step.Head.Id, failed.Failure.ErrorType, failed.Failure.ErrorMessage);
        }

        if (step.Turn.Ending is not null || step.After.Status != step.Head.Status)
        {
            signals.Changed(step.Head.Id, hasEnded: step.Turn.Ending is not null);
        }

        if (othersMayRunSome)
        {
            signals.Pulse(DurableSignals.Activities);
        }

        if (step.LeavesMessages)
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

    // To the microsecond, which the database keeps: a replay must see the very time that the first run saw.
    private HistoryEvent TurnStart()
    {
        var now = clock.GetUtcNow();
        return new HistoryEvent(HistoryKind.TurnStarted, now.AddTicks(-(now.Ticks % TimeSpan.TicksPerMicrosecond)), Name: code.Text);
    }
}

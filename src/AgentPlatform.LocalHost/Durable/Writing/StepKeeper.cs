using Microsoft.Extensions.Logging;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>Writes steps, keeps their orchestrators for the next ones, and begins the activities that there is room for here.</summary>
internal sealed class StepKeeper(TurnWriter writer, SessionCache sessions, ActivityRoom activities, DurableSignals signals, ILogger<StepKeeper> log)
{
    /// <summary>Writes a step and frees the instance. False when another host has stepped it: nothing of this step holds.</summary>
    internal async Task<bool> WriteAsync(Step step, OrchestrationSession? session, CancellationToken killed)
    {
        var scheduled = step.Turn.Decisions.Where(d => d.Kind == HistoryKind.TaskScheduled).ToList();
        step = step with { Here = [.. scheduled.Take(activities.Take(scheduled.Count)).Select(d => d.TaskId!.Value)] };
        var isWritten = false;
        try
        {
            isWritten = await FreeAsync(step, session, killed);
        }
        finally
        {
            if (!isWritten)
            {
                activities.Give(step.Here.Count);
            }
        }

        if (isWritten)
        {
            foreach (var decided in scheduled.Take(step.Here.Count))
            {
                activities.Begin(Claimed(step.Head, decided));
            }

            if (scheduled.Count > step.Here.Count || step.Recovers)
            {
                signals.Pulse(DurableSignals.Activities);
            }
        }

        return isWritten;
    }

    /// <summary>Writes a step whose instance stays claimed.</summary>
    internal async Task<bool> HoldAsync(Step step, OrchestrationSession session, CancellationToken killed)
    {
        killed.ThrowIfCancellationRequested();
        step = step with { IsHeld = true };
        if (!await writer.WriteAsync(step, killed))
        {
            return false;
        }

        killed.ThrowIfCancellationRequested();
        session.Head = step.After;
        Tell(step);
        return true;
    }

    /// <summary>Frees an instance whose activity has no row yet: it gets one, and its answer goes the way of all. It may be running already.</summary>
    internal async Task<bool> PutDownAsync(
        Step step, OrchestrationSession session, HistoryEvent decided, Task<Answer>? running, CancellationToken killed)
    {
        if (!await FreeAsync(step with { PutsDown = true, Here = running is null ? [] : [decided.TaskId!.Value] }, session, killed))
        {
            return false;
        }

        if (running is null)
        {
            signals.Pulse(DurableSignals.Activities);
        }
        else
        {
            activities.Begin(Claimed(step.Head, decided), running);
        }

        return true;
    }

    /// <summary>An activity as this process claims it when it is scheduled.</summary>
    internal static ClaimedActivity Claimed(InstanceHead head, HistoryEvent decided) =>
        new(head.Id, head.Execution, decided.TaskId!.Value, decided.Name!, decided.Payload, Claim: 1);

    // The orchestrator is kept before anything begins: an answer finds it.
    private async Task<bool> FreeAsync(Step step, OrchestrationSession? session, CancellationToken killed)
    {
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
        }

        killed.ThrowIfCancellationRequested();
        if (isWritten)
        {
            Tell(step);
        }

        return isWritten;
    }

    private void Tell(Step step)
    {
        if (step.Turn.Ending is Ending.Failed failed)
        {
            log.OrchestrationFailed(step.Head.Name, step.Head.Id, failed.Failure.ErrorType, failed.Failure.ErrorMessage);
        }

        if (step.Turn.Ending is not null || step.After.Status != step.Head.Status)
        {
            signals.Changed(step.Head.Id, hasEnded: step.Turn.Ending is not null);
        }

        foreach (var sent in step.Turn.Decisions.Where(d => d.Kind == HistoryKind.EventSent))
        {
            signals.Reach(sent.Target!);
        }

        if (step.Turn.Ending is Ending.Terminated { Recursive: true })
        {
            signals.ReachAll();
        }

        if (step.Turn.Ending is not (null or Ending.ContinuedAsNew) && step.Head.Parent is { } parent)
        {
            signals.Reach(parent.InstanceId);
        }

        // A step that recovers takes in nothing: what is new waits for the next.
        if (step.Recovers || step.Turn.Ending is Ending.ContinuedAsNew || step.Decides(HistoryKind.SubOrchestrationCreated)
            || step.Decides(HistoryKind.TimerCreated))
        {
            signals.Pulse(DurableSignals.Turns);
        }
    }
}

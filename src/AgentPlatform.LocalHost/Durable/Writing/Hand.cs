using System.Diagnostics;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>
/// Keeps a claimed instance while it waits for one short activity after the other: an answer is then one commit, and no row but the history's is
/// written. An instance is put down, and free for what else reaches it, as soon as it waits for anything else, or an activity takes long.
/// </summary>
internal sealed class Hand(StepKeeper keeper, TurnTaker turns, ActivityRunner runner, ActivityRoom room, DurableSettings settings) : IDisposable
{
    /// <summary>How long: a command to the instance waits until then.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(250);

    /// <summary>How many instances: as many steps as are written at once.</summary>
    private readonly SemaphoreSlim _free = new(64);

    public void Dispose() => _free.Dispose();

    /// <summary>
    /// Writes a claimed instance's step and those that follow at once. <paramref name="holding"/> is called when the instance stays in hand. False
    /// when another host has stepped it.
    /// </summary>
    internal async Task<bool> WriteAsync(
        Step step, OrchestrationSession? session, bool isBorn, Action holding, CancellationToken aborting, CancellationToken killed)
    {
        if (session is null || step.Intake.Consumed.Count == 0 || !IsShort(step, session) || !_free.Wait(0, CancellationToken.None))
        {
            return await keeper.WriteAsync(step, session, killed);
        }

        try
        {
            holding();
            return await HoldAsync(step, session, isBorn, aborting, killed);
        }
        catch
        {
            await session.DisposeAsync();
            throw;
        }
        finally
        {
            _free.Release();
        }
    }

    private async Task<bool> HoldAsync(Step step, OrchestrationSession session, bool isBorn, CancellationToken aborting, CancellationToken killed)
    {
        var (since, taken) = (Stopwatch.GetTimestamp(), step.Intake.Consumed);
        while (IsShort(step, session) && Left(since) > TimeSpan.Zero)
        {
            var decided = step.Turn.Decisions[0];
            // The first turn of an instance that was born here is in the history before it is taken: what it decided, it would decide again.
            var isLater = isBorn && step.Turn.CustomStatus is null;
            if (!isLater && !await keeper.HoldAsync(step, session, killed))
            {
                await session.DisposeAsync();
                return false;
            }

            IReadOnlyList<HistoryEvent> earlier = isLater ? [decided] : [];
            isBorn = false;
            var activity = StepKeeper.Claimed(step.Head, decided);
            var running = await room.TakeAsync(Left(since)) ? Task.Run(() => runner.RunAsync(activity, aborting), CancellationToken.None) : null;
            if (running is null || !await IsOverAsync(running, Left(since)))
            {
                return await PutDownAsync(turns.Nothing(session, earlier, taken), session, decided, running, killed);
            }

            var answer = await running;
            killed.ThrowIfCancellationRequested();
            step = turns.GoOn(session, [answer], earlier);
        }

        return await keeper.WriteAsync(step with { Intake = step.Intake with { Consumed = taken } }, session, killed);
    }

    private async Task<bool> PutDownAsync(
        Step step, OrchestrationSession session, HistoryEvent decided, Task<Answer>? running, CancellationToken killed)
    {
        try
        {
            return await keeper.PutDownAsync(step, session, decided, running, killed);
        }
        catch when (running is not null)
        {
            // It has no row: nobody begins it again while it runs here.
            await Task.WhenAny(running);
            throw;
        }
    }

    private bool IsShort(Step step, OrchestrationSession session) =>
        settings.KeepSessions && session.AwaitsOneActivity && step.Intake is { Status: "Running", Parked.Count: 0 }
        && step.Turn is { Ending: null, CancelledTimers.Count: 0, Decisions: [{ Kind: HistoryKind.TaskScheduled }] };

    private static TimeSpan Left(long since) =>
        Longest - Stopwatch.GetElapsedTime(since) is var left && left > TimeSpan.Zero ? left : TimeSpan.Zero;

    // By the machine's clock: it is about who waits here, and not about when anything is due.
    private static async Task<bool> IsOverAsync(Task running, TimeSpan left)
    {
        if (running.IsCompleted)
        {
            return true;
        }

        using var over = new CancellationTokenSource();
        var first = await Task.WhenAny(running, Task.Delay(left, TimeProvider.System, over.Token));
        await over.CancelAsync();
        return first == running;
    }
}

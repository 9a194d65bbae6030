using System.Text.Json;
using AgentPlatform.Actions.Controls;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Actions.Checkpoints;

/// <summary>A request that makes one call per element: its plan, where it goes on from, and the calls it made before.</summary>
internal sealed record StepRun(
    QueuedAction Item, ActionDefinition Action, StepPlan Plan, JsonElement Data, ExecutionCheckpoint? Checkpoint, IReadOnlyList<ActionEffect> Effects)
{
    internal string KeyOf(int step) => EffectOf(step)?.IdempotencyKey ?? $"{Item.IdempotencyKey}/{step}";

    internal ActionEffect? EffectOf(int step) => Effects.FirstOrDefault(effect => effect.Step == step);

    /// <summary>
    /// A step whose call was carried out after the last checkpoint: the ledger knows what it brought. Of a call that happened by a person's word
    /// nobody knows.
    /// </summary>
    internal JsonElement? Known(int step) =>
        EffectOf(step) is { Status: "happened" } effect ? (effect.Outcome is { } outcome ? JsonPath.Find(outcome, "result") : null) ?? Parameters.None : null;
}

/// <summary>
/// Makes the calls of a request one after the other. Between two calls lies one transaction: it settles the call before, writes the
/// checkpoint that is due, obeys the operator, and records the call to come. A worker that lost the request to another one ends there.
/// </summary>
internal sealed class RunSteps(
    Database database, ActionEffects effects, CallEndpoint calls, CheckpointStore checkpoints, ExecutionControls controls, ExecutionLog executions, TimeProvider clock)
{
    /// <summary>After this long a run gives up its place between two steps, and goes on with the next claim: no claim runs for hours.</summary>
    internal static readonly TimeSpan Shift = TimeSpan.FromMinutes(1);

    /// <summary>The answer for the whole request; null when the run ended between two steps, and the work item is settled.</summary>
    internal async Task<ActionResult?> RunAsync(WorkItem work, StepRun run, CancellationToken ct)
    {
        var progress = new Progress(run, clock.GetUtcNow() + Shift);
        ActionResult? answer = null;
        while (true)
        {
            var turn = await TurnAsync(work, progress, answer, ct);
            if (turn.Ended)
            {
                return turn.Answer;
            }

            answer = await CallAsync(work.TenantId, progress, turn.RecordedAt, ct);
        }
    }

    private Task<ActionResult> CallAsync(Guid tenantId, Progress progress, DateTimeOffset recordedAt, CancellationToken ct)
    {
        var (run, step) = (progress.Run, progress.Results.Count);
        var (element, key) = (run.Plan.Elements[step], run.KeyOf(step));
        var probe = run.EffectOf(step) is { IsOpen: true } ? EffectProbe.Of(run.Action) : null;
        var item = run.Item with { IdempotencyKey = key, ParamsCollected = element };
        return calls.RunAsync(
            new EndpointCall(tenantId, run.Action, item, TemplateData.OfStep(run.Data, element, step, key), probe, recordedAt)
            {
                AskOnly = probe is not null && SettleAttempt.HasNoTries(run.Item),
            },
            ct);
    }

    private async Task<Turn> TurnAsync(WorkItem work, Progress progress, ActionResult? answer, CancellationToken ct)
    {
        var (run, now) = (progress.Run, clock.GetUtcNow());
        await using var tx = database.Begin(Actor.System(work.TenantId));
        tx.Gather();
        _ = SessionStore.LockAsync(tx, run.Item.SessionId, ct);
        var (mine, told) = (tx.FindAsync<QueuedAction>(Sql.LockMine, [run.Item.Id, run.Item.ExecutionId], ct), controls.FindAsync(tx, run.Item.Id, ct));
        await tx.AskAsync(ct);
        if (await mine is not { } item)
        {
            throw new LeaseLostException(work);
        }

        if (answer is not null)
        {
            effects.SettleStep(tx, item.Id, answer, progress.Results.Count);
            if (answer.Failure is { } failure)
            {
                checkpoints.Write(tx, item, "error", run.Plan.At(progress.Results), new() { ErrorInfo = Told(progress.Results.Count, failure) });
                await tx.CommitAsync(ct);
                return Turn.End(answer);
            }

            item = Advance(tx, item, progress, answer.Value);
        }

        item = Skip(tx, item, progress);
        if (progress.Results.Count == run.Plan.Elements.Count)
        {
            await tx.CommitAsync(ct);
            return Turn.End(new ActionResult(run.Plan.Result(progress.Results)));
        }

        if (await StopAsync(tx, work, item, progress, await told, now, ct))
        {
            return Turn.End(null);
        }

        var step = progress.Results.Count;
        effects.Begin(tx, item, run.Action, item.ExecutionId!, new EffectStep(step, run.KeyOf(step), run.Plan.Elements[step]));
        await tx.CommitAsync(ct);
        return Turn.Call(now);
    }

    /// <summary>One more step is done; the checkpoint follows when it is due.</summary>
    private QueuedAction Advance(Transaction tx, QueuedAction item, Progress progress, JsonElement result)
    {
        progress.Results.Add(result);
        return progress.Run.Plan.Due(progress.Results.Count) is { } reason ? Write(tx, item, progress, reason) : item;
    }

    /// <summary>Steps that were done before and that no checkpoint knows of are not done again.</summary>
    private QueuedAction Skip(Transaction tx, QueuedAction item, Progress progress)
    {
        while (progress.Results.Count < progress.Run.Plan.Elements.Count && progress.Run.Known(progress.Results.Count) is { } known)
        {
            item = Advance(tx, item, progress, known);
        }

        return item;
    }

    /// <summary>True when the run ends here: an operator has paused or cancelled it, or its shift is over.</summary>
    private async Task<bool> StopAsync(Transaction tx, WorkItem work, QueuedAction item, Progress progress, ExecutionControl? control, DateTimeOffset now, CancellationToken ct)
    {
        if (control is { ControlState: "paused" or "cancelled" })
        {
            item = Write(tx, item, progress, "manual");
            executions.Fail(tx, item.ExecutionId!, new ActionFailure(ErrorKind.Stopped, $"An operator has {control.ControlState} it."));
            return (await controls.ReachAsync(tx, work, item, ct)).Outcome is not null;
        }

        if (now < progress.ShiftEnds)
        {
            return false;
        }

        Write(tx, item, progress, "auto");
        tx.Post(Sql.GiveUpPlace, item.Id);
        work.Settle(tx, new WorkOutcome.Snooze(TimeSpan.Zero));
        await tx.CommitAsync(ct);
        return true;
    }

    private QueuedAction Write(Transaction tx, QueuedAction item, Progress progress, string reason) =>
        item with { CheckpointId = checkpoints.Write(tx, item, reason, progress.Run.Plan.At(progress.Results)) };

    private static JsonElement Told(int step, ActionFailure failure) =>
        Json.Of(new { step, type = failure.Kind, message = failure.Message, code = failure.Code });

    /// <summary>What the completed steps brought, in their order; its length is the step to go on with.</summary>
    private sealed class Progress(StepRun run, DateTimeOffset shiftEnds)
    {
        internal StepRun Run => run;
        internal DateTimeOffset ShiftEnds => shiftEnds;
        internal List<JsonElement> Results { get; } = [.. run.Checkpoint?.Results ?? []];
    }

    private sealed record Turn(bool Ended, ActionResult? Answer, DateTimeOffset RecordedAt)
    {
        internal static Turn End(ActionResult? answer) => new(true, answer, default);

        internal static Turn Call(DateTimeOffset recordedAt) => new(false, null, recordedAt);
    }

    private static class Sql
    {
        // Whoever took the request over began an attempt of its own: then this one's name is no longer there.
        internal const string LockMine = "SELECT * FROM actions.action_queue WHERE id = $1 AND execution_id = $2 AND status = 'executing' FOR UPDATE";

        internal const string GiveUpPlace = "UPDATE actions.action_queue SET status = 'ready' WHERE id = $1";
    }
}

using System.Text.Json;
using AgentPlatform.Actions.Checkpoints;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Actions.Aftermath;

/// <summary>Which open dead letters are replayed together: those of an action, and of one kind of error if it is named.</summary>
internal sealed record BulkReplay(string? ActionId, string? ErrorType, int? Limit);

internal sealed record BulkReplayed(IReadOnlyList<QueuedAction> Replayed, IReadOnlyList<ReplayRefused> Refused);

internal sealed record ReplayRefused(string DlqId, string Code);

/// <summary>
/// Requests a given-up action again, with the parameters it had or corrected ones. The letter names the new request and is resolved
/// when that completes; a replay that fails has a letter of its own, and completing that one's replay resolves both.
/// </summary>
internal sealed class ReplayDeadLetter(ActionRegistry registry, ActionQueue queue, ActionEffects effects, TimeProvider clock)
{
    internal const int MaxBulk = 100;

    internal async Task<Result<QueuedAction>> RunAsync(Transaction tx, string dlqId, Replay how, CancellationToken ct) =>
        await tx.FindAsync<DeadLetter>(Sql.Lock, [dlqId], ct) is { } letter ? await ReplayAsync(tx, letter, how, ct) : Problem.NotFound("dead_letter");

    internal async Task<BulkReplayed> RunAsync(Transaction tx, BulkReplay which, CancellationToken ct)
    {
        var (replayed, refused) = (new List<QueuedAction>(), new List<ReplayRefused>());
        foreach (var letter in await tx.QueryAsync<DeadLetter>(Sql.LockOpen, [which.ActionId, which.ErrorType, which.Limit ?? MaxBulk], ct))
        {
            var result = await ReplayAsync(tx, letter, new Replay(null), ct);
            if (result.IsOk)
            {
                replayed.Add(result.Value);
            }
            else
            {
                refused.Add(new(letter.DlqId, result.Problem.Code));
            }
        }

        return new(replayed, refused);
    }

    private async Task<Result<QueuedAction>> ReplayAsync(Transaction tx, DeadLetter letter, Replay how, CancellationToken ct)
    {
        var given = await tx.FindAsync<QueuedAction>(Sql.ByQueueId, [letter.OriginalQueueId], ct);
        var earlier = letter.ReplayQueueId is { } replay ? await tx.FindAsync<QueuedAction>(Sql.ByQueueId, [replay], ct) : null;
        var action = await registry.FindAsync(tx, letter.AgentId, letter.ActionId, ct);
        if (Refusal(letter, earlier, action) is { } refusal)
        {
            return refusal;
        }

        var values = Parameters.Merge(action!, letter.ParamsCollected, how.Params ?? Parameters.None);
        if (Parameters.Problem(action!, values) is { } incomplete)
        {
            return incomplete;
        }

        var called = given is null ? [] : await effects.OfRequestAsync(tx, given.Id, ct);
        var open = called.Where(effect => effect.IsOpen).ToList();
        if (Doubt(action!, called, how, changed: !JsonElement.DeepEquals(values, letter.ParamsCollected)) is { } doubt)
        {
            return doubt;
        }

        var queued = await queue.EnqueueAsync(tx, new ActionRequest(action!, letter.SessionId, letter.ContactId, letter.ConversationId, $"replay:{clock.NewId()}")
        {
            Context = null,
            Params = values,
            // What was allowed was the earlier request, with what it had.
            NeedsApproval = true,
            RollbackOf = given?.RollbackOf,
            ReplayOf = letter.DlqId,
            TraceId = given?.TraceId,
            RequestId = given?.RequestId,
        }, ct);
        if (how.NotHappened)
        {
            open.ForEach(effect => effects.NotHappened(tx, effect));
        }

        if (GoesOn(called, how) is { Count: > 0 } goesOn)
        {
            effects.Continue(tx, goesOn, queued, StepPlan.Of(action!, values) is { } plan ? Json.Of(plan.Elements) : null);
        }

        tx.Post(Sql.Replayed, letter.DlqId, queued.QueueId, clock.GetUtcNow());
        return queued;
    }

    /// <summary>Calls that may have been or were carried out: the new request does not make them again.</summary>
    private static List<ActionEffect> GoesOn(IReadOnlyList<ActionEffect> called, Replay how) =>
        [.. called.Where(effect => effect.Status == "happened" || (effect.IsOpen && !how.NotHappened))];

    /// <summary>A call that was carried out, or may have been, is not made again by a replay.</summary>
    private static Problem? Doubt(ActionDefinition action, IReadOnlyList<ActionEffect> called, Replay how, bool changed)
    {
        if (called.Any(effect => effect.IsOpen) && !how.NotHappened && (changed || !EffectRules.CanResolve(action)))
        {
            return Problem.Conflict("effect_unknown", "The call may have been carried out. Ask the provider, and say not_happened if it was not.");
        }

        return EffectRules.RefusesAgain(action, called);
    }

    private static Problem? Refusal(DeadLetter letter, QueuedAction? earlier, ActionDefinition? action) => letter switch
    {
        { Resolved: true } => Problem.Conflict("already_resolved", "The dead letter has been resolved before."),
        _ when earlier is { Status: QueueStatus.Failed } => Problem.Conflict("already_replayed", $"Its replay {earlier.QueueId} failed; replay that one's dead letter."),
        _ when earlier is { Status: not QueueStatus.Cancelled } => Problem.Conflict("replay_under_way", $"It is being replayed as {earlier.QueueId}."),
        _ when action is not { IsActive: true } => Problem.Conflict("action_not_offered", "The action is no longer offered."),
        _ => null,
    };

    private static class Sql
    {
        internal const string Lock = "SELECT * FROM actions.dead_letter_queue WHERE dlq_id = $1 FOR UPDATE";

        // What another operator is replaying at this moment is left to them.
        internal const string LockOpen =
            """
            SELECT * FROM actions.dead_letter_queue
            WHERE NOT resolved AND action_id = $1 AND ($2::text IS NULL OR final_error->>'type' = $2) AND replay_queue_id IS NULL
            ORDER BY id LIMIT $3
            FOR UPDATE SKIP LOCKED
            """;

        internal const string ByQueueId = "SELECT * FROM actions.action_queue WHERE queue_id = $1";

        internal const string Replayed = "UPDATE actions.dead_letter_queue SET replay_queue_id = $2, replayed_at = $3 WHERE dlq_id = $1";
    }
}

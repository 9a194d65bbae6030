using AgentPlatform.Events;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Messaging.Pacing;

/// <summary>
/// For who has queued many messages and thinks better of it: what has not been decided on is called back, or rests until it may go on. What was approved
/// is on its way. In the caller's transaction, each in one statement.
/// </summary>
public sealed class Recall(EventStore events, WorkQueue work, TimeProvider clock)
{
    /// <summary>For good.</summary>
    public async Task CancelAsync(Transaction tx, IReadOnlyCollection<Guid> queueIds, string reason, CancellationToken ct)
    {
        foreach (var message in await AsPlatformAsync<DispatchPayload>(tx, QueueActions.Sql.CancelMany, [tx.TenantId, queueIds.ToArray()], ct))
        {
            events.Append(tx, new NewEvent("message.cancelled", "conversation", message.ConversationId, new { queue_id = message.QueueId, reason }));
        }
    }

    /// <summary>Until <see cref="ResumeAsync"/>; an operator can still release one of them.</summary>
    public async Task PauseAsync(Transaction tx, IReadOnlyCollection<Guid> queueIds, CancellationToken ct)
    {
        foreach (var message in await AsPlatformAsync<DispatchPayload>(tx, QueueActions.Sql.PauseMany, [tx.TenantId, queueIds.ToArray()], ct))
        {
            events.Append(tx, new NewEvent("message.held", "conversation", message.ConversationId, new { queue_id = message.QueueId, reason = SendDecision.Paused }));
        }
    }

    /// <summary>They are decided on anew, at once: quiet hours and limits hold, an hour that they were once meant for does not.</summary>
    public async Task ResumeAsync(Transaction tx, IReadOnlyCollection<Guid> queueIds, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        var resumed = await AsPlatformAsync<Resumed>(tx, QueueActions.Sql.ResumeMany, [tx.TenantId, queueIds.ToArray(), now], ct);
        work.EnqueueMany(tx, [.. resumed.Select(m => Outbox.Dispatch(new(m.QueueId, m.ConversationId, m.ContactId), $"{m.QueueId}!{now.ToUnixTimeMilliseconds()}", m.Priority, null))]);
    }

    /// <summary>Whoever thinks better of it need not be allowed to read all of it: some may be in colleagues' private conversations.</summary>
    private static async Task<IReadOnlyList<T>> AsPlatformAsync<T>(Transaction tx, string sql, object?[] args, CancellationToken ct)
    {
        var actor = tx.Actor!;
        tx.Enter(Actor.System(actor.TenantId) with { Origin = actor.Origin });
        var rows = await tx.QueryAsync<T>(sql, args, ct);
        tx.Enter(actor);
        return rows;
    }

    private sealed record Resumed(Guid QueueId, Guid ConversationId, Guid ContactId, string Priority);
}

using AgentPlatform.Conversations;
using AgentPlatform.Postgres;

namespace AgentPlatform.Actions;

/// <summary>
/// A request is locked after its session. A turn holds its session when it touches requests, and what changes a request ends by telling its
/// session: the other way round, the two would wait for each other.
/// </summary>
internal static class RequestLock
{
    /// <summary>The request, locked until the transaction ends; null when there is none.</summary>
    internal static async Task<QueuedAction?> TakeAsync(Transaction tx, Guid id, CancellationToken ct) =>
        await tx.FindAsync<Guid?>(Sql.SessionOf, [id], ct) is { } sessionId ? await TakeAsync(tx, id, sessionId, ct) : null;

    /// <summary>The same in one round trip, for who knows the session.</summary>
    internal static async Task<QueuedAction?> TakeAsync(Transaction tx, Guid id, Guid sessionId, CancellationToken ct)
    {
        tx.Gather();
        _ = SessionStore.LockAsync(tx, sessionId, ct);
        var request = tx.FindAsync<QueuedAction>(Sql.Lock, [id], ct);
        await tx.AskAsync(ct);
        return await request;
    }

    private static class Sql
    {
        internal const string SessionOf = "SELECT session_id FROM actions.action_queue WHERE id = $1";

        internal const string Lock = "SELECT * FROM actions.action_queue WHERE id = $1 FOR UPDATE";
    }
}

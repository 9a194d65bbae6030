using AgentPlatform.Channels.Intake;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Channels.Manage;

/// <summary>A message that was taken down and is not stored yet. What it says is not shown: it may be for a private conversation.</summary>
public sealed record InboxView(
    Guid Id, Guid WebhookId, string ExternalMessageId, string SenderIdentifier, int Attempts, string? LastError, DateTimeOffset? RetryAt, DateTimeOffset ReceivedAt);

/// <summary>What waits in the inbox, and what an operator does with a message that could not be stored.</summary>
public sealed class ManageInbox(Database database, WorkQueue work, TimeProvider clock)
{
    internal async Task<Page<InboxView>> ListAsync(Actor actor, Guid? channelId, PageRequest page, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return Page<InboxView>.Cut(await tx.QueryAsync<InboxView>(Sql.List, [actor.TenantId, channelId, page.Before, page.Fetch], ct), page, m => m.Id);
    }

    /// <summary>Tries it again, as often as if it were new.</summary>
    internal async Task<Result<InboxView>> RetryAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await tx.FindAsync<InboxView>(Sql.Retry, [actor.TenantId, id], ct) is not { } waiting)
        {
            return Problem.NotFound("message");
        }

        StoreInbox.Enqueue(tx, work, waiting.WebhookId, clock.NewId().ToString());
        await tx.CommitAsync(ct);
        return waiting;
    }

    /// <summary>Gives a message up. One that is just being stored is stored.</summary>
    internal async Task<Result<bool>> DiscardAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        var discarded = await tx.ExecuteAsync(Sql.Discard, [actor.TenantId, id], ct);
        await tx.CommitAsync(ct);
        return discarded == 1 ? true : Problem.NotFound("message");
    }

    private static class Sql
    {
        internal const string List =
            """
            SELECT id, webhook_id, external_message_id, sender_identifier, attempts, last_error, retry_at, received_at
            FROM channels.inbox
            WHERE tenant_id = $1 AND ($2::uuid IS NULL OR webhook_id = $2) AND ($3::uuid IS NULL OR id < $3)
            ORDER BY id DESC LIMIT $4
            """;

        internal const string Retry =
            """
            UPDATE channels.inbox SET attempts = 0, retry_at = NULL WHERE tenant_id = $1 AND id = $2
            RETURNING id, webhook_id, external_message_id, sender_identifier, attempts, last_error, retry_at, received_at
            """;

        internal const string Discard = "DELETE FROM channels.inbox WHERE tenant_id = $1 AND id = $2";
    }
}

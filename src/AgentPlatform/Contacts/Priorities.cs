using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Contacts;

/// <summary>An item to raise with a contact. Writing the same item again re-ranks it and makes it active again.</summary>
public sealed record PriorityWrite(
    int PriorityRank, string ItemType, Guid ItemId, string? Title = null, decimal? ValueScore = null, DateTimeOffset? ExpiresAt = null)
{
    internal static readonly string[] ItemTypes = ["intro_opportunity", "community_request", "solution_update"];

    internal Problem? Check() => this switch
    {
        { PriorityRank: < 1 } => Problem.Invalid("priority_rank", "Must be 1 (highest) or more."),
        { ValueScore: < -999.99m or > 999.99m } => Problem.Invalid("value_score", "Must be between -999.99 and 999.99."),
        { Title.Length: > 255 } => Problem.Invalid("title", "Must be at most 255 characters."),
        _ when !ItemTypes.Contains(ItemType) => Problem.Invalid("item_type", $"Must be one of {string.Join(", ", ItemTypes)}."),
        _ => null,
    };
}

internal sealed class Priorities(TimeProvider clock)
{
    internal async Task<IReadOnlyList<ContactPriority>> TopAsync(Transaction tx, Guid contactId, CancellationToken ct)
    {
        ExpireOverdue(tx, contactId);
        return await tx.QueryAsync<ContactPriority>(Sql.Top, [contactId], ct);
    }

    internal async Task<IReadOnlyList<ContactPriority>> ListAsync(Transaction tx, Guid contactId, CancellationToken ct) =>
        await tx.QueryAsync<ContactPriority>(Sql.List, [contactId, clock.GetUtcNow()], ct);

    internal async Task<Result<ContactPriority>> WriteAsync(Transaction tx, Guid contactId, PriorityWrite write, CancellationToken ct) =>
        write.Check() is { } problem
            ? problem
            : await tx.SingleAsync<ContactPriority>(
                Sql.Write,
                [clock.NewId(), contactId, write.PriorityRank, write.ItemType, write.ItemId, write.Title, write.ValueScore, write.ExpiresAt?.ToUniversalTime()],
                ct);

    internal void MarkPresented(Transaction tx, Guid contactId, Guid[] ids) => tx.Post(Sql.MarkPresented, contactId, ids, clock.GetUtcNow());

    /// <summary>Time alone ends an item; the row learns of it when somebody next looks.</summary>
    private void ExpireOverdue(Transaction tx, Guid contactId) => tx.Post(Sql.ExpireOverdue, contactId, clock.GetUtcNow());

    private static class Sql
    {
        internal const string Top =
            """
            SELECT id, priority_rank, item_type, item_id, title, value_score, status, created_at, expires_at, presented_at
            FROM contacts.user_priorities WHERE contact_id = $1 AND status = 'active' ORDER BY priority_rank, value_score DESC NULLS LAST, id LIMIT 5
            """;

        internal const string List =
            """
            SELECT id, priority_rank, item_type, item_id, title, value_score,
                   CASE WHEN status = 'active' AND expires_at <= $2 THEN 'expired' ELSE status END AS status, created_at, expires_at, presented_at
            FROM contacts.user_priorities WHERE contact_id = $1 ORDER BY priority_rank, id
            """;

        internal const string Write =
            """
            INSERT INTO contacts.user_priorities (tenant_id, id, contact_id, priority_rank, item_type, item_id, title, value_score, expires_at)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT ON CONSTRAINT uq_priorities_item DO UPDATE
            SET priority_rank = excluded.priority_rank, title = excluded.title, value_score = excluded.value_score, expires_at = excluded.expires_at,
                status = 'active', presented_at = NULL
            RETURNING id, priority_rank, item_type, item_id, title, value_score, status, created_at, expires_at, presented_at
            """;

        internal const string MarkPresented =
            "UPDATE contacts.user_priorities SET status = 'presented', presented_at = $3 WHERE contact_id = $1 AND id = ANY ($2) AND status = 'active'";

        internal const string ExpireOverdue =
            "UPDATE contacts.user_priorities SET status = 'expired' WHERE contact_id = $1 AND status = 'active' AND expires_at <= $2";
    }
}

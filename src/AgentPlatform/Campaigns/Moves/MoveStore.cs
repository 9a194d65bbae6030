using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Campaigns.Moves;

/// <summary>Which moves to list; null does not narrow.</summary>
internal sealed record MoveFilter(Guid? CampaignId, string? Status, string? Type, string? Priority, Guid? AssignedTo, string? ExecutionId);

/// <summary>Reads moves, and whom they wrote to.</summary>
internal static class MoveStore
{
    internal static Task<Move?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Move>(Sql.Find, [id], ct);

    internal static Task<Move?> LockAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Move>(Sql.Lock, [id], ct);

    /// <summary>What is urgent first; of that, what is due first.</summary>
    internal static async Task<Page<Move>> ListAsync(Transaction tx, MoveFilter filter, PageRequest page, CancellationToken ct) =>
        Page<Move>.Cut(
            await tx.QueryAsync<Move>(
                Sql.List, [filter.CampaignId, filter.Status, filter.Type, filter.Priority, filter.AssignedTo, filter.ExecutionId, page.Before, page.Fetch], ct),
            page, move => move.Id);

    /// <summary>By contact, the newest first.</summary>
    internal static async Task<Page<MoveRecipient>> RecipientsAsync(Transaction tx, Guid moveId, string? status, PageRequest page, CancellationToken ct) =>
        Page<MoveRecipient>.Cut(await tx.QueryAsync<MoveRecipient>(Sql.Recipients, [moveId, status, page.Before, page.Fetch], ct), page, r => r.ContactId);

    internal static readonly string[] RecipientStatuses = ["queued", "sent", "delivered", "failed", "skipped"];

    private static class Sql
    {
        internal const string Find = "SELECT * FROM campaigns.moves WHERE tenant_id = kernel.current_tenant_id() AND id = $1";

        internal const string Lock = "SELECT * FROM campaigns.moves WHERE tenant_id = kernel.current_tenant_id() AND id = $1 FOR NO KEY UPDATE";

        // The cursor names the last move of the page before, wherever it stands by now.
        internal const string List =
            """
            SELECT m.* FROM campaigns.moves AS m
            WHERE m.tenant_id = kernel.current_tenant_id() AND ($1::uuid IS NULL OR m.campaign_id = $1) AND ($2::text IS NULL OR m.status = $2)
              AND ($3::text IS NULL OR m.type = $3) AND ($4::text IS NULL OR m.priority = $4) AND ($5::uuid IS NULL OR m.assigned_to = $5)
              AND ($6::text IS NULL OR m.execution_id = $6)
              AND ($7::uuid IS NULL OR (m.priority_rank, coalesce(m.due_date, 'infinity'::timestamptz), m.id)
                   > (SELECT l.priority_rank, coalesce(l.due_date, 'infinity'::timestamptz), l.id FROM campaigns.moves AS l WHERE l.tenant_id = kernel.current_tenant_id() AND l.id = $7))
            ORDER BY m.priority_rank, coalesce(m.due_date, 'infinity'::timestamptz), m.id LIMIT $8
            """;

        internal const string Recipients =
            """
            SELECT contact_id, status, reason, channel, conversation_id, queue_id, message_id, sent_at, replied_at, opted_out_at, created_at
            FROM campaigns.move_recipients
            WHERE tenant_id = kernel.current_tenant_id() AND move_id = $1 AND ($2::text IS NULL OR status = $2) AND ($3::uuid IS NULL OR contact_id < $3)
            ORDER BY contact_id DESC LIMIT $4
            """;
    }
}

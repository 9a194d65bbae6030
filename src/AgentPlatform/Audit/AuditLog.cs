using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Audit;

/// <summary>
/// A change that a person made to one thing. Action: <c>create</c>, <c>update</c> or <c>delete</c>. EntityType: the table, such as <c>agents.rules</c>.
/// Of an update the values hold what changed, and nothing else; what proves an identity is <c>***</c>.
/// </summary>
public sealed record AuditEntry(
    Guid Id, Guid UserId, string Action, string EntityType, string? EntityId, JsonElement? OldValues, JsonElement? NewValues, JsonElement Metadata,
    string? IpAddress, string? UserAgent, DateTimeOffset CreatedAt);

/// <summary>Which changes; null asks for all. From is among them, To is not.</summary>
public sealed record AuditFilter(Guid? UserId, string? Action, string? EntityType, string? EntityId, DateTimeOffset? From, DateTimeOffset? To);

/// <summary>Reads who changed what. It is written by triggers, in the transaction of each change; row level security shows it to owners and admins.</summary>
public static class AuditLog
{
    public static async Task<Page<AuditEntry>> ListAsync(Transaction tx, AuditFilter filter, PageRequest page, CancellationToken ct) =>
        Page<AuditEntry>.Cut(
            await tx.QueryAsync<AuditEntry>(
                Sql.List,
                [
                    tx.TenantId, filter.UserId, filter.Action, filter.EntityType, filter.EntityId, filter.From?.ToUniversalTime(), filter.To?.ToUniversalTime(),
                    page.Before, page.Fetch,
                ],
                ct),
            page, entry => entry.Id);

    internal static Task<AuditEntry?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<AuditEntry>(Sql.Find, [tx.TenantId, id], ct);

    private static class Sql
    {
        internal const string List =
            """
            SELECT id, user_id, action, entity_type, entity_id, old_values, new_values, metadata, host(ip_address) AS ip_address, user_agent, created_at
            FROM audit.audit_logs
            WHERE tenant_id = $1 AND ($2::uuid IS NULL OR user_id = $2) AND ($3::text IS NULL OR action = $3) AND ($4::text IS NULL OR entity_type = $4)
              AND ($5::text IS NULL OR entity_id = $5) AND ($6::timestamptz IS NULL OR created_at >= $6) AND ($7::timestamptz IS NULL OR created_at < $7)
              AND ($8::uuid IS NULL OR id < $8)
            ORDER BY id DESC LIMIT $9
            """;

        internal const string Find =
            """
            SELECT id, user_id, action, entity_type, entity_id, old_values, new_values, metadata, host(ip_address) AS ip_address, user_agent, created_at
            FROM audit.audit_logs WHERE tenant_id = $1 AND id = $2
            """;
    }
}

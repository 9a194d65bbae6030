using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Audit;

/// <summary>
/// A threat as the API shows it, with the last address it came from; <c>metadata.addresses</c> are the first twenty. Severity: <c>low</c>, <c>medium</c> or
/// <c>high</c>. CreatedAt: when it was first seen.
/// </summary>
public sealed record SecurityEvent(
    Guid Id, Guid? UserId, string EventType, string Severity, string Description, string ResourceType, Guid ResourceId, JsonElement Metadata, string? IpAddress,
    string? UserAgent, JsonElement? GeoLocation, long Occurrences, bool Resolved, Guid? ResolvedBy, DateTimeOffset? ResolvedAt, string? Notes,
    DateTimeOffset CreatedAt, DateTimeOffset LastSeenAt);

/// <summary>Which threats; null asks for all. From is among them, To is not.</summary>
public sealed record ThreatFilter(string? EventType, string? Severity, bool? Resolved, DateTimeOffset? From, DateTimeOffset? To);

/// <summary>What was found out, or done about it.</summary>
public sealed record Resolution(string? Notes);

/// <summary>Threats, which owners and admins see and resolve, each once. What goes on after that is a new one.</summary>
public sealed class SecurityEvents(Database database, TimeProvider clock)
{
    public async Task<Result<SecurityEvent>> ResolveAsync(Actor actor, Guid id, Resolution resolution, CancellationToken ct)
    {
        if (new Validation().Text("notes", resolution.Notes, 2000).Problem is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        var resolved = await tx.FindAsync<SecurityEvent>(Sql.Resolve, [actor.TenantId, id, actor.UserId, clock.GetUtcNow(), resolution.Notes?.Trim()], ct);
        if (resolved is null)
        {
            return await FindAsync(tx, id, ct) is null
                ? Problem.NotFound("security_event")
                : Problem.Conflict("already_resolved", "The event has been resolved; what goes on is a new one.");
        }

        await tx.CommitAsync(ct);
        return resolved;
    }

    public static async Task<Page<SecurityEvent>> ListAsync(Transaction tx, ThreatFilter filter, PageRequest page, CancellationToken ct) =>
        Page<SecurityEvent>.Cut(
            await tx.QueryAsync<SecurityEvent>(
                Sql.List,
                [tx.TenantId, filter.EventType, filter.Severity, filter.Resolved, filter.From?.ToUniversalTime(), filter.To?.ToUniversalTime(), page.Before, page.Fetch],
                ct),
            page, found => found.Id);

    internal static Task<SecurityEvent?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<SecurityEvent>(Sql.Find, [tx.TenantId, id], ct);

    private static class Sql
    {
        internal const string Resolve =
            """
            UPDATE audit.security_events SET resolved = true, resolved_by = $3, resolved_at = $4, notes = $5
            WHERE tenant_id = $1 AND id = $2 AND NOT resolved
            RETURNING id, user_id, event_type, severity, description, resource_type, resource_id, metadata, host(ip_address) AS ip_address, user_agent,
                      geo_location, occurrences, resolved, resolved_by, resolved_at, notes, created_at, last_seen_at
            """;

        internal const string List =
            """
            SELECT id, user_id, event_type, severity, description, resource_type, resource_id, metadata, host(ip_address) AS ip_address, user_agent,
                   geo_location, occurrences, resolved, resolved_by, resolved_at, notes, created_at, last_seen_at
            FROM audit.security_events
            WHERE tenant_id = $1 AND ($2::text IS NULL OR event_type = $2) AND ($3::text IS NULL OR severity = $3) AND ($4::boolean IS NULL OR resolved = $4)
              AND ($5::timestamptz IS NULL OR created_at >= $5) AND ($6::timestamptz IS NULL OR created_at < $6) AND ($7::uuid IS NULL OR id < $7)
            ORDER BY id DESC LIMIT $8
            """;

        internal const string Find =
            """
            SELECT id, user_id, event_type, severity, description, resource_type, resource_id, metadata, host(ip_address) AS ip_address, user_agent,
                   geo_location, occurrences, resolved, resolved_by, resolved_at, notes, created_at, last_seen_at
            FROM audit.security_events WHERE tenant_id = $1 AND id = $2
            """;
    }
}

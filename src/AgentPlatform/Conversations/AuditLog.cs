using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Conversations;

/// <summary>Something worth proving later: what happened, in which session and turn. Type, e.g. <c>session.started</c>, at most 50 characters.</summary>
public sealed record AuditEvent(string EventType, object EventData)
{
    public Guid? SessionId { get; init; }

    public Guid? TurnId { get; init; }
}

/// <summary>A stored audit event.</summary>
public sealed record StoredAuditEvent(Guid Id, Guid? SessionId, Guid? TurnId, string EventType, JsonElement EventData, DateTimeOffset CreatedAt);

/// <summary>The audit trail of sessions and turns, append-only. It outlives the sessions it speaks of.</summary>
public sealed class AuditLog(TimeProvider clock)
{
    public void Append(Transaction tx, AuditEvent e) =>
        tx.Post(Sql.Append, clock.NewId(), e.SessionId, e.TurnId, e.EventType, Json.Param(e.EventData), clock.GetUtcNow());

    /// <summary>Newest first: of the tenant, or of one session, or of one type.</summary>
    public async Task<Page<StoredAuditEvent>> ListAsync(Transaction tx, Guid? sessionId, string? eventType, PageRequest page, CancellationToken ct) =>
        Page<StoredAuditEvent>.Cut(await tx.QueryAsync<StoredAuditEvent>(Sql.List, [sessionId, eventType, page.Before, page.Fetch], ct), page, e => e.Id);

    private static class Sql
    {
        internal const string Append =
            """
            INSERT INTO conversations.audit_events (tenant_id, id, session_id, turn_id, event_type, event_data, created_at)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6)
            """;

        internal const string List =
            """
            SELECT id, session_id, turn_id, event_type, event_data, created_at FROM conversations.audit_events
            WHERE ($1::uuid IS NULL OR session_id = $1) AND ($2::text IS NULL OR event_type = $2) AND ($3::uuid IS NULL OR id < $3)
            ORDER BY id DESC LIMIT $4
            """;
    }
}

using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Events;

/// <summary>An event as the API shows it; <paramref name="Processed"/> when every consumer that wants it has handled it.</summary>
public sealed record EventView(
    Guid Id,
    string EventType,
    string AggregateType,
    Guid AggregateId,
    int Version,
    JsonElement Payload,
    JsonElement? Metadata,
    Guid? UserId,
    string? CreatedBy,
    DateTimeOffset CreatedAt,
    bool Processed);

/// <summary>Which events; a type ending in <c>.*</c> means all that begin so. Null means any.</summary>
internal sealed record EventFilter(string? AggregateType, Guid? AggregateId, string? EventType)
{
    internal string? Exact => EventType is { } type && !type.EndsWith(".*", StringComparison.Ordinal) ? type : null;

    internal string? Prefix => EventType is { } type && type.EndsWith(".*", StringComparison.Ordinal) ? type[..^1] : null;
}

internal sealed class ReadEvents(Database database, EventStore store)
{
    internal async Task<Page<EventView>> ListAsync(Actor actor, EventFilter filter, PageRequest page, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        var rows = await tx.QueryAsync<EventView>(
            Sql.List, [actor.TenantId, filter.AggregateType, filter.AggregateId, filter.Exact, filter.Prefix, page.Before, page.Fetch], ct);
        return Page<EventView>.Cut(rows, page, e => e.Id);
    }

    internal async Task<Result<EventView>> FindAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return (await tx.FindAsync<EventView>(Sql.Find, [actor.TenantId, id], ct)).OrNotFound("event");
    }

    /// <summary>The history of one aggregate in version order, archived events included.</summary>
    internal async Task<Result<Page<StoredEvent>>> ReplayAsync(Actor actor, string aggregateType, Guid aggregateId, int after, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        var history = await store.ReplayAsync(tx, aggregateType, aggregateId, ct, after);
        return history.Count == 0 && after == 0 ? Problem.NotFound("aggregate") : new Page<StoredEvent>(history, null);
    }

    private static class Sql
    {
        internal const string List =
            """
            SELECT e.id, e.event_type, e.aggregate_type, e.aggregate_id, e.version, e.payload, e.metadata, e.user_id, e.created_by, e.created_at,
                   NOT EXISTS (
                       SELECT FROM events.consumers c
                       WHERE c.tenant_id = e.tenant_id AND (c.cursor_transaction, c.cursor_position) < (e.transaction_id, e.position)
                         AND (cardinality(c.event_types) = 0 OR e.event_type = ANY (c.event_types))) AS processed
            FROM events.events e
            WHERE e.tenant_id = $1 AND ($2::text IS NULL OR e.aggregate_type = $2) AND ($3::uuid IS NULL OR e.aggregate_id = $3)
              AND ($4::text IS NULL OR e.event_type = $4) AND ($5::text IS NULL OR starts_with(e.event_type, $5))
              AND ($6::uuid IS NULL OR e.id < $6)
            ORDER BY e.id DESC LIMIT $7
            """;

        internal const string Find =
            """
            SELECT e.id, e.event_type, e.aggregate_type, e.aggregate_id, e.version, e.payload, e.metadata, e.user_id, e.created_by, e.created_at,
                   NOT EXISTS (
                       SELECT FROM events.consumers c
                       WHERE c.tenant_id = e.tenant_id AND (c.cursor_transaction, c.cursor_position) < (e.transaction_id, e.position)
                         AND (cardinality(c.event_types) = 0 OR e.event_type = ANY (c.event_types))) AS processed
            FROM events.events e WHERE e.tenant_id = $1 AND e.id = $2
            """;
    }
}

using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Events;

/// <summary>
/// The append-only store. Versions of one aggregate run 1, 2, 3 without a gap; an event id is stored once, however often it is
/// appended. Consumers of the event's type are woken when the caller's transaction commits.
/// </summary>
public sealed class EventStore
{
    private readonly WorkQueue _work;
    private readonly EventConsumers _consumers;
    private readonly EventAnnouncer _announcer;
    private readonly TimeProvider _clock;

    internal EventStore(WorkQueue work, EventConsumers consumers, EventAnnouncer announcer, TimeProvider clock) =>
        (_work, _consumers, _announcer, _clock) = (work, consumers, announcer, clock);

    /// <summary>Travels with the caller's next round trip.</summary>
    public void Append(Transaction tx, NewEvent e) => Append(tx, e, version: null);

    /// <summary>
    /// Appends as version <paramref name="expected"/> + 1 and returns that version, or a conflict when the aggregate has moved on
    /// (0 = it has no events yet). The transaction stays usable either way.
    /// </summary>
    public async Task<Result<int>> AppendExpectingAsync(Transaction tx, NewEvent e, int expected, CancellationToken ct)
    {
        var current = await tx.SingleAsync<int>(Sql.Lock, [tx.TenantId, e.AggregateType, e.AggregateId], ct);
        if (e.EventId is { } id && await tx.FindAsync<int?>(Sql.VersionOf, [tx.TenantId, id], ct) is { } stored)
        {
            return stored;
        }

        if (current != expected)
        {
            return Problem.Conflict("version_conflict", "The aggregate has changed since it was read.", $"It is at version {current}, not {expected}.");
        }

        Append(tx, e, expected + 1);
        return expected + 1;
    }

    /// <summary>All events of an aggregate in version order, archived ones included, after version <paramref name="after"/>.</summary>
    public Task<IReadOnlyList<StoredEvent>> ReplayAsync(Transaction tx, string aggregateType, Guid aggregateId, CancellationToken ct, int after = 0) =>
        tx.QueryAsync<StoredEvent>(Sql.Replay, [tx.TenantId, aggregateType, aggregateId, after], ct);

    /// <summary>The latest events of an aggregate, newest first, older than the given place when there is one; archived ones included.</summary>
    public Task<IReadOnlyList<StoredEvent>> LatestAsync(
        Transaction tx, string aggregateType, Guid aggregateId, (DateTimeOffset At, Guid Id)? before, int limit, CancellationToken ct) =>
        tx.QueryAsync<StoredEvent>(Sql.Latest, [tx.TenantId, aggregateType, aggregateId, before?.At.ToUniversalTime(), before?.Id, limit], ct);

    /// <summary>Rebuilds a state from an aggregate's events.</summary>
    public async Task<TState> ReplayAsync<TState>(
        Transaction tx, string aggregateType, Guid aggregateId, TState initial, Func<TState, StoredEvent, TState> apply, CancellationToken ct) =>
        (await ReplayAsync(tx, aggregateType, aggregateId, ct)).Aggregate(initial, apply);

    private void Append(Transaction tx, NewEvent e, int? version)
    {
        var (id, tenantId) = (e.EventId ?? _clock.NewId(), tx.TenantId);
        tx.Post(
            Sql.Append, tenantId, id, e.EventType, e.AggregateType, e.AggregateId, version, Json.Param(e.Payload),
            Json.Param(e.Metadata), e.CreatedBy);
        tx.AfterCommit(() => _announcer.Announce(tenantId, id));
        foreach (var consumer in _consumers.Of(e.EventType))
        {
            _work.Enqueue(tx, ConsumeEvents.Work(consumer, id));
        }
    }

    private static class Sql
    {
        // Announced after the commit, by EventAnnouncer.
        internal const string Append =
            """
            WITH quietly AS MATERIALIZED (SELECT set_config('app.announce', 'later', true))
            INSERT INTO events.events (tenant_id, id, event_type, aggregate_type, aggregate_id, version, payload, metadata, created_by)
            SELECT $1::uuid, $2::uuid, $3::text, $4::text, $5::uuid, $6::int, $7::jsonb, $8::jsonb, $9::text FROM quietly
            """;

        internal const string Lock =
            """
            INSERT INTO events.aggregates AS a (tenant_id, aggregate_type, aggregate_id, version) VALUES ($1, $2, $3, 0)
            ON CONFLICT (tenant_id, aggregate_type, aggregate_id) DO UPDATE SET version = a.version
            RETURNING version
            """;

        internal const string VersionOf = "SELECT version FROM events.events WHERE tenant_id = $1 AND id = $2";

        internal const string Replay =
            """
            SELECT id, event_type, aggregate_type, aggregate_id, version, payload, metadata, user_id, created_by, created_at
            FROM events.archived_events WHERE tenant_id = $1 AND aggregate_type = $2 AND aggregate_id = $3 AND version > $4
            UNION ALL
            SELECT id, event_type, aggregate_type, aggregate_id, version, payload, metadata, user_id, created_by, created_at
            FROM events.events WHERE tenant_id = $1 AND aggregate_type = $2 AND aggregate_id = $3 AND version > $4
            ORDER BY version
            """;

        internal const string Latest =
            """
            SELECT id, event_type, aggregate_type, aggregate_id, version, payload, metadata, user_id, created_by, created_at
            FROM events.archived_events
            WHERE tenant_id = $1 AND aggregate_type = $2 AND aggregate_id = $3 AND ($4::timestamptz IS NULL OR (created_at, id) < ($4, $5::uuid))
            UNION ALL
            SELECT id, event_type, aggregate_type, aggregate_id, version, payload, metadata, user_id, created_by, created_at
            FROM events.events
            WHERE tenant_id = $1 AND aggregate_type = $2 AND aggregate_id = $3 AND ($4::timestamptz IS NULL OR (created_at, id) < ($4, $5::uuid))
            ORDER BY created_at DESC, id DESC LIMIT $6
            """;
    }
}

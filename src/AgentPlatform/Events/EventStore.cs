using System.Runtime.CompilerServices;
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

    /// <summary>What a transaction has appended and not yet sent.</summary>
    private readonly ConditionalWeakTable<Transaction, List<(Guid Id, NewEvent Event)>> _unsent = [];

    internal EventStore(WorkQueue work, EventConsumers consumers, EventAnnouncer announcer, TimeProvider clock) =>
        (_work, _consumers, _announcer, _clock) = (work, consumers, announcer, clock);

    /// <summary>Travels with the commit, all events of the transaction in one statement.</summary>
    public void Append(Transaction tx, NewEvent e)
    {
        var id = e.EventId ?? _clock.NewId();
        if (!_unsent.TryGetValue(tx, out var unsent))
        {
            _unsent.Add(tx, unsent = []);
            tx.BeforeCommit(() => SendAll(tx));
        }

        if (e.EventId is null || unsent.All(u => u.Id != id))
        {
            unsent.Add((id, e));
            Tell(tx, id, e.EventType);
        }
    }

    /// <summary>
    /// Appends as version <paramref name="expected"/> + 1 and returns that version, or a conflict when the aggregate has moved on
    /// (0 = it has no events yet). The transaction stays usable either way.
    /// </summary>
    public async Task<Result<int>> AppendExpectingAsync(Transaction tx, NewEvent e, int expected, CancellationToken ct)
    {
        SendAll(tx);
        var current = await tx.SingleAsync<int>(Sql.Lock, [tx.TenantId, e.AggregateType, e.AggregateId], ct);
        if (e.EventId is { } id && await tx.FindAsync<int?>(Sql.VersionOf, [tx.TenantId, id], ct) is { } stored)
        {
            return stored;
        }

        if (current != expected)
        {
            return Problem.Conflict("version_conflict", "The aggregate has changed since it was read.", $"It is at version {current}, not {expected}.");
        }

        Append(tx, e);
        return expected + 1;
    }

    /// <summary>What becomes of the aggregate, which has events, is from now on among the updates of that user.</summary>
    public void Give(Transaction tx, string aggregateType, Guid aggregateId, Guid userId)
    {
        SendAll(tx);
        tx.Post(Sql.Give, tx.TenantId, aggregateType, aggregateId, userId);
    }

    /// <summary>All events of an aggregate in version order, archived ones included, after version <paramref name="after"/>.</summary>
    public Task<IReadOnlyList<StoredEvent>> ReplayAsync(Transaction tx, string aggregateType, Guid aggregateId, CancellationToken ct, int after = 0)
    {
        SendAll(tx);
        return tx.QueryAsync<StoredEvent>(Sql.Replay, [tx.TenantId, aggregateType, aggregateId, after], ct);
    }

    /// <summary>The latest events of an aggregate, newest first, older than the given place when there is one; archived ones included.</summary>
    public Task<IReadOnlyList<StoredEvent>> LatestAsync(
        Transaction tx, string aggregateType, Guid aggregateId, (DateTimeOffset At, Guid Id)? before, int limit, CancellationToken ct)
    {
        SendAll(tx);
        return tx.QueryAsync<StoredEvent>(Sql.Latest, [tx.TenantId, aggregateType, aggregateId, before?.At.ToUniversalTime(), before?.Id, limit], ct);
    }

    /// <summary>Rebuilds a state from an aggregate's events.</summary>
    public async Task<TState> ReplayAsync<TState>(
        Transaction tx, string aggregateType, Guid aggregateId, TState initial, Func<TState, StoredEvent, TState> apply, CancellationToken ct) =>
        (await ReplayAsync(tx, aggregateType, aggregateId, ct)).Aggregate(initial, apply);

    private void SendAll(Transaction tx)
    {
        if (_unsent.TryGetValue(tx, out var unsent) && unsent.Count > 0)
        {
            var named = unsent.Where(u => u.Event.EventId is not null).Select(u => u.Id).ToArray();
            if (named.Length > 0)
            {
                tx.Post(Sql.LockAll, tx.TenantId, unsent.Select(u => u.Event.AggregateType).ToArray(), unsent.Select(u => u.Event.AggregateId).ToArray());
            }

            tx.Post(
                Sql.AppendAll,
                tx.TenantId,
                unsent.Select(u => u.Id).ToArray(),
                unsent.Select(u => u.Event.EventType).ToArray(),
                unsent.Select(u => u.Event.AggregateType).ToArray(),
                unsent.Select(u => u.Event.AggregateId).ToArray(),
                Json.Params(unsent.Select(u => u.Event.Payload)),
                Json.Params(unsent.Select(u => u.Event.Metadata)),
                unsent.Select(u => u.Event.CreatedBy).ToArray(),
                named);
            unsent.Clear();
        }
    }

    private void Tell(Transaction tx, Guid id, string eventType)
    {
        var tenantId = tx.TenantId;
        tx.AfterCommit(() => _announcer.Announce(tenantId, id));
        foreach (var consumer in _consumers.Of(eventType))
        {
            _work.Enqueue(tx, ConsumeEvents.Work(consumer, id));
        }
    }

    private static class Sql
    {
        // Announced after the commit, by EventAnnouncer. Numbered here, each aggregate once, whatever the number of its events. Aggregates are
        // locked in one order, so that two writers of the same ones wait for each other and never both. What names its id is left out when it
        // is stored already.
        internal const string AppendAll =
            """
            WITH quietly AS MATERIALIZED (SELECT set_config('app.announce', 'later', true), set_config('app.numbering', 'done', true)),
            new AS (
                SELECT * FROM unnest($2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::jsonb[], $7::jsonb[], $8::text[])
                    WITH ORDINALITY AS n (id, event_type, aggregate_type, aggregate_id, payload, metadata, created_by, place)
                WHERE n.id <> ALL ($9::uuid[]) OR NOT EXISTS (SELECT FROM events.events AS e WHERE e.tenant_id = $1 AND e.id = n.id)
            ), numbered AS (
                INSERT INTO events.aggregates AS a (tenant_id, aggregate_type, aggregate_id, version)
                SELECT $1, aggregate_type, aggregate_id, count(*) FROM new GROUP BY aggregate_type, aggregate_id ORDER BY aggregate_type, aggregate_id
                ON CONFLICT (tenant_id, aggregate_type, aggregate_id) DO UPDATE SET version = a.version + excluded.version
                RETURNING aggregate_type, aggregate_id, version
            )
            INSERT INTO events.events (tenant_id, id, event_type, aggregate_type, aggregate_id, version, payload, metadata, created_by)
            SELECT $1, n.id, n.event_type, n.aggregate_type, n.aggregate_id,
                   a.version + 1 - row_number() OVER (PARTITION BY n.aggregate_type, n.aggregate_id ORDER BY n.place DESC), n.payload, n.metadata, n.created_by
            FROM quietly, new AS n JOIN numbered AS a USING (aggregate_type, aggregate_id)
            ORDER BY n.place
            """;

        // Before a look for stored ids, by a statement of its own: the next one sees what another writer of these aggregates has committed.
        internal const string LockAll =
            """
            INSERT INTO events.aggregates AS a (tenant_id, aggregate_type, aggregate_id, version)
            SELECT DISTINCT $1::uuid, aggregate_type, aggregate_id, 0 FROM unnest($2::text[], $3::uuid[]) AS n (aggregate_type, aggregate_id)
            ORDER BY aggregate_type, aggregate_id
            ON CONFLICT (tenant_id, aggregate_type, aggregate_id) DO UPDATE SET version = a.version
            """;

        internal const string Lock =
            """
            INSERT INTO events.aggregates AS a (tenant_id, aggregate_type, aggregate_id, version) VALUES ($1, $2, $3, 0)
            ON CONFLICT (tenant_id, aggregate_type, aggregate_id) DO UPDATE SET version = a.version
            RETURNING version
            """;

        internal const string Give = "UPDATE events.aggregates SET user_id = $4 WHERE tenant_id = $1 AND aggregate_type = $2 AND aggregate_id = $3";

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

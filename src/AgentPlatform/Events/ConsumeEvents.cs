using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Events;

/// <summary>
/// Moves one consumer of one tenant forward by up to a batch of events. Events are read in the order (transaction, position), and
/// only below the oldest running transaction, so one that commits late is not skipped; transactions of other databases are not waited for long.
/// </summary>
internal sealed class ConsumeEvents(
    Database database, EventConsumers consumers, WorkQueue work, IServiceProvider services, TimeProvider clock, ILogger<ConsumeEvents> log) : IWorkHandler
{
    internal const string Kind = "events.consume";
    internal const int BatchSize = 20;

    /// <summary>Between looks at events that are stored, but not yet safe to read.</summary>
    internal static readonly TimeSpan Unsettled = TimeSpan.FromMilliseconds(250);

    /// <summary>
    /// An event that a consumer of another build wants is left so long to a host that has that build: while hosts are replaced one by one, an older one
    /// must not pass it over. After that the type is one that the consumer no longer wants.
    /// </summary>
    internal static readonly TimeSpan Newer = TimeSpan.FromMinutes(1);

    internal static NewWork Work(EventConsumer consumer, Guid cause) =>
        new(Kind, $"{consumer.Name}:{cause}", new Payload(consumer.Name)) { SerialKey = $"{Kind}:{consumer.Name}", MaxAttempts = 1000 };

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var name = item.Read<Payload>().Consumer;
        if (consumers.Find(name) is not { } consumer)
        {
            return new WorkOutcome.Cancel("No such consumer is registered any more.");
        }

        var actor = Actor.System(item.TenantId);
        var (state, batch, waiting, behind) = await ReadAsync(actor, item, consumer, ct);
        if (state.Status == "dead")
        {
            return new WorkOutcome.Done();
        }

        if (state.RetryAt is { } retryAt && retryAt > clock.GetUtcNow())
        {
            return new WorkOutcome.Snooze(retryAt - clock.GetUtcNow());
        }

        foreach (var next in batch)
        {
            if (!consumer.Wants(next.EventType))
            {
                return clock.GetUtcNow() - next.CreatedAt < Newer ? new WorkOutcome.Snooze(Unsettled) : await TrimAsync(actor, consumer, ct);
            }

            if (await HandleAsync(actor, consumer, next, ct) is { } after)
            {
                return after;
            }
        }

        return batch.Count == BatchSize ? new WorkOutcome.Snooze(TimeSpan.Zero)
            : waiting ? new WorkOutcome.Snooze(Unsettled)
            : behind.Count > 0 ? await AbsorbAsync(actor, item, behind, ct)
            : new WorkOutcome.Done();
    }

    /// <summary>Nothing is left of what was there: the items that were put in for it need not run to find that out.</summary>
    private async Task<WorkOutcome> AbsorbAsync(Actor actor, WorkItem item, IReadOnlyList<long> behind, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        work.Absorb(tx, item, behind);
        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    /// <summary>How long to wait before the next attempt at the same event: 2 s, doubled each time, at most 15 minutes.</summary>
    internal static TimeSpan Backoff(int attempts) => TimeSpan.FromSeconds(Math.Min(900, Math.Pow(2, Math.Min(attempts, 16))));

    private async Task<(ConsumerState State, IReadOnlyList<QueuedEvent> Batch, bool Waiting, IReadOnlyList<long> Behind)> ReadAsync(
        Actor actor, WorkItem item, EventConsumer consumer, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        tx.Post(Sql.Register, actor.TenantId, consumer.Name, consumer.EventTypes.Order(StringComparer.Ordinal).ToArray());
        var state = await tx.SingleAsync<ConsumerState>(Sql.State, [actor.TenantId, consumer.Name], ct);
        // Before the events are looked at: an item commits with its event, so whatever these were put in for is seen below.
        var behind = await work.BehindAsync(tx, item, ct);
        // Asked first: an event that settles between the two statements is then found by the second, not overlooked by both.
        var waitsLong = await tx.FindAsync<bool?>(Sql.Waiting, [actor.TenantId, consumer.Name, Unsettled], ct);
        var batch = await tx.QueryAsync<QueuedEvent>(Sql.Batch, [actor.TenantId, consumer.Name, BatchSize, waitsLong ?? false], ct);
        await tx.CommitAsync(ct);
        return (state, batch, waitsLong is not null, behind);
    }

    private async Task<WorkOutcome> TrimAsync(Actor actor, EventConsumer consumer, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        tx.Post(Sql.Trim, actor.TenantId, consumer.Name, consumer.EventTypes.Order(StringComparer.Ordinal).ToArray());
        await tx.CommitAsync(ct);
        return new WorkOutcome.Snooze(TimeSpan.Zero);
    }

    /// <summary>Null when the event is handled, or was by another run; else how the run ends.</summary>
    private async Task<WorkOutcome?> HandleAsync(Actor actor, EventConsumer consumer, QueuedEvent next, CancellationToken ct)
    {
        try
        {
            await using var tx = database.Begin(actor);
            // The cursor moves first and is locked by that: a second run of this consumer waits here, and then finds nothing to do.
            var moved = await tx.ExecuteAsync(Sql.Advance, [actor.TenantId, consumer.Name, next.Transaction, next.Position], ct);
            if (moved == 1)
            {
                await using var scope = services.CreateAsyncScope();
                var handler = (IEventConsumer)scope.ServiceProvider.GetRequiredService(consumer.Handler);
                await handler.HandleAsync(next.Event, tx, ct);
            }

            await tx.CommitAsync(ct);
            return null;
        }
        catch (Exception e) when (e is not OperationCanceledException || !ct.IsCancellationRequested)
        {
            // The boundary of a consumer: whatever its handler threw becomes the consumer's visible failure, and is tried again.
            log.ConsumerFailed(consumer.Name, next.Id, e);
            return await FailAsync(actor, consumer, next, $"{e.GetType().Name}: {e.Message}", ct);
        }
    }

    private async Task<WorkOutcome> FailAsync(Actor actor, EventConsumer consumer, QueuedEvent failed, string error, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        var attempts = await tx.SingleAsync<int>(Sql.Attempts, [actor.TenantId, consumer.Name, failed.Id], ct) + 1;
        var dead = attempts >= consumer.MaxAttempts;
        DateTimeOffset? retryAt = dead ? null : clock.GetUtcNow() + Backoff(attempts);
        tx.Post(Sql.Fail, actor.TenantId, consumer.Name, failed.Id, error, attempts, retryAt);
        await tx.CommitAsync(ct);
        if (dead)
        {
            log.ConsumerDied(consumer.Name, failed.Id, attempts);
            return new WorkOutcome.Done();
        }

        return new WorkOutcome.Snooze(Backoff(attempts));
    }

    internal sealed record Payload(string Consumer);

    private sealed record ConsumerState(string Status, DateTimeOffset? RetryAt);

    private sealed record QueuedEvent(
        string Transaction, long Position, Guid Id, string EventType, string AggregateType, Guid AggregateId, int Version,
        System.Text.Json.JsonElement Payload, System.Text.Json.JsonElement? Metadata, Guid? UserId, string? CreatedBy, DateTimeOffset CreatedAt)
    {
        internal StoredEvent Event => new(Id, EventType, AggregateType, AggregateId, Version, Payload, Metadata, UserId, CreatedBy, CreatedAt);
    }

    private static class Sql
    {
        internal const string Register =
            """
            INSERT INTO events.consumers AS c (tenant_id, name, event_types) VALUES ($1, $2, $3)
            ON CONFLICT (tenant_id, name) DO UPDATE
            SET event_types = CASE WHEN cardinality(excluded.event_types) > 0 THEN ARRAY (SELECT DISTINCT unnest(c.event_types || excluded.event_types) ORDER BY 1) ELSE '{}' END
            WHERE cardinality(c.event_types) > 0 AND (cardinality(excluded.event_types) = 0 OR NOT c.event_types @> excluded.event_types)
            """;

        internal const string Trim = "UPDATE events.consumers SET event_types = $3 WHERE tenant_id = $1 AND name = $2";

        internal const string State = "SELECT status, retry_at FROM events.consumers WHERE tenant_id = $1 AND name = $2";

        internal const string Batch =
            """
            SELECT e.transaction_id::text AS transaction, e.position, e.id, e.event_type, e.aggregate_type, e.aggregate_id, e.version, e.payload,
                   e.metadata, e.user_id, e.created_by, e.created_at
            FROM events.consumers c
            JOIN events.events e ON e.tenant_id = c.tenant_id AND (e.transaction_id, e.position) > (c.cursor_transaction, c.cursor_position)
            WHERE c.tenant_id = $1 AND c.name = $2 AND e.transaction_id < (SELECT events.settled_before($4))
              AND (cardinality(c.event_types) = 0 OR e.event_type = ANY (c.event_types))
            ORDER BY e.transaction_id, e.position
            LIMIT $3
            """;

        // Whether the first event that may not be read yet has waited for long; nothing when there is none.
        internal const string Waiting =
            """
            SELECT e.created_at < now() - $3::interval
            FROM events.consumers c
            JOIN events.events e ON e.tenant_id = c.tenant_id AND (e.transaction_id, e.position) > (c.cursor_transaction, c.cursor_position)
            WHERE c.tenant_id = $1 AND c.name = $2 AND e.transaction_id >= pg_snapshot_xmin(pg_current_snapshot())
              AND (cardinality(c.event_types) = 0 OR e.event_type = ANY (c.event_types))
            ORDER BY e.transaction_id, e.position
            LIMIT 1
            """;

        internal const string Advance =
            """
            UPDATE events.consumers
            SET cursor_transaction = $3::xid8, cursor_position = $4, handled = handled + 1, last_handled_at = now(),
                status = 'active', attempts = 0, failed_event_id = NULL, last_error = NULL, retry_at = NULL
            WHERE tenant_id = $1 AND name = $2 AND (cursor_transaction, cursor_position) < ($3::xid8, $4)
            """;

        internal const string Attempts =
            """
            SELECT CASE WHEN failed_event_id = $3 THEN attempts ELSE 0 END
            FROM events.consumers WHERE tenant_id = $1 AND name = $2 FOR UPDATE
            """;

        internal const string Fail =
            """
            UPDATE events.consumers
            SET failed_event_id = $3, last_error = left($4, 2000), attempts = $5, retry_at = $6::timestamptz,
                status = CASE WHEN $6::timestamptz IS NULL THEN 'dead' ELSE 'retrying' END
            WHERE tenant_id = $1 AND name = $2
            """;
    }
}

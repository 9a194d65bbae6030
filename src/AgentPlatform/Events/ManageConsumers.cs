using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Events;

/// <summary>
/// A consumer of events, and how far it is. Status: active, retrying (the same event, at <paramref name="RetryAt"/>), dead (it gave up
/// at <paramref name="FailedEventId"/> and waits for a person). The lag counts events it wants and has not handled.
/// </summary>
public sealed record ConsumerView(
    string Name,
    string[] EventTypes,
    string Status,
    long Handled,
    long Lag,
    DateTimeOffset? OldestWaiting,
    int Attempts,
    Guid? FailedEventId,
    string? LastError,
    DateTimeOffset? RetryAt,
    DateTimeOffset? LastHandledAt,
    DateTimeOffset UpdatedAt);

/// <summary>Whether to leave out the event the consumer failed at. Default false: try it again.</summary>
public sealed record ResumeConsumer(bool SkipFailed = false);

internal sealed class ManageConsumers(Database database, EventConsumers registered, WorkQueue work, TimeProvider clock)
{
    internal async Task<Page<ConsumerView>> ListAsync(Actor actor, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return new Page<ConsumerView>(await tx.QueryAsync<ConsumerView>(Sql.List, [actor.TenantId, null], ct), null);
    }

    internal async Task<Result<ConsumerView>> FindAsync(Actor actor, string name, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return (await tx.FindAsync<ConsumerView>(Sql.List, [actor.TenantId, name], ct)).OrNotFound("consumer");
    }

    /// <summary>Sets a stopped or waiting consumer going again at once.</summary>
    internal async Task<Result<ConsumerView>> ResumeAsync(Actor actor, string name, ResumeConsumer request, CancellationToken ct)
    {
        if (registered.Find(name) is not { } consumer)
        {
            return Problem.NotFound("consumer");
        }

        await using var tx = database.Begin(actor);
        if (request.SkipFailed)
        {
            tx.Post(Sql.SkipFailed, actor.TenantId, name);
        }

        if (await tx.ExecuteAsync(Sql.Resume, [actor.TenantId, name], ct) == 0)
        {
            return Problem.Conflict("consumer_not_stopped", "The consumer is not stopped, nor waiting to retry.");
        }

        work.Enqueue(tx, ConsumeEvents.Work(consumer, clock.NewId()));
        var resumed = await tx.SingleAsync<ConsumerView>(Sql.List, [actor.TenantId, name], ct);
        await tx.CommitAsync(ct);
        return resumed;
    }

    private static class Sql
    {
        internal const string List =
            """
            SELECT c.name, c.event_types, c.status, c.handled, waiting.count AS lag, waiting.oldest AS oldest_waiting, c.attempts, c.failed_event_id,
                   c.last_error, c.retry_at, c.last_handled_at, c.updated_at
            FROM events.consumers c
            CROSS JOIN LATERAL (
                SELECT count(*) AS count, min(e.created_at) AS oldest FROM events.events e
                WHERE e.tenant_id = c.tenant_id AND (e.transaction_id, e.position) > (c.cursor_transaction, c.cursor_position)
                  AND (cardinality(c.event_types) = 0 OR e.event_type = ANY (c.event_types))) waiting
            WHERE c.tenant_id = $1 AND ($2::text IS NULL OR c.name = $2)
            ORDER BY c.name
            """;

        internal const string SkipFailed =
            """
            UPDATE events.consumers c SET cursor_transaction = e.transaction_id, cursor_position = e.position
            FROM events.events e
            WHERE c.tenant_id = $1 AND c.name = $2 AND e.tenant_id = c.tenant_id AND e.id = c.failed_event_id
            """;

        internal const string Resume =
            """
            UPDATE events.consumers
            SET status = 'active', attempts = 0, failed_event_id = NULL, last_error = NULL, retry_at = NULL
            WHERE tenant_id = $1 AND name = $2 AND status <> 'active'
            """;
    }
}

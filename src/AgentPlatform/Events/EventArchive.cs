using AgentPlatform.Postgres;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Events;

/// <summary>
/// Moves events older than 90 days, that every consumer has handled, to <c>events.archived_events</c>. Row level security lets this
/// job see nothing younger. Archived events still replay, until they have been there for <see cref="EventsOptions.ArchiveRetentionDays"/>.
/// </summary>
public sealed class EventArchive(Database database, IOptions<EventsOptions> options)
{
    private const int BatchSize = 1000;

    /// <summary>Moves in batches, so that no transaction is long. Returns how many events moved.</summary>
    public async Task<int> RunAsync(CancellationToken ct)
    {
        var total = 0;
        int moved;
        do
        {
            await using var tx = database.BeginWorker();
            moved = await tx.ExecuteAsync(Sql.Archive, [BatchSize], ct);
            await tx.CommitAsync(ct);
            total += moved;
        }
        while (moved == BatchSize);
        return total + await database.PruneOlderAsync(options.Value.ArchiveRetentionDays, ct, Sql.Prune);
    }

    private static class Sql
    {
        internal const string Prune =
            """
            DELETE FROM events.archived_events
            WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM events.archived_events WHERE archived_at < now() - make_interval(days => $2) LIMIT $1)
            """;

        // Arriving in the archive removes an event from the store: see the trigger on_event_archived.
        internal const string Archive =
            """
            INSERT INTO events.archived_events
                (tenant_id, id, event_type, aggregate_type, aggregate_id, version, payload, metadata, user_id, created_by, created_at)
            SELECT e.tenant_id, e.id, e.event_type, e.aggregate_type, e.aggregate_id, e.version, e.payload, e.metadata, e.user_id, e.created_by, e.created_at
            FROM events.events e
            WHERE e.created_at < now() - interval '90 days'
              AND NOT EXISTS (
                  SELECT FROM events.consumers c
                  WHERE c.tenant_id = e.tenant_id AND (c.cursor_transaction, c.cursor_position) < (e.transaction_id, e.position)
                    AND (cardinality(c.event_types) = 0 OR e.event_type = ANY (c.event_types)))
            LIMIT $1
            """;
    }
}

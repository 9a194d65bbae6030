using AgentPlatform.Operations;
using AgentPlatform.Postgres;

namespace AgentPlatform.Events;

/// <summary>How many events there are, and how many the slowest consumer has not handled.</summary>
internal sealed class EventHealth : IHealthSource
{
    public Task<IReadOnlyList<HealthFact>> ReadAsync(Transaction tx, CancellationToken ct) => tx.QueryAsync<HealthFact>(Sql.Facts, [HealthFact.Most], ct);

    private static class Sql
    {
        internal const string Facts =
            """
            WITH unprocessed AS (
                SELECT count(*) AS count, min(created_at) AS oldest
                FROM (SELECT e.created_at
                      FROM (SELECT c.event_types, c.cursor_transaction, c.cursor_position
                            FROM events.consumers AS c ORDER BY c.cursor_transaction, c.cursor_position LIMIT 1) AS slowest
                      JOIN events.events AS e
                        ON (e.transaction_id, e.position) > (slowest.cursor_transaction, slowest.cursor_position)
                       AND (slowest.event_types = '{}' OR e.event_type = ANY (slowest.event_types))
                      LIMIT $1) AS e
            )
            SELECT 'events' AS name, (SELECT count(*) FROM (SELECT FROM events.events LIMIT $1) AS e) AS count, NULL::timestamptz AS oldest
            UNION ALL
            SELECT 'events_unprocessed', count, oldest FROM unprocessed
            """;
    }
}

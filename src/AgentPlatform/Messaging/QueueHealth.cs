using AgentPlatform.Operations;
using AgentPlatform.Postgres;

namespace AgentPlatform.Messaging;

/// <summary>How many outgoing messages wait, held ones included.</summary>
internal sealed class QueueHealth : IHealthSource
{
    public Task<IReadOnlyList<HealthFact>> ReadAsync(Transaction tx, CancellationToken ct) => tx.QueryAsync<HealthFact>(Sql.Facts, [], ct);

    private static class Sql
    {
        internal const string Facts =
            """
            SELECT 'messages_queued' AS name, messaging.get_queued_messages_count() AS count,
                   (SELECT min(scheduled_for) FROM messaging.message_queue WHERE status IN ('queued', 'held', 'approved')) AS oldest
            """;
    }
}

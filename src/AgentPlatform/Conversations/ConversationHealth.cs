using AgentPlatform.Operations;
using AgentPlatform.Postgres;

namespace AgentPlatform.Conversations;

/// <summary>How many conversations and messages there are.</summary>
internal sealed class ConversationHealth : IHealthSource
{
    public Task<IReadOnlyList<HealthFact>> ReadAsync(Transaction tx, CancellationToken ct) => tx.QueryAsync<HealthFact>(Sql.Facts, [HealthFact.Most], ct);

    private static class Sql
    {
        internal const string Facts =
            """
            SELECT 'conversations' AS name, (SELECT count(*) FROM (SELECT FROM conversations.conversations LIMIT $1) AS c) AS count, NULL::timestamptz AS oldest
            UNION ALL
            SELECT 'messages', (SELECT count(*) FROM (SELECT FROM conversations.messages LIMIT $1) AS m), NULL
            """;
    }
}

using AgentPlatform.Operations;
using AgentPlatform.Postgres;

namespace AgentPlatform.Conversations;

/// <summary>How many conversations and messages there are, and how many conversations somebody follows now.</summary>
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
            UNION ALL
            SELECT 'conversations_followed', (SELECT count(*) FROM (SELECT FROM conversations.conversation_followers WHERE followed_until > now() LIMIT $1) AS f), NULL
            """;
    }
}

using AgentPlatform.Postgres;

namespace AgentPlatform.Channels.Intake;

/// <summary>
/// Counts what a channel took in and sent. Messages at the same moment are spread over sixteen rows, and each row is locked by the very last
/// statement of its transaction: whoever meets there waits for no more than a commit.
/// </summary>
internal static class ChannelTraffic
{
    internal static void Received(Transaction tx, Guid channelId, Guid messageId, DateTimeOffset at) => Count(tx, channelId, messageId, received: 1, sent: 0, at);

    internal static void Sent(Transaction tx, Guid channelId, Guid messageId, DateTimeOffset at) => Count(tx, channelId, messageId, received: 0, sent: 1, at);

    private static void Count(Transaction tx, Guid channelId, Guid messageId, long received, long sent, DateTimeOffset at) =>
        tx.BeforeCommit(() => tx.Post(Sql.Count, tx.TenantId, channelId, (short)(messageId.GetHashCode() & 15), received, sent, at.ToUniversalTime()));

    private static class Sql
    {
        internal const string Count =
            """
            INSERT INTO channels.webhook_traffic AS t (tenant_id, webhook_id, slot, total_messages_received, total_messages_sent, last_message_at)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (tenant_id, webhook_id, slot) DO UPDATE SET
                total_messages_received = t.total_messages_received + excluded.total_messages_received,
                total_messages_sent = t.total_messages_sent + excluded.total_messages_sent,
                last_message_at = greatest(t.last_message_at, excluded.last_message_at)
            """;
    }
}

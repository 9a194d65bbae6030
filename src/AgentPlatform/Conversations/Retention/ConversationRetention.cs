using AgentPlatform.Postgres;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Conversations.Retention;

/// <summary>
/// Forgets turns, messages and sessions that are past the time set for them. Months of messages are dropped whole; a session takes along what hangs on it:
/// intents, requests for actions with their attempts, schema states and runs of workflows.
/// </summary>
public sealed class ConversationRetention(Database database, IOptions<ConversationsOptions> options)
{
    /// <summary>Returns how many rows went; of months that were dropped, how many months.</summary>
    public async Task<int> PruneAsync(CancellationToken ct) =>
        await database.PruneOlderAsync(options.Value.TurnRetentionDays, ct, Sql.AuditEvents, Sql.Turns)
        + await DropMonthsAsync(ct)
        + await database.PruneOlderAsync(options.Value.MessageRetentionDays, ct, Sql.StrayMessages)
        + await database.PruneOlderAsync(options.Value.SessionRetentionDays, ct, Sql.Sessions);

    private async Task<int> DropMonthsAsync(CancellationToken ct)
    {
        if (options.Value.MessageRetentionDays == 0)
        {
            return 0;
        }

        await using var tx = database.BeginWorker();
        var dropped = await tx.SingleAsync<int>(Sql.DropMonths, [options.Value.MessageRetentionDays], ct);
        await tx.CommitAsync(ct);
        return dropped;
    }

    private static class Sql
    {
        internal const string AuditEvents =
            """
            DELETE FROM conversations.audit_events
            WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM conversations.audit_events WHERE created_at < now() - make_interval(days => $2) LIMIT $1)
            """;

        internal const string Turns =
            """
            DELETE FROM conversations.turn_records
            WHERE (tenant_id, id) IN (
                SELECT t.tenant_id, t.id FROM conversations.turn_records AS t
                WHERE t.created_at < now() - make_interval(days => $2)
                  AND NOT EXISTS (SELECT FROM conversations.audit_events AS e WHERE e.tenant_id = t.tenant_id AND e.turn_id = t.id)
                LIMIT $1)
            """;

        internal const string DropMonths = "SELECT conversations.drop_message_partitions(now() - make_interval(days => $1))";

        // Of months that had no partition when they began.
        internal const string StrayMessages =
            """
            DELETE FROM conversations.messages_default
            WHERE (tenant_id, id) IN (
                SELECT tenant_id, id FROM conversations.messages_default WHERE id < conversations.first_message_id(now() - make_interval(days => $2)) LIMIT $1)
            """;

        internal const string Sessions =
            """
            DELETE FROM conversations.sessions
            WHERE (tenant_id, id) IN (
                SELECT tenant_id, id FROM conversations.sessions
                WHERE created_at < now() - make_interval(days => $2) AND persist_until < now() - make_interval(days => $2) LIMIT $1)
            """;
    }
}

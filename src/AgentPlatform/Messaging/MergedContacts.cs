using AgentPlatform.Contacts;
using AgentPlatform.Postgres;

namespace AgentPlatform.Messaging;

/// <summary>When a contact turns out to be another one, what is still to be said to it, and what it has heard today, moves along.</summary>
internal sealed class MergedContacts : IContactMergeParticipant
{
    public Task MoveAsync(Transaction tx, Guid from, Guid into, CancellationToken ct)
    {
        tx.Post(Sql.Queue, tx.TenantId, from, into);
        tx.Post(Sql.AddBudgets, tx.TenantId, from, into);
        tx.Post(Sql.DropBudgets, tx.TenantId, from);
        return Task.CompletedTask;
    }

    private static class Sql
    {
        internal const string Queue = "UPDATE messaging.message_queue SET contact_id = $3 WHERE tenant_id = $1 AND contact_id = $2";

        // One person's day is one row: what either profile heard counts.
        internal const string AddBudgets =
            """
            INSERT INTO messaging.user_message_budget AS b (tenant_id, id, contact_id, date, messages_sent, last_message_at, daily_limit, hourly_limit, quiet_hours_enabled)
            SELECT f.tenant_id, gen_random_uuid(), $3, f.date, f.messages_sent, f.last_message_at, f.daily_limit, f.hourly_limit, f.quiet_hours_enabled
            FROM messaging.user_message_budget AS f WHERE f.tenant_id = $1 AND f.contact_id = $2
            ON CONFLICT (tenant_id, contact_id, date) DO UPDATE SET
                messages_sent = b.messages_sent + excluded.messages_sent, last_message_at = greatest(b.last_message_at, excluded.last_message_at)
            """;

        internal const string DropBudgets = "DELETE FROM messaging.user_message_budget WHERE tenant_id = $1 AND contact_id = $2";
    }
}

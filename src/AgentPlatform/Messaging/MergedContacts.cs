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

/// <summary>What was or is to be said to a contact, and how much of it on which day. Effects go with their message: what is deleted is not sent.</summary>
internal sealed class KeptOfContacts : IKeepsPersonalData
{
    public IReadOnlyList<Kept> Kept { get; } =
    [
        new("messaging.effects", Sql.Effects),
        new("messaging.message_queue", Sql.Queue, Sql.EraseQueue),
        new("messaging.user_message_budget", Sql.Budgets, Sql.EraseBudgets),
    ];

    private static class Sql
    {
        internal const string Effects =
            """
            SELECT to_jsonb(t)::text FROM messaging.effects AS t
            WHERE t.queue_id IN (SELECT q.id FROM messaging.message_queue AS q WHERE q.contact_id = ANY ($1))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string Queue =
            """
            SELECT to_jsonb(t)::text FROM messaging.message_queue AS t
            WHERE (t.contact_id = ANY ($1) OR t.conversation_context_id = ANY (conversations.of_contacts($1)))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseQueue =
            """
            DELETE FROM messaging.message_queue
            WHERE id IN (SELECT t.id FROM messaging.message_queue AS t WHERE (t.contact_id = ANY ($1) OR t.conversation_context_id = ANY (conversations.of_contacts($1))) LIMIT $2)
            RETURNING id
            """;

        internal const string Budgets =
            """
            SELECT to_jsonb(t)::text FROM messaging.user_message_budget AS t
            WHERE t.contact_id = ANY ($1)
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseBudgets =
            """
            DELETE FROM messaging.user_message_budget
            WHERE id IN (SELECT t.id FROM messaging.user_message_budget AS t WHERE t.contact_id = ANY ($1) LIMIT $2)
            RETURNING id
            """;
    }
}

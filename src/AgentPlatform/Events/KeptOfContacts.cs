using AgentPlatform.Postgres;

namespace AgentPlatform.Events;

/// <summary>What happened to a contact and in its conversations. Events go with what they tell of.</summary>
internal sealed class KeptOfContacts : IKeepsPersonalData, IKeepsTraces
{
    public IReadOnlyList<Kept> Kept { get; } =
    [
        new("events.archived_events", Sql.Archived),
        new("events.events", Sql.Events),
    ];

    public void Forget(Transaction tx, Guid[] rows)
    {
        tx.Post(Sql.ForgetArchived, tx.TenantId, rows);
        tx.Post(Sql.Forget, tx.TenantId, rows);
    }

    private static class Sql
    {
        internal const string Archived =
            """
            SELECT to_jsonb(t)::text FROM events.archived_events AS t
            WHERE (t.aggregate_type = 'contact' AND t.aggregate_id = ANY ($1) OR t.aggregate_type = 'conversation' AND t.aggregate_id = ANY (conversations.of_contacts($1)))
            ORDER BY t.created_at, t.id OFFSET $2 LIMIT $3
            """;

        internal const string Events =
            """
            SELECT to_jsonb(t)::text FROM events.events AS t
            WHERE (t.aggregate_type = 'contact' AND t.aggregate_id = ANY ($1) OR t.aggregate_type = 'conversation' AND t.aggregate_id = ANY (conversations.of_contacts($1)))
            ORDER BY t.created_at, t.id OFFSET $2 LIMIT $3
            """;

        // By the way events are indexed: the types of aggregates that tell of a person.
        internal const string ForgetArchived =
            """
            DELETE FROM events.archived_events
            WHERE tenant_id = $1 AND aggregate_type IN ('contact', 'conversation', 'agent_task', 'agency_task') AND aggregate_id = ANY ($2)
            """;

        internal const string Forget =
            """
            DELETE FROM events.events
            WHERE tenant_id = $1 AND aggregate_type IN ('contact', 'conversation', 'agent_task', 'agency_task') AND aggregate_id = ANY ($2)
            """;
    }
}

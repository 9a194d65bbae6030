using AgentPlatform.Postgres;

namespace AgentPlatform.Schedules;

/// <summary>What agents are to do for a contact, and did.</summary>
internal sealed class KeptOfContacts : IKeepsPersonalData
{
    public IReadOnlyList<Kept> Kept { get; } =
    [
        new("schedules.agent_tasks", Sql.Tasks, Sql.EraseTasks),
        new("schedules.archived_agent_tasks", Sql.Archived, Sql.EraseArchived),
    ];

    private static class Sql
    {
        internal const string Tasks =
            """
            SELECT to_jsonb(t)::text FROM schedules.agent_tasks AS t
            WHERE (t.contact_id = ANY ($1) OR t.context_type = 'conversation' AND t.context_id = ANY (conversations.of_contacts($1)))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseTasks =
            """
            DELETE FROM schedules.agent_tasks
            WHERE id IN (SELECT t.id FROM schedules.agent_tasks AS t WHERE (t.contact_id = ANY ($1) OR t.context_type = 'conversation' AND t.context_id = ANY (conversations.of_contacts($1))) LIMIT $2)
            RETURNING id
            """;

        internal const string Archived =
            """
            SELECT to_jsonb(t)::text FROM schedules.archived_agent_tasks AS t
            WHERE (t.contact_id = ANY ($1) OR t.context_type = 'conversation' AND t.context_id = ANY (conversations.of_contacts($1)))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseArchived =
            """
            DELETE FROM schedules.archived_agent_tasks
            WHERE id IN (SELECT t.id FROM schedules.archived_agent_tasks AS t WHERE (t.contact_id = ANY ($1) OR t.context_type = 'conversation' AND t.context_id = ANY (conversations.of_contacts($1))) LIMIT $2)
            RETURNING id
            """;
    }
}

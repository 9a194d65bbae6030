using AgentPlatform.Postgres;

namespace AgentPlatform.Tasks;

/// <summary>Tasks that came out of conversations with a contact; their executions go with them.</summary>
internal sealed class KeptOfContacts : IKeepsPersonalData
{
    public IReadOnlyList<Kept> Kept { get; } =
    [
        new("tasks.task_executions", Sql.Executions),
        new("tasks.agency_tasks", Sql.Tasks, Sql.EraseTasks),
    ];

    private static class Sql
    {
        internal const string Executions =
            """
            SELECT to_jsonb(t)::text FROM tasks.task_executions AS t
            WHERE t.task_id IN (SELECT a.id FROM tasks.agency_tasks AS a WHERE a.conversation_id = ANY (conversations.of_contacts($1)))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string Tasks =
            """
            SELECT to_jsonb(t)::text FROM tasks.agency_tasks AS t
            WHERE t.conversation_id = ANY (conversations.of_contacts($1))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseTasks =
            """
            DELETE FROM tasks.agency_tasks
            WHERE id IN (SELECT t.id FROM tasks.agency_tasks AS t WHERE t.conversation_id = ANY (conversations.of_contacts($1)) LIMIT $2)
            RETURNING id
            """;
    }
}

using AgentPlatform.Postgres;

namespace AgentPlatform.Actions;

/// <summary>What a contact asked to be done, and what was done. Approvals, checkpoints, controls and effects go with their request, finished or not.</summary>
internal sealed class KeptOfContacts : IKeepsPersonalData
{
    public IReadOnlyList<Kept> Kept { get; } =
    [
        new("actions.action_approvals", Sql.Approvals),
        new("actions.execution_checkpoints", Sql.Checkpoints),
        new("actions.execution_controls", Sql.Controls),
        new("actions.effects", Sql.Effects),
        new("actions.dead_letter_queue", Sql.Letters, Sql.EraseLetters),
        new("actions.action_execution_log", Sql.Executions, Sql.EraseExecutions),
        new("actions.action_queue", Sql.Requests, Sql.EraseRequests),
    ];

    private static class Sql
    {
        internal const string Approvals =
            """
            SELECT to_jsonb(t)::text FROM actions.action_approvals AS t
            WHERE t.action_queue_id IN (SELECT q.id FROM actions.action_queue AS q WHERE q.contact_id = ANY ($1))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string Checkpoints =
            """
            SELECT to_jsonb(t)::text FROM actions.execution_checkpoints AS t
            WHERE t.action_queue_id IN (SELECT q.id FROM actions.action_queue AS q WHERE q.contact_id = ANY ($1))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string Controls =
            """
            SELECT to_jsonb(t)::text FROM actions.execution_controls AS t
            WHERE t.action_queue_id IN (SELECT q.id FROM actions.action_queue AS q WHERE q.contact_id = ANY ($1))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string Effects =
            """
            SELECT to_jsonb(t)::text FROM actions.effects AS t
            WHERE t.action_queue_id IN (SELECT q.id FROM actions.action_queue AS q WHERE q.contact_id = ANY ($1))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string Letters =
            """
            SELECT to_jsonb(t)::text FROM actions.dead_letter_queue AS t
            WHERE t.contact_id = ANY ($1)
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseLetters =
            """
            DELETE FROM actions.dead_letter_queue
            WHERE id IN (SELECT t.id FROM actions.dead_letter_queue AS t WHERE t.contact_id = ANY ($1) LIMIT $2)
            RETURNING id
            """;

        internal const string Executions =
            """
            SELECT to_jsonb(t)::text FROM actions.action_execution_log AS t
            WHERE t.contact_id = ANY ($1)
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseExecutions =
            """
            DELETE FROM actions.action_execution_log
            WHERE id IN (SELECT t.id FROM actions.action_execution_log AS t WHERE t.contact_id = ANY ($1) LIMIT $2)
            RETURNING id
            """;

        internal const string Requests =
            """
            SELECT to_jsonb(t)::text FROM actions.action_queue AS t
            WHERE t.contact_id = ANY ($1)
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseRequests =
            """
            DELETE FROM actions.action_queue
            WHERE id IN (SELECT t.id FROM actions.action_queue AS t WHERE t.contact_id = ANY ($1) LIMIT $2)
            RETURNING id
            """;
    }
}

using AgentPlatform.Postgres;

namespace AgentPlatform.Workflows;

/// <summary>Runs for a contact, with their steps and signals, which go with them. A run that is not over ends: its orchestration finds nothing to go on with.</summary>
internal sealed class KeptOfContacts : IKeepsPersonalData
{
    public IReadOnlyList<Kept> Kept { get; } =
    [
        new("workflows.workflow_executions", Sql.Executions),
        new("workflows.workflow_steps", Sql.Steps),
        new("workflows.workflow_signals", Sql.Signals),
        new("workflows.sop_executions", Sql.Sops, Sql.EraseSops),
        new("workflows.workflow_instances", Sql.Instances, Sql.EraseInstances),
    ];

    private static class Sql
    {
        internal const string Executions =
            """
            SELECT to_jsonb(t)::text FROM workflows.workflow_executions AS t
            WHERE t.id IN (SELECT i.id FROM workflows.workflow_instances AS i WHERE i.contact_id = ANY ($1))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string Steps =
            """
            SELECT to_jsonb(t)::text FROM workflows.workflow_steps AS t
            WHERE t.instance_id IN (SELECT i.id FROM workflows.workflow_instances AS i WHERE i.contact_id = ANY ($1))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string Signals =
            """
            SELECT to_jsonb(t)::text FROM workflows.workflow_signals AS t
            WHERE t.instance_id IN (SELECT i.id FROM workflows.workflow_instances AS i WHERE i.contact_id = ANY ($1))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string Sops =
            """
            SELECT to_jsonb(t)::text FROM workflows.sop_executions AS t
            WHERE t.conversation_id = ANY (conversations.of_contacts($1))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseSops =
            """
            DELETE FROM workflows.sop_executions
            WHERE id IN (SELECT t.id FROM workflows.sop_executions AS t WHERE t.conversation_id = ANY (conversations.of_contacts($1)) LIMIT $2)
            RETURNING id
            """;

        internal const string Instances =
            """
            SELECT to_jsonb(t)::text FROM workflows.workflow_instances AS t
            WHERE t.contact_id = ANY ($1)
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseInstances =
            """
            DELETE FROM workflows.workflow_instances
            WHERE id IN (SELECT t.id FROM workflows.workflow_instances AS t WHERE t.contact_id = ANY ($1) LIMIT $2)
            RETURNING id
            """;
    }
}

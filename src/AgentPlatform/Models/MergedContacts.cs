using AgentPlatform.Contacts;
using AgentPlatform.Postgres;

namespace AgentPlatform.Models;

/// <summary>When a contact turns out to be another one, the calls about it become the other one's. What they cost stays as it was billed.</summary>
internal sealed class MergedContacts : IContactMergeParticipant
{
    public Task MoveAsync(Transaction tx, Guid from, Guid into, CancellationToken ct)
    {
        tx.Post(Sql.Calls, from, into);
        return Task.CompletedTask;
    }

    private static class Sql
    {
        internal const string Calls = "UPDATE models.agent_actions_log SET contact_id = $2 WHERE tenant_id = kernel.current_tenant_id() AND contact_id = $1";
    }
}

/// <summary>What models were asked about a contact, and answered.</summary>
internal sealed class KeptOfContacts : IKeepsPersonalData
{
    public IReadOnlyList<Kept> Kept { get; } =
    [
        new("models.agent_actions_log", Sql.Calls, Sql.EraseCalls),
    ];

    private static class Sql
    {
        internal const string Calls =
            """
            SELECT to_jsonb(t)::text FROM models.agent_actions_log AS t
            WHERE (t.contact_id = ANY ($1) OR t.context_type = 'conversation' AND t.context_id = ANY (conversations.of_contacts($1)))
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseCalls =
            """
            DELETE FROM models.agent_actions_log
            WHERE id IN (SELECT t.id FROM models.agent_actions_log AS t WHERE (t.contact_id = ANY ($1) OR t.context_type = 'conversation' AND t.context_id = ANY (conversations.of_contacts($1))) LIMIT $2)
            RETURNING id
            """;
    }
}

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

using AgentPlatform.Contacts;
using AgentPlatform.Postgres;

namespace AgentPlatform.Channels;

/// <summary>When a contact turns out to be another one, its messages become the other one's.</summary>
internal sealed class MergedContacts : IContactMergeParticipant
{
    public Task MoveAsync(Transaction tx, Guid from, Guid into, CancellationToken ct)
    {
        tx.Post(Sql.Inbound, tx.TenantId, from, into);
        tx.Post(Sql.Outbound, tx.TenantId, from, into);
        return Task.CompletedTask;
    }

    private static class Sql
    {
        internal const string Inbound = "UPDATE channels.inbound_messages SET contact_id = $3 WHERE tenant_id = $1 AND contact_id = $2";

        internal const string Outbound = "UPDATE channels.outbound_messages SET contact_id = $3 WHERE tenant_id = $1 AND contact_id = $2";
    }
}

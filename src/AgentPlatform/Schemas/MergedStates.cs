using AgentPlatform.Contacts;
using AgentPlatform.Postgres;

namespace AgentPlatform.Schemas;

/// <summary>What was answered for a contact that is another's now is asked for anew: the tenant's system may know them by another id.</summary>
internal sealed class MergedStates : IContactMergeParticipant
{
    public Task MoveAsync(Transaction tx, Guid from, Guid into, CancellationToken ct) => tx.ExecuteAsync(Sql.Forget, [from], ct);

    private static class Sql
    {
        internal const string Forget = "DELETE FROM schemas.user_schema_state WHERE tenant_id = kernel.current_tenant_id() AND contact_id = $1";
    }
}

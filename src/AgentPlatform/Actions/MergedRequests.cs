using AgentPlatform.Contacts;
using AgentPlatform.Postgres;

namespace AgentPlatform.Actions;

/// <summary>A merged contact's unfinished requests go on as the other's; what is over stays as it was.</summary>
internal sealed class MergedRequests : IContactMergeParticipant
{
    public Task MoveAsync(Transaction tx, Guid from, Guid into, CancellationToken ct) => tx.ExecuteAsync(Sql.Move, [from, into], ct);

    private static class Sql
    {
        internal const string Move = "UPDATE actions.action_queue SET contact_id = $2 WHERE contact_id = $1 AND status NOT IN ('completed', 'failed', 'cancelled')";
    }
}

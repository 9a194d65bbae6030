using AgentPlatform.Contacts;
using AgentPlatform.Postgres;

namespace AgentPlatform.Workflows.Running;

/// <summary>A merged contact's running workflows go on as the other's; what is over stays as it was.</summary>
internal sealed class MergedInstances : IContactMergeParticipant
{
    public Task MoveAsync(Transaction tx, Guid from, Guid into, CancellationToken ct) => tx.ExecuteAsync(Sql.Move, [from, into], ct);

    private static class Sql
    {
        internal const string Move = "UPDATE workflows.workflow_instances SET contact_id = $2 WHERE contact_id = $1 AND status = 'in_progress'";
    }
}

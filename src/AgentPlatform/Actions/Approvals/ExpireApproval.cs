using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Actions.Approvals;

/// <summary>Takes the time-out action of an approval that nobody answered. Due at its <c>expires_at</c>; an answer cancels it.</summary>
internal sealed class ExpireApproval(Database database, DecideApproval approvals) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        if (!await approvals.ExpireAsync(tx, item.Read<ApprovalWork>().Id, ct))
        {
            return new WorkOutcome.Cancel("The approval has been answered.");
        }

        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }
}

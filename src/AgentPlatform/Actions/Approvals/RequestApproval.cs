using AgentPlatform.Actions.Registry;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Actions.Approvals;

/// <summary>Asks whether a queued action may run, has the approvers told, and withdraws the question with its request. All of it under the queue row's lock.</summary>
internal sealed class RequestApproval(WorkQueue work, EventStore events, TimeProvider clock)
{
    internal const string TimeoutKind = "actions.approval_timeout";

    /// <summary>Left for whoever can write to people.</summary>
    public const string NoticeKind = "actions.approval_notice";

    /// <summary>The request waits from here on; the time-out is scheduled with the question.</summary>
    internal void Ask(Transaction tx, ActionDefinition action, QueuedAction item)
    {
        var policy = action.ApprovalPolicy!;
        var id = clock.NewId();
        var now = clock.GetUtcNow();
        var expiresAt = now + policy.ExpiresIn;
        tx.Post(Sql.Insert, tx.TenantId, id, item.Id, item.ActionId, action.Description ?? action.Title, item.ParamsCollected, policy.EditableFields ?? [],
            policy.RiskLevel, Json.Param(policy.Factors ?? []), policy.Screenshot(item), policy.Quorum ?? 1, expiresAt, policy.TimeoutAction ?? "reject", now);
        work.Enqueue(tx, new NewWork(TimeoutKind, id.ToString(), new ApprovalWork(id)) { RunAt = expiresAt });
        Notify(tx, id, item.AgentId, policy.Approvers);
        events.Append(tx, ActionEvents.Of("approval.requested", item, new { approval_id = id, risk_level = policy.RiskLevel, quorum = policy.Quorum ?? 1, expires_at = expiresAt }));
    }

    /// <summary>These members (owners and admins when none are named) are to hear of the question.</summary>
    internal void Notify(Transaction tx, Guid approvalId, Guid agentId, Guid[]? approvers) =>
        work.Enqueue(tx, new NewWork(NoticeKind, approvers is [var one] ? $"{approvalId}:{one}" : approvalId.ToString(), new ApprovalNotice(approvalId, agentId, approvers)));

    /// <summary>Those who have not answered hear what is asked now; once, as it can be corrected once.</summary>
    internal void NotifyAgain(Transaction tx, Guid approvalId, Guid agentId, Guid[]? approvers) =>
        work.Enqueue(tx, new NewWork(NoticeKind, $"{approvalId}:corrected", new ApprovalNotice(approvalId, agentId, approvers)));

    /// <summary>The request is over before anyone decided.</summary>
    internal async Task WithdrawAsync(Transaction tx, QueuedAction item, string reason, CancellationToken ct)
    {
        if (await tx.FindAsync<Guid?>(Sql.Withdraw, [item.Id], ct) is { } id)
        {
            events.Append(tx, ActionEvents.Of("approval.cancelled", item, new { approval_id = id, reason }));
            await work.CancelAsync(tx, TimeoutKind, id.ToString(), reason, ct);
        }
    }

    private static class Sql
    {
        internal const string Insert =
            """
            INSERT INTO actions.action_approvals (tenant_id, id, action_queue_id, action_type, action_description, action_params, editable_fields,
                risk_level, risk_factors, screenshot_url, quorum, expires_at, timeout_action, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
            """;

        internal const string Withdraw =
            "UPDATE actions.action_approvals SET status = 'cancelled' WHERE action_queue_id = $1 AND status = 'pending' RETURNING id";
    }
}

internal sealed record ApprovalWork(Guid Id);

/// <summary>Whom to tell of a question; the owners and admins when <paramref name="Approvers"/> is null.</summary>
internal sealed record ApprovalNotice(Guid ApprovalId, Guid AgentId, Guid[]? Approvers);

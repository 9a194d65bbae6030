using System.Text.Json;
using AgentPlatform.Actions.Approvals;
using AgentPlatform.Identity;
using AgentPlatform.Kernel;
using AgentPlatform.Messaging;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Work;

namespace AgentPlatform.Brain.Approvals;

/// <summary>
/// Asks the approvers of an action where they are. Each gets a code of their own to reply with. Whoever cannot be reached, or does not want to be, finds
/// the question in the console.
/// </summary>
internal sealed class TellApprovers(Database database, ApprovalCodes codes, MemberDirectory members, Letters letters) : IWorkHandler
{
    private const int LongestParams = 300;

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        var notice = item.Read<ApprovalNotice>();
        await using var tx = database.Begin(Actor.System(item.TenantId));
        foreach (var member in await members.ReachableAsync(tx, notice.Approvers, ct))
        {
            if (await codes.OpenAsync(tx, notice.ApprovalId, member.UserId, ct) is { } approval)
            {
                await TellAsync(tx, notice, approval, member, ct);
            }
        }

        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private async Task TellAsync(Transaction tx, ApprovalNotice notice, ActionApproval approval, ReachableMember member, CancellationToken ct)
    {
        await foreach (var place in letters.PlacesAsync(tx, notice.AgentId, member, Preferences.Approvals, ct))
        {
            if (await codes.IssueAsync(tx, approval.Id, member.UserId, place.At.Channel, place.At.Address, ct) is { } code)
            {
                await letters.WriteAsync(tx, place, new Letter($"Approval needed: {approval.ActionDescription}", Question(approval, code), $"approval:{approval.Id}:{member.UserId}"), ct);
                return;
            }
        }
    }

    /// <summary>Pure: what is asked, and how to answer.</summary>
    internal static string Question(ActionApproval approval, string code)
    {
        var values = approval.ActionParams.EnumerateObject().Select(p => $"{p.Name}: {(p.Value.ValueKind == JsonValueKind.String ? p.Value.GetString() : p.Value.GetRawText())}");
        var shown = string.Join(", ", values);
        return $"""
            Approval needed ({approval.RiskLevel} risk): {approval.ActionDescription}
            {shown.Clip(LongestParams, "…")}
            Reply APPROVE {code}, or REJECT {code} and why, before {approval.ExpiresAt:yyyy-MM-dd HH:mm} UTC.
            """.ReplaceLineEndings("\n").Replace("\n\n", "\n", StringComparison.Ordinal);
    }
}

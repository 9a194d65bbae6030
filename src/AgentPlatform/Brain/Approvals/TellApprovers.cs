using System.Globalization;
using System.Text.Json;
using AgentPlatform.Actions.Approvals;
using AgentPlatform.Channels;
using AgentPlatform.Identity;
using AgentPlatform.Messaging;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Work;

namespace AgentPlatform.Brain.Approvals;

/// <summary>
/// Asks the approvers of an action where they are. Each gets a code of their own to reply with. Whoever cannot be reached, or does not want to be, finds
/// the question in the console.
/// </summary>
internal sealed class TellApprovers(Database database, ApprovalCodes codes, MemberDirectory members, Letters letters, PublicAddress address) : IWorkHandler
{
    /// <summary>More parameters than this are not for a text message. Nobody agrees to what they were not shown: such a question is answered on its page.</summary>
    private const int LongestParams = 600;

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
            if (Parameters(approval).Length > LongestParams)
            {
                await letters.WriteAsync(tx, place, Letter(approval, member, Pointer(approval, address.BaseUrl)), ct);
                return;
            }

            if (await codes.IssueAsync(tx, approval.Id, member.UserId, place.At.Channel, place.At.Address, ct) is { } code)
            {
                await letters.WriteAsync(tx, place, Letter(approval, member, Question(approval, code)), ct);
                return;
            }
        }
    }

    private static Letter Letter(ActionApproval approval, ReachableMember member, string text) =>
        new($"Approval needed: {approval.ActionDescription}", text, $"approval:{approval.Id}:{member.UserId}");

    /// <summary>Pure: what is asked, all of it, and how to answer by reply.</summary>
    internal static string Question(ActionApproval approval, string code) =>
        Lines(approval, Parameters(approval), $"Reply APPROVE {code}, or REJECT {code} and why, before {Until(approval)}.");

    /// <summary>Pure: where to read what is asked, and to answer.</summary>
    internal static string Pointer(ActionApproval approval, string? baseUrl) =>
        Lines(approval, $"It is too long for a message. Read and answer it before {Until(approval)}:", $"{baseUrl}/console/approvals/{approval.Id}");

    private static string Lines(ActionApproval approval, params ReadOnlySpan<string> lines) =>
        string.Join('\n', [$"Approval needed ({approval.RiskLevel} risk): {approval.ActionDescription}", .. lines.ToArray().Where(line => line.Length > 0)]);

    private static string Parameters(ActionApproval approval) => string.Join(
        ", ", approval.ActionParams.EnumerateObject().Select(p => $"{p.Name}: {(p.Value.ValueKind == JsonValueKind.String ? p.Value.GetString() : p.Value.GetRawText())}"));

    private static string Until(ActionApproval approval) => string.Create(CultureInfo.InvariantCulture, $"{approval.ExpiresAt:yyyy-MM-dd HH:mm} UTC");
}

using System.Globalization;
using System.Text.Json;
using AgentPlatform.Actions.Approvals;
using AgentPlatform.Channels;
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
internal sealed class TellApprovers(Database database, ApprovalCodes codes, MemberDirectory members, Letters letters, PublicAddress address) : IWorkHandler
{
    /// <summary>Characters that every channel delivers whole.</summary>
    private const int Longest = 1_500;

    private const int LongestDescription = 200;

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
            if (!IsShownWhole(approval))
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

    /// <summary>The code in it is the member's alone. It is written anew when the first yes has corrected what is asked.</summary>
    private static Letter Letter(ActionApproval approval, ReachableMember member, string text) =>
        new($"Approval needed: {Described(approval)}", text, $"approval:{approval.Id}:{member.UserId}:{approval.Votes.Count}") { KeptFor = member.UserId };

    /// <summary>
    /// Pure: whether a message can hold all that is asked. Nobody agrees to what they were not shown: else it is answered on its page, where a value cannot
    /// pass for another line either.
    /// </summary>
    private static bool IsShownWhole(ActionApproval approval) =>
        Question(approval, code: "000000").Length <= Longest && approval.ActionDescription.Length <= LongestDescription && !Values(approval).Any(value => value.Text.Any(char.IsControl));

    /// <summary>Pure: what is asked, all of it, and how to answer by reply.</summary>
    internal static string Question(ActionApproval approval, string code) => string.Join('\n',
    [
        $"Approval needed ({approval.RiskLevel} risk): {approval.ActionDescription}",
        .. Values(approval).Select(value => $"{value.Name}: {value.Text}"),
        $"Reply APPROVE {code}, or REJECT {code} and why, before {Until(approval)}.",
    ]);

    /// <summary>Pure: where to read what is asked, and to answer.</summary>
    internal static string Pointer(ActionApproval approval, string? baseUrl) => string.Join('\n',
    [
        $"Approval needed ({approval.RiskLevel} risk): {Described(approval)}",
        $"It is too long for a message. Read and answer it before {Until(approval)}{(baseUrl is null ? " in the console, under Approvals." : ":")}",
        .. baseUrl is null ? Array.Empty<string>() : [$"{baseUrl}/console/approvals/{approval.Id}"],
    ]);

    private static string Described(ActionApproval approval) => approval.ActionDescription.Clip(LongestDescription, "…");

    private static IEnumerable<(string Name, string Text)> Values(ActionApproval approval) =>
        approval.ActionParams.EnumerateObject().Select(p => (p.Name, p.Value.ValueKind == JsonValueKind.String ? p.Value.GetString()! : p.Value.GetRawText()));

    private static string Until(ActionApproval approval) => string.Create(CultureInfo.InvariantCulture, $"{approval.ExpiresAt:yyyy-MM-dd HH:mm} UTC");
}

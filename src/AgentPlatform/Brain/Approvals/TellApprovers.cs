using System.Text.Json;
using AgentPlatform.Actions.Approvals;
using AgentPlatform.Channels;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Messaging;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Work;

namespace AgentPlatform.Brain.Approvals;

/// <summary>
/// Asks the approvers of an action where they are: by text message, else by e-mail, over the agent's own channels and through the outbox like
/// everything that leaves. Each gets a code of their own to reply with. Whoever can be reached by neither, or wants to hear from neither, finds the question in the console.
/// </summary>
internal sealed class TellApprovers(
    Database database, ApprovalCodes codes, MemberDirectory members, ChannelDirectory channels, ContactDirectory contacts, ConversationLog conversations, Outbox outbox) : IWorkHandler
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
        foreach (var (channel, address) in new[] { (ChannelAddress.Sms, member.Phone), (ChannelAddress.Email, member.Email) })
        {
            if (address is null || !ContactDirectory.TryNormalize(new ChannelAddress(channel, address), out var at)
                || await channels.RouteAsync(tx, null, notice.AgentId, channel, ct) is not { Refusal: null } route
                || await HasOptedOutAsync(tx, at, ct)
                || await codes.IssueAsync(tx, approval.Id, member.UserId, at.Channel, at.Address, ct) is not { } code)
            {
                continue;
            }

            var contact = await contacts.GetOrCreateAsync(tx, at, member.FullName, ct);
            var conversation = await conversations.OpenAsync(tx, new OpenConversation(contact.Id, notice.AgentId, at.Channel, at.Address, route.Channel.Id), ct);
            outbox.Queue(tx, new OutgoingMessage(contact.Id, conversation.Id, "system", Question(approval, code))
            {
                Subject = $"Approval needed: {approval.ActionDescription}",
                Priority = "urgent",
                IdempotencyKey = $"approval:{approval.Id}:{member.UserId}",
            });
            return;
        }
    }

    private async Task<bool> HasOptedOutAsync(Transaction tx, ChannelAddress at, CancellationToken ct) =>
        await contacts.FindByAddressAsync(tx, at, ct) is { } known && await contacts.IsOptedOutAsync(tx, known.Id, at.Channel, ct);

    /// <summary>Pure: what is asked, and how to answer.</summary>
    internal static string Question(ActionApproval approval, string code)
    {
        var values = approval.ActionParams.EnumerateObject().Select(p => $"{p.Name}: {(p.Value.ValueKind == JsonValueKind.String ? p.Value.GetString() : p.Value.GetRawText())}");
        var shown = string.Join(", ", values);
        return $"""
            Approval needed ({approval.RiskLevel} risk): {approval.ActionDescription}
            {(shown.Length > LongestParams ? $"{shown[..LongestParams]}…" : shown)}
            Reply APPROVE {code}, or REJECT {code} and why, before {approval.ExpiresAt:yyyy-MM-dd HH:mm} UTC.
            """.ReplaceLineEndings("\n").Replace("\n\n", "\n", StringComparison.Ordinal);
    }
}

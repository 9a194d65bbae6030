using System.Runtime.CompilerServices;
using AgentPlatform.Channels;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Messaging;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;

namespace AgentPlatform.Brain.Notices;

/// <summary>Where a member can be written to on behalf of an agent.</summary>
internal sealed record MailBox(Guid AgentId, Guid ChannelId, ChannelAddress At, ReachableMember Member);

/// <summary>What a member is told. Key: the same letter is written once.</summary>
internal sealed record Letter(string Subject, string Text, string Key);

/// <summary>
/// Writes to members of the tenant where they are: by text message, else by e-mail, over an agent's own channels and through the outbox like
/// everything that leaves; never against their notification settings, nor where they have opted out.
/// </summary>
internal sealed class Letters(ChannelDirectory channels, ContactDirectory contacts, ConversationLog conversations, Outbox outbox)
{
    /// <summary>The places for a kind of message, the best first.</summary>
    internal async IAsyncEnumerable<MailBox> PlacesAsync(Transaction tx, Guid agentId, ReachableMember member, string kind, [EnumeratorCancellation] CancellationToken ct)
    {
        foreach (var (channel, address) in new[] { (ChannelAddress.Sms, member.Phone), (ChannelAddress.Email, member.Email) })
        {
            if (address is not null && member.Wants(kind, channel) && ContactDirectory.TryNormalize(new ChannelAddress(channel, address), out var at)
                && await channels.RouteAsync(tx, null, agentId, channel, ct) is { Refusal: null } route
                && !await HasOptedOutAsync(tx, at, ct))
            {
                yield return new(agentId, route.Channel.Id, at, member);
            }
        }
    }

    internal async Task WriteAsync(Transaction tx, MailBox place, Letter letter, CancellationToken ct)
    {
        var contact = await contacts.GetOrCreateAsync(tx, place.At, place.Member.FullName, ct);
        var conversation = await conversations.OpenAsync(tx, new OpenConversation(contact.Id, place.AgentId, place.At.Channel, place.At.Address, place.ChannelId), ct);
        outbox.Queue(tx, new OutgoingMessage(contact.Id, conversation.Id, "system", letter.Text) { Subject = letter.Subject, Priority = "urgent", IdempotencyKey = letter.Key });
    }

    private async Task<bool> HasOptedOutAsync(Transaction tx, ChannelAddress at, CancellationToken ct) =>
        await contacts.FindByAddressAsync(tx, at, ct) is { } known && await contacts.IsOptedOutAsync(tx, known.Id, at.Channel, ct);
}

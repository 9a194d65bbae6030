using System.Runtime.CompilerServices;
using AgentPlatform.Channels;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;

namespace AgentPlatform.Messaging;

/// <summary>Where somebody can be written to on behalf of an agent. Name: what a contact that is made for the address is called.</summary>
internal sealed record MailBox(Guid AgentId, Guid ChannelId, ChannelAddress At, string? Name);

/// <summary>What somebody is told. Key: the same letter is written once.</summary>
internal sealed record Letter(string Subject, string Text, string Key)
{
    /// <summary>The id it is queued under, for those who want to hear of it; a new one when null.</summary>
    internal Guid? QueueId { get; init; }

    /// <summary>Whose alone it is to read, and with it the conversation that it is a part of; null when colleagues may.</summary>
    internal Guid? KeptFor { get; init; }
}

/// <summary>
/// Writes to members of the tenant, and to addresses they have named, where they are: over an agent's own channels and through the outbox like everything
/// that leaves; never where somebody has opted out, nor to members against their notification settings.
/// </summary>
internal sealed class Letters(ChannelDirectory channels, ContactDirectory contacts, ConversationLog conversations, Outbox outbox)
{
    /// <summary>The places for a kind of message, the best first: by text message, else by e-mail.</summary>
    internal async IAsyncEnumerable<MailBox> PlacesAsync(Transaction tx, Guid agentId, ReachableMember member, string kind, [EnumeratorCancellation] CancellationToken ct)
    {
        foreach (var (channel, address) in new[] { (ChannelAddress.Sms, member.Phone), (ChannelAddress.Email, member.Email) })
        {
            if (address is not null && member.Wants(kind, channel) && ContactDirectory.TryNormalize(new ChannelAddress(channel, address), out var at)
                && await channels.RouteAsync(tx, null, agentId, channel, ct) is { Refusal: null } route
                && !await HasOptedOutAsync(tx, at, ct))
            {
                yield return new(agentId, route.Channel.Id, at, member.FullName);
            }
        }
    }

    internal async Task WriteAsync(Transaction tx, MailBox place, Letter letter, CancellationToken ct)
    {
        var contact = await contacts.GetOrCreateAsync(tx, place.At, place.Name, ct);
        var conversation = await conversations.OpenAsync(tx, new OpenConversation(contact.Id, place.AgentId, place.At.Channel, place.At.Address, place.ChannelId), ct);
        if (letter.KeptFor is { } reader)
        {
            conversations.KeepFor(tx, conversation.Id, reader);
        }

        outbox.Queue(tx, new OutgoingMessage(contact.Id, conversation.Id, "system", letter.Text)
        {
            Subject = letter.Subject,
            Priority = "urgent",
            IdempotencyKey = letter.Key,
            QueueId = letter.QueueId,
        });
    }

    private async Task<bool> HasOptedOutAsync(Transaction tx, ChannelAddress at, CancellationToken ct) =>
        await contacts.FindByAddressAsync(tx, at, ct) is { } known && await contacts.IsOptedOutAsync(tx, known.Id, at.Channel, ct);
}

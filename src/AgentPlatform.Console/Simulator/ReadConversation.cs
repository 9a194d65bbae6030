using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Console.Simulator;

/// <summary>A conversation as the simulator shows it, of one moment.</summary>
public sealed record ConversationView(
    Conversation Conversation, Agent? Agent, Contact? Contact, IReadOnlyList<ProfileField> Fields, IReadOnlyList<Message> Messages, Timeline Timeline)
{
    /// <summary>Without a provider the operator may speak as the contact; otherwise the page only shows.</summary>
    public bool IsWeb => Conversation.Channel == ChannelAddress.Web;

    public bool IsOver => Conversation.Status is not ("active" or "paused");

    /// <summary>A message is waiting and somebody here is going to answer it.</summary>
    public bool IsTyping => Timeline.IsThinking && Conversation.BotMayReply && Agent is { Enabled: true };
}

internal sealed class ReadConversation(
    Database database, ConversationLog conversations, AgentDirectory agents, ContactDirectory contacts, EventStore events, IOptions<ConsoleOptions> options)
{
    /// <summary>Null when the operator's tenant has no such conversation.</summary>
    internal async Task<ConversationView?> FindAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await conversations.FindAsync(tx, id, ct) is not { } conversation)
        {
            return null;
        }

        // Events first: what they tell of is then surely among the messages read after them.
        var happened = await events.LatestAsync(tx, "conversation", id, before: null, options.Value.Events, ct);
        var messages = await conversations.LatestAsync(tx, id, options.Value.Messages, ct);
        var agent = conversation.AgentId is { } agentId ? await agents.FindAsync(tx, agentId, ct) : null;
        var contact = conversation.ContactId is { } contactId ? await contacts.FindAsync(tx, contactId, ct) : null;
        var fields = contact is null ? [] : await contacts.FieldsAsync(tx, contact.Id, ct);
        return new(conversation, agent, contact, fields, [.. messages.Reverse()], Timeline.Of(happened.OrderBy(e => e.Version)));
    }

    /// <summary>Whether anything happened after a version, without reading it all.</summary>
    internal async Task<bool> HasNewsAsync(Actor actor, Guid id, int version, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return (await events.ReplayAsync(tx, "conversation", id, ct, version)).Count > 0;
    }
}

/// <summary>What people are called on pages.</summary>
internal static class Names
{
    internal static string Of(ConversationView view) => Of(view.Contact, view.Conversation);

    /// <summary>The name, as far as it is known; else the number or address; a visitor of the web has only an id that says nothing.</summary>
    internal static string Of(Contact? contact, Conversation conversation)
    {
        var name = $"{contact?.FirstName} {contact?.LastName}".Trim();
        return name.Length > 0 ? name
            : contact?.DisplayName
            ?? (conversation.Channel == ChannelAddress.Web ? "a visitor" : conversation.ParticipantIdentifier);
    }
}

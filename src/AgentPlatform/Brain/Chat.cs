using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Work;

namespace AgentPlatform.Brain;

/// <summary>Starts a conversation without a provider. <see cref="VisitorId"/> is whatever the site calls its visitor; a new id when null.</summary>
public sealed record StartChat(string? VisitorId, string? Name, string? Text);

public sealed record ChatText(string? Text);

/// <summary>A message was taken; its turn follows.</summary>
public sealed record ChatTaken(Guid ConversationId, Guid? MessageId, Guid ContactId);

/// <summary>The contact's side of a talk over channel <c>web</c>: the same turns as by any provider, without one.</summary>
public sealed class Chat(AgentDirectory agents, ContactDirectory contacts, ConversationLog conversations, WorkQueue work, EventStore events, TimeProvider clock)
{
    private const int MaxText = 10_000;

    public async Task<Result<ChatTaken>> StartAsync(Transaction tx, Guid agentId, StartChat request, CancellationToken ct)
    {
        if (Check(request.Text, required: false) is { } problem)
        {
            return problem;
        }

        var address = new ChannelAddress(ChannelAddress.Web, request.VisitorId ?? clock.NewId().ToString("n"));
        if (!ContactDirectory.TryNormalize(address, out _))
        {
            return Problem.Invalid("visitor_id", "Must be 1 to 255 characters.");
        }

        if (await agents.FindAsync(tx, agentId, ct) is not { Enabled: true } agent)
        {
            return Problem.NotFound("agent");
        }

        var contact = await contacts.GetOrCreateAsync(tx, address, request.Name, ct);
        var conversation = await conversations.OpenAsync(tx, new OpenConversation(contact.Id, agent.Id, ChannelAddress.Web, address.Address, null), ct);
        return new ChatTaken(conversation.Id, request.Text is null ? null : Say(tx, conversation, contact.Id, request.Text), contact.Id);
    }

    /// <summary>Any living conversation takes it, whichever channel it came by; the reply goes out where the conversation lives.</summary>
    public async Task<Result<ChatTaken>> SayAsync(Transaction tx, Guid conversationId, ChatText request, CancellationToken ct)
    {
        if (Check(request.Text, required: true) is { } problem)
        {
            return problem;
        }

        if (await conversations.FindAsync(tx, conversationId, ct) is not { ContactId: { } contactId } conversation)
        {
            return Problem.NotFound("conversation");
        }

        return conversation.Status is "active" or "paused"
            ? new ChatTaken(conversation.Id, Say(tx, conversation, contactId, request.Text!), contactId)
            : Problem.Conflict("conversation_over", $"The conversation is {conversation.Status}.");
    }

    private Guid Say(Transaction tx, Conversation conversation, Guid contactId, string text)
    {
        var id = clock.NewId();
        conversations.Append(tx, new NewMessage(id, conversation.Id, contactId, "user", "inbound", text));
        events.Append(tx, new NewEvent("message.received", "conversation", conversation.Id, new { message_id = id, contact_id = contactId, channel = conversation.Channel, content = text }));
        work.Enqueue(tx, new NewWork(BrainModule.TurnWork, id.ToString(), new TurnWork(id, conversation.Id, ContactId: contactId, AgentId: conversation.AgentId)) { SerialKey = $"conversation:{conversation.Id}", Priority = 10 });
        return id;
    }

    private static Problem? Check(string? text, bool required) =>
        (required && string.IsNullOrWhiteSpace(text)) || text is { Length: > MaxText } || (text is not null && string.IsNullOrWhiteSpace(text))
            ? Problem.Invalid("text", $"Is required, at most {MaxText} characters.")
            : null;
}

using System.Text.Json;
using AgentPlatform.Contacts;

namespace AgentPlatform.Conversations;

/// <summary>
/// One thread with one person on one channel, or an operator's own thread with an agent (channel <c>console</c>). Status: active,
/// paused, resolved, completed, closed (the number changed hands), archived. Private rows (<see cref="Shared"/> false) are seen by
/// <see cref="UserId"/> alone.
/// </summary>
public sealed record Conversation
{
    public required Guid Id { get; init; }

    /// <summary>The id to show outside the tenant's own systems.</summary>
    public Guid ConversationUuid { get; init; }

    public Guid? ContactId { get; init; }

    public Guid? AgentId { get; init; }

    /// <summary>The operator who owns the thread, if one does.</summary>
    public Guid? UserId { get; init; }

    public bool Shared { get; init; }

    public Guid? WebhookId { get; init; }

    public required string Channel { get; init; }

    public required string ParticipantIdentifier { get; init; }

    public string? PhoneNumber { get; init; }

    public required string Status { get; init; }

    /// <summary>bot, or human once an operator has taken over.</summary>
    public required string HandledBy { get; init; }

    public Guid? AssignedUserId { get; init; }

    public string? Title { get; init; }

    public string? Topic { get; init; }

    /// <summary>The tenant's own document about this conversation.</summary>
    public JsonElement Data { get; init; }

    public string? ConversationSummary { get; init; }

    public Guid? LastSummaryMessageId { get; init; }

    public int MessagesSinceSummary { get; init; }

    /// <summary>Key facts: <c>{"names": [], "decisions": [], "open_questions": []}</c> and whatever else was remembered.</summary>
    public JsonElement ContextMemory { get; init; }

    public required string AiPersonality { get; init; }

    public bool AutoCreateTasks { get; init; }

    public bool RequireConfirmation { get; init; }

    public int MessageCount { get; init; }

    public int TasksCreated { get; init; }

    public DateTimeOffset? LastMessageAt { get; init; }

    public DateTimeOffset StartedAt { get; init; }

    public DateTimeOffset? ResolvedAt { get; init; }

    /// <summary>The last change by an operator, an agent or the platform (a message is none); the ETag of the conversation.</summary>
    public DateTimeOffset ChangedAt { get; init; }

    public DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset UpdatedAt { get; init; }

    /// <summary>False while paused, handed over to a human, or over.</summary>
    public bool BotMayReply => Status == "active" && HandledBy == "bot";
}

/// <summary>What <see cref="ConversationLog.OpenManyAsync"/> found or made.</summary>
public sealed record OpenedConversation(Guid Id, Guid ContactId, string Channel, string Status, string HandledBy)
{
    /// <summary>As for <see cref="Conversation.BotMayReply"/>.</summary>
    public bool BotMayReply => Status == "active" && HandledBy == "bot";
}

/// <summary>Which conversation a message belongs to: the living one of (contact, channel, participant, agent). Participant: the contact's address.</summary>
public sealed record OpenConversation(Guid ContactId, Guid AgentId, string Channel, string Participant, Guid? WebhookId);

/// <summary>
/// Roles: <c>user</c> (the contact), <c>bouncer</c>, <c>concierge</c>, <c>innovator</c> and <c>agent</c> (agents of these kinds, and any
/// other), <c>human</c> (an operator), <c>system</c> (the platform; never an agent's reply). Direction: inbound or outbound. An outbound
/// <c>pending</c> message becomes <c>queued_for_send</c> as it is stored; an inbound one has no status.
/// </summary>
public sealed record NewMessage(Guid Id, Guid ConversationId, Guid? ContactId, string Role, string Direction, string Content)
{
    public string? Status { get; init; }

    public Guid? SessionId { get; init; }

    public int? TurnNumber { get; init; }

    public Guid? InboundMessageId { get; init; }

    /// <summary>The operator who wrote it, for role <c>human</c>.</summary>
    public Guid? AuthorUserId { get; init; }

    /// <summary>A JSON array of <c>{url, content_type, name, size}</c>.</summary>
    public JsonElement? Attachments { get; init; }

    /// <summary>Now when null.</summary>
    public DateTimeOffset? CreatedAt { get; init; }

    /// <summary>When it was sent and delivered, where saying it is delivering it.</summary>
    public DateTimeOffset? DeliveredAt { get; init; }
}

/// <summary>A stored message.</summary>
public sealed record Message
{
    public required Guid Id { get; init; }

    public Guid ConversationId { get; init; }

    public Guid? ContactId { get; init; }

    public Guid? SessionId { get; init; }

    public int? TurnNumber { get; init; }

    public required string Role { get; init; }

    public required string Direction { get; init; }

    public required string Content { get; init; }

    public JsonElement Attachments { get; init; }

    public string? Status { get; init; }

    /// <summary>The provider's id of the message, whichever provider it was.</summary>
    public string? TwilioMessageSid { get; init; }

    public Guid? InboundMessageId { get; init; }

    public Guid? AuthorUserId { get; init; }

    public string? ErrorCode { get; init; }

    public string? ErrorMessage { get; init; }

    public DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset? SentAt { get; init; }

    public DateTimeOffset? DeliveredAt { get; init; }

    public DateTimeOffset? FailedAt { get; init; }
}

/// <summary>What an agent is given: the summary, the messages after it (at most the last 20, newest first), the contact and its top five priorities.</summary>
public sealed record ConversationContext(
    Conversation Conversation, string? Summary, IReadOnlyList<Message> Messages, Contact? Contact, IReadOnlyList<ContactPriority> Priorities);

/// <summary>News of a message from its provider. Status: queued_for_send, sent, delivered or failed.</summary>
public sealed record DeliveryUpdate(string Status, DateTimeOffset At)
{
    public string? ProviderMessageId { get; init; }

    public string? ErrorCode { get; init; }

    public string? ErrorMessage { get; init; }
}

/// <summary>
/// Delivery goes one way: queued, pending, queued_for_send, sent, failed, delivered. News that arrive late change nothing, and only
/// a confirmed delivery corrects a failure. The SQL function <c>conversations.delivery_rank</c> is the same order.
/// </summary>
public static class Delivery
{
    private static readonly string[] Order = ["queued", "pending", "queued_for_send", "sent", "failed", "delivered"];

    public static IReadOnlyList<string> Statuses => Order;

    public static bool MayMove(string? from, string to) => Array.IndexOf(Order, to) is >= 0 and var rank && rank > Array.IndexOf(Order, from);
}

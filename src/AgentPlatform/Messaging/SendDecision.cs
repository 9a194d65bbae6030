using AgentPlatform.Channels;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Messaging.Pacing;
using AgentPlatform.Resilience;

namespace AgentPlatform.Messaging;

/// <summary>What the orchestrator knows when it decides about a message.</summary>
internal sealed record Facts(QueuedMessage Message, QueuedText Text, Conversation? Conversation, Contact? Contact)
{
    /// <summary>Null when the conversation is held in the platform itself (web, console) or no channel can carry it.</summary>
    public OutboundRoute? Route { get; init; }

    /// <summary>Of the inbound message that this answers.</summary>
    public ThreadPosition? Thread { get; init; }

    /// <summary>Providers that failed lately.</summary>
    public IReadOnlyList<TroubledService> Troubled { get; init; } = [];

    public bool OptedOut { get; init; }

    /// <summary>The person wrote after the message was queued.</summary>
    public bool WroteSince { get; init; }

    /// <summary>For proactive messages.</summary>
    public MessageBudget? Budget { get; init; }

    /// <summary>The conversation needs no provider: its reader looks at it here.</summary>
    public bool IsInternal => Conversation?.Channel is "web" or "console";
}

/// <summary>What is to become of a queued message.</summary>
internal abstract record SendDecision
{
    private SendDecision()
    {
    }

    internal sealed record Send : SendDecision;

    /// <summary>Reasons: quiet_hours, daily_limit, hourly_limit.</summary>
    internal sealed record Hold(DateTimeOffset Until, string Reason) : SendDecision;

    /// <summary>It has become pointless.</summary>
    internal sealed record Supersede(string Reason) : SendDecision;

    /// <summary>It must not leave.</summary>
    internal sealed record Refuse(string Reason) : SendDecision;

    /// <summary>The whole policy, in the order in which the reasons count.</summary>
    internal static SendDecision Decide(Facts facts, DateTimeOffset now) => facts switch
    {
        _ when Forbidden(facts) is { } reason => new Refuse(reason),
        { Message.RequiresFreshContext: true, WroteSince: true } => new Supersede("stale_context"),
        { Message.Proactive: true, Budget: { } budget, Contact: { } contact } => (SendDecision?)Pace(budget, contact, now) ?? new Send(),
        _ => new Send(),
    };

    /// <summary>What forbids sending, now and on every later attempt; null when nothing does.</summary>
    internal static string? Forbidden(Facts facts) => facts switch
    {
        { Conversation: null } or { Contact: null } => "conversation_gone",
        { Conversation.Status: "closed" or "archived" } => "conversation_closed",
        { OptedOut: true, Text.EvenIfOptedOut: false } => "opted_out",
        { IsInternal: true } => null,
        { Route: null } => "no_channel",
        { Route: { } route } => route.Refusal,
    };

    private static Hold? Pace(MessageBudget budget, Contact contact, DateTimeOffset now)
    {
        if (budget.QuietHoursEnabled && QuietHours.Until(now, contact.QuietHoursStart, contact.QuietHoursEnd, contact.Timezone) is { } morning)
        {
            return new Hold(morning, "quiet_hours");
        }

        if (budget.MessagesSent >= budget.DailyLimit)
        {
            return new Hold(QuietHours.Tomorrow(now, contact.Timezone), "daily_limit");
        }

        return budget.InLastHour >= budget.HourlyLimit
            ? new Hold((budget.OldestInLastHour ?? now) + TimeSpan.FromHours(1), "hourly_limit")
            : null;
    }
}

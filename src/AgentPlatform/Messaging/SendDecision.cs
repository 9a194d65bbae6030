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

    /// <summary>For who has not said which hours of theirs are quiet.</summary>
    public QuietWindow? QuietByDefault { get; init; }

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

    /// <summary>The hold of what its author has rest; it has no hour.</summary>
    internal const string Paused = "paused";

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
        _ when Pointless(facts) is { } reason => new Supersede(reason),
        { Message.Proactive: true, Budget: { } budget } => (SendDecision?)Pace(facts, budget, now) ?? new Send(),
        _ => new Send(),
    };

    /// <summary>Of what was approved and has surely not left: it is counted already, but hours and people have moved on since.</summary>
    internal static SendDecision DecideAgain(Facts facts, DateTimeOffset now) => facts switch
    {
        _ when (Forbidden(facts) ?? Pointless(facts)) is { } reason => new Refuse(reason),
        { Message.Proactive: true, Budget: { } budget } when Rest(facts, budget, now) is { } rest => rest,
        _ => new Send(),
    };

    /// <summary>Why nobody is to hear it any more.</summary>
    private static string? Pointless(Facts facts) => facts switch
    {
        { Message.RequiresFreshContext: true, WroteSince: true } => "stale_context",
        // Whoever has taken the conversation over, or paused it, decides what is said there unasked. One that is resolved is nobody's.
        { Message: { Proactive: true, AgentId: not "human" }, Conversation: { HandledBy: not "bot", Status: "active" } or { Status: "paused" } } => "conversation_not_the_bots",
        _ => null,
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

    private static Hold? Rest(Facts facts, MessageBudget budget, DateTimeOffset now)
    {
        var contact = facts.Contact!;
        var quiet = contact is { QuietHoursStart: { } from, QuietHoursEnd: { } to } ? new QuietWindow(from, to) : facts.QuietByDefault;
        return budget.QuietHoursEnabled && QuietHours.Until(now, quiet?.Start, quiet?.End, contact.Timezone) is { } morning ? new Hold(morning, "quiet_hours") : null;
    }

    private static Hold? Pace(Facts facts, MessageBudget budget, DateTimeOffset now)
    {
        if (Rest(facts, budget, now) is { } rest)
        {
            return rest;
        }

        if (budget.MessagesSent >= budget.DailyLimit)
        {
            return new Hold(QuietHours.Tomorrow(now, facts.Contact!.Timezone), "daily_limit");
        }

        return budget.InLastHour >= budget.HourlyLimit
            ? new Hold((budget.OldestInLastHour ?? now) + TimeSpan.FromHours(1), "hourly_limit")
            : null;
    }
}

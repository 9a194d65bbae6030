using AgentPlatform.Billing.Catalogue;

namespace AgentPlatform.Billing.Subscriptions;

/// <summary>
/// A workspace's subscription, at the terms it was sold at. Status: trial, active, past_due (a period is not paid; what is left of the last one's
/// executions can be used until the grace is over), paused (nothing is executed), cancelled. Money is in minor units of the currency; the price is a period's.
/// </summary>
public sealed record Subscription
{
    public Guid Id { get; init; }
    public Guid TierId { get; init; }
    public string Tier { get; init; } = "";
    public string Status { get; init; } = "";
    public string PaymentFrequency { get; init; } = "";
    public string Provider { get; init; } = "";
    public string Currency { get; init; } = "";
    public int PriceCents { get; init; }
    public int SetupFeeCents { get; init; }
    public int MonthlyExecutionLimit { get; init; }
    public int MaxAgents { get; init; }
    public int MaxConcurrentAgents { get; init; }
    public int MaxExecutionDurationMinutes { get; init; }
    public int? OverageCents { get; init; }
    public int? OverageCapCents { get; init; }
    public DateTimeOffset CurrentPeriodStart { get; init; }
    public DateTimeOffset CurrentPeriodEnd { get; init; }
    public bool CancelAtPeriodEnd { get; init; }
    public DateTimeOffset? TrialEndsAt { get; init; }
    public DateTimeOffset? CancelledAt { get; init; }
    public string? CancellationReason { get; init; }

    /// <summary>Whether the provider can be asked for money without anybody at a payment page.</summary>
    public bool PaysByItself => MethodId is not null;

    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    internal DateTimeOffset AnchoredAt { get; init; }
    internal string? CustomerId { get; init; }
    internal string? MethodId { get; init; }
    internal int Rank { get; init; }

    internal bool IsTrial => TrialEndsAt == CurrentPeriodEnd;

    /// <summary>A trial has a month's executions, whatever period follows it.</summary>
    internal int ExecutionLimit => IsTrial ? MonthlyExecutionLimit : Frequencies.ExecutionLimit(MonthlyExecutionLimit, PaymentFrequency);
}

/// <summary>What a workspace is sold: kept in the payment until it is paid, and in the subscription then.</summary>
internal sealed record SubscriptionTerms(
    Guid TierId, string Tier, string PaymentFrequency, string Currency, int PriceCents, int SetupFeeCents, int MonthlyExecutionLimit, int MaxAgents, int MaxConcurrentAgents,
    int MaxExecutionDurationMinutes, int? OverageCents, int? OverageCapCents)
{
    internal static SubscriptionTerms Of(Tier tier, string frequency) => new(
        tier.Id, tier.Slug, frequency, tier.Currency, Frequencies.Price(tier, tier.MonthlyPriceCents, frequency), tier.SetupFeeCents, tier.MonthlyExecutionLimit, tier.MaxAgents,
        tier.MaxConcurrentAgents, tier.MaxExecutionDurationMinutes, tier.OverageCents, tier.OverageCapCents);
}

/// <summary>Whether a payment for a period is under way, and when the last one was placed.</summary>
internal sealed record PeriodAsked(bool IsPending, DateTimeOffset? LastAt);

/// <summary>What falls due for a subscription: a closed set.</summary>
internal abstract record Due
{
    private Due()
    {
    }

    internal sealed record Nothing(DateTimeOffset Until) : Due;

    /// <summary>The period, or the trial, is to be followed by a paid one.</summary>
    internal sealed record Pay : Due;

    internal sealed record End(string Reason) : Due;

    /// <summary>Pure. A paused subscription waits for whoever resumes it.</summary>
    internal static Due Of(Subscription s, PeriodAsked asked, DateTimeOffset now, TimeSpan grace) => s switch
    {
        { Status: "cancelled" } => new Nothing(now.AddDays(1)),
        _ when now < s.CurrentPeriodEnd => new Nothing(s.CurrentPeriodEnd),
        { CancelAtPeriodEnd: true } => new End(s.CancellationReason ?? "cancelled"),
        { Status: "paused" } => new Nothing(now.AddDays(1)),
        { Status: "past_due" } when now >= s.CurrentPeriodEnd + grace => new End("unpaid"),
        _ when asked.IsPending => new Nothing(now + Again),
        { Status: "past_due" } when asked.LastAt + Again > now => new Nothing(asked.LastAt!.Value + Again),
        _ => new Pay(),
    };

    /// <summary>How often an unpaid period is asked for.</summary>
    internal static readonly TimeSpan Again = TimeSpan.FromDays(1);
}

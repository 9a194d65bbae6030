using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Billing.Catalogue;

/// <summary>
/// A tier as it is offered. Money is in minor units of the currency. <see cref="OverageCents"/>: what an execution past all limits costs, up to
/// <see cref="OverageCapCents"/> in a period; null: it is refused. <see cref="Prices"/> is what a period costs at each payment frequency.
/// </summary>
public sealed record Tier
{
    public Guid Id { get; init; }
    public string Slug { get; init; } = "";
    public string Name { get; init; } = "";
    public string? Description { get; init; }
    public string Currency { get; init; } = "";
    public int MonthlyPriceCents { get; init; }
    public int SetupFeeCents { get; init; }
    public int WeeklyPremiumPercent { get; init; }
    public int SixMonthDiscountPercent { get; init; }
    public int AnnualDiscountPercent { get; init; }
    public int MaxAgents { get; init; }
    public int MaxConcurrentAgents { get; init; }
    public int MonthlyExecutionLimit { get; init; }
    public int MaxExecutionDurationMinutes { get; init; }
    public int? OverageCents { get; init; }
    public int? OverageCapCents { get; init; }
    public int TrialDays { get; init; }
    public int SortOrder { get; init; }
    public bool IsActive { get; init; }
    public bool IsPopular { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    public IReadOnlyList<TierPrice> Prices => [.. Frequencies.All.Select(f => new TierPrice(f, Frequencies.Price(this, MonthlyPriceCents, f), Frequencies.PricePerMonth(this, f)))];
}

/// <summary>What a period costs at a payment frequency, and what that is a month.</summary>
public sealed record TierPrice(string PaymentFrequency, int PriceCents, int PerMonthCents);

/// <summary>A bundle of executions as it is offered. <see cref="ExecutionCount"/> null: unlimited; <see cref="ValidForDays"/> null: until the period ends.</summary>
public sealed record ExecutionPack
{
    public Guid Id { get; init; }
    public string Slug { get; init; } = "";
    public string Name { get; init; } = "";
    public string? Description { get; init; }
    public int? ExecutionCount { get; init; }
    public int? ValidForDays { get; init; }
    public string Currency { get; init; } = "";
    public int PriceCents { get; init; }
    public string? MinTier { get; init; }
    public int? MaxPerMonth { get; init; }
    public int SortOrder { get; init; }
    public bool IsActive { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    internal int? MinRank { get; init; }
}

/// <summary>Further slots for agents as they are offered; <see cref="MaxPerUser"/>: how many a workspace may have at a time.</summary>
public sealed record AgentAddOn
{
    public Guid Id { get; init; }
    public string Slug { get; init; } = "";
    public string Name { get; init; } = "";
    public string? Description { get; init; }
    public int AdditionalAgents { get; init; }
    public string Currency { get; init; } = "";
    public int MonthlyPriceCents { get; init; }
    public string? MinTier { get; init; }
    public int? MaxPerUser { get; init; }
    public int SortOrder { get; init; }
    public bool IsActive { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    internal int? MinRank { get; init; }
}

/// <summary>Reads what the installation offers, in the order it is shown. What is no longer offered is found by who has it, and is not listed.</summary>
internal sealed class Offers
{
    internal async Task<Page<Tier>> TiersAsync(Transaction tx, CancellationToken ct) => new(await tx.QueryAsync<Tier>(Sql.Tiers, [], ct), null);

    internal async Task<Page<ExecutionPack>> PacksAsync(Transaction tx, CancellationToken ct) => new(await tx.QueryAsync<ExecutionPack>(Sql.Packs, [null], ct), null);

    internal async Task<Page<AgentAddOn>> AddOnsAsync(Transaction tx, CancellationToken ct) => new(await tx.QueryAsync<AgentAddOn>(Sql.AddOns, [null], ct), null);

    internal Task<Tier?> TierAsync(Transaction tx, string slug, CancellationToken ct) => tx.FindAsync<Tier>(Sql.Tier, [slug], ct);

    internal Task<Tier> TierAsync(Transaction tx, Guid id, CancellationToken ct) => tx.SingleAsync<Tier>(Sql.TierById, [id], ct);

    internal Task<ExecutionPack?> PackAsync(Transaction tx, string slug, CancellationToken ct) => tx.FindAsync<ExecutionPack>(Sql.Packs, [slug], ct);

    internal Task<AgentAddOn?> AddOnAsync(Transaction tx, string slug, CancellationToken ct) => tx.FindAsync<AgentAddOn>(Sql.AddOns, [slug], ct);

    private static class Sql
    {
        internal const string Tiers = "SELECT * FROM billing.subscription_tiers WHERE is_active ORDER BY sort_order, slug";

        internal const string Tier = "SELECT * FROM billing.subscription_tiers WHERE slug = $1";

        internal const string TierById = "SELECT * FROM billing.subscription_tiers WHERE id = $1";

        internal const string Packs =
            """
            SELECT p.*, t.slug AS min_tier, t.sort_order AS min_rank
            FROM billing.execution_packs AS p LEFT JOIN billing.subscription_tiers AS t ON t.id = p.min_tier_id
            WHERE p.is_active AND ($1::text IS NULL OR p.slug = $1) ORDER BY p.sort_order, p.slug
            """;

        internal const string AddOns =
            """
            SELECT a.*, t.slug AS min_tier, t.sort_order AS min_rank
            FROM billing.agent_add_ons AS a LEFT JOIN billing.subscription_tiers AS t ON t.id = a.min_tier_id
            WHERE a.is_active AND ($1::text IS NULL OR a.slug = $1) ORDER BY a.sort_order, a.slug
            """;
    }
}

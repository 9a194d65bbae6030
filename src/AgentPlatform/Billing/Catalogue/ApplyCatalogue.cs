using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Billing.Catalogue;

/// <summary>What shall be offered. Each is known by its slug; what is not named stays as it is, and is withdrawn by <c>is_active: false</c>.</summary>
public sealed record CatalogueFile(TierInput[]? Tiers, PackInput[]? Packs, AddOnInput[]? AddOns);

public sealed record TierInput(
    string Slug, string Name, string Currency, int MonthlyPriceCents, int MaxAgents, int MaxConcurrentAgents, int MonthlyExecutionLimit, string? Description = null, int SetupFeeCents = 0,
    int WeeklyPremiumPercent = 15, int SixMonthDiscountPercent = 5, int AnnualDiscountPercent = 10, int MaxExecutionDurationMinutes = 60, int? OverageCents = null,
    int? OverageCapCents = null, int TrialDays = 0, int SortOrder = 0, bool IsActive = true, bool IsPopular = false);

public sealed record PackInput(
    string Slug, string Name, string Currency, int PriceCents, string? Description = null, int? ExecutionCount = null, int? ValidForDays = null, string? MinTier = null,
    int? MaxPerMonth = null, int SortOrder = 0, bool IsActive = true);

public sealed record AddOnInput(
    string Slug, string Name, string Currency, int MonthlyPriceCents, int AdditionalAgents, string? Description = null, string? MinTier = null, int? MaxPerUser = null, int SortOrder = 0,
    bool IsActive = true);

/// <summary>Writes the installation's catalogue: all of it or nothing. What is sold already keeps the terms it was sold at.</summary>
public sealed class ApplyCatalogue(Database database)
{
    /// <summary>A year of it, and its tax, stay within what money is counted in.</summary>
    private const int MostCents = 100_000_000;

    /// <summary>Refuses, with the constraint that was broken, what cannot be offered.</summary>
    public async Task<Result<int>> RunAsync(CatalogueFile file, CancellationToken ct)
    {
        var (tiers, packs, addOns) = (file.Tiers ?? [], file.Packs ?? [], file.AddOns ?? []);
        if (tiers.Any(t => t.MonthlyPriceCents > MostCents) || addOns.Any(a => a.MonthlyPriceCents > MostCents) || packs.Any(p => p.PriceCents > MostCents))
        {
            return Problem.BadRequest("catalogue_refused", $"The catalogue breaks a rule: no price is above {MostCents}.");
        }

        await using var tx = database.BeginWorker();
        foreach (var t in tiers)
        {
            tx.Post(
                Sql.Tier, t.Slug, t.Name, t.Description, t.Currency, t.MonthlyPriceCents, t.SetupFeeCents, t.WeeklyPremiumPercent, t.SixMonthDiscountPercent, t.AnnualDiscountPercent,
                t.MaxAgents, t.MaxConcurrentAgents, t.MonthlyExecutionLimit, t.MaxExecutionDurationMinutes, t.OverageCents, t.OverageCapCents, t.TrialDays, t.SortOrder, t.IsActive, t.IsPopular);
        }

        try
        {
            var unknown = await tx.QueryAsync<string>(Sql.Unknown, [packs.Select(p => p.MinTier).Concat(addOns.Select(a => a.MinTier)).OfType<string>().ToArray()], ct);
            if (unknown.Count > 0)
            {
                return Problem.Invalid("min_tier", $"There is no tier {unknown[0]}.");
            }

            foreach (var p in packs)
            {
                tx.Post(Sql.Pack, p.Slug, p.Name, p.Description, p.ExecutionCount, p.ValidForDays, p.Currency, p.PriceCents, p.MinTier, p.MaxPerMonth, p.SortOrder, p.IsActive);
            }

            foreach (var a in addOns)
            {
                tx.Post(Sql.AddOn, a.Slug, a.Name, a.Description, a.AdditionalAgents, a.Currency, a.MonthlyPriceCents, a.MinTier, a.MaxPerUser, a.SortOrder, a.IsActive);
            }

            await tx.CommitAsync(ct);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.CheckViolation)
        {
            return Problem.BadRequest("catalogue_refused", $"The catalogue breaks a rule: {e.ConstraintName?.Replace('_', ' ')}.");
        }

        return tiers.Length + packs.Length + addOns.Length;
    }

    private static class Sql
    {
        internal const string Tier =
            """
            INSERT INTO billing.subscription_tiers (slug, name, description, currency, monthly_price_cents, setup_fee_cents, weekly_premium_percent, six_month_discount_percent,
                annual_discount_percent, max_agents, max_concurrent_agents, monthly_execution_limit, max_execution_duration_minutes, overage_cents, overage_cap_cents, trial_days,
                sort_order, is_active, is_popular)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
            ON CONFLICT (slug) DO UPDATE SET
                name = excluded.name, description = excluded.description, currency = excluded.currency, monthly_price_cents = excluded.monthly_price_cents,
                setup_fee_cents = excluded.setup_fee_cents, weekly_premium_percent = excluded.weekly_premium_percent, six_month_discount_percent = excluded.six_month_discount_percent,
                annual_discount_percent = excluded.annual_discount_percent, max_agents = excluded.max_agents, max_concurrent_agents = excluded.max_concurrent_agents,
                monthly_execution_limit = excluded.monthly_execution_limit, max_execution_duration_minutes = excluded.max_execution_duration_minutes,
                overage_cents = excluded.overage_cents, overage_cap_cents = excluded.overage_cap_cents, trial_days = excluded.trial_days, sort_order = excluded.sort_order,
                is_active = excluded.is_active, is_popular = excluded.is_popular
            """;

        internal const string Unknown =
            "SELECT named.slug FROM unnest($1::text[]) AS named (slug) WHERE NOT EXISTS (SELECT FROM billing.subscription_tiers AS t WHERE t.slug = named.slug)";

        internal const string Pack =
            """
            INSERT INTO billing.execution_packs (slug, name, description, execution_count, valid_for_days, currency, price_cents, min_tier_id, max_per_month, sort_order, is_active)
            VALUES ($1, $2, $3, $4, $5, $6, $7, (SELECT id FROM billing.subscription_tiers WHERE slug = $8), $9, $10, $11)
            ON CONFLICT (slug) DO UPDATE SET
                name = excluded.name, description = excluded.description, execution_count = excluded.execution_count, valid_for_days = excluded.valid_for_days,
                currency = excluded.currency, price_cents = excluded.price_cents, min_tier_id = excluded.min_tier_id, max_per_month = excluded.max_per_month,
                sort_order = excluded.sort_order, is_active = excluded.is_active
            """;

        internal const string AddOn =
            """
            INSERT INTO billing.agent_add_ons (slug, name, description, additional_agents, currency, monthly_price_cents, min_tier_id, max_per_user, sort_order, is_active)
            VALUES ($1, $2, $3, $4, $5, $6, (SELECT id FROM billing.subscription_tiers WHERE slug = $7), $8, $9, $10)
            ON CONFLICT (slug) DO UPDATE SET
                name = excluded.name, description = excluded.description, additional_agents = excluded.additional_agents, currency = excluded.currency,
                monthly_price_cents = excluded.monthly_price_cents, min_tier_id = excluded.min_tier_id, max_per_user = excluded.max_per_user,
                sort_order = excluded.sort_order, is_active = excluded.is_active
            """;
    }
}

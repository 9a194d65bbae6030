namespace AgentPlatform.Billing.Catalogue;

/// <summary>How often a subscription is paid, and what follows for its price, its limit and its periods. Pure.</summary>
internal static class Frequencies
{
    internal static readonly string[] All = ["weekly", "monthly", "six_month", "annual"];

    /// <summary>A period's price in whole minor units: so many months' price (a week is 12/52 of a month), with the tier's premium or discount.</summary>
    internal static int Price(Tier tier, int monthlyCents, string frequency) => frequency switch
    {
        "weekly" => Rounded((decimal)monthlyCents * (100 + tier.WeeklyPremiumPercent) * 12 / (52 * 100)),
        "monthly" => monthlyCents,
        "six_month" => Rounded((decimal)monthlyCents * 6 * (100 - tier.SixMonthDiscountPercent) / 100),
        "annual" => Rounded((decimal)monthlyCents * 12 * (100 - tier.AnnualDiscountPercent) / 100),
        _ => throw Unknown(frequency),
    };

    /// <summary>A month's price at that frequency: what the prices of a page of offers compare.</summary>
    internal static int PricePerMonth(Tier tier, string frequency) => frequency switch
    {
        "weekly" => Rounded((decimal)tier.MonthlyPriceCents * (100 + tier.WeeklyPremiumPercent) / 100),
        "monthly" => tier.MonthlyPriceCents,
        "six_month" => Rounded((decimal)tier.MonthlyPriceCents * (100 - tier.SixMonthDiscountPercent) / 100),
        "annual" => Rounded((decimal)tier.MonthlyPriceCents * (100 - tier.AnnualDiscountPercent) / 100),
        _ => throw Unknown(frequency),
    };

    /// <summary>The executions of a whole paid period.</summary>
    internal static int ExecutionLimit(int monthly, string frequency) => frequency switch
    {
        "weekly" => (int)Math.Ceiling(monthly * 12 / 52m),
        "monthly" => monthly,
        "six_month" => monthly * 6,
        "annual" => monthly * 12,
        _ => throw Unknown(frequency),
    };

    /// <summary>The first end of a period after a moment, counted from the anchor: the 31st of January is followed by the 28th of February, and that by the 31st of March.</summary>
    internal static DateTimeOffset NextEnd(DateTimeOffset anchor, DateTimeOffset after, string frequency)
    {
        for (var periods = 1; ; periods++)
        {
            var end = frequency switch
            {
                "weekly" => anchor.AddDays(7 * periods),
                "monthly" => anchor.AddMonths(periods),
                "six_month" => anchor.AddMonths(6 * periods),
                "annual" => anchor.AddMonths(12 * periods),
                _ => throw Unknown(frequency),
            };
            if (end > after)
            {
                return end;
            }
        }
    }

    /// <summary>A part of a price for what is left of a period; never nothing.</summary>
    internal static int Prorated(int cents, DateTimeOffset start, DateTimeOffset end, DateTimeOffset now) =>
        Math.Max(1, Rounded(cents * (decimal)(end - now).Ticks / (end - start).Ticks));

    private static int Rounded(decimal cents) => (int)decimal.Round(cents, MidpointRounding.AwayFromZero);

    private static ArgumentOutOfRangeException Unknown(string frequency) => new(nameof(frequency), frequency, "Is not a payment frequency.");
}

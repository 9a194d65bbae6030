using System.Collections.Frozen;
using System.Globalization;
using System.Text.RegularExpressions;

namespace AgentPlatform.Brain.Understanding;

/// <summary>Amounts of money: "$1,250.50", "20 euros", "5k usd". The value is the amount and the ISO 4217 code: "1250.50 USD".</summary>
internal static partial class Amounts
{
    private static readonly FrozenDictionary<string, string> Codes = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase)
    {
        ["$"] = "USD",
        ["usd"] = "USD",
        ["dollar"] = "USD",
        ["dollars"] = "USD",
        ["buck"] = "USD",
        ["bucks"] = "USD",
        ["€"] = "EUR",
        ["eur"] = "EUR",
        ["euro"] = "EUR",
        ["euros"] = "EUR",
        ["£"] = "GBP",
        ["gbp"] = "GBP",
        ["pound"] = "GBP",
        ["pounds"] = "GBP",
        ["quid"] = "GBP",
        ["¥"] = "JPY",
        ["jpy"] = "JPY",
        ["yen"] = "JPY",
        ["chf"] = "CHF",
        ["francs"] = "CHF",
        ["cad"] = "CAD",
        ["aud"] = "AUD",
        ["inr"] = "INR",
        ["rupees"] = "INR",
    }.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);

    internal static IEnumerable<Entity> Find(string text) =>
        from match in Pattern().Matches(text)
        let code = Codes[match.Groups["unit"].Value]
        where decimal.TryParse(match.Groups["n"].Value, NumberStyles.Number, CultureInfo.InvariantCulture, out _)
        let amount = decimal.Parse(match.Groups["n"].Value, NumberStyles.Number, CultureInfo.InvariantCulture) * Times(match.Groups["times"].Value)
        select new Entity(Entities.Money, $"{amount.ToString(CultureInfo.InvariantCulture)} {code}", match.Value, match.Index);

    private static decimal Times(string word) => word.ToLowerInvariant() switch
    {
        "k" or "thousand" => 1_000,
        "m" or "million" => 1_000_000,
        _ => 1,
    };

    // Both ways to write it share the names of their groups: a unit before the number, or after it.
    [GeneratedRegex(
        @"(?<!\w)(?<unit>[$€£¥]|usd|eur|gbp|jpy|chf|cad|aud|inr)\s?(?<n>\d[\d,]{0,15}(?:\.\d{1,2})?)\s?(?<times>k|m|thousand|million)?(?!\w)|(?<![\w$€£¥.])(?<n>\d[\d,]{0,15}(?:\.\d{1,2})?)\s?(?<times>k|m|thousand|million)?\s?(?<unit>[€£¥]|usd|eur|gbp|jpy|chf|cad|aud|inr|dollars?|bucks?|euros?|pounds?|quid|yen|francs|rupees)(?!\w)",
        RegexOptions.CultureInvariant | RegexOptions.IgnoreCase, 1000)]
    private static partial Regex Pattern();
}

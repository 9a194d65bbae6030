using System.Text.RegularExpressions;

namespace AgentPlatform.Models;

/// <summary>What must not leave for a model's provider: numbers of payment cards, keys and passwords.</summary>
public static partial class Redaction
{
    public static string Clean(string text) =>
        Keys().Replace(Secrets().Replace(Digits().Replace(text, m => IsCard(m.Value) ? "[card number]" : m.Value), "${word}[secret]"), "[secret]");

    /// <summary>13 to 19 digits whose last one is the check digit of the others (Luhn).</summary>
    private static bool IsCard(string text)
    {
        var digits = text.Where(char.IsAsciiDigit).Select(c => c - '0').ToList();
        var sum = digits.AsEnumerable().Reverse().Select((digit, i) => i % 2 == 0 ? digit : digit > 4 ? (digit * 2) - 9 : digit * 2).Sum();
        return digits.Count is >= 13 and <= 19 && sum % 10 == 0;
    }

    [GeneratedRegex(@"(?<![\d+])\d(?:[ -]?\d){12,18}(?!\d)", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Digits();

    /// <summary>"my password is hunter2", "api key: …": the word stays, what follows it goes.</summary>
    [GeneratedRegex(@"(?<word>\b(?:password|passcode|passphrase|pin code|api[ _-]?key|secret(?: key)?|access token)\b\s*(?:is|=|:)\s*)\S+", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Secrets();

    /// <summary>What looks like a key of a well-known service, a bearer token or a private key.</summary>
    [GeneratedRegex(@"\b(?:sk|pk|rk|ghp|gho|xox[abp])[-_][A-Za-z0-9_-]{16,}|\bAKIA[0-9A-Z]{16}\b|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Keys();
}

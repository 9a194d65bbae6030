using System.Globalization;
using System.Net.Mail;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using AgentPlatform.Kernel;

namespace AgentPlatform.Actions.Registry;

/// <summary>Pure: whether one value keeps its rule, and what to say when it does not.</summary>
internal static class ParameterValue
{
    private static readonly char[] Separators = [',', ';', '\n'];

    /// <summary>Null when it does.</summary>
    internal static string? Error(string name, ParameterRule rule, JsonElement value)
    {
        if (rule.Type == "array")
        {
            return ListError(name, rule, value);
        }

        var text = value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText();
        return Breaks(rule, value, text) ? rule.Message ?? Explain(name, rule) : null;
    }

    /// <summary>People write a list as text: its parts become the elements.</summary>
    internal static JsonNode? Listed(ParameterRule rule, JsonElement value) =>
        rule.Type == "array" && value.ValueKind == JsonValueKind.String
            ? new JsonArray([.. value.GetString()!.Split(Separators, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(part => JsonValue.Create(part))])
            : JsonNode.Parse(value.GetRawText());

    // Tenants write the patterns and contacts the text: the non-backtracking engine is linear in both.
    internal static bool Matches(string pattern, string text) =>
        Regex.IsMatch(text, pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);

    /// <summary>Says which element is wrong; the element's own message, if its rule has one, comes before the list's.</summary>
    private static string? ListError(string name, ParameterRule rule, JsonElement value)
    {
        var label = name.Replace('_', ' ');
        if (value.ValueKind != JsonValueKind.Array)
        {
            return rule.Message ?? $"The {label} must be a list.";
        }

        var (least, most) = (rule.MinItems ?? 0, Math.Min(rule.MaxItems ?? ParameterRule.MostItems, ParameterRule.MostItems));
        if (value.GetArrayLength() < least || value.GetArrayLength() > most)
        {
            return rule.Message ?? $"The {label} must have {(least == 0 ? $"at most {most}" : $"{least} to {most}")} entries.";
        }

        return rule.Items is not { } items ? null
            : value.EnumerateArray().Select((element, i) => Error($"{name} entry {i + 1}", items, element) is { } wrong ? items.Message is null ? rule.Message ?? wrong : $"Entry {i + 1}: {wrong}" : null)
                .FirstOrDefault(wrong => wrong is not null);
    }

    private static bool Breaks(ParameterRule rule, JsonElement value, string text) =>
        !IsOfType(rule.Type, value, text)
        || (rule.Format is { } format && !HasFormat(format, text))
        || text.Length < rule.MinLength
        || text.Length > (rule.MaxLength ?? 2000)
        || (rule.Enum is { } allowed && !allowed.Contains(text, StringComparer.OrdinalIgnoreCase))
        || (Number(text) is { } number && (number < rule.Minimum || number > rule.Maximum))
        || (rule.Pattern is { } pattern && !Matches(pattern, text));

    private static bool IsOfType(string type, JsonElement value, string text) => type switch
    {
        "number" => Number(text) is not null,
        "integer" => Number(text) is { } number && number == decimal.Truncate(number),
        "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False || text is "true" or "false",
        "email" or "phone" or "date" => HasFormat(type, text),
        "url" => Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https",
        "name" => text.Any(char.IsLetter) && !text.Any(char.IsDigit),
        _ => value.ValueKind is not (JsonValueKind.Object or JsonValueKind.Array),
    };

    internal static bool HasFormat(string format, string text) => format switch
    {
        "email" => MailAddress.TryCreate(text, out var address) && address.Address == text && address.Host.Contains('.', StringComparison.Ordinal),
        "phone" => PhoneNumber.TryNormalize(text, out _),
        "uri" => Uri.TryCreate(text, UriKind.Absolute, out var uri) && text.StartsWith($"{uri.Scheme}:", StringComparison.OrdinalIgnoreCase),
        "date" => DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out _),
        "date-time" => text.Contains('T', StringComparison.OrdinalIgnoreCase) && HasOffset(text) && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.None, out _),
        "uuid" => Guid.TryParseExact(text, "D", out _),
        _ => false,
    };

    /// <summary>A moment without its offset is a different one for every reader.</summary>
    private static bool HasOffset(string text) => text.EndsWith('Z') || text.EndsWith('z') || (text.Length > 6 && text[^6] is '+' or '-' && text[^3] == ':');

    private static decimal? Number(string text) =>
        decimal.TryParse(text, NumberStyles.Number, CultureInfo.InvariantCulture, out var number) ? number : null;

    private static string Explain(string name, ParameterRule rule)
    {
        var label = name.Replace('_', ' ');
        return rule switch
        {
            { Enum: { } allowed } => $"The {label} must be one of {string.Join(", ", allowed)}.",
            { Type: "email" } or { Format: "email" } => $"That does not look like an e-mail address. What is the {label}?",
            { Type: "phone" } or { Format: "phone" } => $"That does not look like a phone number. Please include the country code.",
            { Type: "url" } => $"The {label} must be a full link that starts with https://.",
            { Type: "date" } or { Format: "date" } => $"I could not read that as a date. What is the {label}?",
            { Format: "uri" } => $"The {label} must be a full address, such as https://example.com/.",
            { Format: "date-time" } => $"The {label} must be a date with time and offset, such as 2025-01-31T09:30:00Z.",
            { Format: "uuid" } => $"The {label} must be an id of the form 00000000-0000-0000-0000-000000000000.",
            { Type: "number" or "integer" } => $"The {label} must be a number{Range(rule)}.",
            _ => $"That does not work as {label}. Please try again.",
        };
    }

    private static string Range(ParameterRule rule) => (rule.Minimum, rule.Maximum) switch
    {
        ({ } min, { } max) => string.Create(CultureInfo.InvariantCulture, $" between {min} and {max}"),
        ({ } min, null) => string.Create(CultureInfo.InvariantCulture, $" of at least {min}"),
        (null, { } max) => string.Create(CultureInfo.InvariantCulture, $" of at most {max}"),
        _ => "",
    };
}

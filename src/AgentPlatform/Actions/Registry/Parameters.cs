using System.Globalization;
using System.Net.Mail;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using AgentPlatform.Kernel;

namespace AgentPlatform.Actions.Registry;

/// <summary>
/// What a parameter may be, in the words of JSON Schema, with how to ask for it and what to say when it is wrong.
/// <see cref="Type"/>: string, number, integer, boolean, email, phone, url, date or name. <see cref="Extract"/>: phrases with one
/// <c>{value}</c>, such as <c>"in {value}"</c>, that find it inside a sentence.
/// </summary>
public sealed record ParameterRule
{
    public static readonly ParameterRule Anything = new();
    public static readonly string[] Types = ["string", "number", "integer", "boolean", "email", "phone", "url", "date", "name"];

    public string Type { get; init; } = "string";
    public string? Pattern { get; init; }
    public int? MinLength { get; init; }
    public int? MaxLength { get; init; }
    public decimal? Minimum { get; init; }
    public decimal? Maximum { get; init; }
    public string[]? Enum { get; init; }
    public string[] Extract { get; init; } = [];
    public string? Prompt { get; init; }
    public string? Message { get; init; }
}

/// <summary>What is still missing and what is wrong, per parameter.</summary>
public sealed record ParameterCheck(IReadOnlyList<string> Missing, IReadOnlyDictionary<string, string> Errors)
{
    public bool IsComplete => Missing.Count == 0 && Errors.Count == 0;
}

/// <summary>Pure decisions about an action's parameters.</summary>
public static class Parameters
{
    public static readonly JsonElement None = ActionDefinition.Empty.Object;

    /// <summary>Optional parameters never count as missing, but a value that breaks its rule does count as an error.</summary>
    public static ParameterCheck Check(ActionDefinition action, JsonElement collected)
    {
        var missing = action.Required.Where(name => !Has(collected, name)).ToArray();
        var errors = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var name in action.Required.Concat(action.Optional).Where(name => Has(collected, name)))
        {
            if (Error(name, action.Rule(name), collected.GetProperty(name)) is { } message)
            {
                errors[name] = message;
            }
        }

        return new(missing, errors);
    }

    /// <summary>Null when an operator's request may run with these values, else what is missing and wrong, by parameter.</summary>
    internal static Problem? Problem(ActionDefinition action, JsonElement values)
    {
        var check = Check(action, values);
        return check.IsComplete ? null : Kernel.Problem.Invalid(check.Missing.Select(name => (Name: name, Message: "Is required."))
            .Concat(check.Errors.Select(error => (Name: error.Key, Message: error.Value)))
            .ToDictionary(error => $"params.{error.Name}", error => new[] { error.Message }, StringComparer.Ordinal));
    }

    /// <summary>The supplied values over the collected ones; names the action does not know, and empty values, are left out.</summary>
    public static JsonElement Merge(ActionDefinition action, JsonElement collected, JsonElement supplied)
    {
        var merged = new JsonObject();
        foreach (var name in action.Required.Concat(action.Optional).Distinct(StringComparer.Ordinal))
        {
            var source = Has(supplied, name) ? supplied : collected;
            if (Has(source, name))
            {
                merged[name] = JsonNode.Parse(source.GetProperty(name).GetRawText());
            }
        }

        return Json.Of(merged);
    }

    /// <summary>The question for a parameter: the registry's own, or one made of its name.</summary>
    public static string Prompt(ActionDefinition action, string name) =>
        action.Rule(name).Prompt ?? $"What is the {name.Replace('_', ' ')}?";

    /// <summary>Null when the value keeps the rule, else the message to show.</summary>
    public static string? Error(string name, ParameterRule rule, JsonElement value)
    {
        var text = value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText();
        return Breaks(rule, value, text) ? rule.Message ?? Explain(name, rule) : null;
    }

    private static bool Has(JsonElement values, string name) =>
        values.ValueKind == JsonValueKind.Object && values.TryGetProperty(name, out var value) && value.ValueKind switch
        {
            JsonValueKind.Null or JsonValueKind.Undefined => false,
            JsonValueKind.String => !string.IsNullOrWhiteSpace(value.GetString()),
            _ => true,
        };

    private static bool Breaks(ParameterRule rule, JsonElement value, string text) =>
        !IsOfType(rule.Type, value, text)
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
        "email" => MailAddress.TryCreate(text, out var address) && address.Address == text && address.Host.Contains('.', StringComparison.Ordinal),
        "phone" => PhoneNumber.TryNormalize(text, out _),
        "url" => Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https",
        "date" => DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out _),
        "name" => text.Any(char.IsLetter) && !text.Any(char.IsDigit),
        _ => value.ValueKind is not (JsonValueKind.Object or JsonValueKind.Array),
    };

    private static decimal? Number(string text) =>
        decimal.TryParse(text, NumberStyles.Number, CultureInfo.InvariantCulture, out var number) ? number : null;

    // Tenants write the patterns and contacts the text: the non-backtracking engine is linear in both.
    internal static bool Matches(string pattern, string text) =>
        Regex.IsMatch(text, pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);

    private static string Explain(string name, ParameterRule rule)
    {
        var label = name.Replace('_', ' ');
        return rule switch
        {
            { Enum: { } allowed } => $"The {label} must be one of {string.Join(", ", allowed)}.",
            { Type: "email" } => $"That does not look like an e-mail address. What is the {label}?",
            { Type: "phone" } => $"That does not look like a phone number. Please include the country code.",
            { Type: "url" } => $"The {label} must be a full link that starts with https://.",
            { Type: "date" } => $"I could not read that as a date. What is the {label}?",
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

using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Kernel;

namespace AgentPlatform.Contacts.Segments;

/// <summary>
/// Pure: which contacts are meant, as a <see cref="Condition"/> over what is known of them: <c>{"path": "$.company", "equals": "Acme"}</c>. A list fits
/// when one of its items does; a text that is a number is compared as one. Postgres answers it for all contacts at once: as a predicate of its JSON paths.
/// </summary>
public static partial class ContactRule
{
    private const int Longest = 10_000;

    private static readonly string[] Facts =
    [
        "external_id", "phone_number", "email", "display_name", "first_name", "last_name", "company", "title", "verified", "innovator", "expert_connector",
        "expertise", "poc_agent_type", "timezone", "credit_balance", "status_level", "channels",
    ];

    /// <summary>Null when the rule can be asked.</summary>
    public static string? Error(JsonElement rule)
    {
        if (rule.GetRawText().Length > Longest)
        {
            return $"Must have at most {Longest} characters.";
        }

        var error = Condition.Errors(rule, "rule", PathError).Concat(ValueErrors(rule, "rule")).FirstOrDefault();
        return error.Message is null ? null : $"{error.At}: {error.Message}";
    }

    /// <summary>The predicate of a rule that has no <see cref="Error"/>.</summary>
    internal static string Predicate(JsonElement rule)
    {
        if (rule.ValueKind is JsonValueKind.True or JsonValueKind.False)
        {
            return rule.GetBoolean() ? "(1 == 1)" : "(1 == 0)";
        }

        if (rule.TryGetProperty("path", out var path))
        {
            var steps = string.Concat(path.GetString()![2..].Split('.', 2).Select(step => $".{Quoted(step)}"));
            return Joined(rule.EnumerateObject().Where(c => c.Name != "path").Select(c => Comparison($"${steps}", c.Name, c.Value)), "&&", "(1 == 1)");
        }

        var combination = rule.EnumerateObject().Single();
        return combination.Name switch
        {
            "all" => Joined(combination.Value.EnumerateArray().Select(Predicate), "&&", "(1 == 1)"),
            "any" => Joined(combination.Value.EnumerateArray().Select(Predicate), "||", "(1 == 0)"),
            _ => $"(!({Predicate(combination.Value)}))",
        };
    }

    /// <summary>Each is an <c>exists</c>, which is true or false also where the values cannot be compared.</summary>
    private static string Comparison(string path, string name, JsonElement with) => name switch
    {
        "equals" when with.ValueKind == JsonValueKind.Null => $"(!(exists ({path} ? (@ != null))))",
        "equals" => $"(exists ({path} ? (@ == {Scalar(with)})))",
        "not_equals" => $"(!({Comparison(path, "equals", with)}))",
        "greater_than" => $"(exists ({path} ? (@.double() > {Scalar(with)})))",
        "less_than" => $"(exists ({path} ? (@.double() < {Scalar(with)})))",
        "in" => Joined(with.EnumerateArray().Select(one => Comparison(path, "equals", one)), "||", "(1 == 0)"),
        _ => with.GetBoolean() ? $"(exists ({path} ? (@ != null)))" : $"(!(exists ({path} ? (@ != null))))",
    };

    private static string Joined(IEnumerable<string> parts, string with, string empty) => string.Join($" {with} ", parts) is { Length: > 0 } joined ? $"({joined})" : empty;

    private static string Scalar(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => Quoted(value.GetString()!),
        JsonValueKind.Number => value.GetDecimal().ToString(CultureInfo.InvariantCulture),
        _ => value.GetRawText(),
    };

    private static string Quoted(string text) => JsonSerializer.Serialize(text);

    private static string? PathError(string path) =>
        Field().IsMatch(path) || (path.StartsWith("$.", StringComparison.Ordinal) && Facts.Contains(path[2..])) ? null
        : $"Is $.fields.name, or one of {string.Join(", ", Facts.Select(fact => $"$.{fact}"))}.";

    /// <summary>Only plain values are compared.</summary>
    private static IEnumerable<(string At, string Message)> ValueErrors(JsonElement rule, string at) => rule.ValueKind switch
    {
        JsonValueKind.Object => rule.EnumerateObject().SelectMany(member => member switch
        {
            { Name: "all" or "any", Value.ValueKind: JsonValueKind.Array } => member.Value.EnumerateArray().SelectMany((inner, i) => ValueErrors(inner, $"{at}.{member.Name}[{i}]")),
            { Name: "not" } => ValueErrors(member.Value, $"{at}.not"),
            { Name: "in", Value.ValueKind: JsonValueKind.Array } when !member.Value.EnumerateArray().All(IsPlain) => [($"{at}.in", Plain)],
            { Name: "equals" or "not_equals" or "greater_than" or "less_than" } when !IsPlain(member.Value) => [($"{at}.{member.Name}", Plain)],
            _ => Array.Empty<(string, string)>(),
        }),
        _ => [],
    };

    private const string Plain = "Compare with a text without the character U+0000, a number of at most 28 digits, true, false or null.";

    private static bool IsPlain(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Number => value.TryGetDecimal(out _),
        JsonValueKind.String => !value.GetString()!.Contains('\0', StringComparison.Ordinal),
        JsonValueKind.True or JsonValueKind.False or JsonValueKind.Null => true,
        _ => false,
    };

    [GeneratedRegex(@"^\$\.fields\.[^\0]{1,255}\z", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Field();
}

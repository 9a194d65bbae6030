using System.Text.Json;

namespace AgentPlatform.Kernel;

/// <summary>
/// Pure: conditions over JSON. <c>{"path": "$.input.amount", "greater_than": 100}</c> compares one value by <c>equals</c>, <c>not_equals</c>,
/// <c>greater_than</c>, <c>less_than</c>, <c>in</c> or <c>exists</c>; <c>all</c>, <c>any</c> and <c>not</c> combine.
/// </summary>
internal static class Condition
{
    private static readonly string[] Comparisons = ["equals", "not_equals", "greater_than", "less_than", "in", "exists"];
    private static readonly string[] Combinations = ["all", "any", "not"];

    internal static bool Holds(JsonElement condition, JsonElement scope)
    {
        if (condition.ValueKind is JsonValueKind.True or JsonValueKind.False)
        {
            return condition.GetBoolean();
        }

        if (condition.TryGetProperty("path", out var path))
        {
            var value = JsonPath.Find(scope, path.GetString()![2..]);
            return condition.EnumerateObject().Where(c => c.Name != "path").All(c => Compare(c.Name, value, c.Value));
        }

        var combination = condition.EnumerateObject().Single();
        return combination.Name switch
        {
            "all" => combination.Value.EnumerateArray().All(inner => Holds(inner, scope)),
            "any" => combination.Value.EnumerateArray().Any(inner => Holds(inner, scope)),
            _ => !Holds(combination.Value, scope),
        };
    }

    internal static IEnumerable<(string At, string Message)> Errors(JsonElement condition, string at, Func<string, string?> pathError)
    {
        if (condition.ValueKind is JsonValueKind.True or JsonValueKind.False)
        {
            return [];
        }

        if (condition.ValueKind != JsonValueKind.Object)
        {
            return [(at, "Must be a condition: an object with path and a comparison, or with all, any or not.")];
        }

        if (condition.TryGetProperty("path", out var path))
        {
            return ComparisonErrors(condition, path, at, pathError);
        }

        var members = condition.EnumerateObject().ToArray();
        return members is not [{ } only] || !Combinations.Contains(only.Name) ? [(at, $"Must have path, or one of {string.Join(", ", Combinations)}.")]
            : only.Name == "not" ? Errors(only.Value, $"{at}.not", pathError)
            : only.Value.ValueKind != JsonValueKind.Array ? [($"{at}.{only.Name}", "Must be a list of conditions.")]
            : only.Value.EnumerateArray().SelectMany((inner, i) => Errors(inner, $"{at}.{only.Name}[{i}]", pathError));
    }

    private static IEnumerable<(string At, string Message)> ComparisonErrors(JsonElement condition, JsonElement path, string at, Func<string, string?> pathError)
    {
        if (path.ValueKind != JsonValueKind.String || pathError(path.GetString()!) is { } wrong && (wrong.Length > 0))
        {
            yield return ($"{at}.path", path.ValueKind == JsonValueKind.String ? pathError(path.GetString()!)! : "Must be a path.");
        }

        var comparisons = condition.EnumerateObject().Where(c => c.Name != "path").ToArray();
        if (comparisons.Length == 0)
        {
            yield return (at, $"Must have one of {string.Join(", ", Comparisons)}.");
        }

        foreach (var comparison in comparisons)
        {
            var message = comparison.Name switch
            {
                "greater_than" or "less_than" => comparison.Value.ValueKind == JsonValueKind.Number ? null : "Must be a number.",
                "in" => comparison.Value.ValueKind == JsonValueKind.Array ? null : "Must be a list.",
                "exists" => comparison.Value.ValueKind is JsonValueKind.True or JsonValueKind.False ? null : "Must be true or false.",
                "equals" or "not_equals" => null,
                _ => $"Is no comparison: {string.Join(", ", Comparisons)}.",
            };
            if (message is not null)
            {
                yield return ($"{at}.{comparison.Name}", message);
            }
        }
    }

    private static bool Compare(string comparison, JsonElement? value, JsonElement with) => comparison switch
    {
        "exists" => value is { ValueKind: not JsonValueKind.Null } == with.GetBoolean(),
        "equals" => Equal(value, with),
        "not_equals" => !Equal(value, with),
        "greater_than" => value is { ValueKind: JsonValueKind.Number } number && number.GetDouble() > with.GetDouble(),
        "less_than" => value is { ValueKind: JsonValueKind.Number } number && number.GetDouble() < with.GetDouble(),
        _ => with.EnumerateArray().Any(one => Equal(value, one)),
    };

    private static bool Equal(JsonElement? value, JsonElement with) => JsonElement.DeepEquals(value ?? Json.Of<object?>(null), with);
}

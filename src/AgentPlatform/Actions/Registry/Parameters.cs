using System.Text.Json;
using System.Text.Json.Nodes;
using AgentPlatform.Kernel;

namespace AgentPlatform.Actions.Registry;

/// <summary>
/// What a parameter may be, in the words of JSON Schema, with how to ask for it and what to say when it is wrong.
/// <see cref="Type"/>: string, number, integer, boolean, email, phone, url, date, name or array. <see cref="Format"/>: email, uri, date,
/// date-time, uuid or phone, for a string. <see cref="Items"/>: what each element of an array must be. <see cref="Extract"/>: phrases with one
/// <c>{value}</c>, such as <c>"in {value}"</c>, that find it inside a sentence.
/// </summary>
public sealed record ParameterRule
{
    public static readonly ParameterRule Anything = new();
    public static readonly string[] Types = ["string", "number", "integer", "boolean", "email", "phone", "url", "date", "name", "array"];
    public static readonly string[] Formats = ["email", "uri", "date", "date-time", "uuid", "phone"];

    /// <summary>No array may be longer, whatever its rule says.</summary>
    internal const int MostItems = 500;


    public string Type { get; init; } = "string";
    public string? Format { get; init; }
    public string? Pattern { get; init; }
    public int? MinLength { get; init; }
    public int? MaxLength { get; init; }
    public decimal? Minimum { get; init; }
    public decimal? Maximum { get; init; }
    public string[]? Enum { get; init; }

    /// <summary>The rule of an array's elements; without it they may be anything, objects too.</summary>
    public ParameterRule? Items { get; init; }
    public int? MinItems { get; init; }
    public int? MaxItems { get; init; }
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
                merged[name] = ParameterValue.Listed(action.Rule(name), source.GetProperty(name));
            }
        }

        return Json.Of(merged);
    }

    /// <summary>The question for a parameter: the registry's own, or one made of its name.</summary>
    public static string Prompt(ActionDefinition action, string name) =>
        action.Rule(name).Prompt ?? $"What is the {name.Replace('_', ' ')}?";

    /// <summary>Null when the value keeps the rule, else the message to show.</summary>
    public static string? Error(string name, ParameterRule rule, JsonElement value) => ParameterValue.Error(name, rule, value);

    internal static bool Matches(string pattern, string text) => ParameterValue.Matches(pattern, text);

    private static bool Has(JsonElement values, string name) =>
        values.ValueKind == JsonValueKind.Object && values.TryGetProperty(name, out var value) && value.ValueKind switch
        {
            JsonValueKind.Null or JsonValueKind.Undefined => false,
            JsonValueKind.String => !string.IsNullOrWhiteSpace(value.GetString()),
            _ => true,
        };
}

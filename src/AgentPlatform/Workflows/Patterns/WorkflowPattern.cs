using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using AgentPlatform.Api;
using AgentPlatform.Kernel;

namespace AgentPlatform.Workflows.Patterns;

/// <summary>A definition with blanks: a row of <c>workflow_patterns</c>.</summary>
public sealed record WorkflowPattern
{
    public Guid Id { get; init; }
    public string PatternId { get; init; } = "";
    public string Name { get; init; } = "";
    public string? Description { get; init; }
    public string? Category { get; init; }

    /// <summary>A definition in which <c>{{name}}</c> stands for a variable; a string that is only that takes the variable's type.</summary>
    public JsonElement Pattern { get; init; }

    /// <summary>A list of <see cref="PatternVariable"/>.</summary>
    public JsonElement Variables { get; init; }

    /// <summary>When to use it, in the tenant's own words.</summary>
    public JsonElement Conditions { get; init; }

    /// <summary>The member who owns it; null when the platform made it.</summary>
    public Guid? UserId { get; init; }
    public bool IsPublic { get; init; }
    public bool IsSystemPattern { get; init; }

    /// <summary>How many workflows were made of it.</summary>
    public int UsageCount { get; init; }
    public int RunCount { get; init; }

    /// <summary>Of their runs, 0 to 1.</summary>
    public float SuccessRate { get; init; }

    /// <summary>Of their completed runs, in milliseconds.</summary>
    public float? AvgExecutionTime { get; init; }
    public string[] Tags { get; init; } = [];
    public JsonElement Metadata { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }
    public DateTimeOffset? LastUsedAt { get; init; }
}

/// <summary>A blank of a pattern. One with a default need not be given.</summary>
public sealed record PatternVariable(string Name, string? Description = null, JsonElement? Default = null);

/// <summary>Pure: fills the blanks of a pattern.</summary>
internal static partial class PatternText
{
    /// <summary>The definition, or which variables are missing or unknown.</summary>
    internal static Result<JsonElement> Fill(WorkflowPattern pattern, IReadOnlyDictionary<string, JsonElement> given)
    {
        var variables = Json.Read<PatternVariable[]>(pattern.Variables);
        var errors = new Validation();
        foreach (var name in given.Keys.Where(name => variables.All(v => v.Name != name)))
        {
            errors.Check($"variables.{name}", false, "Is no variable of the pattern.");
        }

        foreach (var missing in variables.Where(v => v.Default is null && !given.ContainsKey(v.Name)))
        {
            errors.Check($"variables.{missing.Name}", false, "Is required.");
        }

        return errors.Problem is { } problem ? problem
            : Json.Of(Fill(pattern.Pattern, variables.ToDictionary(v => v.Name, v => given.TryGetValue(v.Name, out var value) ? value : v.Default!.Value, StringComparer.Ordinal)));
    }

    /// <summary>The names of all blanks.</summary>
    internal static IReadOnlySet<string> Blanks(JsonElement pattern) => Blank().Matches(pattern.GetRawText()).Select(m => m.Groups["name"].Value).ToHashSet(StringComparer.Ordinal);

    private static JsonNode? Fill(JsonElement part, Dictionary<string, JsonElement> values) => part.ValueKind switch
    {
        JsonValueKind.Object => new JsonObject(part.EnumerateObject().Select(p => KeyValuePair.Create(p.Name, Fill(p.Value, values)))),
        JsonValueKind.Array => new JsonArray([.. part.EnumerateArray().Select(item => Fill(item, values))]),
        JsonValueKind.String when Blank().Match(part.GetString()!) is { Success: true } only && only.Length == part.GetString()!.Length => JsonNode.Parse(values[only.Groups["name"].Value].GetRawText()),
        JsonValueKind.String => Blank().Replace(part.GetString()!, blank => values[blank.Groups["name"].Value].ToString()),
        _ => JsonNode.Parse(part.GetRawText()),
    };

    [GeneratedRegex(@"\{\{\s*(?<name>[a-z][a-z0-9_]{0,63})\s*\}\}", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Blank();
}

internal sealed record PatternBody(
    string? PatternId, string? Name, string? Description, string? Category, JsonElement? Pattern, PatternVariable[]? Variables, JsonElement? Conditions, bool IsPublic, string[]? Tags, JsonElement? Metadata)
{
    internal Problem? Problem => new Validation()
        .Text("pattern_id", PatternId, 100, required: true)
        .Check("pattern_id", PatternId is null || Definitions.WorkflowBody.IsId(PatternId), "Must be lower-case letters, digits, hyphens and underscores.")
        .Text("name", Name, 255, required: true).Text("description", Description, 10_000).Text("category", Category, 100)
        .Check("pattern", Pattern is { ValueKind: JsonValueKind.Object }, "Must be a definition, as an object.")
        .MustBeObject("conditions", Conditions).MustBeObject("metadata", Metadata)
        .Check("tags", Tags is null || (Tags.Length <= 50 && Tags.All(tag => tag is { Length: >= 1 and <= 100 })), "Are at most 50, of 1 to 100 characters.")
        .Check("variables", Pattern is not { } pattern || PatternText.Blanks(pattern).SetEquals((Variables ?? []).Select(v => v.Name)), "Must name the blanks of the pattern, and no others.").Problem;
}

internal sealed record InstantiateBody(string? WorkflowId, string? Name, Guid? AgentId, Dictionary<string, JsonElement>? Variables)
{
    internal Problem? Problem => new Validation().Text("workflow_id", WorkflowId, 100, required: true)
        .Check("workflow_id", WorkflowId is null || Definitions.WorkflowBody.IsId(WorkflowId), "Must be lower-case letters, digits, hyphens and underscores.")
        .Check("agent_id", AgentId is not null, "Is required.").Text("name", Name, 255, required: Name is not null).Problem;
}

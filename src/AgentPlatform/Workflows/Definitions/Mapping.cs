using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;

namespace AgentPlatform.Workflows.Definitions;

/// <summary>
/// Pure: makes JSON out of JSON. A string that begins with <c>$.</c> is the path of a value: <c>$.input.email</c>, <c>$.steps.reserve.reservation_id</c>,
/// <c>$.item.name</c>; everything else stands for itself, and <c>$$</c> begins a text that begins with a dollar. A member whose path leads nowhere is
/// left out.
/// </summary>
internal static partial class Mapping
{
    /// <summary>Null when the mapping is a path that leads nowhere.</summary>
    internal static JsonElement? Apply(JsonElement mapping, JsonElement scope) =>
        Build(mapping, scope) is (true, var node) ? Json.Of(node) : null;

    /// <summary>The value at a path; null when there is none.</summary>
    internal static JsonElement? Find(string path, JsonElement scope) => JsonPath.Find(scope, path[2..]);

    internal static bool IsPath(string text) => text.StartsWith("$.", StringComparison.Ordinal);

    /// <summary>What is wrong with the paths of a mapping, with where each stands.</summary>
    internal static IEnumerable<(string At, string Message)> Errors(JsonElement mapping, string at, PathRules rules)
    {
        switch (mapping.ValueKind)
        {
            case JsonValueKind.Object:
                return mapping.EnumerateObject().SelectMany(p => Errors(p.Value, $"{at}.{p.Name}", rules));
            case JsonValueKind.Array:
                return mapping.EnumerateArray().SelectMany((item, i) => Errors(item, $"{at}[{i}]", rules));
            case JsonValueKind.String when mapping.GetString()!.StartsWith('$') && !mapping.GetString()!.StartsWith("$$", StringComparison.Ordinal):
                return rules.Error(mapping.GetString()!) is { } message ? [(at, message)] : [];
            default:
                return [];
        }
    }

    private static (bool Found, JsonNode? Node) Build(JsonElement mapping, JsonElement scope)
    {
        switch (mapping.ValueKind)
        {
            case JsonValueKind.Object:
                var made = new JsonObject();
                foreach (var member in mapping.EnumerateObject())
                {
                    if (Build(member.Value, scope) is (true, var value))
                    {
                        made[member.Name] = value;
                    }
                }

                return (true, made);
            case JsonValueKind.Array:
                return (true, new JsonArray([.. mapping.EnumerateArray().Select(item => Build(item, scope).Node)]));
            case JsonValueKind.String when IsPath(mapping.GetString()!):
                return Find(mapping.GetString()!, scope) is { } found ? (true, JsonNode.Parse(found.GetRawText())) : (false, null);
            case JsonValueKind.String when mapping.GetString()!.StartsWith("$$", StringComparison.Ordinal):
                return (true, mapping.GetString()![1..]);
            default:
                return (true, JsonNode.Parse(mapping.GetRawText()));
        }
    }

    [GeneratedRegex(@"^\$(\.[A-Za-z0-9_-]+)+\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    internal static partial Regex PathShape();
}

/// <summary>What the paths at one place may name: the steps that are over by then, the element of a for-each, the step that is undone.</summary>
internal sealed record PathRules(IReadOnlySet<string> Steps)
{
    internal static readonly PathRules InputOnly = new(new HashSet<string>(StringComparer.Ordinal));

    private static readonly string[] Facts = ["input", "instance_id", "contact_id", "conversation_id", "agent_id"];

    internal bool HasItem { get; init; }

    internal bool HasStep { get; init; }

    /// <summary>Null when the path is one that can lead somewhere.</summary>
    internal string? Error(string path)
    {
        if (!Mapping.PathShape().IsMatch(path))
        {
            return $"'{path}' is not a path such as $.input.name; a text that begins with $ is written $$.";
        }

        var parts = path.Split('.');
        return parts[1] switch
        {
            "steps" when parts.Length < 3 => "A path into steps names one: $.steps.<id>.",
            "steps" => Steps.Contains(parts[2]) ? null : $"Step '{parts[2]}' does not come before this one.",
            "item" or "index" => HasItem ? null : $"$.{parts[1]} is there only in a step with for_each.",
            "step" => HasStep && parts.Length > 2 && parts[2] is "input" or "result" ? null : "$.step.input and $.step.result are there only in undo.",
            var fact => Facts.Contains(fact) ? null : $"There is no '{fact}': a path begins with input, steps, item, index, {string.Join(", ", Facts[1..])} or, in undo, step.",
        };
    }
}

using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;

namespace AgentPlatform.Campaigns;

/// <summary>What the inputs of this module have in common.</summary>
internal static class Inputs
{
    private const int MostItems = 50;
    private const int LongestItem = 1000;

    private static readonly JsonElement EmptyList = Json.Of(Array.Empty<string>());
    private static readonly JsonElement EmptyObject = Json.Of(new { });

    /// <summary>A list of texts, or of flat objects.</summary>
    internal static Validation Items(this Validation validation, string field, JsonElement? list) => validation
        .Check(field, list is null or { ValueKind: JsonValueKind.Array }, "Must be a list.")
        .Check(
            field, list is not { ValueKind: JsonValueKind.Array } items || (items.GetArrayLength() <= MostItems && items.EnumerateArray().All(IsItem)),
            $"Holds at most {MostItems} items: texts of 1 to {LongestItem} characters, or objects of texts, numbers, true and false.");

    /// <summary>A list of texts.</summary>
    internal static Validation Texts(this Validation validation, string field, IReadOnlyCollection<string>? texts) => validation.Check(
        field, texts is null || (texts.Count <= MostItems && texts.All(text => !string.IsNullOrWhiteSpace(text) && text.Length <= LongestItem)),
        $"Holds at most {MostItems} texts of 1 to {LongestItem} characters.");

    internal static object ListParam(JsonElement? list) => Json.Param(list ?? EmptyList);

    internal static object ListParam(IEnumerable<string>? list) => Json.Param(list ?? []);

    internal static object ObjectParam(JsonElement? value) => Json.Param(value ?? EmptyObject);

    /// <summary>Who acts; null when the platform does.</summary>
    internal static Guid? Author(this Postgres.Actor actor) => actor.UserId == Guid.Empty ? null : actor.UserId;

    private static bool IsItem(JsonElement item) => item.ValueKind switch
    {
        JsonValueKind.String => item.GetString() is { Length: >= 1 and <= LongestItem } text && !string.IsNullOrWhiteSpace(text),
        JsonValueKind.Object => item.GetRawText().Length <= 2 * LongestItem
            && item.EnumerateObject().All(member => member.Value.ValueKind is JsonValueKind.String or JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False),
        _ => false,
    };
}

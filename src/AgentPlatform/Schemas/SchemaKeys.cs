using System.Text.Json;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;

namespace AgentPlatform.Schemas;

/// <summary>Pure: an answer read key by key, and how complete that makes the schema.</summary>
internal sealed record SchemaKeys(
    IReadOnlyDictionary<string, KeyState> Keys, string Status, int? Percentage, int RequiredComplete, int RequiredTotal, int OptionalComplete, int OptionalTotal)
{
    /// <summary>Percent are of the required keys, so that a hundred means complete; of all keys where none is required.</summary>
    internal static SchemaKeys Read(SchemaDefinition schema, JsonElement answer, JsonElement before, DateTimeOffset now)
    {
        var definitions = schema.KeyDefinitions;
        var known = Json.Read<Dictionary<string, KeyState>>(before);
        var keys = definitions.ToDictionary(d => d.KeyName, d => Since(Read(d, answer, now), known.GetValueOrDefault(d.KeyName)), StringComparer.Ordinal);
        (int Complete, int Total) Count(bool required)
        {
            var counted = definitions.Where(d => d.RequiredForSchema == required).ToArray();
            return (counted.Count(d => keys[d.KeyName].Status == KeyState.Complete), counted.Length);
        }

        var (required, optional) = (Count(required: true), Count(required: false));
        var status = required.Complete == required.Total && (required.Total > 0 || optional.Complete > 0) ? "complete"
            : required.Complete + optional.Complete > 0 ? "incomplete" : "none";
        var (part, whole) = required.Total > 0 ? required : optional;
        return new(
            keys, status, Json.Read<CompletionLogic>(schema.SchemaCompletionLogic).ComputePercentage ? 100 * part / whole : null,
            required.Complete, required.Total, optional.Complete, optional.Total);
    }

    private static KeyState Read(SchemaKeyDefinition key, JsonElement answer, DateTimeOffset now) =>
        JsonPath.Find(answer, key.ApiFieldPath) is { } value && IsComplete(key, value) ? new(KeyState.Complete, value.Clone(), now) : new(KeyState.None, null, now);

    /// <summary>What has not changed keeps its time.</summary>
    private static KeyState Since(KeyState now, KeyState? before) =>
        before is not null && before.Status == now.Status && JsonElement.DeepEquals(Json.Of(before.Value), Json.Of(now.Value)) ? before : now;

    private static bool IsComplete(SchemaKeyDefinition key, JsonElement value)
    {
        var (logic, text) = (key.CompletionLogic ?? new KeyCompletion(), value.ToString());
        return IsOfType(key.DataType, value)
            && !IsEmpty(value)
            && logic.Validation switch
            {
                "email_format" => ParameterValue.HasFormat("email", text),
                "phone_e164" => PhoneNumber.TryNormalize(text, out var e164) && e164 == text,
                _ => true,
            }
            && (logic.ValidationRegex is not { } pattern || ParameterValue.Matches(pattern, text));
    }

    private static bool IsEmpty(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.Undefined => true,
        JsonValueKind.String => string.IsNullOrWhiteSpace(value.GetString()),
        JsonValueKind.Array => value.GetArrayLength() == 0,
        JsonValueKind.Object => !value.EnumerateObject().Any(),
        _ => false,
    };

    private static bool IsOfType(string type, JsonElement value) => type switch
    {
        "string" => value.ValueKind == JsonValueKind.String,
        "integer" => value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out _),
        "number" => value.ValueKind == JsonValueKind.Number,
        "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        "object" => value.ValueKind == JsonValueKind.Object,
        _ => value.ValueKind == JsonValueKind.Array,
    };
}

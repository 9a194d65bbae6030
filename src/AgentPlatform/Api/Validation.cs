using System.Text.Json;
using AgentPlatform.Kernel;

namespace AgentPlatform.Api;

/// <summary>Collects what is wrong with a request, field by field: <c>new Validation().Text("name", name, 255, required: true).Problem</c>.</summary>
public sealed class Validation
{
    private readonly Dictionary<string, string[]> _errors = new(StringComparer.Ordinal);

    /// <summary>Null when nothing is wrong; else the 400 that names each field.</summary>
    public Problem? Problem => _errors.Count == 0 ? null : Kernel.Problem.Invalid(_errors);

    /// <summary>The first message about a field stands.</summary>
    public Validation Check(string field, bool ok, string message)
    {
        if (!ok)
        {
            _errors.TryAdd(field, [message]);
        }

        return this;
    }

    public Validation Text(string field, string? value, int maxLength, bool required = false) =>
        Check(field, !required || !string.IsNullOrWhiteSpace(value), "Is required.")
            .Check(field, value is null || required || value.Length == 0 || !string.IsNullOrWhiteSpace(value), "Must not be only spaces.")
            .Check(field, value is null || value.Length <= maxLength, $"Must have at most {maxLength} characters.");

    public Validation OneOf(string field, string? value, bool required, params string[] allowed) =>
        Check(field, !required || value is not null, "Is required.")
            .Check(field, value is null || allowed.Contains(value), $"Must be one of {string.Join(", ", allowed)}.");

    public Validation MustBeObject(string field, JsonElement? value) =>
        Check(field, value is null or { ValueKind: JsonValueKind.Object }, "Must be an object.");
}

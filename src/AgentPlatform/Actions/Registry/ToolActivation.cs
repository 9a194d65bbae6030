using System.Text.Json;
using AgentPlatform.Kernel;

namespace AgentPlatform.Actions.Registry;

/// <summary>
/// Whether an agent may use an action of its registry, its tool. <see cref="PolicyOverrides"/>: <c>timeout_seconds</c>, <c>retry_policy</c> and
/// <c>approval</c>, each in place of what the registry says; an approval of null asks nobody.
/// </summary>
public sealed record ToolActivation(Guid Id, Guid AgentId, string ToolId, bool Enabled, JsonElement PolicyOverrides, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt);

/// <summary>An activation to write; left out, a tool is enabled and has the registry's policies.</summary>
public sealed record ToolActivationInput(bool? Enabled, JsonElement? PolicyOverrides);

/// <summary>Pure: an action as an agent may use it.</summary>
internal static class PolicyOverrides
{
    private static readonly string[] Known = ["timeout_seconds", "retry_policy", "approval"];

    internal static ActionDefinition Over(ActionDefinition action, JsonElement overrides) => overrides.ValueKind != JsonValueKind.Object ? action : action with
    {
        TimeoutSeconds = overrides.TryGetProperty("timeout_seconds", out var seconds) ? seconds.GetInt32() : action.TimeoutSeconds,
        RetryPolicy = overrides.TryGetProperty("retry_policy", out var policy) ? policy : action.RetryPolicy,
        Approval = overrides.TryGetProperty("approval", out var approval) ? approval is { ValueKind: JsonValueKind.Null } ? null : approval : action.Approval,
    };

    /// <summary>What is wrong with them, by field: what they would make of the action must be a whole registry entry.</summary>
    internal static IReadOnlyDictionary<string, string[]> Errors(ActionDefinition action, JsonElement overrides)
    {
        var unknown = overrides.EnumerateObject().Where(o => !Known.Contains(o.Name)).ToDictionary(o => $"policy_overrides.{o.Name}", _ => new[] { $"Must be one of {string.Join(", ", Known)}." }, StringComparer.Ordinal);
        if (unknown.Count > 0)
        {
            return unknown;
        }

        return overrides.TryGetProperty("timeout_seconds", out var seconds) && !(seconds.ValueKind == JsonValueKind.Number && seconds.TryGetInt32(out _))
            ? new Dictionary<string, string[]>(StringComparer.Ordinal) { ["policy_overrides.timeout_seconds"] = ["Must be a whole number."] }
            : RegistryRules.Errors(Over(action, overrides)).Where(error => overrides.TryGetProperty(error.Key, out _)).ToDictionary(error => $"policy_overrides.{error.Key}", error => error.Value, StringComparer.Ordinal);
    }
}

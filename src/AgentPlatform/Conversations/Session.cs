using System.Text.Json;
using System.Text.Json.Nodes;
using AgentPlatform.Kernel;

namespace AgentPlatform.Conversations;

/// <summary>Where a row was found: hot within half an hour of its last use, persisted for a week after its last save.</summary>
public enum SessionTier
{
    Hot,
    Persisted,
}

/// <summary>
/// One sitting of a conversation: the seeds' session (002) with the agent's working memory (000). Change it with <c>with</c> and save
/// it; <see cref="LastTurnNumber"/> is kept by <see cref="TurnLog"/>.
/// </summary>
public sealed record ConversationSession
{
    public required Guid SessionId { get; init; }

    public required Guid ConversationId { get; init; }

    public required Guid AgentId { get; init; }

    public required Guid CustomerProfileId { get; init; }

    public required string Channel { get; init; }

    public required string UserChannelId { get; init; }

    /// <summary>ACTIVE or ENDED.</summary>
    public string Status { get; init; } = "ACTIVE";

    public SessionState State { get; init; } = new();

    public IReadOnlyDictionary<string, JsonElement> Variables { get; init; } = new Dictionary<string, JsonElement>(StringComparer.Ordinal);

    public Guid? ActiveScenarioId { get; init; }

    /// <summary>The version the session began its scenario with; a newer live version does not change it.</summary>
    public int? ActiveScenarioVersion { get; init; }

    public Guid? CurrentStepId { get; init; }

    public IReadOnlyList<SessionStep> StepHistory { get; init; } = [];

    public JsonElement? PendingMigration { get; init; }

    public int LastTurnNumber { get; init; }

    /// <summary>The number of the turn that comes now.</summary>
    public int NextTurnNumber => LastTurnNumber + 1;

    /// <summary>Guards a save: two writers cannot both save what they read.</summary>
    public int Version { get; init; }

    public SessionTier Tier { get; init; }

    public DateTimeOffset HotUntil { get; init; }

    public DateTimeOffset PersistUntil { get; init; }

    public DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset LastActivityAt { get; init; }

    /// <summary>Goes to another step of the scenario, and remembers the way.</summary>
    public ConversationSession MoveTo(Guid stepId, DateTimeOffset at, string? reason = null) =>
        this with { CurrentStepId = stepId, StepHistory = [.. StepHistory, new SessionStep(stepId, at, reason)], LastActivityAt = at };
}

/// <summary>A step that was entered, when, and by what.</summary>
public sealed record SessionStep(Guid StepId, DateTimeOffset EnteredAt, string? Reason);

/// <summary>Living sessions in one version of a scenario; of them, where something is given, those it names.</summary>
public sealed record ScenarioSessions(Guid ScenarioId, int Version)
{
    public string[]? Channels { get; init; }

    public Guid[]? ContactIds { get; init; }

    public Guid[]? StepIds { get; init; }

    public DateTimeOffset? ActiveSince { get; init; }
}

/// <summary>How a new value of a variable meets the old one (seed 002, <c>variables.update_policy</c>).</summary>
public enum VariableUpdatePolicy
{
    /// <summary>The new value takes the old one's place.</summary>
    Replace,

    /// <summary>The new value goes to the end of a list; a single old value becomes the list's first.</summary>
    Append,

    /// <summary>Members of the new object are laid over the old object's; anything that is no object replaces.</summary>
    Merge,
}

public static class SessionVariables
{
    /// <summary>What becomes of a value when a new one comes; an old null is none.</summary>
    internal static JsonElement Combine(JsonElement? old, JsonElement value, VariableUpdatePolicy policy) => (policy, old is { ValueKind: JsonValueKind.Null } ? null : old) switch
    {
        (VariableUpdatePolicy.Append, { ValueKind: JsonValueKind.Array } list) => Json.Of(list.EnumerateArray().Append(value)),
        (VariableUpdatePolicy.Append, { } single) => Json.Of(new[] { single, value }),
        (VariableUpdatePolicy.Append, null) => Json.Of(new[] { value }),
        (VariableUpdatePolicy.Merge, { ValueKind: JsonValueKind.Object } map) when value.ValueKind == JsonValueKind.Object => Overlay(map, value),
        _ => value,
    };

    private static JsonElement Overlay(JsonElement old, JsonElement value)
    {
        var merged = JsonObject.Create(old)!;
        foreach (var member in value.EnumerateObject())
        {
            merged[member.Name] = JsonNode.Parse(member.Value.GetRawText());
        }

        return Json.Of(merged);
    }
}

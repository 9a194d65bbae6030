using System.Collections.Immutable;

namespace AgentPlatform.LocalHost;

/// <summary>How an orchestration is started.</summary>
public record StartOrchestrationOptions
{
    /// <summary>Options with an id and a time.</summary>
    public StartOrchestrationOptions(string? instanceId = null, DateTimeOffset? startAt = null) => (InstanceId, StartAt) = (instanceId, startAt);

    /// <summary>Its id; a random one when null.</summary>
    public string? InstanceId { get; init; }

    /// <summary>When it starts; at once when null or past.</summary>
    public DateTimeOffset? StartAt { get; init; }

    /// <summary>Labels of the instance.</summary>
    public IReadOnlyDictionary<string, string> Tags { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>The version the instance is started with.</summary>
    public TaskVersion? Version { get; init; }

    /// <summary>The statuses of an instance of the same id that refuse the start; when null, those that are not final.</summary>
    public IReadOnlyList<string>? DedupeStatuses { get; init; }
}

/// <summary>Reuse of ids.</summary>
public static class StartOrchestrationOptionsExtensions
{
    /// <summary>The same options, refusing an id that is taken by an instance of one of these statuses; any other instance is replaced.</summary>
    public static StartOrchestrationOptions WithDedupeStatuses(this StartOrchestrationOptions options, params OrchestrationRuntimeStatus[] dedupeStatuses)
    {
        ArgumentNullException.ThrowIfNull(options);
        return options with { DedupeStatuses = [.. dedupeStatuses.Select(s => s.ToString())] };
    }
}

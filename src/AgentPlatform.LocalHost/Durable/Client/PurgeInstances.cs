namespace AgentPlatform.LocalHost;

/// <summary>Which ended instances to purge.</summary>
public record PurgeInstancesFilter(
    DateTimeOffset? CreatedFrom = null, DateTimeOffset? CreatedTo = null, IEnumerable<OrchestrationRuntimeStatus>? Statuses = null);

/// <summary>Whether the ended sub-orchestrations go too.</summary>
public record PurgeInstanceOptions(bool Recursive = false);

/// <summary>What a purge removed.</summary>
public class PurgeResult
{
    /// <summary>So many instances, and perhaps not all.</summary>
    public PurgeResult(int count, bool? isComplete)
    {
        PurgedInstanceCount = count;
        IsComplete = isComplete;
    }

    /// <summary>The number of instances.</summary>
    public int PurgedInstanceCount { get; }

    /// <summary>Whether nothing is left of what was asked for.</summary>
    public bool? IsComplete { get; }
}

using AgentPlatform.Postgres;

namespace AgentPlatform.Operations;

/// <summary>
/// One figure of the health report: how many there are, counted up to <see cref="Most"/>, and since when the oldest of them waits, where
/// waiting is what they do.
/// </summary>
public sealed record HealthFact(string Name, long Count, DateTimeOffset? Oldest)
{
    /// <summary>Nobody needs to know how many more there are, and counting them would be work.</summary>
    public const int Most = 100_000;
}

/// <summary>A module's part of the health report of a tenant.</summary>
public interface IHealthSource
{
    /// <summary>One question: all sources share a round trip.</summary>
    Task<IReadOnlyList<HealthFact>> ReadAsync(Transaction tx, CancellationToken ct);
}

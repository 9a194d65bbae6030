namespace AgentPlatform.Chaos;

/// <summary>How large a run is. Defaults are those of <c>./dev chaos</c>.</summary>
internal sealed record ChaosOptions(string PostgresTools)
{
    internal int Jobs { get; init; } = 100_000;

    /// <summary>How often each of the seven kills strikes.</summary>
    internal int Rounds { get; init; } = 4;

    /// <summary>Instances of the workflow.</summary>
    internal int Workflows { get; init; } = 2000;

    /// <summary>How often a host or Postgres is struck while workflows run; until all have ended when null.</summary>
    internal int? Strikes { get; init; }

    internal int LeaseSeconds { get; init; } = 30;

    internal int Workers { get; init; } = 3;

    /// <summary>Items a worker runs at a time.</summary>
    internal int Concurrency { get; init; } = 16;

    /// <summary>Off only where the time of a flush does not matter: the servers die here, the machine does not.</summary>
    internal bool Fsync { get; init; } = true;

    internal int Seed { get; init; } = 1;

    /// <summary>A killed worker's items must be under way again by then: a lease, and half of one for the way there.</summary>
    internal TimeSpan RestartLimit { get => field == default ? TimeSpan.FromSeconds(LeaseSeconds * 1.5) : field; init; }
}

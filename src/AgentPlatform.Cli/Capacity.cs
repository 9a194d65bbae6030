namespace AgentPlatform.Cli;

/// <summary>What one message costs, as <c>./dev bench intake --json</c> measures it.</summary>
/// <param name="HostMs">Processor time of the host, in milliseconds.</param>
/// <param name="DatabaseMs">Processor time of Postgres, in milliseconds.</param>
/// <param name="StoredKb">What a message with its reply leaves in the database, with indexes, in kB.</param>
/// <param name="CommitsPerSecond">Single-row commits a second of the measured machine's disk.</param>
internal sealed record MessageCost(double HostMs, double DatabaseMs, double StoredKb, double CommitsPerSecond);

/// <summary>What is not measured: sizes of the machines that are rented, and how full they may be.</summary>
internal sealed record Assumptions
{
    /// <summary>Processors are planned to be this busy at the given rate: the rest is for peaks and for vacuum.</summary>
    internal double Utilisation { get; init; } = 0.6;

    /// <summary>Processors of one host instance (Flex Consumption, 2,048 MB).</summary>
    internal double CoresPerHost { get; init; } = 1;

    /// <summary>Processors of the largest database one would want to fail over.</summary>
    internal int CoresPerDatabase { get; init; } = 64;

    /// <summary>Connections a host's pool may open (<c>Maximum Pool Size</c> of its connection string).</summary>
    internal int PoolSize { get; init; } = 32;

    /// <summary>Server connections that a pooler shares out for each processor of the database.</summary>
    internal int ConnectionsPerCore { get; init; } = 4;

    /// <summary>Transactions of one message that wait for the disk: intake, turn, approval, settlement, two claims.</summary>
    internal int CommitsPerMessage { get; init; } = 6;

    /// <summary>Days that messages are kept.</summary>
    internal int RetentionDays { get; init; } = 90;
}

/// <summary>What a rate of messages needs. A cell is a database with its hosts; tenants are spread over cells.</summary>
internal sealed record CapacityPlan(
    double MessagesPerSecond, double HostCores, int Hosts, double DatabaseCores, int Cells, int ClientConnections, int ServerConnections,
    double CommitsPerSecond, double StoredGbPerDay, double StoredTb, string First)
{
    private const double SecondsPerDay = 86_400;

    /// <summary>Connections that Postgres serves well without a pooler.</summary>
    private const int Direct = 200;

    /// <summary>What one disk flushes before group commit has to carry the rest.</summary>
    private const double DiskShare = 0.5;

    internal static CapacityPlan For(double rate, MessageCost cost, Assumptions a)
    {
        var hostCores = rate * cost.HostMs / 1000 / a.Utilisation;
        var databaseCores = rate * cost.DatabaseMs / 1000 / a.Utilisation;
        var hosts = Math.Max(1, (int)Math.Ceiling(hostCores / a.CoresPerHost));
        var cells = Math.Max(1, (int)Math.Ceiling(databaseCores / a.CoresPerDatabase));
        var perDay = rate * SecondsPerDay * cost.StoredKb / 1024 / 1024;
        var plan = new CapacityPlan(
            rate, hostCores, hosts, databaseCores, cells, hosts * a.PoolSize, Math.Max(cells, (int)Math.Ceiling(databaseCores)) * a.ConnectionsPerCore,
            rate * a.CommitsPerMessage, perDay, perDay * a.RetentionDays / 1024, "");
        return plan with { First = FirstLimit(plan, cost) };
    }

    /// <summary>What a team meets first when it grows to this rate, the costliest to mend before the cheaper.</summary>
    private static string FirstLimit(CapacityPlan plan, MessageCost cost) => plan switch
    {
        { Cells: > 1 } => "one database: tenants are spread over cells",
        { StoredTb: > 4 } => "storage: keep less, or archive partitions",
        _ when plan.CommitsPerSecond > cost.CommitsPerSecond * DiskShare => "commits: faster disk for the log",
        { ClientConnections: > Direct } => "connections: a pooler in transaction mode",
        { DatabaseCores: > 2 } => "the database's processors",
        _ => "nothing: one small machine",
    };
}

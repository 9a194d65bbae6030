using System.Collections.Concurrent;
using System.Diagnostics;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Bench.Engine;

/// <summary>The kinds of work that the bench enqueues, and when each key of <see cref="Timed"/> started.</summary>
internal sealed class BenchJobs
{
    /// <summary>Does nothing; its completion is written in a batch.</summary>
    internal const string Noop = "bench.noop";

    /// <summary>The same, and leaves no row.</summary>
    internal const string Forgotten = "bench.forgotten";

    /// <summary>Does nothing but complete in a transaction of its own, and leaves no row.</summary>
    internal const string Commit = "bench.commit";

    /// <summary>Says when it started.</summary>
    internal const string Timed = "bench.timed";

    /// <summary>Holds its slot for ten milliseconds.</summary>
    internal const string Slow = "bench.slow";

    internal static readonly string[] Kinds = [Noop, Forgotten, Commit, Timed, Slow];

    internal ConcurrentDictionary<string, long> Starts { get; } = new(StringComparer.Ordinal);
}

internal sealed class NoopJob : IWorkHandler
{
    private static readonly Task<WorkOutcome> Done = Task.FromResult<WorkOutcome>(new WorkOutcome.Done());

    public Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct) => Done;
}

internal sealed class CommitJob(Database database) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }
}

internal sealed class TimedJob(BenchJobs jobs) : IWorkHandler
{
    public Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        jobs.Starts[item.Key] = Stopwatch.GetTimestamp();
        return Task.FromResult<WorkOutcome>(new WorkOutcome.Done());
    }
}

internal sealed class SlowJob : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, ct);
        return new WorkOutcome.Done();
    }
}

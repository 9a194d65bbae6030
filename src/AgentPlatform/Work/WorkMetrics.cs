using System.Diagnostics.Metrics;
using AgentPlatform.Postgres;
using AgentPlatform.Work.Operate;

namespace AgentPlatform.Work;

/// <summary>
/// Meter <c>AgentPlatform.Work</c>. Counters of what this process did: <c>work.claimed</c>, <c>work.completed</c>, <c>work.retried</c>,
/// <c>work.interrupted</c>, <c>work.dead</c>, by kind. Gauges of the database as last observed: <c>work.depth</c> and
/// <c>work.oldest_age</c> (s) of due work by kind, <c>work.oldest_snapshot_age</c> (s), <c>work.dead_rows</c>. And <c>work.vacuum_state</c>, by which this
/// process claims: 0 ok, 1 warned, 2 throttled.
/// </summary>
public sealed class WorkMetrics : IDisposable
{
    public const string MeterName = "AgentPlatform.Work";

    private readonly Database _database;
    private readonly Counter<long> _claimed;
    private readonly Counter<long> _completed;
    private readonly Counter<long> _retried;
    private readonly Counter<long> _interrupted;
    private readonly Counter<long> _dead;
    private readonly VacuumAlarm _alarm;
    private volatile Observation _seen = new([], new VacuumHorizon(0, 0, 0));

    internal WorkMetrics(Database database, VacuumAlarm alarm)
    {
        (_database, _alarm) = (database, alarm);
        Meter = new Meter(MeterName);
        _claimed = Meter.CreateCounter<long>("work.claimed", "{item}", "Items this process has claimed.");
        _completed = Meter.CreateCounter<long>("work.completed", "{item}", "Items done.");
        _retried = Meter.CreateCounter<long>("work.retried", "{item}", "Attempts that failed and will be repeated.");
        _interrupted = Meter.CreateCounter<long>("work.interrupted", "{item}", "Items taken over from a process whose lease ran out.");
        _dead = Meter.CreateCounter<long>("work.dead", "{item}", "Items given up.");
        Meter.CreateObservableGauge("work.depth", () => _seen.Kinds.Select(k => Of(k.Due, k.Kind)), "{item}", "Items that are due and not yet claimed.");
        Meter.CreateObservableGauge("work.oldest_age", () => _seen.Kinds.Select(k => Of(k.OldestDueSeconds, k.Kind)), "s", "How long the oldest due item has been due.");
        Meter.CreateObservableGauge("work.oldest_snapshot_age", () => _seen.Horizon.OldestSnapshotSeconds, "s", "How long vacuum has been held back.");
        Meter.CreateObservableGauge("work.dead_rows", () => _seen.Horizon.DeadRows, "{row}", "Dead rows in the queue.");
        Meter.CreateObservableGauge("work.vacuum_state", () => (int)_alarm.State, description: "Whether an old snapshot hurts: 0 ok, 1 warned, 2 throttled.");
    }

    internal Meter Meter { get; }

    /// <summary>Looks at the queues of all tenants; the gauges tell what was seen last.</summary>
    public async Task ObserveAsync(CancellationToken ct)
    {
        await using var tx = _database.BeginWorker();
        var kinds = await tx.QueryAsync<KindDepth>(Sql.Depth, [], ct);
        _seen = new Observation(kinds, await VacuumHorizon.ReadAsync(tx, ct));
        _alarm.See(_seen.Horizon);
    }

    public void Dispose() => Meter.Dispose();

    internal void Claimed(string kind, bool takenOver)
    {
        _claimed.Add(1, Tag(kind));
        if (takenOver)
        {
            _interrupted.Add(1, Tag(kind));
        }
    }

    internal void Ended(string kind, Settlement settlement)
    {
        var counter = settlement switch
        {
            { State: "done" } => _completed,
            { State: "dead" } => _dead,
            { State: "ready", Refund: 0 } => _retried,
            _ => null,
        };
        counter?.Add(1, Tag(kind));
    }

    private static KeyValuePair<string, object?> Tag(string kind) => new("kind", kind);

    private static Measurement<T> Of<T>(T value, string kind)
        where T : struct => new(value, Tag(kind));

    private sealed record KindDepth(string Kind, long Due, double OldestDueSeconds);

    private sealed record Observation(IReadOnlyList<KindDepth> Kinds, VacuumHorizon Horizon);

    private static class Sql
    {
        internal const string Depth =
            """
            SELECT kind, sum(due)::bigint AS due, max(oldest_due_seconds) AS oldest_due_seconds FROM work.statistics GROUP BY kind
            """;
    }
}

using AgentPlatform.Postgres;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Work.Operate;

/// <summary>Whether an old snapshot hurts. Warned: what claims leave behind piles up. Throttled: so much of it that less urgent work is slowed.</summary>
public enum VacuumState
{
    Ok,
    Warned,
    Throttled,
}

/// <summary>How far back the oldest snapshot holds vacuum, in time and in transactions, and how many rows lie dead in the queue.</summary>
internal sealed record VacuumHorizon(double OldestSnapshotSeconds, long OldestSnapshotTransactions, long DeadRows)
{
    /// <summary>
    /// An old snapshot by itself is no harm, nor are dead rows that vacuum may take away: only together do they make each claim dearer than the one
    /// before. Once the snapshot is gone all is well, for vacuum sees to the rest.
    /// </summary>
    internal VacuumState Judge(WorkOptions limits)
    {
        var held = OldestSnapshotSeconds >= limits.SnapshotSeconds || OldestSnapshotTransactions >= limits.SnapshotTransactions;
        return !held || DeadRows < limits.WarnDeadRows ? VacuumState.Ok
            : DeadRows < limits.ThrottleDeadRows ? VacuumState.Warned
            : VacuumState.Throttled;
    }

    internal static Task<VacuumHorizon> ReadAsync(Transaction tx, CancellationToken ct) => tx.SingleAsync<VacuumHorizon>(Sql.Horizon, [], ct);

    private static class Sql
    {
        internal const string Horizon = "SELECT oldest_snapshot_seconds, oldest_snapshot_transactions, dead_rows FROM work.vacuum_horizon()";
    }
}

/// <summary>What this process last saw of the horizon. Each process looks for itself, with a look around for work that it makes anyway.</summary>
internal sealed class VacuumAlarm(IOptions<WorkOptions> options, TimeProvider clock, ILogger<VacuumAlarm> log)
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(15);

    private readonly Lock _lock = new();
    private long? _lookedAt;

    internal VacuumState State { get; private set; }

    /// <summary>What holds of claims meanwhile; null when nothing does.</summary>
    internal Throttle? Throttle => State == VacuumState.Throttled
        ? new Throttle(options.Value.ThrottlePriority, TimeSpan.FromSeconds(options.Value.ThrottlePauseSeconds))
        : null;

    internal bool IsToLook => _lookedAt is not { } at || clock.GetElapsedTime(at) >= LookEvery;

    internal void See(VacuumHorizon horizon)
    {
        lock (_lock)
        {
            _lookedAt = clock.GetTimestamp();
            var state = horizon.Judge(options.Value);
            if (state == State)
            {
                return;
            }

            State = state;
            if (state == VacuumState.Ok)
            {
                log.VacuumFree();
            }
            else
            {
                log.VacuumHeld(state, horizon.OldestSnapshotSeconds, horizon.OldestSnapshotTransactions, horizon.DeadRows);
            }
        }
    }
}

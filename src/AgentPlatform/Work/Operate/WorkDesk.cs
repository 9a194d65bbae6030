using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Work.Operate;

/// <summary>How the tenant's queues stand, what holds them back, what has died in them, and the latest revivals.</summary>
public sealed record WorkBoard(WorkStatistics Statistics, IReadOnlyList<Pause> Pauses, IReadOnlyList<DeadGroup> Dead, IReadOnlyList<Redrive> Redrives);

/// <summary>The queues for who sees to them in the console: the same as <c>/api/v1/work</c> does.</summary>
public sealed class WorkDesk
{
    private const int ShownRedrives = 10;

    private static readonly PageRequest Most = new(PageRequest.MaxLimit, null);

    private readonly Database _database;
    private readonly OperateWork _work;
    private readonly Pauses _pauses;
    private readonly Redrives _redrives;

    internal WorkDesk(Database database, OperateWork work, Pauses pauses, Redrives redrives) =>
        (_database, _work, _pauses, _redrives) = (database, work, pauses, redrives);

    public async Task<WorkBoard> ReadAsync(Actor actor, CancellationToken ct)
    {
        var statistics = await _work.StatisticsAsync(actor, ct);
        await using var tx = _database.Begin(actor);
        return new(
            statistics, (await Pauses.ListAsync(tx, Most, ct)).Items, (await Redrives.DeadAsync(tx, Most, ct)).Items,
            (await _redrives.ListAsync(actor, new PageRequest(ShownRedrives, null), ct)).Items);
    }

    public Task<Result<Pause>> PauseAsync(Actor actor, NewPause pause, CancellationToken ct) => _pauses.PauseAsync(actor, pause, ct);

    public Task<Result<Guid>> ResumeAsync(Actor actor, Guid pause, CancellationToken ct) => _pauses.ResumeAsync(actor, pause, ct);

    public Task<Result<Redrive>> RedriveAsync(Actor actor, StartRedrive redrive, CancellationToken ct) => _redrives.StartAsync(actor, redrive, ct);

    public Task<Result<Redrive>> StopAsync(Actor actor, Guid redrive, CancellationToken ct) => _redrives.StopAsync(actor, redrive, ct);
}

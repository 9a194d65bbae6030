using System.Text.Json;
using AgentPlatform.Models;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Campaigns.Moves;

/// <summary>A run of a move, by the id of its run and by its name. A paused one that goes on has another id and the same name.</summary>
internal sealed record MoveWork(Guid MoveId, Guid RunId, string ExecutionId);

/// <summary>A move in progress, locked, with its campaign as it is now.</summary>
internal sealed record MoveRun(Move Move, Campaign? Campaign, Guid RunId);

/// <summary>What became of a run, or of a part of it.</summary>
internal abstract record MoveOutcome
{
    private MoveOutcome()
    {
    }

    internal sealed record Done(JsonElement Content) : MoveOutcome;

    internal sealed record Failed(string Error) : MoveOutcome;

    /// <summary>There is more of it, at once or after a while.</summary>
    internal sealed record More(TimeSpan After) : MoveOutcome;

    /// <summary>Its campaign is paused; who resumes it goes on.</summary>
    internal sealed record Rests : MoveOutcome;

    /// <summary>A model is to be asked first.</summary>
    internal sealed record Ask(PreparedCall Call) : MoveOutcome;
}

/// <summary>Runs moves of one type.</summary>
internal interface IMoveRunner
{
    string Type { get; }

    /// <summary>One transaction's worth.</summary>
    Task<MoveOutcome> RunAsync(Transaction tx, MoveRun run, CancellationToken ct);
}

/// <summary>
/// Runs a move, a transaction at a time, each of which settles its work: what a killed host had begun is undone by Postgres, and taken up elsewhere.
/// </summary>
internal sealed class RunMove(Database database, IEnumerable<IMoveRunner> runners, SettleMove settle, ModelCalls calls) : IWorkHandler
{
    internal const string Kind = "campaigns.run_move";

    internal static NewWork Work(MoveWork move, Guid key) => new(Kind, $"{move.MoveId:n}:{key:n}", move) { SerialKey = Line(move.MoveId), Priority = 50 };

    /// <summary>A run that waits looks again, at once.</summary>
    internal static void Wake(Transaction tx, WorkQueue work, IEnumerable<Guid> moves) => work.HastenAll(tx, [.. moves.Select(Line)]);

    private static string Line(Guid move) => $"move:{move}";

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        while (await TakeAsync(item, ct) is { } call)
        {
            await calls.MakeAsync(Actor.System(item.TenantId), call, _ => { }, ct);
        }

        return item.Settled is null ? new WorkOutcome.Cancel("The move is over, or is run under another name.") : WorkOutcome.Settled;
    }

    public async Task OnDeadAsync(WorkItem item, string error, Transaction tx, CancellationToken ct)
    {
        if (await RunOfAsync(tx, item.Read<MoveWork>(), ct) is { } run)
        {
            await settle.FailAsync(tx, run.Move, error, ct);
        }
    }

    /// <summary>The call to make before it is taken again; null when there is none.</summary>
    private async Task<PreparedCall?> TakeAsync(WorkItem item, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        if (await RunOfAsync(tx, item.Read<MoveWork>(), ct) is not { } run)
        {
            return null;
        }

        var outcome = await runners.Single(runner => runner.Type == run.Move.Type).RunAsync(tx, run, ct);
        switch (outcome)
        {
            case MoveOutcome.Done done:
                await settle.CompleteAsync(tx, run.Move, done.Content, ct);
                break;
            case MoveOutcome.Failed failed:
                await settle.FailAsync(tx, run.Move, failed.Error, ct);
                break;
        }

        if (outcome is not MoveOutcome.Ask)
        {
            item.Settle(tx, outcome is MoveOutcome.More more ? new WorkOutcome.Snooze(more.After) : new WorkOutcome.Done());
        }

        await tx.CommitAsync(ct);
        return (outcome as MoveOutcome.Ask)?.Call;
    }

    private static async Task<MoveRun?> RunOfAsync(Transaction tx, MoveWork work, CancellationToken ct)
    {
        var campaign = await CampaignStore.HoldOfAsync(tx, work.MoveId, ct);
        return await MoveStore.LockAsync(tx, work.MoveId, ct) is { Status: "in_progress" } move && move.ExecutionId == work.ExecutionId
            ? new MoveRun(move, campaign, work.RunId)
            : null;
    }
}

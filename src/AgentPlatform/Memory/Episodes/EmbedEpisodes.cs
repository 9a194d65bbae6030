using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Memory.Episodes;

/// <summary>Makes the embeddings that episodes lack. Each episode leaves an item; the first to run does it for all of the tenant's.</summary>
internal sealed class EmbedEpisodes(Database database, WorkQueue work, EpisodeStore episodes) : IWorkHandler
{
    internal const string Kind = "memory.embed";
    internal const int BatchSize = 100;

    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        // Before the episodes are looked at: an item commits with its episode, so whatever these were put in for is seen below.
        var behind = await work.BehindAsync(tx, item, ct);
        var batch = await EpisodeStore.UnembeddedAsync(tx, BatchSize, ct);
        episodes.Embed(tx, batch);
        if (batch.Count == BatchSize)
        {
            await tx.CommitAsync(ct);
            return new WorkOutcome.Snooze(TimeSpan.Zero);
        }

        if (behind.Count > 0)
        {
            work.Absorb(tx, item, behind);
        }

        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }
}

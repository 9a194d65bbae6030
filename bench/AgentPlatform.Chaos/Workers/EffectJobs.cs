using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Chaos.Workers;

/// <summary>The provider drops repeated keys: the item's key makes repeating safe.</summary>
internal sealed class KeyedJob(ProviderClient provider, Journal journal) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        journal.Began(item);
        await provider.SendKeyedAsync(item.Read<JobPayload>().Reference, item.Key, ct);
        return new WorkOutcome.Done();
    }
}

/// <summary>
/// The provider cannot be told that a call repeats another. The intent is committed before the call; whoever finds an intent without an
/// outcome waits until the call can no longer be under way, and then asks.
/// </summary>
internal sealed class UnkeyedJob(Database database, Effects effects, ProviderClient provider, Journal journal) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        journal.Began(item);
        var reference = item.Read<JobPayload>().Reference;
        var known = await effects.FindAsync(item, ct);
        if (known is not null)
        {
            if (known.Age < provider.InFlight)
            {
                return new WorkOutcome.Snooze(provider.InFlight - known.Age);
            }

            if (await provider.KnowsAsync(reference, ct))
            {
                return await SettleAsync(item, ct);
            }
        }

        var call = provider.Prepare();
        if (!await effects.BeginAsync(item, known?.Attempts ?? 0, ct))
        {
            return new WorkOutcome.Snooze(provider.InFlight);
        }

        return await call.SendAsync(reference, ct) ? await SettleAsync(item, ct) : new WorkOutcome.Snooze(provider.InFlight);
    }

    private async Task<WorkOutcome> SettleAsync(WorkItem item, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        effects.Settle(tx, item);
        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }
}

/// <summary>An intent without an outcome: how many calls were begun, and how long ago the last was.</summary>
internal sealed record OpenEffect(int Attempts, TimeSpan Age);

internal sealed class Effects(Database database)
{
    internal async Task<OpenEffect?> FindAsync(WorkItem item, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        var found = await tx.FindAsync<OpenEffect>(Sql.Find, [item.Key], ct);
        await tx.CommitAsync(ct);
        return found;
    }

    /// <summary>False when another worker has begun a call since.</summary>
    internal async Task<bool> BeginAsync(WorkItem item, int attemptsSeen, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        var begun = await tx.ExecuteAsync(Sql.Begin, [item.Key, attemptsSeen], ct) == 1;
        await tx.CommitAsync(ct);
        return begun;
    }

    internal void Settle(Transaction tx, WorkItem item) => tx.Post(Sql.Settle, item.Key);

    private static class Sql
    {
        internal const string Find = "SELECT attempts, clock_timestamp() - begun_at AS age FROM chaos.effects WHERE key = $1 AND settled_at IS NULL";

        internal const string Begin =
            """
            INSERT INTO chaos.effects (key) VALUES ($1)
            ON CONFLICT (key) DO UPDATE SET attempts = effects.attempts + 1, begun_at = clock_timestamp()
                WHERE effects.attempts = $2 AND effects.settled_at IS NULL
            """;

        internal const string Settle = "UPDATE chaos.effects SET settled_at = now() WHERE key = $1";
    }
}

using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Chaos.Workers;

/// <summary>Writes one line of the ledger and its own completion, in one transaction. The ledger would take a second line.</summary>
internal sealed class LedgerJob(Database database, Journal journal) : IWorkHandler
{
    public Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        journal.Began(item);
        return WriteAsync(database, item, ct);
    }

    internal static async Task<WorkOutcome> WriteAsync(Database database, WorkItem item, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(item.TenantId));
        tx.Post(Sql.Write, item.Kind, item.Key);
        item.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private static class Sql
    {
        internal const string Write = "INSERT INTO chaos.ledger (kind, key) VALUES ($1, $2)";
    }
}

/// <summary>Fails as often as it was told to, then writes the ledger.</summary>
internal sealed class RetryJob(Database database, Journal journal) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        journal.Began(item);
        return item.Attempt <= item.Read<JobPayload>().Failures
            ? new WorkOutcome.Retry("It was told to fail.", TimeSpan.FromMilliseconds(100))
            : await LedgerJob.WriteAsync(database, item, ct);
    }
}

/// <summary>Does something idempotent and leaves its completion to the batch of the engine.</summary>
internal sealed class MarkJob(Database database, Journal journal) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
    {
        journal.Began(item);
        await using var tx = database.Begin(Actor.System(item.TenantId));
        tx.Post(Sql.Mark, item.Key);
        await tx.CommitAsync(ct);
        return new WorkOutcome.Done();
    }

    private static class Sql
    {
        internal const string Mark = "INSERT INTO chaos.marks (key) VALUES ($1) ON CONFLICT (key) DO NOTHING";
    }
}

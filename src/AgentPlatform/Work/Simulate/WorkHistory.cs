using AgentPlatform.Postgres;

namespace AgentPlatform.Work.Simulate;

/// <summary>An item as the queue remembers it. RunAt and StartedAt are those of its last run; a fence of 0 says that it never had one.</summary>
public sealed record RecordedItem(
    long Id, Guid TenantId, string Kind, short Priority, string State, DateTimeOffset EnqueuedAt, DateTimeOffset RunAt, DateTimeOffset? StartedAt,
    DateTimeOffset? FinishedAt, int Attempts, long Fence, string? SerialKey, string? ConcurrencyKey, string? MergeKey, DateTimeOffset? StartBy)
{
    /// <summary>How long the last run took; null when it is not over, or nobody wrote down when it began.</summary>
    public TimeSpan? Took => StartedAt is { } began && FinishedAt is { } ended ? Max(ended - began, TimeSpan.Zero) : null;

    /// <summary>How long the last run was due before it began; null when there was none.</summary>
    public TimeSpan? Waited => StartedAt is { } began && began >= RunAt ? began - RunAt : null;

    /// <summary>Its deadline came before a worker did.</summary>
    public bool Expired => State == "cancelled" && Fence == 0 && StartBy is { } by && FinishedAt >= by;

    /// <summary>Somebody took it back before a worker came, or another item's run did it.</summary>
    public bool Withdrawn => State is "cancelled" or "done" && Fence == 0 && !Expired;

    private static TimeSpan Max(TimeSpan a, TimeSpan b) => a > b ? a : b;
}

/// <summary>Reads what happened, in a transaction that cannot write: the live queue takes no notice of it.</summary>
public sealed class WorkHistory(Database database)
{
    /// <summary>The work of all tenants that fell due in the period, at most so much of it, in the order it was enqueued.</summary>
    public async Task<IReadOnlyList<RecordedItem>> ReadAsync(DateTimeOffset from, DateTimeOffset to, int most, CancellationToken ct)
    {
        await using var tx = database.BeginWorker();
        tx.Post(Sql.ReadOnly);
        return await tx.QueryAsync<RecordedItem>(Sql.Period, [from.ToUniversalTime(), to.ToUniversalTime(), most], ct);
    }

    private static class Sql
    {
        internal const string ReadOnly = "SET LOCAL transaction_read_only = on";

        internal const string Period =
            """
            SELECT id, tenant_id, kind, priority, state, enqueued_at, run_at, started_at, finished_at, attempts, fence, serial_key, concurrency_key, merge_key, start_by
            FROM work.items WHERE run_at >= $1 AND run_at < $2 ORDER BY id LIMIT $3
            """;
    }
}

namespace AgentPlatform.Postgres;

/// <summary>Deleting what is past its time, across tenants: row level security lets the worker's role see nothing younger.</summary>
public static class Retention
{
    private const int BatchSize = 5000;

    /// <summary>
    /// Runs statements that delete at most <c>$1</c> rows, each until it finds no more: no transaction is long. Returns how many rows went.
    /// </summary>
    public static async Task<int> PruneAsync(this Database database, CancellationToken ct, params string[] statements)
    {
        var total = 0;
        foreach (var statement in statements)
        {
            total += await database.PruneAsync(statement, [], ct);
        }

        return total;
    }

    /// <summary>The same for one statement that needs more than how many: <c>$2</c> and further.</summary>
    public static async Task<int> PruneAsync(this Database database, string statement, object?[] more, CancellationToken ct)
    {
        var total = 0;
        for (var touched = BatchSize; touched == BatchSize; total += touched)
        {
            await using var tx = database.BeginWorker();
            touched = await tx.ExecuteAsync(statement, [BatchSize, .. more], ct);
            await tx.CommitAsync(ct);
        }

        return total;
    }
}

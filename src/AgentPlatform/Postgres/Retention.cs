using System.ComponentModel.DataAnnotations;

namespace AgentPlatform.Postgres;

/// <summary>Deleting what is past its time, across tenants: row level security lets the worker's role see nothing younger.</summary>
public static class Retention
{
    private const int BatchSize = 5000;

    /// <summary>
    /// Runs statements that delete at most <c>$1</c> rows, each until it finds no more: no transaction is long. Returns how many rows went.
    /// </summary>
    public static Task<int> PruneAsync(this Database database, CancellationToken ct, params string[] statements) => PruneAsync(database, statements, [], ct);

    /// <summary>The same with statements whose <c>$2</c> is the days that rows are kept; 0 keeps them for ever.</summary>
    public static Task<int> PruneOlderAsync(this Database database, int days, CancellationToken ct, params string[] statements) =>
        days == 0 ? Task.FromResult(0) : PruneAsync(database, statements, [days], ct);

    /// <summary>The same for one statement that needs more than how many: <c>$2</c> and further.</summary>
    public static Task<int> PruneAsync(this Database database, string statement, object?[] more, CancellationToken ct) => PruneAsync(database, [statement], more, ct);

    private static async Task<int> PruneAsync(Database database, string[] statements, object?[] more, CancellationToken ct)
    {
        var total = 0;
        foreach (var statement in statements)
        {
            for (var touched = BatchSize; touched == BatchSize; total += touched)
            {
                await using var tx = database.BeginWorker();
                touched = await tx.ExecuteAsync(statement, [BatchSize, .. more], ct);
                await tx.CommitAsync(ct);
            }
        }

        return total;
    }
}

/// <summary>A number of days that rows are kept: 0 for ever, else at least 30, which is what row level security lets retention see.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class KeepDaysAttribute() : ValidationAttribute("{0} must be 0, or 30 to 3650.")
{
    public override bool IsValid(object? value) => value is 0 or (>= 30 and <= 3650);
}

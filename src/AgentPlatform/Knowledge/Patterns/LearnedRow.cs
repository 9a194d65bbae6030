using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Knowledge.Patterns;

/// <summary>A row that was learned; <see cref="UpdatedAt"/> is its version.</summary>
internal interface ILearnedRow
{
    DateTimeOffset UpdatedAt { get; }
}

internal static class LearnedRow
{
    /// <summary>Whose a new row is: nobody's when it is shared, or when the platform writes it.</summary>
    internal static Guid? Owner(this Actor actor, bool shared) => shared || actor.UserId == Guid.Empty ? null : actor.UserId;

    /// <summary>Changes the row that <paramref name="hold"/> locks, if it is of the version that the caller read. Another's private row is not there.</summary>
    internal static async Task<Result<T>> ChangeAsync<T>(
        this Database database, Actor actor, string what, IfMatch match, Func<Transaction, Task<T?>> hold, Func<Transaction, T, Task<Result<T>>> change, CancellationToken ct)
        where T : class, ILearnedRow
    {
        await using var tx = database.Begin(actor);
        if (await hold(tx) is not { } row)
        {
            return Problem.NotFound(what);
        }

        if (match.Check(row.UpdatedAt) is { } stale)
        {
            return stale;
        }

        var changed = await change(tx, row);
        if (changed.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return changed;
    }

    /// <summary>What one statement makes of a row, or its problem when it found none.</summary>
    internal static async Task<Result<T>> WriteAsync<T>(this Database database, Actor actor, Func<Transaction, Task<T?>> write, Problem none, CancellationToken ct)
        where T : class
    {
        await using var tx = database.Begin(actor);
        if (await write(tx) is not { } row)
        {
            return none;
        }

        await tx.CommitAsync(ct);
        return row;
    }
}

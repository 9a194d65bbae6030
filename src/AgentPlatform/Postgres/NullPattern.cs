using System.Collections.Concurrent;

namespace AgentPlatform.Postgres;

/// <summary>
/// Gives a statement a text of its own for each pattern of nulls among its arguments. Npgsql keeps one prepared statement a text, for the
/// parameter types it first met, and a null has no type: with one text for all, the other patterns would be parsed and planned each time.
/// </summary>
internal static class NullPattern
{
    private static readonly ConcurrentDictionary<(string Sql, ulong Nulls), string> Texts = new();

    internal static string Text(string sql, object?[] args)
    {
        var nulls = 0UL;
        for (var i = 0; i < args.Length; i++)
        {
            // Beyond the 64th argument patterns share a text, and are planned when they meet.
            nulls |= args[i] is null && i < 64 ? 1UL << i : 0;
        }

        return nulls == 0 ? sql : Texts.GetOrAdd((sql, nulls), static key => $"{key.Sql}\n-- nulls: {key.Nulls:x}");
    }
}

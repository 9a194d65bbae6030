using Npgsql;

namespace AgentPlatform.Postgres;

/// <summary>
/// What the migrations made: tables, views, columns, functions and triggers by name, written down after each migration. The ledger says
/// that a migration ran; this says whether what it made is still there.
/// </summary>
public sealed class SchemaInventory(NpgsqlDataSource source)
{
    /// <summary>What was there after the last migration and is not there now, each by kind and name.</summary>
    public async Task<IReadOnlyList<string>> MissingAsync(CancellationToken ct)
    {
        var missing = new List<string>();
        await using var command = source.CreateCommand(Sql.Missing);
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            missing.Add(reader.GetString(0));
        }

        return missing;
    }

    internal static async Task WriteAsync(NpgsqlConnection connection, CancellationToken ct)
    {
        await using var exists = new NpgsqlCommand(Sql.Exists, connection);
        if (await exists.ExecuteScalarAsync(ct) is true)
        {
            await using var write = new NpgsqlCommand(Sql.Write, connection);
            await write.ExecuteNonQueryAsync(ct);
        }
    }

    private static class Sql
    {
        internal const string Exists = "SELECT to_regclass('kernel.inventory') IS NOT NULL";

        internal const string Write =
            """
            WITH gone AS (
                DELETE FROM kernel.inventory AS i WHERE NOT EXISTS (SELECT FROM kernel.objects AS o WHERE o.kind = i.kind AND o.name = i.name)
            )
            INSERT INTO kernel.inventory (kind, name) SELECT kind, name FROM kernel.objects ON CONFLICT DO NOTHING
            """;

        internal const string Missing =
            "SELECT i.kind || ' ' || i.name FROM kernel.inventory AS i EXCEPT SELECT o.kind || ' ' || o.name FROM kernel.objects AS o ORDER BY 1";
    }
}

using Npgsql;

namespace AgentPlatform.Chaos;

/// <summary>How an item ended, by the engine's own account.</summary>
internal sealed record ItemEnd(string Kind, string Key, string State, int Attempts, int Interruptions);

/// <summary>What the check asks the database, as its superuser. Everything that names the engine's tables is here.</summary>
internal sealed class EngineState(string adminConnectionString) : IAsyncDisposable
{
    private readonly NpgsqlDataSource _source = NpgsqlDataSource.Create(adminConnectionString + ";Pooling=false;Command Timeout=120");

    /// <summary>The ledger, and a witness of every completion that commits.</summary>
    internal async Task PrepareAsync()
    {
        await using var command = _source.CreateCommand(Sql.Prepare);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Items that are waiting or under way.</summary>
    internal async Task<long> OpenAsync()
    {
        await using var command = _source.CreateCommand(Sql.Open);
        return (long)(await command.ExecuteScalarAsync())!;
    }

    internal Task<List<ItemEnd>> ItemsAsync() =>
        ReadAsync(Sql.Items, row => new ItemEnd(row.GetString(0), row.GetString(1), row.GetString(2), row.GetInt32(3), row.GetInt32(4)));

    /// <summary>Keys of the items that were completed, once for each completion.</summary>
    internal Task<List<string>> CompletionsAsync() => ReadAsync(Sql.Completions, row => row.GetString(0));

    /// <summary>Keys in the order they were written.</summary>
    internal Task<List<string>> LedgerAsync() => ReadAsync(Sql.Ledger, row => row.GetString(0));

    internal Task<List<string>> MarksAsync() => ReadAsync(Sql.Marks, row => row.GetString(0));

    public ValueTask DisposeAsync() => _source.DisposeAsync();

    private async Task<List<T>> ReadAsync<T>(string sql, Func<NpgsqlDataReader, T> read)
    {
        var rows = new List<T>();
        await using var command = _source.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            rows.Add(read(reader));
        }

        return rows;
    }

    private static class Sql
    {
        internal const string Prepare =
            """
            CREATE SCHEMA chaos;
            CREATE TABLE chaos.ledger (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind text NOT NULL, key text NOT NULL);
            CREATE TABLE chaos.marks (key text PRIMARY KEY);
            CREATE TABLE chaos.effects (
                key text PRIMARY KEY, attempts integer NOT NULL DEFAULT 1, begun_at timestamptz NOT NULL DEFAULT clock_timestamp(), settled_at timestamptz);
            CREATE TABLE chaos.forgotten (kind text NOT NULL, key text NOT NULL, attempts integer NOT NULL, interruptions integer NOT NULL);
            CREATE TABLE chaos.completions (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text NOT NULL);
            GRANT USAGE ON SCHEMA chaos TO agentplatform_app;
            GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA chaos TO agentplatform_app;
            CREATE FUNCTION chaos.witness() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
            BEGIN
                INSERT INTO chaos.completions (key) VALUES (NEW.key);
                RETURN NULL;
            END $$;
            CREATE TRIGGER chaos_witness AFTER UPDATE OF state ON work.items
                FOR EACH ROW WHEN (NEW.kind LIKE 'chaos.%' AND NEW.state IN ('done', 'cancelled', 'dead'))
                EXECUTE FUNCTION chaos.witness();
            CREATE FUNCTION chaos.witness_forgotten() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
            BEGIN
                INSERT INTO chaos.completions (key) VALUES (OLD.key);
                INSERT INTO chaos.forgotten VALUES (OLD.kind, OLD.key, OLD.attempts, OLD.interruptions);
                RETURN NULL;
            END $$;
            CREATE TRIGGER chaos_witness_forgotten AFTER DELETE ON work.items
                FOR EACH ROW WHEN (OLD.kind LIKE 'chaos.%') EXECUTE FUNCTION chaos.witness_forgotten();
            """;

        internal const string Open = "SELECT count(*) FROM work.items WHERE kind LIKE 'chaos.%' AND state IN ('ready', 'running')";

        internal const string Items =
            """
            SELECT kind, key, state, attempts, interruptions FROM work.items WHERE kind LIKE 'chaos.%'
            UNION ALL SELECT kind, key, 'done', attempts, interruptions FROM chaos.forgotten
            """;

        internal const string Completions = "SELECT key FROM chaos.completions";

        internal const string Ledger = "SELECT key FROM chaos.ledger ORDER BY id";

        internal const string Marks = "SELECT key FROM chaos.marks";
    }
}

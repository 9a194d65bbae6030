using System.Globalization;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using Npgsql;

namespace AgentPlatform.Postgres;

/// <summary>
/// Applies every module's migrations in the modules' order, each file in one transaction, and records it in
/// <c>kernel.migrations (module, version, checksum)</c>. Several hosts may start at once: one lock row serialises them.
/// </summary>
public sealed class Migrator(NpgsqlDataSource source, MigrationSet migrations)
{
    private const int Attempts = 20;

    /// <summary>Brings the database up to date and says which files it applied. A file changed after it was applied is an error.</summary>
    public async Task<IReadOnlyList<Migration>> MigrateAsync(CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await ExecuteAsync(connection, Sql.Prepare, ct);
        var applied = new List<Migration>();
        foreach (var migration in migrations.All)
        {
            if (await ApplyAsync(connection, migration, ct))
            {
                applied.Add(migration);
            }
        }

        if (applied.Count > 0)
        {
            await SchemaInventory.WriteAsync(connection, ct);
        }

        return applied;
    }

    /// <summary>The files this database still lacks; throws when an applied one was changed since.</summary>
    public async Task<IReadOnlyList<Migration>> PendingAsync(CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await using var exists = new NpgsqlCommand(Sql.LedgerExists, connection);
        if (await exists.ExecuteScalarAsync(ct) is not true)
        {
            return migrations.All;
        }

        var applied = new Dictionary<(string Module, int Version), string>();
        await using var find = new NpgsqlCommand(Sql.FindAll, connection);
        await using var reader = await find.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            applied[(reader.GetString(0), reader.GetInt32(1))] = reader.GetString(2);
        }

        return [.. migrations.All.Where(m => !IsApplied(m, applied.GetValueOrDefault((m.Module, m.Version))))];
    }

    private static async Task<bool> ApplyAsync(NpgsqlConnection connection, Migration migration, CancellationToken ct)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await TryAsync(connection, migration, ct);
            }
            catch (MigrationException e) when (attempt < Attempts && e.InnerException is PostgresException { SqlState: PostgresErrorCodes.DeadlockDetected })
            {
                // A running host locks the same tables in its own order. The file has left nothing of itself.
            }
        }
    }

    private static async Task<bool> TryAsync(NpgsqlConnection connection, Migration migration, CancellationToken ct)
    {
        await using var transaction = await connection.BeginTransactionAsync(ct);
        // A row lock, not an advisory one: it works behind a transaction pooler and shows up in pg_locks with its table.
        await ExecuteAsync(connection, Sql.Lock, ct);
        if (await IsAppliedAsync(connection, migration, ct))
        {
            return false;
        }

        await using var schema = new NpgsqlCommand(Sql.CreateSchema, connection) { Parameters = { new() { Value = migration.Module } } };
        await ExecuteAsync(connection, (string)(await schema.ExecuteScalarAsync(ct))!, ct);
        try
        {
            await ExecuteAsync(connection, migration.Text, ct);
        }
        catch (PostgresException e)
        {
            throw new MigrationException($"Migration {migration.Name} failed: {e.MessageText} (at character {e.Position}).", e);
        }

        await using var record = new NpgsqlCommand(Sql.Record, connection)
        {
            Parameters = { new() { Value = migration.Module }, new() { Value = migration.Version }, new() { Value = migration.Name }, new() { Value = migration.Checksum } },
        };
        await record.ExecuteNonQueryAsync(ct);
        await transaction.CommitAsync(ct);
        return true;
    }

    private static async Task<bool> IsAppliedAsync(NpgsqlConnection connection, Migration migration, CancellationToken ct)
    {
        await using var find = new NpgsqlCommand(Sql.Find, connection)
        {
            Parameters = { new() { Value = migration.Module }, new() { Value = migration.Version } },
        };
        return IsApplied(migration, await find.ExecuteScalarAsync(ct) as string);
    }

    private static bool IsApplied(Migration migration, string? checksum) => checksum is null || checksum == migration.Checksum
        ? checksum is not null
        : throw new MigrationException($"Migration {migration.Name} was changed after it had been applied; add a new one instead.");

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(ct);
    }

    private static class Sql
    {
        internal const string Prepare =
            """
            DO $$
            BEGIN
                CREATE SCHEMA IF NOT EXISTS kernel;
                CREATE TABLE IF NOT EXISTS kernel.migrations (
                    module text NOT NULL, version integer NOT NULL, name text NOT NULL, checksum text NOT NULL,
                    applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (module, version));
                CREATE TABLE IF NOT EXISTS kernel.migration_lock (id boolean PRIMARY KEY DEFAULT true CHECK (id));
                INSERT INTO kernel.migration_lock DEFAULT VALUES ON CONFLICT DO NOTHING;
            EXCEPTION WHEN unique_violation OR duplicate_table OR duplicate_schema THEN
                NULL; -- another host is preparing the same database at this moment
            END
            $$
            """;

        internal const string LedgerExists = "SELECT to_regclass('kernel.migrations') IS NOT NULL";

        internal const string Lock = "SELECT id FROM kernel.migration_lock FOR UPDATE";

        internal const string Find = "SELECT checksum FROM kernel.migrations WHERE module = $1 AND version = $2";

        internal const string FindAll = "SELECT module, version, checksum FROM kernel.migrations";

        internal const string CreateSchema = "SELECT format('CREATE SCHEMA IF NOT EXISTS %I', $1::text)";

        internal const string Record = "INSERT INTO kernel.migrations (module, version, name, checksum) VALUES ($1, $2, $3, $4)";
    }
}

/// <summary>A migration could not be applied, or was changed after it had been.</summary>
public sealed class MigrationException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>One numbered file of a module's schema.</summary>
public sealed record Migration(string Module, int Version, string Name, string Text, string Checksum);

/// <summary>All migrations in the order they run: modules in the given order, files by number.</summary>
public sealed class MigrationSet
{
    private MigrationSet(IReadOnlyList<Migration> all) => All = all;

    public IReadOnlyList<Migration> All { get; }

    /// <summary>Reads the embedded <c>Module/Migrations/NNN_name.sql</c> files of the assemblies, for the modules named.</summary>
    public static MigrationSet FromResources(IEnumerable<(string Module, Assembly Assembly)> modules) =>
        new([.. modules.SelectMany(m => Read(m.Module, m.Assembly))]);

    private static IEnumerable<Migration> Read(string module, Assembly assembly) =>
        assembly.GetManifestResourceNames()
            .Where(name => name.StartsWith($"{module}/Migrations/", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal)
            .Select(name => Read(module, assembly, name));

    private static Migration Read(string module, Assembly assembly, string name)
    {
        using var reader = new StreamReader(assembly.GetManifestResourceStream(name)!, Encoding.UTF8);
        var text = reader.ReadToEnd().ReplaceLineEndings("\n");
        var file = name[(name.LastIndexOf('/') + 1)..];
        var checksum = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
        return new Migration(module.ToLowerInvariant(), int.Parse(file.AsSpan(0, 3), CultureInfo.InvariantCulture), $"{module.ToLowerInvariant()}/{file}", text, checksum);
    }
}

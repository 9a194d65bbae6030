using System.Security.Cryptography;
using System.Text;
using AgentPlatform.LocalHost.Hosting;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Tests;

/// <summary>A database of its own for one test, cloned from a template that holds the migrated schema.</summary>
public sealed class TestDatabase : IAsyncDisposable
{
    private static readonly Lazy<Task<string>> Template = new(CreateTemplateAsync);

    private readonly string _name;

    private TestDatabase(string name)
    {
        _name = name;
        ConnectionString = ConnectionTo(name);
    }

    public string ConnectionString { get; }

    /// <summary>As the superuser.</summary>
    internal string AdminConnectionString => ConnectionTo(_name, admin: true);

    /// <summary>The connection string of the cluster that holds the tests' databases.</summary>
    internal static string Server => Environment.GetEnvironmentVariable("AGENTPLATFORM_TEST_DB")
        ?? throw new InvalidOperationException("AGENTPLATFORM_TEST_DB is not set: run the tests with ./dev test, or take the value from ./dev db url --test.");

    /// <summary>The migrations of everything the local host runs.</summary>
    public static MigrationSet Migrations { get; } = MigrationSet.FromResources([.. AgentPlatformModules.Schemas, .. HostStartup.Schema]);

    /// <summary>The same, and one of a version to come.</summary>
    internal static MigrationSet NewerMigrations { get; } =
        MigrationSet.FromResources([.. AgentPlatformModules.Schemas, .. HostStartup.Schema, ("Newer", typeof(TestDatabase).Assembly)]);

    public static async Task<TestDatabase> CreateAsync()
    {
        var template = await Template.Value;
        return await CreateAsync($"ap_test_{Environment.ProcessId}_{Guid.CreateVersion7(TimeProvider.System.GetUtcNow()):N}", template);
    }

    /// <summary>An empty database, to migrate or to break.</summary>
    public static Task<TestDatabase> CreateEmptyAsync() =>
        CreateAsync($"ap_empty_{Environment.ProcessId}_{Guid.CreateVersion7(TimeProvider.System.GetUtcNow()):N}", "template1");

    /// <summary>Dropped while the next test runs: Postgres waits for connections to go, a tenth of a second at a time.</summary>
    public ValueTask DisposeAsync()
    {
        _ = DropAsync(_name);
        return ValueTask.CompletedTask;
    }

    /// <summary>Runs SQL as the superuser, whom row level security does not concern: for arranging, and for looking behind the API.</summary>
    public async Task<T> ScalarAsync<T>(string sql, params object[] args)
    {
        await using var connection = new NpgsqlConnection(AdminConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        Array.ForEach(args, arg => command.Parameters.Add(new NpgsqlParameter { Value = arg }));
        return (T)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>True once somebody waits for a lock that another holds.</summary>
    internal Task<bool> SomebodyWaitsAsync() => Eventually.SeeAsync(
        () => ScalarAsync<bool>("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"), waits => waits);

    /// <summary>As if what these items run in had died, and their leases had run out. Returns how many there were.</summary>
    internal Task<long> LoseWorkersAsync(string items = "state = 'running'") => ScalarAsync<long>(
        $"""
        WITH lost AS (
            UPDATE work.items SET state = 'running', owner = coalesce(owner, gen_random_uuid()), lease_until = now() - interval '1 second'
            WHERE {items} RETURNING tenant_id, id
        ), listed AS (
            INSERT INTO work.claims (look_at, tenant_ids, item_ids)
            SELECT now() - interval '1 second', array_agg(tenant_id), array_agg(id) FROM lost HAVING count(*) > 0
        )
        SELECT count(*) FROM lost
        """);

    private static async Task<TestDatabase> CreateAsync(string name, string template)
    {
        await ExecuteAsync(ConnectionTo("postgres"), $"CREATE DATABASE \"{name}\" TEMPLATE \"{template}\"");
        return new TestDatabase(name);
    }

    private static Task DropAsync(string name) => ExecuteAsync(ConnectionTo("postgres", admin: true), $"DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)");

    /// <summary>One template per content of the migrations; an advisory lock lets parallel test runs share it.</summary>
    private static async Task<string> CreateTemplateAsync()
    {
        var all = string.Concat(Migrations.All.Select(m => m.Checksum));
        var name = $"ap_template_{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(all)))[..16]}";
        await using var connection = new NpgsqlConnection(ConnectionTo("postgres"));
        await connection.OpenAsync();
        await RunAsync(connection, "SELECT pg_advisory_lock(7310)");
        await DropLeftoversAsync(connection);
        if (await RunAsync(connection, $"SELECT 1 FROM pg_database WHERE datname = '{name}'") is null)
        {
            await RunAsync(connection, $"DROP DATABASE IF EXISTS \"{name}_new\" WITH (FORCE)");
            await RunAsync(connection, $"CREATE DATABASE \"{name}_new\" TEMPLATE template1");
            await using (var source = NpgsqlDataSource.Create(ConnectionTo($"{name}_new") + ";Pooling=false"))
            {
                await new Migrator(source, Migrations).MigrateAsync(CancellationToken.None);
            }

            await RunAsync(connection, $"ALTER DATABASE \"{name}_new\" RENAME TO \"{name}\"");
        }

        return name;
    }

    /// <summary>What test runs left that are over.</summary>
    private static async Task DropLeftoversAsync(NpgsqlConnection connection)
    {
        var names = (string[])(await RunAsync(connection, "SELECT coalesce(array_agg(datname::text), '{}') FROM pg_database WHERE datname ~ '^ap_(test|empty)_[0-9]+_'"))!;
        foreach (var name in names.Where(name => !Directory.Exists($"/proc/{name.Split('_')[2]}")))
        {
            await DropAsync(name);
        }
    }

    private static async Task ExecuteAsync(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync();
        await RunAsync(connection, sql);
    }

    private static async Task<object?> RunAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 120 };
        return await command.ExecuteScalarAsync();
    }

    private static string ConnectionTo(string database, bool admin = false)
    {
        var connection = new NpgsqlConnectionStringBuilder(Server) { Database = database, MaxPoolSize = 40, ConnectionIdleLifetime = 10, Timeout = 60, CommandTimeout = 120 };
        if (admin)
        {
            connection.Username = "postgres";
            connection.Password = Environment.GetEnvironmentVariable("AGENTPLATFORM_TEST_ADMIN_PASSWORD");
        }

        return connection.ConnectionString;
    }
}

using System.Globalization;
using System.Security.Cryptography;
using Npgsql;

namespace AgentPlatform.Chaos.Servers;

/// <summary>A private cluster on loopback that may be stopped as a crash stops it.</summary>
internal sealed class PostgresServer : IAsyncDisposable
{
    internal const string Database = "chaos";

    private readonly string _tools;
    private readonly string _directory;
    private readonly string _adminPassword = RandomNumberGenerator.GetHexString(32, lowercase: true);

    private PostgresServer(string tools, string directory, int port) => (_tools, _directory, Port) = (tools, directory, port);

    internal int Port { get; }

    internal string Password { get; } = RandomNumberGenerator.GetHexString(32, lowercase: true);

    /// <summary>The superuser, past the pooler: row level security hides nothing from it.</summary>
    internal string AdminConnectionString => Connection("postgres", _adminPassword, Database);

    /// <summary>The platform's own login, past the pooler.</summary>
    internal string ConnectionString => Connection("agentplatform", Password, Database);

    /// <summary>The same through a wire or a pooler, of a process that gives up what takes longer than <paramref name="seconds"/>.</summary>
    internal string ConnectionThrough(int port, int seconds) => new NpgsqlConnectionStringBuilder(ConnectionString)
    {
        Port = port,
        Timeout = 5,
        CommandTimeout = seconds,
        MaxPoolSize = 40,
    }.ConnectionString;

    internal static async Task<PostgresServer> StartAsync(string tools, bool fsync)
    {
        var server = new PostgresServer(tools, await ServerAccount.DirectoryAsync(), LoopbackPort.Free());
        try
        {
            await server.InitialiseAsync(fsync);
            await server.StartAsync();
            await server.CreateDatabaseAsync();
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    internal Task StartAsync() => ServerAccount.RunAsync(_directory, Tool("pg_ctl"), "-s", "-D", Data, "-l", Path.Combine(_directory, "server.log"), "-w", "-t", "60", "start");

    /// <summary>Every backend is gone at once; what was not committed is lost.</summary>
    internal Task StopImmediatelyAsync() => ServerAccount.RunAsync(_directory, Tool("pg_ctl"), "-s", "-D", Data, "-m", "immediate", "-w", "stop");

    public async ValueTask DisposeAsync()
    {
        if (File.Exists(Path.Combine(Data, "postmaster.pid")))
        {
            await StopImmediatelyAsync();
        }

        Directory.Delete(_directory, recursive: true);
    }

    private string Data => Path.Combine(_directory, "data");

    private string Tool(string name) => Path.Combine(_tools, name);

    private async Task InitialiseAsync(bool fsync)
    {
        ServerAccount.Write(_directory, "password", _adminPassword);
        await ServerAccount.RunAsync(
            _directory, Tool("initdb"), "-D", Data, "-U", "postgres", "-A", "scram-sha-256", $"--pwfile={Path.Combine(_directory, "password")}", "-E", "UTF8",
            "--locale=C.UTF-8", "--no-instructions", "--no-sync");
        await File.AppendAllTextAsync(Path.Combine(Data, "postgresql.conf"), $"""

            listen_addresses = '127.0.0.1'
            port = {Port.ToString(CultureInfo.InvariantCulture)}
            unix_socket_directories = ''
            timezone = 'UTC'
            max_connections = 100
            fsync = {(fsync ? "on" : "off")}
            """);
    }

    private async Task CreateDatabaseAsync()
    {
        await ExecuteAsync("postgres", $"CREATE ROLE agentplatform LOGIN CREATEDB CREATEROLE PASSWORD '{Password}'");
        await ExecuteAsync("postgres", $"CREATE DATABASE {Database} OWNER agentplatform");
        await ExecuteAsync(Database, "CREATE EXTENSION vector; CREATE EXTENSION pgcrypto");
    }

    private async Task ExecuteAsync(string database, string sql)
    {
        await using var source = NpgsqlDataSource.Create(Connection("postgres", _adminPassword, database) + ";Pooling=false");
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    private string Connection(string user, string password, string database) =>
        string.Create(CultureInfo.InvariantCulture, $"Host=127.0.0.1;Port={Port};Username={user};Password={password};Database={database}");
}

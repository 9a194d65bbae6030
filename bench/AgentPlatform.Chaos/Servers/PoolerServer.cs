using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;

namespace AgentPlatform.Chaos.Servers;

/// <summary>PgBouncer in transaction mode before a Postgres on loopback.</summary>
internal sealed class PoolerServer : IAsyncDisposable
{
    private readonly string _directory;
    private Process? _process;

    private static string Program =>
        Environment.GetEnvironmentVariable("AGENTPLATFORM_PGBOUNCER") ?? throw new InvalidOperationException("AGENTPLATFORM_PGBOUNCER is not set: run this through ./dev.");

    private PoolerServer(string directory, int port) => (_directory, Port) = (directory, port);

    internal int Port { get; }

    internal static async Task<PoolerServer> StartAsync(int postgresPort, string user, string password)
    {
        var pooler = new PoolerServer(await ServerAccount.DirectoryAsync(), LoopbackPort.Free());
        ServerAccount.Write(pooler._directory, "users.txt", $"\"{user}\" \"{password}\"\n");
        ServerAccount.Write(pooler._directory, "pgbouncer.ini", string.Create(CultureInfo.InvariantCulture, $"""
            [databases]
            * = host=127.0.0.1 port={postgresPort}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {pooler.Port}
            unix_socket_dir =
            auth_type = scram-sha-256
            auth_file = {pooler._directory}/users.txt
            logfile = {pooler._directory}/pgbouncer.log
            pool_mode = transaction
            max_client_conn = 1000
            default_pool_size = 20
            server_login_retry = 1

            """));
        try
        {
            await pooler.StartAsync();
            return pooler;
        }
        catch
        {
            await pooler.DisposeAsync();
            throw;
        }
    }

    internal async Task StartAsync()
    {
        _process = ServerAccount.Start(_directory, Program, "-q", Path.Combine(_directory, "pgbouncer.ini"));
        for (var waited = Stopwatch.StartNew(); ;)
        {
            try
            {
                using var probe = new TcpClient();
                await probe.ConnectAsync("127.0.0.1", Port);
                return;
            }
            catch (SocketException) when (waited.Elapsed < TimeSpan.FromSeconds(20) && !_process.HasExited)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System);
            }
        }
    }

    /// <summary>SIGKILL.</summary>
    internal async Task KillAsync()
    {
        if (_process is { } process)
        {
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
            _process = null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        Directory.Delete(_directory, recursive: true);
    }
}

using System.Net;
using System.Net.Sockets;
using Npgsql;

namespace AgentPlatform.Tests.EndToEnd;

/// <summary>
/// Stands between the host and Postgres on loopback, counts what the host sends, and calls out before it lets the n-th message
/// pass: the place where a test kills the host, so that every step of a use case is once the last one.
/// </summary>
internal sealed class DatabaseProxy : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly string _host;
    private readonly int _port;
    private int _count;
    private int _trap = int.MaxValue;
    private Action _sprung = () => { };

    internal DatabaseProxy(string connectionString)
    {
        var target = new NpgsqlConnectionStringBuilder(connectionString);
        (_host, _port) = (target.Host!, target.Port);
        _listener.Start();
        target.Host = "127.0.0.1";
        target.Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        target.SslMode = SslMode.Disable;
        ConnectionString = target.ConnectionString;
        _ = AcceptAsync();
    }

    internal string ConnectionString { get; }

    /// <summary>Messages the host has sent since the trap was set.</summary>
    internal int Count => Volatile.Read(ref _count);

    /// <summary>From now on the <paramref name="nth"/> message of the host is not delivered: <paramref name="sprung"/> runs instead.</summary>
    internal void Trap(int nth, Action sprung)
    {
        _sprung = sprung;
        Volatile.Write(ref _count, 0);
        Volatile.Write(ref _trap, nth);
    }

    public void Dispose()
    {
        _stop.Cancel();
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (!_stop.IsCancellationRequested)
            {
                _ = RelayAsync(await _listener.AcceptTcpClientAsync(_stop.Token));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task RelayAsync(TcpClient client)
    {
        using (client)
        using (var server = new TcpClient())
        {
            try
            {
                await server.ConnectAsync(_host, _port, _stop.Token);
                client.NoDelay = server.NoDelay = true;
                await Task.WhenAny(
                    PumpAsync(client.GetStream(), server.GetStream(), counted: true),
                    PumpAsync(server.GetStream(), client.GetStream(), counted: false));
            }
            catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
            {
                // One side hung up; so does the other.
            }
        }
    }

    private async Task PumpAsync(NetworkStream from, NetworkStream to, bool counted)
    {
        var buffer = new byte[64 * 1024];
        int read;
        while ((read = await from.ReadAsync(buffer, _stop.Token)) > 0)
        {
            if (counted && Interlocked.Increment(ref _count) >= Volatile.Read(ref _trap))
            {
                Interlocked.Exchange(ref _trap, int.MaxValue);
                _sprung();
                return;
            }

            await to.WriteAsync(buffer.AsMemory(0, read), _stop.Token);
        }
    }
}

using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace AgentPlatform.Tests.EndToEnd;

/// <summary>The real host in a process of its own, so that it can be killed as hosts are.</summary>
internal sealed class HostProcess : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(180);
    private static int _lastPort = 20_000 + (Environment.ProcessId % 1_000 * 10);

    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private bool _isDisposed;

    private HostProcess(Process process, Uri address)
    {
        _process = process;
        Client = new HttpClient { BaseAddress = address };
    }

    internal HttpClient Client { get; }

    internal bool HasExited => _process.HasExited;

    /// <summary>What the host printed, for the message of a failing test.</summary>
    internal string Output
    {
        get
        {
            lock (_output)
            {
                return _output.ToString();
            }
        }
    }

    /// <summary>Below those that the system gives to outgoing connections: nobody takes it before the host does.</summary>
    internal static int FreePort()
    {
        while (true)
        {
            try
            {
                using var listener = new TcpListener(IPAddress.Loopback, Interlocked.Increment(ref _lastPort));
                listener.Start();
                return ((IPEndPoint)listener.LocalEndpoint).Port;
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
            {
                // The next one, then.
            }
        }
    }

    internal static Task<HostProcess> StartAsync(string connectionString, params (string Key, string Value)[] settings) =>
        StartAsync(connectionString, FreePort(), settings);

    internal static async Task<HostProcess> StartAsync(string connectionString, int port, params (string Key, string Value)[] settings)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            ArgumentList = { Path.Combine(AppContext.BaseDirectory, "AgentPlatform.Functions.dll"), "--port", $"{port}" },
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = AppContext.BaseDirectory,
        };
        start.Environment["ConnectionStrings__AgentPlatform"] = connectionString;
        start.Environment["PublicBaseUrl"] = $"http://127.0.0.1:{port}";
        // As TestPlatform has them: neither the machine's pace nor the number of requests is what these tests are about.
        start.Environment["Work__LookAtLeastEverySeconds"] = "0.25";
        start.Environment["Api__RequestsPerMinute"] = "100000";
        foreach (var (key, value) in settings)
        {
            start.Environment[key] = value;
        }

        var host = new HostProcess(Process.Start(start)!, new Uri($"http://127.0.0.1:{port}"));
        host._process.OutputDataReceived += host.Record;
        host._process.ErrorDataReceived += host.Record;
        host._process.BeginOutputReadLine();
        host._process.BeginErrorReadLine();
        try
        {
            await host.WaitUntilReadyAsync();
            return host;
        }
        catch
        {
            await host.DisposeAsync();
            throw;
        }
    }

    /// <summary>SIGKILL: nothing is flushed, nothing is said.</summary>
    internal void Kill()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        _process.WaitForExit();
    }

    /// <summary>SIGTERM, as a service manager stops it.</summary>
    internal void Terminate() => Process.Start("kill", ["-TERM", $"{_process.Id}"]).Dispose();

    /// <summary>Its exit code, once it has ended by itself.</summary>
    internal async Task<int> ExitAsync()
    {
        await _process.WaitForExitAsync().WaitAsync(Limit);
        return _process.ExitCode;
    }

    /// <summary>Once more does nothing.</summary>
    public ValueTask DisposeAsync()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            Kill();
            Client.Dispose();
            _process.Dispose();
        }

        return ValueTask.CompletedTask;
    }

    private async Task WaitUntilReadyAsync()
    {
        var deadline = Stopwatch.StartNew();
        while (deadline.Elapsed < Limit)
        {
            if (_process.HasExited)
            {
                throw new InvalidOperationException($"The host ended with {_process.ExitCode}:\n{Output}");
            }

            try
            {
                using var response = await Client.GetAsync("health/ready");
                if (response.IsSuccessStatusCode)
                {
                    return;
                }
            }
            catch (HttpRequestException)
            {
                // Not listening yet.
            }

            await Eventually.PauseAsync();
        }

        throw new TimeoutException($"The host did not become ready:\n{Output}");
    }

    private void Record(object sender, DataReceivedEventArgs line)
    {
        lock (_output)
        {
            _output.AppendLine(line.Data);
        }
    }
}

using System.Globalization;
using AgentPlatform.Chaos.Servers;

namespace AgentPlatform.Chaos.Flows;

/// <summary>A real host in a process of its own; <paramref name="Ready"/> tells whether it ever came to answer.</summary>
internal sealed record Posting(WorkerProcess Process, Task<bool> Ready)
{
    internal bool WasReady => Ready is { IsCompletedSuccessfully: true, Result: true };
}

/// <summary>Postgres, PgBouncer, the provider of the steps, and the hosts that are killed.</summary>
internal sealed class FlowStage : IAsyncDisposable
{
    private readonly ChaosOptions _options;
    private readonly string _hostAssembly;
    private readonly TimeProvider _clock;
    private readonly Random _random;
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("agentplatform-chaos-");
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(5) };
    private readonly List<Posting> _hosts = [];

    private FlowStage(ChaosOptions options, string hostAssembly, TimeProvider clock, PostgresServer postgres, PoolerServer pooler, StepProvider provider)
    {
        (_options, _hostAssembly, _clock, _random) = (options, hostAssembly, clock, new Random(options.Seed));
        (Postgres, Pooler, Provider) = (postgres, pooler, provider);
    }

    internal PostgresServer Postgres { get; }

    internal PoolerServer Pooler { get; }

    internal StepProvider Provider { get; }

    internal int HostsKilled { get; private set; }

    internal int PostgresRestarts { get; private set; }

    /// <summary>What hosts did that nobody made them do.</summary>
    internal List<string> Troubles { get; } = [];

    internal static async Task<FlowStage> StartAsync(ChaosOptions options, string hostAssembly, TimeProvider clock)
    {
        var postgres = await PostgresServer.StartAsync(options.PostgresTools, options.Fsync);
        try
        {
            var pooler = await PoolerServer.StartAsync(postgres.Port, "agentplatform", postgres.Password);
            return new FlowStage(options, hostAssembly, clock, postgres, pooler, await StepProvider.StartAsync());
        }
        catch
        {
            await postgres.DisposeAsync();
            throw;
        }
    }

    /// <summary>As many hosts as there shall be; one that ended because it found no database as it started is replaced, as a service manager does.</summary>
    internal void FillUp()
    {
        foreach (var host in _hosts.Where(host => host.Process.HasExited).ToList())
        {
            if (host.WasReady)
            {
                Troubles.Add($"A host ended by itself: {string.Join(" | ", host.Process.Output)}");
            }

            Forget(host);
        }

        while (_hosts.Count < _options.Workers)
        {
            var port = LoopbackPort.Free();
            var process = WorkerProcess.Start(_directory.FullName, Settings(port), _hostAssembly, "--port", port.ToString(CultureInfo.InvariantCulture));
            _hosts.Add(new Posting(process, BecomesReadyAsync(process, port)));
        }
    }

    internal Task AllReadyAsync() => Task.WhenAll(_hosts.Select(host => host.Ready));

    /// <summary>
    /// SIGKILL of one that works; another starts at once. The last one that works is spared: hosts that are killed faster than they start do nothing.
    /// </summary>
    internal void KillOne()
    {
        FillUp();
        if (_hosts.Where(host => host.WasReady && !host.Process.HasExited).ToArray() is { Length: > 1 } ready)
        {
            var victim = ready[_random.Next(ready.Length)];
            victim.Process.Kill();
            HostsKilled++;
            Forget(victim);
            FillUp();
        }
    }

    /// <summary>An immediate stop, and a restart a little later.</summary>
    internal async Task RestartPostgresAsync()
    {
        await Postgres.StopImmediatelyAsync();
        await WaitAsync(0.2, 2);
        await Postgres.StartAsync();
        PostgresRestarts++;
    }

    internal async Task RetireAllAsync()
    {
        FillUp();
        await AllReadyAsync();
        foreach (var host in _hosts.ToList())
        {
            if (await host.Process.StopAsync(TimeSpan.FromSeconds(60)) is not 0 and var code)
            {
                Troubles.Add($"A host that was told to stop ended with {code}: {string.Join(" | ", host.Process.Output)}");
            }

            Forget(host);
        }
    }

    internal Task WaitAsync(double atLeastSeconds, double atMostSeconds) =>
        Task.Delay(TimeSpan.FromSeconds(atLeastSeconds + (_random.NextDouble() * (atMostSeconds - atLeastSeconds))), _clock);

    public async ValueTask DisposeAsync()
    {
        _hosts.ToList().ForEach(Forget);
        _http.Dispose();
        await Provider.DisposeAsync();
        await Pooler.DisposeAsync();
        await Postgres.DisposeAsync();
        _directory.Delete(recursive: true);
    }

    private void Forget(Posting host)
    {
        _hosts.Remove(host);
        host.Process.Dispose();
    }

    private async Task<bool> BecomesReadyAsync(WorkerProcess process, int port)
    {
        var address = new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}/health/ready"));
        while (!process.HasExited)
        {
            try
            {
                using var answer = await _http.GetAsync(address);
                if (answer.IsSuccessStatusCode)
                {
                    return true;
                }
            }
            catch (Exception e) when (e is HttpRequestException or OperationCanceledException or ObjectDisposedException)
            {
                // Not listening yet, or not any more.
            }

            await Task.Delay(TimeSpan.FromMilliseconds(200), _clock);
        }

        return false;
    }

    private Dictionary<string, string> Settings(int port) => new(StringComparer.Ordinal)
    {
        ["ConnectionStrings__AgentPlatform"] = Postgres.ConnectionThrough(Pooler.Port, _options.LeaseSeconds),
        ["Postgres__Pooler"] = "transaction",
        ["PublicBaseUrl"] = string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}"),
        ["Work__LeaseSeconds"] = _options.LeaseSeconds.ToString(CultureInfo.InvariantCulture),
        ["AzureFunctionsJobHost__extensions__durableTask__storageProvider__taskEventLockTimeout"] = TimeSpan.FromSeconds(_options.LeaseSeconds).ToString("c", CultureInfo.InvariantCulture),
        ["Actions__AllowPrivateTargets"] = "true",
        ["Logging__LogLevel__Default"] = "Error",
    };
}

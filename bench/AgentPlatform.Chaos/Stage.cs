using System.Globalization;
using AgentPlatform.Chaos.Servers;

namespace AgentPlatform.Chaos;

/// <summary>A worker, its own way to the database, and its journal.</summary>
internal sealed record Posted(WorkerProcess Process, DatabaseWire Wire, string Journal);

/// <summary>A worker that was killed, and when: what it had begun must begin again elsewhere.</summary>
internal sealed record Death(string Journal, DateTimeOffset At);

/// <summary>Everything that a kill may strike: the servers, the workers and the wires between them.</summary>
internal sealed class Stage : IAsyncDisposable
{
    private readonly ChaosOptions _options;
    private readonly TimeProvider _clock;
    private readonly DirectoryInfo _journals = Directory.CreateTempSubdirectory("agentplatform-chaos-");
    private readonly List<Posted> _workers = [];

    private Stage(ChaosOptions options, TimeProvider clock, PostgresServer postgres, PoolerServer pooler, FakeProvider provider) =>
        (_options, _clock, Postgres, Pooler, Provider, Random) = (options, clock, postgres, pooler, provider, new Random(options.Seed));

    internal PostgresServer Postgres { get; }

    internal PoolerServer Pooler { get; }

    internal FakeProvider Provider { get; }

    internal Random Random { get; }

    internal List<Death> Deaths { get; } = [];

    /// <summary>Orderly stops that did not end in order.</summary>
    internal List<string> Troubles { get; } = [];

    internal IReadOnlyList<string> Journals => [.. _journals.GetFiles().Select(f => f.FullName)];

    /// <summary>A lease, and the time for what is noticed only after it.</summary>
    internal TimeSpan LongerThanLease => TimeSpan.FromSeconds(_options.LeaseSeconds * 1.3);

    internal static async Task<Stage> StartAsync(ChaosOptions options, TimeProvider clock)
    {
        var postgres = await PostgresServer.StartAsync(options.PostgresTools, options.Fsync);
        try
        {
            var pooler = await PoolerServer.StartAsync(postgres.Port, "agentplatform", postgres.Password);
            return new Stage(options, clock, postgres, pooler, await FakeProvider.StartAsync(Patience(options)));
        }
        catch
        {
            await postgres.DisposeAsync();
            throw;
        }
    }

    internal Posted AddWorker()
    {
        var wire = new DatabaseWire(Pooler.Port);
        var journal = Path.Combine(_journals.FullName, $"worker-{_workers.Count + Deaths.Count}-{_clock.GetUtcNow().UtcTicks}.journal");
        var program = Path.Combine(AppContext.BaseDirectory, "AgentPlatform.Chaos.dll");
        var posted = new Posted(WorkerProcess.Start(_journals.FullName, Settings(wire.Port, journal), program, "worker"), wire, journal);
        _workers.Add(posted);
        return posted;
    }

    internal Posted AnyWorker() => _workers[Random.Next(_workers.Count)];

    internal void Kill(Posted worker)
    {
        worker.Process.Kill();
        Deaths.Add(new Death(worker.Journal, _clock.GetUtcNow()));
        Forget(worker);
    }

    /// <summary>SIGTERM: what runs may finish.</summary>
    internal async Task RetireAsync(Posted worker)
    {
        var code = await worker.Process.StopAsync(TimeSpan.FromSeconds(30));
        if (code != 0)
        {
            Troubles.Add($"A worker that was told to stop ended with {code}: {string.Join(" | ", worker.Process.Output)}");
        }

        Forget(worker);
    }

    internal async Task RetireAllAsync()
    {
        foreach (var worker in _workers.ToArray())
        {
            await RetireAsync(worker);
        }
    }

    /// <summary>Random, so that a kill strikes another step each time.</summary>
    internal Task WaitAsync(double atLeastSeconds, double atMostSeconds) =>
        Task.Delay(TimeSpan.FromSeconds(atLeastSeconds + (Random.NextDouble() * (atMostSeconds - atLeastSeconds))), _clock);

    internal Task WaitAsync(TimeSpan time) => Task.Delay(time, _clock);

    public async ValueTask DisposeAsync()
    {
        _workers.ToList().ForEach(Forget);
        await Provider.DisposeAsync();
        await Pooler.DisposeAsync();
        await Postgres.DisposeAsync();
        _journals.Delete(recursive: true);
    }

    private static TimeSpan Patience(ChaosOptions options) => TimeSpan.FromSeconds(options.LeaseSeconds / 6.0);

    private void Forget(Posted worker)
    {
        _workers.Remove(worker);
        worker.Process.Dispose();
        worker.Wire.Dispose();
    }

    private Dictionary<string, string> Settings(int port, string journal) => new(StringComparer.Ordinal)
    {
        ["ConnectionStrings__AgentPlatform"] = Postgres.ConnectionThrough(port, _options.LeaseSeconds),
        ["Chaos__Journal"] = journal,
        ["Postgres__Pooler"] = "transaction",
        ["Work__LeaseSeconds"] = _options.LeaseSeconds.ToString(CultureInfo.InvariantCulture),
        ["Work__Concurrency"] = _options.Concurrency.ToString(CultureInfo.InvariantCulture),
        ["Chaos__Provider"] = Provider.Address,
        ["Chaos__PatienceSeconds"] = Patience(_options).TotalSeconds.ToString(CultureInfo.InvariantCulture),
        ["DOTNET_ENVIRONMENT"] = "Development",
        ["Logging__LogLevel__Default"] = "Error",
    };
}

using System.Diagnostics;
using System.Globalization;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Work;
using AgentPlatform.Work.Operate;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Bench.Engine;

/// <summary>
/// The platform's modules as a host runs them, with the bench's kinds of work, and a producer beside it that nudges nobody: what it puts in
/// waits until a drain is asked for, as in a host that sweeps.
/// </summary>
internal sealed class EngineHost : IAsyncDisposable
{
    private const int PerTransaction = 1000;

    private readonly IHost _host;
    private readonly ServiceProvider _producer;
    private int _keys;

    private EngineHost(IHost host, ServiceProvider producer) => (_host, _producer) = (host, producer);

    internal BenchJobs Jobs => _host.Services.GetRequiredService<BenchJobs>();

    internal static async Task<EngineHost> StartAsync()
    {
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { EnvironmentName = Environments.Development });
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.Services.AddAgentPlatform(builder.Configuration);
        builder.Services.AddSingleton<BenchJobs>();
        builder.Services.AddWorkHandler<NoopJob>(BenchJobs.Noop);
        builder.Services.AddWorkHandler<NoopJob>(BenchJobs.Forgotten, kind => kind.ForgetDone = true);
        builder.Services.AddWorkHandler<CommitJob>(BenchJobs.Commit, kind => kind.ForgetDone = true);
        builder.Services.AddWorkHandler<TimedJob>(BenchJobs.Timed);
        builder.Services.AddWorkHandler<SlowJob>(BenchJobs.Slow);
        var host = builder.Build();
        await host.Services.GetRequiredService<Migrator>().MigrateAsync(CancellationToken.None);
        await host.StartAsync();

        var producer = new ServiceCollection().AddSingleton<IConfiguration>(builder.Configuration).AddLogging().AddAgentPlatform(builder.Configuration);
        foreach (var kind in BenchJobs.Kinds)
        {
            producer.AddSingleton(new WorkKind(kind, typeof(IWorkHandler)));
        }

        return new EngineHost(host, producer.BuildServiceProvider());
    }

    internal async Task<Guid> NewTenantAsync(string slug) =>
        (await _producer.GetRequiredService<TenantProvisioning>().CreateAsync(new NewTenant(slug, $"{slug}-{Guid.CreateVersion7(TimeProvider.System.GetUtcNow()):N}", $"{slug}@example.test"), CancellationToken.None)).Value.TenantId;

    /// <summary>Puts work in, a thousand to a transaction, and says how long that took.</summary>
    internal async Task<TimeSpan> EnqueueAsync(Guid tenant, string kind, int count)
    {
        var queue = _producer.GetRequiredService<WorkQueue>();
        var start = Stopwatch.GetTimestamp();
        for (var done = 0; done < count; done += PerTransaction)
        {
            await using var tx = _producer.GetRequiredService<Database>().Begin(Actor.System(tenant));
            queue.EnqueueMany(tx, [.. Enumerable.Range(0, Math.Min(PerTransaction, count - done)).Select(i => new NewWork(kind, NewKey(), new { id = i }))]);
            await tx.CommitAsync(CancellationToken.None);
        }

        return Stopwatch.GetElapsedTime(start);
    }

    /// <summary>
    /// Runs all that is due, and says how long that took. Every completion is committed when it returns, also where the host's own look around, which
    /// it takes every few seconds, has begun before this drain.
    /// </summary>
    internal async Task<TimeSpan> DrainAsync()
    {
        var start = Stopwatch.GetTimestamp();
        TimeSpan took;
        do
        {
            await _host.Services.GetRequiredService<WorkRunner>().DrainAsync(CancellationToken.None);
            took = Stopwatch.GetElapsedTime(start);
        }
        while (await IsAnyLeftAsync());

        return took;
    }

    private async Task<bool> IsAnyLeftAsync()
    {
        await using var tx = _producer.GetRequiredService<Database>().BeginWorker();
        return await tx.SingleAsync<bool>("SELECT EXISTS (SELECT FROM work.items WHERE state = 'running' OR state = 'ready' AND run_at <= now())", [], CancellationToken.None);
    }

    /// <summary>Limits that nothing reaches: what is measured is the counting.</summary>
    internal async Task LimitAsync(Guid tenant, string kind)
    {
        var limits = _host.Services.GetRequiredService<Limits>();
        var set = await limits.SetAsync(Actor.System(tenant), new NewLimit(kind, null, 1_000_000, null, 1_000_000), CancellationToken.None);
        _ = set.Value;
    }

    internal async Task LiftLimitsAsync(Guid tenant)
    {
        var limits = _host.Services.GetRequiredService<Limits>();
        await using var tx = _host.Services.GetRequiredService<Database>().Begin(Actor.System(tenant));
        foreach (var limit in (await Limits.ListAsync(tx, new PageRequest(PageRequest.MaxLimit, null), CancellationToken.None)).Items)
        {
            await limits.LiftAsync(Actor.System(tenant), limit.Id, CancellationToken.None);
        }
    }

    /// <summary>Leaves a drain running until <paramref name="stop"/>.</summary>
    internal Task DrainUntilAsync(CancellationToken stop) => _host.Services.GetRequiredService<WorkRunner>().DrainAsync(stop);

    /// <summary>Milliseconds from the beginning of each enqueue to the start of its handler, at a steady pace, nudged as in a host.</summary>
    internal async Task<IReadOnlyList<double>> DelaysAsync(Guid tenant, int count, TimeSpan pace)
    {
        var added = new Dictionary<string, long>(StringComparer.Ordinal);
        using var timer = new PeriodicTimer(pace, TimeProvider.System);
        while (added.Count < count && await timer.WaitForNextTickAsync())
        {
            var key = NewKey();
            added[key] = Stopwatch.GetTimestamp();
            await using var tx = _host.Services.GetRequiredService<Database>().Begin(Actor.System(tenant));
            _host.Services.GetRequiredService<WorkQueue>().Enqueue(tx, new NewWork(BenchJobs.Timed, key, new { }));
            await tx.CommitAsync(CancellationToken.None);
        }

        var patience = Stopwatch.GetTimestamp();
        while (!added.Keys.All(Jobs.Starts.ContainsKey))
        {
            if (Stopwatch.GetElapsedTime(patience) > TimeSpan.FromSeconds(60))
            {
                throw new TimeoutException("Work that was added did not start within a minute.");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System);
        }

        return [.. added.Select(a => Stopwatch.GetElapsedTime(a.Value, Jobs.Starts[a.Key]).TotalMilliseconds)];
    }

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
        await _producer.DisposeAsync();
    }

    private string NewKey() => Interlocked.Increment(ref _keys).ToString(CultureInfo.InvariantCulture);
}

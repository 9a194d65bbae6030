using AgentPlatform.Chaos.Servers;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Work;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace AgentPlatform.Chaos;

/// <summary>Puts the jobs in, through the pooler, while servers die: it says each one again until its commit was heard of.</summary>
internal sealed class Producer : IAsyncDisposable
{
    private const int PerTransaction = 200;

    private readonly ServiceProvider _services;
    private readonly TimeProvider _clock;
    private Actor? _tenant;

    private Producer(ServiceProvider services, TimeProvider clock) => (_services, _clock) = (services, clock);

    /// <summary>Brings the database up to date and makes the tenant whose jobs these are.</summary>
    internal static async Task<Producer> StartAsync(Stage stage, TimeProvider clock)
    {
        var services = PlatformServices.Behind(stage.Pooler, stage.Postgres);
        foreach (var kind in Jobs.Kinds)
        {
            services.AddSingleton(new WorkKind(kind, typeof(IWorkHandler)));
        }

        var producer = new Producer(services.BuildServiceProvider(), clock);
        await producer._services.GetRequiredService<Migrator>().MigrateAsync(CancellationToken.None);
        var created = await producer._services.GetRequiredService<TenantProvisioning>().CreateAsync(new NewTenant("Chaos", "chaos", "chaos@example.test"), CancellationToken.None);
        producer._tenant = Actor.System(created.Value.TenantId);
        return producer;
    }

    internal async Task EnqueueAsync(IEnumerable<Job> jobs)
    {
        foreach (var some in jobs.Chunk(PerTransaction))
        {
            while (!await TryEnqueueAsync(some))
            {
                await Task.Delay(TimeSpan.FromSeconds(0.5), _clock);
            }
        }
    }

    public ValueTask DisposeAsync() => _services.DisposeAsync();

    private async Task<bool> TryEnqueueAsync(Job[] jobs)
    {
        try
        {
            await using var tx = _services.GetRequiredService<Database>().Begin(_tenant!);
            var queue = _services.GetRequiredService<WorkQueue>();
            Array.ForEach(jobs, job => queue.Enqueue(tx, job.ToWork()));
            await tx.CommitAsync(CancellationToken.None);
            return true;
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException)
        {
            // Committed or not: the same key is enqueued once.
            return false;
        }
    }
}

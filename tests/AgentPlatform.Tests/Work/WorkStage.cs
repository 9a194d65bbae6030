using System.Collections.Concurrent;
using AgentPlatform.Postgres;
using AgentPlatform.Tests.Api;
using AgentPlatform.Work;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace AgentPlatform.Tests.Work;

/// <summary>The engine behind its API, with one kind of work (<c>test.play</c>, three attempts) that ends as the test says.</summary>
public sealed class WorkStage : IAsyncDisposable
{
    private WorkStage()
    {
    }

    internal TestApi Api { get; private set; } = null!;

    internal TestPlatform Platform => Api.Platform;

    internal Actor Tenant => Api.Owner;

    /// <summary>The keys in the order their items ran.</summary>
    internal ConcurrentQueue<string> Runs { get; } = new();

    internal Func<WorkItem, WorkOutcome> Ends { get; set; } = _ => new WorkOutcome.Done();

    internal static async Task<WorkStage> StartAsync(Action<IServiceCollection>? configure = null)
    {
        var stage = new WorkStage();
        stage.Api = await TestApi.StartAsync(services =>
        {
            services.AddSingleton(stage).AddWorkHandler<Player>("test.play", kind => kind.MaxAttempts = 3).AddWorkHandler<Player>("test.other");
            configure?.Invoke(services);
        });
        // The tenant's own beginning is work too; it is over before the play begins.
        await stage.Platform.DrainAsync();
        return stage;
    }

    internal Task EnqueueAsync(params NewWork[] works) => Platform.AsAsync(Tenant, tx =>
    {
        Array.ForEach(works, work => Platform.Get<WorkQueue>().Enqueue(tx, work));
        return Task.CompletedTask;
    });

    internal Task EnqueueAsync(params string[] keys) => EnqueueAsync([.. keys.Select(key => new NewWork("test.play", key, new { key }))]);

    /// <summary>Lets time pass for what waits.</summary>
    internal Task MakeDueAsync() => ChangeAsync("UPDATE work.items SET run_at = now() WHERE state = 'ready' AND run_at < 'infinity'");

    internal Task ChangeAsync(string sql) => Platform.AsAsync(Tenant, tx => tx.ExecuteAsync(sql, [], default));

    internal async Task DrainDueAsync()
    {
        await MakeDueAsync();
        await Platform.DrainAsync();
    }

    /// <summary>Ends all connections to the database.</summary>
    internal Task<long> CutOffAsync() => Platform.Postgres.ScalarAsync<long>(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()");

    /// <summary>Every pooled connection fails once before it is replaced.</summary>
    internal async Task DrainWhenBackAsync()
    {
        for (var i = 0; i < 50; i++)
        {
            try
            {
                await Platform.DrainAsync();
                return;
            }
            catch (NpgsqlException)
            {
                // The next connection.
            }
        }
    }

    internal Task<string> StateAsync(string key) =>
        Platform.Postgres.ScalarAsync<string>("SELECT state || '|' || attempts || '|' || coalesce(last_error, '') FROM work.items WHERE key = $1", key);

    public ValueTask DisposeAsync() => Api.DisposeAsync();

    internal sealed class Player(WorkStage stage) : IWorkHandler
    {
        public Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
        {
            stage.Runs.Enqueue(item.Key);
            return Task.FromResult(stage.Ends(item));
        }
    }
}

using AgentPlatform.Functions;
using AgentPlatform.Kernel;
using AgentPlatform.LocalHost;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Tests.LocalHost;
using AgentPlatform.Work;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Functions;

/// <summary>The functions app with its Program's services, in this process, and one kind of work of the tests' own.</summary>
internal sealed class FunctionsStage : IAsyncDisposable
{
    private const string Kind = "test.functions";

    private FunctionsStage(TestDatabase database, LocalHostApp app, Inbox inbox) => (Database, App, Inbox) = (database, app, inbox);

    internal TestDatabase Database { get; }

    internal LocalHostApp App { get; }

    internal Inbox Inbox { get; }

    internal static async Task<FunctionsStage> StartAsync(params (string Key, string Value)[] settings)
    {
        var (database, inbox) = (await TestDatabase.CreateAsync(), new Inbox());
        var app = await LocalHostApp.StartAsync(new(typeof(WorkFunctions).Assembly.GetTypes())
        {
            Database = database,
            Settings = settings,
            Configure = builder =>
            {
                builder.UseMiddleware<JobMiddleware>();
                builder.Services
                    .AddSingleton(inbox)
                    .AddAgentPlatform(builder.Configuration)
                    .AddSingleton<Pipelines>()
                    .AddDurableWorkflows()
                    .AddWorkHandler<Handler>(Kind);
            },
        });
        return new FunctionsStage(database, app, inbox);
    }

    /// <summary>By another process, as it were: this one hears of no commit.</summary>
    internal Task EnqueueUnnoticedAsync() => UnnoticedAsync((platform, tx) =>
    {
        platform.GetRequiredService<WorkQueue>().Enqueue(tx, new NewWork(Kind, $"{TimeProvider.System.NewId()}", "payload"));
        return Task.CompletedTask;
    });

    internal async Task UnnoticedAsync(Func<IServiceProvider, Transaction, Task> act)
    {
        await using var platform = new ServiceCollection()
            .AddSingleton(App.Services.GetRequiredService<IConfiguration>())
            .AddLogging()
            .AddAgentPlatform(App.Services.GetRequiredService<IConfiguration>())
            .AddWorkHandler<Handler>(Kind)
            .BuildServiceProvider();
        var unique = TimeProvider.System.NewId();
        var tenant = (await platform.GetRequiredService<TenantProvisioning>().CreateAsync(new NewTenant("Acme", $"t-{unique}", $"{unique}@example.test"), default)).Value;
        await using var tx = platform.GetRequiredService<Database>().Begin(Actor.System(tenant.TenantId));
        await act(platform, tx);
        await tx.CommitAsync(default);
    }

    public async ValueTask DisposeAsync()
    {
        await App.DisposeAsync();
        await Database.DisposeAsync();
    }

    internal sealed class Handler(Inbox inbox) : IWorkHandler
    {
        public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
        {
            await inbox.TakeAsync(item.Read<string>(), ct);
            return new WorkOutcome.Done();
        }
    }
}

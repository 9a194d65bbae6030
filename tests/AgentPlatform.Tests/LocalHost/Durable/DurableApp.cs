using AgentPlatform.LocalHost;
using AgentPlatform.LocalHost.Durable;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Tests.LocalHost.Durable;

/// <summary>A host with the conformance suite's functions.</summary>
internal sealed class DurableApp : IAsyncDisposable
{
    private static readonly Type[] Suite = [typeof(Activities), typeof(Orchestrators), typeof(RetryingOrchestrators), typeof(RacingOrchestrators)];

    private DurableApp(LocalHostApp app, Bench bench, RecordingLog log) => (App, Bench, Log) = (app, bench, log);

    internal LocalHostApp App { get; }

    internal Bench Bench { get; }

    internal RecordingLog Log { get; }

    internal PostgresDurableClient Client => App.Services.GetRequiredService<PostgresDurableClient>();

    internal static string HostJson(bool sessions) =>
        $$"""
        { "version": "2.0", "extensions": { "http": { "routePrefix": "" }, "durableTask": { "extendedSessionsEnabled": {{(sessions ? "true" : "false")}} } } }
        """;

    internal static async Task<DurableApp> StartAsync(
        bool sessions = true, TestDatabase? database = null, TimeProvider? clock = null, Bench? bench = null, Type[]? functions = null)
    {
        bench ??= new Bench();
        var log = new RecordingLog();
        var app = await LocalHostApp.StartAsync(new LocalHostApp.Setup(functions ?? Suite)
        {
            HostJson = HostJson(sessions),
            Database = database,
            Clock = clock,
            Configure = b =>
            {
                b.Services.AddSingleton(bench);
                b.Logging.AddProvider(log);
            },
        });
        return new DurableApp(app, bench, log);
    }

    internal Task<string> StartAsync(string name, object? input = null, string? id = null) =>
        Client.ScheduleNewOrchestrationInstanceAsync(name, input, new StartOrchestrationOptions(id));

    internal async Task<OrchestrationMetadata> EndAsync(string id, int seconds = 90)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(seconds));
        try
        {
            return await Client.WaitForInstanceCompletionAsync(id, getInputsAndOutputs: true, limit.Token);
        }
        catch (OperationCanceledException e)
        {
            var stuck = await Client.GetInstanceAsync(id, getInputsAndOutputs: true);
            throw new TimeoutException($"{stuck} does not end.\n{Log.Text}", e);
        }
    }

    /// <summary>Starts it, waits for its end and reads its output.</summary>
    internal async Task<T?> RunAsync<T>(string name, object? input = null, string? id = null)
    {
        var ended = await EndAsync(await StartAsync(name, input, id));
        Assert.True(ended.RuntimeStatus == OrchestrationRuntimeStatus.Completed, $"{ended} {ended.FailureDetails}\n{Log.Text}");
        return ended.ReadOutputAs<T>();
    }

    internal async Task<TaskFailureDetails> FailAsync(string name, object? input = null)
    {
        var ended = await EndAsync(await StartAsync(name, input));
        Assert.Equal(OrchestrationRuntimeStatus.Failed, ended.RuntimeStatus);
        return ended.FailureDetails!;
    }

    internal Task<OrchestrationMetadata> SeeAsync(string id, Func<OrchestrationMetadata, bool> enough) =>
        Eventually.SeeAsync(async () => (await Client.GetInstanceAsync(id, getInputsAndOutputs: true))!, enough);

    /// <summary>As a killed process: nothing more is written, and leases stay.</summary>
    internal Task KillAsync() => App.Services.GetRequiredService<DurableHost>().KillAsync();

    public ValueTask DisposeAsync() => App.DisposeAsync();
}

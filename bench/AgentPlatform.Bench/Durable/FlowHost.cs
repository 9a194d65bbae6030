using System.Diagnostics;
using AgentPlatform.LocalHost;
using AgentPlatform.LocalHost.Hosting;
using AgentPlatform.Postgres;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Bench.Durable;

/// <summary>A local host with the settings it ships with, and nothing but the bench's orchestrations.</summary>
internal sealed class FlowHost : IAsyncDisposable
{
    private readonly LocalApplication _app;

    private FlowHost(LocalApplication app) => _app = app;

    internal DurableTaskClient Client => _app.Services.GetRequiredService<LocalHost.Durable.PostgresDurableClient>();

    internal Wakes Wakes => _app.Services.GetRequiredService<Wakes>();

    internal static async Task<FlowHost> StartAsync()
    {
        var root = Directory.CreateTempSubdirectory("agentplatform-bench-").FullName;
        await File.WriteAllTextAsync(Path.Combine(root, "host.json"), """{ "version": "2.0" }""");
        string[] args =
        [
            "--port", "0", "--ConnectionStrings:AgentPlatform", BenchOptions.ConnectionString, "--Host:KeyFile", Path.Combine(root, "keys.json"),
        ];
        var builder = new FunctionsApplicationBuilder(args, [typeof(BenchFlows)], root);
        builder.Services.AddPostgres();
        builder.Services.AddSingleton(MigrationSet.FromResources(HostStartup.Schema));
        builder.Services.AddSingleton<Wakes>();
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        var app = builder.Build(new Terminal(TextWriter.Null, Console.Error, _ => { }));
        await app.StartAsync();
        return new FlowHost(app);
    }

    /// <summary>Runs workflows of five steps, <paramref name="width"/> at a time, and says how long that took.</summary>
    internal async Task<TimeSpan> FlyAsync(int total, int width)
    {
        var left = total;
        async Task LaneAsync()
        {
            while (Interlocked.Decrement(ref left) >= 0)
            {
                await RunAsync(nameof(BenchFlows.FiveSteps), 0, 5);
            }
        }

        var start = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, width).Select(_ => LaneAsync()));
        return Stopwatch.GetElapsedTime(start);
    }

    /// <summary>Runs one orchestration to its end.</summary>
    internal async Task RunAsync(string name, int input, int expected)
    {
        var id = await Client.ScheduleNewOrchestrationInstanceAsync(name, input);
        var ended = await Client.WaitForInstanceCompletionAsync(id, getInputsAndOutputs: true);
        if (ended.ReadOutputAs<int>() != expected)
        {
            throw new InvalidOperationException($"{name} ended with {ended.SerializedOutput} ({ended.RuntimeStatus}, {ended.FailureDetails}), not with {expected}.");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
    }
}

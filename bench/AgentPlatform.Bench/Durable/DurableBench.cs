using System.Diagnostics;
using AgentPlatform.Bench.Engine;
using Npgsql;

namespace AgentPlatform.Bench.Durable;

/// <summary>The durable runtime beside DBOS Transact, in turn on one cluster. Both run the same workflows of steps that do nothing.</summary>
internal sealed class DurableBench(BenchOptions options, FlowHost host)
{
    private const int Width = 32;
    private const int Fan = 4000;

    /// <summary>Of the sleepers, those that fall due while it is measured, spread over ten seconds.</summary>
    private const int Waking = 2000;

    private readonly List<Figure> _figures = [];

    internal static async Task<int> RunAsync(BenchOptions options)
    {
        await using var host = await FlowHost.StartAsync();
        var bench = new DurableBench(options, host);
        Say("warming up");
        await host.FlyAsync(2000, Width);
        (string Name, Func<Task> MeasureAsync)[] phases =
            [("steps", bench.StepsAsync), ("alone", bench.AloneAsync), ("fanout", bench.FanOutAsync), ("sleep", bench.SleepAsync)];
        foreach (var phase in phases.Where(p => options.Only is null || p.Name == options.Only))
        {
            await phase.MeasureAsync();
        }

        if (options.Only is null && BenchOptions.Page is { Length: > 0 } page)
        {
            await BenchPage.WriteAsync(page, BenchPage.Durable(options), bench._figures);
        }

        return Report.Write("durable", bench._figures, options.JsonFile);
    }

    private async Task StepsAsync()
    {
        var (ours, theirs) = await InTurnAsync(
            "steps", async () => options.Flows * 5 / (await host.FlyAsync(options.Flows, Width)).TotalSeconds, Math.Max(options.Flows / 4, 100));
        _figures.Add(new("workflows of 5 steps, 32 in flight", ours, "steps/s"));
        _figures.Add(new("DBOS Transact, the same", theirs, "steps/s"));
        _figures.Add(new("steps a second / DBOS", ours / theirs, "×", 5, AtLeast: true));
    }

    private async Task AloneAsync()
    {
        var (ours, theirs) = await InTurnAsync("alone", AloneOnceAsync, 100);
        _figures.Add(new("a workflow of 5 steps alone, median", ours, "ms", 6));
        _figures.Add(new("DBOS Transact, the same", theirs, "ms"));
        _figures.Add(new("time alone / DBOS", ours / theirs, "×"));
    }

    private async Task<double> AloneOnceAsync()
    {
        var times = new List<double>();
        for (var i = 0; i < 200; i++)
        {
            times.Add((await host.FlyAsync(1, 1)).TotalMilliseconds);
        }

        return Report.Percentile(times, 50);
    }

    private async Task FanOutAsync()
    {
        var (ours, theirs) = await InTurnAsync("fanout", FanOutOnceAsync, Fan);
        _figures.Add(new($"fan-out of {Fan:N0} activities", ours, "s"));
        _figures.Add(new("DBOS Transact, the same", theirs, "s"));
    }

    private async Task<double> FanOutOnceAsync()
    {
        var start = Stopwatch.GetTimestamp();
        await host.RunAsync(nameof(BenchFlows.FanOut), Fan, Fan);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private async Task SleepAsync()
    {
        Say($"{options.Sleepers:N0} sleepers");
        var far = TimeProvider.System.GetUtcNow().UtcDateTime.AddDays(30);
        await StartManyAsync(options.Sleepers - Waking, _ => far);
        Say("  asleep");
        // A connection tells the server its counts up to ten seconds late.
        await Task.Delay(TimeSpan.FromSeconds(12), TimeProvider.System);
        var (before, start) = (await StatementsAsync(), Stopwatch.GetTimestamp());
        await Task.Delay(TimeSpan.FromSeconds(12), TimeProvider.System);
        var rate = (await StatementsAsync() - before) / Stopwatch.GetElapsedTime(start).TotalSeconds;

        var soon = TimeProvider.System.GetUtcNow().UtcDateTime.AddSeconds(10);
        await StartManyAsync(Waking, n => soon.AddMilliseconds(n * 10_000.0 / Waking));
        var patience = Stopwatch.GetTimestamp();
        while (host.Wakes.Late.Count < Waking && Stopwatch.GetElapsedTime(patience) < TimeSpan.FromMinutes(1))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System);
        }

        if (host.Wakes.Late.Count != Waking)
        {
            throw new InvalidOperationException($"{host.Wakes.Late.Count} of {Waking} sleepers woke.");
        }

        _figures.Add(new($"statements while {options.Sleepers:N0} instances sleep", rate, "/s", 10));
        _figures.Add(new("a sleeper starts after its due time, p99", Report.Percentile(host.Wakes.Late, 99), "ms", 1000));
    }

    private async Task StartManyAsync(int count, Func<int, DateTime> due)
    {
        await Parallel.ForEachAsync(Enumerable.Range(0, count), new ParallelOptions { MaxDegreeOfParallelism = 2 * Width }, async (n, ct) =>
            await host.Client.ScheduleNewOrchestrationInstanceAsync(nameof(BenchFlows.Sleep), due(n), cancellation: ct));
        await using var source = NpgsqlDataSource.Create(BenchOptions.AdminConnectionString);
        await using var awake = source.CreateCommand("SELECT count(*) FROM durable.messages WHERE kind = 'ExecutionStarted'");
        while ((long)(await awake.ExecuteScalarAsync())! > 0)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System);
        }
    }

    /// <summary>Transactions of the platform's database so far: a look of an idle loop is one. This one's are in another database.</summary>
    private static async Task<long> StatementsAsync()
    {
        var admin = new NpgsqlConnectionStringBuilder(BenchOptions.AdminConnectionString) { Database = "postgres" };
        await using var source = NpgsqlDataSource.Create(admin.ConnectionString);
        await using var command = source.CreateCommand("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'agentplatform'");
        return (long)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>Ours and the peer's, in turn, as often as there are rounds; the medians.</summary>
    private async Task<(double Ours, double Theirs)> InTurnAsync(string phase, Func<Task<double>> measureAsync, int peerCount)
    {
        var (ours, theirs) = (new List<double>(), new List<double>());
        for (var i = 0; i < options.Rounds; i++)
        {
            ours.Add(await measureAsync());
            theirs.Add(await Peers.FigureAsync("workflows.mjs", "dbos", phase, peerCount));
            Say($"{phase}: {ours[^1]:0.00} ours, {theirs[^1]:0.00} DBOS");
        }

        return (Report.Percentile(ours, 50), Report.Percentile(theirs, 50));
    }

    private static void Say(string what) => Console.Error.WriteLine($"  … {what}");
}

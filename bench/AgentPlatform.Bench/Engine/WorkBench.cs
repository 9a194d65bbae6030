using System.Diagnostics;
using Npgsql;

namespace AgentPlatform.Bench.Engine;

/// <summary>
/// The work engine beside its peers, in turn on one cluster, so that a busy machine is as hard on each. Ours runs with the options that a
/// host ships with.
/// </summary>
internal sealed class WorkBench(BenchOptions options, EngineHost engine, Guid tenant)
{
    /// <summary>Enough for the compiler to have seen everything.</summary>
    private const int WarmUp = 20_000;

    private readonly List<Figure> _figures = [];

    internal static async Task<int> RunAsync(BenchOptions options)
    {
        await using var engine = await EngineHost.StartAsync();
        var bench = new WorkBench(options, engine, await engine.NewTenantAsync("bench"));
        await bench.WarmUpAsync();
        (string Name, Func<Task> MeasureAsync)[] phases =
        [
            ("throughput", bench.ThroughputAsync), ("latency", bench.LatencyAsync), ("limits", bench.LimitsAsync),
            ("snapshot", bench.SnapshotAsync), ("fairness", bench.FairnessAsync),
        ];
        foreach (var phase in phases.Where(p => options.Only is null || p.Name == options.Only))
        {
            await phase.MeasureAsync();
        }

        if (options.Only is null && BenchOptions.Page is { Length: > 0 } page)
        {
            await BenchPage.WriteAsync(page, BenchPage.Work(options), bench._figures);
        }

        return Report.Write("work", bench._figures, options.JsonFile);
    }

    private async Task WarmUpAsync()
    {
        Say("warming up");
        foreach (var kind in new[] { BenchJobs.Noop, BenchJobs.Forgotten, BenchJobs.Commit })
        {
            await engine.EnqueueAsync(tenant, kind, WarmUp);
            await engine.DrainAsync();
        }

        await engine.DelaysAsync(tenant, 50, TimeSpan.FromMilliseconds(10));
    }

    private async Task ThroughputAsync()
    {
        var rounds = new List<Round>();
        var memory = 0.0;
        for (var i = 1; i <= options.Rounds; i++)
        {
            Say($"throughput, round {i} of {options.Rounds}");
            var (enqueue, kept) = await OursAsync(BenchJobs.Noop, options.Jobs);
            memory = i == 1 ? LiveMegabytes() : memory;
            rounds.Add(new Round(
                enqueue, kept, (await OursAsync(BenchJobs.Forgotten, options.Jobs)).Drain, (await OursAsync(BenchJobs.Commit, options.Jobs / 5)).Drain,
                await Peers.RateAsync("graphile-worker", "batched", options.Jobs),
                await Peers.RateAsync("graphile-worker", "single", options.Jobs / 5),
                await Peers.RateAsync("pg-boss", "batched", options.Jobs),
                await Peers.RateAsync("pg-boss", "insert", options.Jobs)));
            Say($"  {rounds[^1]}");
        }

        double Of(Func<Round, double> figure) => Report.Percentile(rounds.Select(figure), 50);
        _figures.AddRange(
        [
            new("batched no-op jobs", Of(r => r.Forgotten), "jobs/s"),
            new("graphile-worker, localQueue 500", Of(r => r.GraphileBatched), "jobs/s"),
            new("pg-boss, batches of 1,000", Of(r => r.BossBatched), "jobs/s"),
            new("batched / graphile-worker", Of(r => r.Forgotten / r.GraphileBatched), "×", 2, AtLeast: true),
            new("batched / pg-boss", Of(r => r.Forgotten / r.BossBatched), "×", 2.5, AtLeast: true),
            new("the same, kept when done as pg-boss does", Of(r => r.Kept), "jobs/s"),
            new("kept / pg-boss", Of(r => r.Kept / r.BossBatched), "×"),
            new("one commit per job", Of(r => r.Single), "jobs/s"),
            new("graphile-worker, no batching", Of(r => r.GraphileSingle), "jobs/s"),
            new("one commit per job / graphile-worker", Of(r => r.Single / r.GraphileSingle), "×", 3, AtLeast: true),
            new("bulk enqueue", Of(r => r.Enqueue), "jobs/s"),
            new("pg-boss, insert of 1,000", Of(r => r.BossInsert), "jobs/s"),
            new("bulk enqueue / pg-boss", Of(r => r.Enqueue / r.BossInsert), "×", 2, AtLeast: true),
            new($"live memory gained over {(options.Rounds - 1) * options.Jobs:N0} jobs", LiveMegabytes() - memory, "MB", 5),
        ]);
    }

    private async Task<(double Enqueue, double Drain)> OursAsync(string kind, int jobs)
    {
        await AdminAsync("TRUNCATE work.items");
        var enqueue = await engine.EnqueueAsync(tenant, kind, jobs);
        await AdminAsync("VACUUM ANALYZE work.items");
        return (jobs / enqueue.TotalSeconds, jobs / (await engine.DrainAsync()).TotalSeconds);
    }

    private async Task LatencyAsync()
    {
        Say("latency when idle");
        await AdminAsync("TRUNCATE work.items");
        var delays = await engine.DelaysAsync(tenant, 50 * options.Seconds, TimeSpan.FromMilliseconds(20));
        _figures.Add(new("add to start when idle, average", delays.Average(), "ms", 5));
        _figures.Add(new("add to start when idle, p99", Report.Percentile(delays, 99), "ms"));
    }

    private async Task LimitsAsync()
    {
        Say("limits");
        _ = await LimitedAsync(WarmUp);
        var ratios = new List<double>();
        for (var i = 0; i < options.Rounds; i++)
        {
            // What the machine does meanwhile, its checkpoints above all, is not to count for or against limits.
            var (_, before) = await OursAsync(BenchJobs.Noop, options.Jobs);
            var with = (await LimitedAsync(options.Jobs) + await LimitedAsync(options.Jobs)) / 2;
            var (_, after) = await OursAsync(BenchJobs.Noop, options.Jobs);
            ratios.Add(with / ((before + after) / 2) * 100);
            Say($"  {before:0} before, {with:0} with, {after:0} after");
        }

        _figures.Add(new("throughput under limits that do not bind", Report.Percentile(ratios, 50), "%", 90, AtLeast: true));
    }

    /// <summary>Jobs a second under limits that nothing reaches.</summary>
    private async Task<double> LimitedAsync(int jobs)
    {
        await engine.LimitAsync(tenant, BenchJobs.Noop);
        var (_, rate) = await OursAsync(BenchJobs.Noop, jobs);
        await engine.LiftLimitsAsync(tenant);
        return rate;
    }

    /// <summary>The same chunks of work before an old snapshot and during it: what was claimed and done stays behind as dead rows.</summary>
    private async Task SnapshotAsync()
    {
        Say($"an old snapshot for {options.SnapshotSeconds} s");
        await AdminAsync("TRUNCATE work.items");
        var without = await ChunksAsync(TimeSpan.FromSeconds(options.SnapshotSeconds / 3.0));
        await AdminAsync("TRUNCATE work.items");
        await using var source = NpgsqlDataSource.Create(BenchOptions.AdminConnectionString);
        await using var connection = await source.OpenConnectionAsync();
        await using var snapshot = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead);
        await using var look = new NpgsqlCommand("SELECT count(*) FROM tenancy.tenants", connection, snapshot);
        await look.ExecuteScalarAsync();
        var with = await ChunksAsync(TimeSpan.FromSeconds(options.SnapshotSeconds));
        var last = with.Skip(with.Count * 2 / 3).Average();
        Say($"  {without.Average():0} without, {with.Average():0} with, {last:0} in its last third");
        _figures.Add(new($"throughput at the end of a snapshot of {options.SnapshotSeconds} s", last / without.Average() * 100, "%", 90, AtLeast: true));
        await snapshot.RollbackAsync();
    }

    private async Task<List<double>> ChunksAsync(TimeSpan time)
    {
        const int Chunk = 20_000;
        var rates = new List<double>();
        var start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < time)
        {
            await engine.EnqueueAsync(tenant, BenchJobs.Noop, Chunk);
            rates.Add(Chunk / (await engine.DrainAsync()).TotalSeconds);
        }

        return rates;
    }

    /// <summary>Another tenant's start delays, behind a short queue that keeps every slot busy and behind a long one.</summary>
    private async Task FairnessAsync()
    {
        Say("fairness");
        var flooder = await engine.NewTenantAsync("flood");
        var seconds = Math.Max(options.Seconds, 10);
        var few = await BehindAsync(flooder, (seconds + 5) * 1600);
        var many = await BehindAsync(flooder, options.Backlog);
        _figures.Add(new("start delay of a tenant beside a busy one, p99", Report.Percentile(few, 99), "ms"));
        _figures.Add(new($"the same with {options.Backlog:N0} items waiting, p99", Report.Percentile(many, 99), "ms"));
        _figures.Add(new("raised by", ((Report.Percentile(many, 99) / Report.Percentile(few, 99)) - 1) * 100, "%", 20));
    }

    private async Task<IReadOnlyList<double>> BehindAsync(Guid flooder, int backlog)
    {
        await AdminAsync("TRUNCATE work.items");
        await engine.EnqueueAsync(flooder, BenchJobs.Slow, backlog);
        await AdminAsync("VACUUM ANALYZE work.items");
        using var stop = new CancellationTokenSource();
        var draining = engine.DrainUntilAsync(stop.Token);
        var delays = await engine.DelaysAsync(tenant, 50 * Math.Max(options.Seconds, 10), TimeSpan.FromMilliseconds(20));
        await stop.CancelAsync();
        await draining;
        Say($"  behind {backlog}: p50 {Report.Percentile(delays, 50):0.0} ms, p99 {Report.Percentile(delays, 99):0.0} ms");
        return delays;
    }

    private static double LiveMegabytes() => GC.GetTotalMemory(forceFullCollection: true) / 1048576.0;

    private static async Task AdminAsync(string sql)
    {
        await using var source = NpgsqlDataSource.Create(BenchOptions.AdminConnectionString);
        await using var command = source.CreateCommand(sql);
        command.CommandTimeout = 300;
        await command.ExecuteNonQueryAsync();
    }

    private static void Say(string what) => Console.Error.WriteLine($"  … {what}");

    /// <summary>Jobs a second, of ours and of the peers.</summary>
    private sealed record Round(double Enqueue, double Kept, double Forgotten, double Single, double GraphileBatched, double GraphileSingle, double BossBatched, double BossInsert);
}

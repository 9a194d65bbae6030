using System.Diagnostics;
using AgentPlatform.Chaos.Reports;
using AgentPlatform.Chaos.Workers;
using Npgsql;

namespace AgentPlatform.Chaos;

/// <summary>The run: jobs flow in, the kills strike one after another, and at the end the books are checked.</summary>
internal sealed class ChaosRun(ChaosOptions options, TimeProvider clock, Action<string> say)
{
    internal async Task<ChaosResult> RunAsync(CancellationToken ct)
    {
        var watch = Stopwatch.StartNew();
        await using var stage = await Stage.StartAsync(options, clock);
        await using var producer = await Producer.StartAsync(stage, clock);
        await using var engine = new EngineState(stage.Postgres.AdminConnectionString);
        await engine.PrepareAsync();
        for (var i = 0; i < options.Workers; i++)
        {
            stage.AddWorker();
        }

        var plan = Jobs.Plan(options.Jobs);
        var struck = await StrikeAsync(stage, producer, plan, ct);
        say("waiting for the rest");
        await DrainAsync(engine, ct);
        await stage.RetireAllAsync();
        var books = await BooksAsync(stage, engine);
        var violations = stage.Troubles.Concat(Check.Violations(plan, books, options.RestartLimit));
        return new ChaosResult(options, struck, books.Figures(plan.Count, watch.Elapsed), [.. violations]);
    }

    /// <summary>Before each kill one half of its share of the jobs goes in, during it the other: there is always something to interrupt.</summary>
    private async Task<IReadOnlyDictionary<string, int>> StrikeAsync(Stage stage, Producer producer, IReadOnlyList<Job> plan, CancellationToken ct)
    {
        var kills = Enumerable.Repeat(Kills.Seven, options.Rounds).SelectMany(k => k).ToList();
        var shares = plan.Chunk((plan.Count / kills.Count) + 1).ToList();
        for (var i = 0; i < kills.Count; i++)
        {
            ct.ThrowIfCancellationRequested();
            var share = i < shares.Count ? shares[i] : [];
            say($"{i + 1}/{kills.Count} {kills[i].What}");
            await producer.EnqueueAsync(share[..(share.Length / 2)]);
            await stage.WaitAsync(0.1, 0.4);
            await Task.WhenAll(kills[i].StrikeAsync(stage), producer.EnqueueAsync(share[(share.Length / 2)..]));
        }

        return kills.GroupBy(k => k.What).ToDictionary(g => g.Key, g => g.Count(), StringComparer.Ordinal);
    }

    /// <summary>Until nothing is open, or nothing has ended for three leases: then something is stuck.</summary>
    private async Task DrainAsync(EngineState engine, CancellationToken ct)
    {
        var (least, progress) = (long.MaxValue, clock.GetTimestamp());
        while (clock.GetElapsedTime(progress) < TimeSpan.FromSeconds((options.LeaseSeconds * 3) + 10))
        {
            var open = await TryOpenAsync(engine);
            if (open == 0)
            {
                return;
            }

            if (open < least)
            {
                (least, progress) = (open, clock.GetTimestamp());
            }

            await Task.Delay(TimeSpan.FromSeconds(0.5), clock, ct);
        }
    }

    private static async Task<long> TryOpenAsync(EngineState engine)
    {
        try
        {
            return await engine.OpenAsync();
        }
        catch (NpgsqlException)
        {
            return long.MaxValue;
        }
    }

    private static async Task<Books> BooksAsync(Stage stage, EngineState engine) => new(
        await engine.ItemsAsync(),
        await engine.CompletionsAsync(),
        await engine.LedgerAsync(),
        await engine.MarksAsync(),
        stage.Provider.Keyed,
        stage.Provider.Unkeyed,
        [.. stage.Journals.SelectMany(Journal.Read)],
        Restarts.Measure(stage.Journals, stage.Deaths),
        stage.Provider.Requests);
}

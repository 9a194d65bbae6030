using System.Diagnostics;

namespace AgentPlatform.Chaos.Flows;

/// <summary>The run: trips are started and sent their events, hosts and Postgres are struck until all trips are over, and then both books are compared.</summary>
internal sealed class FlowRun(ChaosOptions options, string hostAssembly, TimeProvider clock, Action<string> say)
{
    /// <summary>Of so many strikes one is at Postgres.</summary>
    private const int PostgresEvery = 5;

    internal async Task<FlowResult> RunAsync(CancellationToken ct)
    {
        var watch = Stopwatch.StartNew();
        var plan = Trip.Plan(options.Workflows);
        await using var stage = await FlowStage.StartAsync(options, hostAssembly, clock);
        await using var books = new TripBooks(stage.Postgres.AdminConnectionString);
        await using var desk = await TripDesk.StartAsync(stage, books, Trip.Conversations(options.Workflows), clock);
        stage.FillUp();
        await stage.AllReadyAsync();
        say($"{options.Workers} hosts are ready after {watch.Elapsed.TotalSeconds:0} s");
        using var over = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var (starting, confirming, watching) = (desk.StartAllAsync(plan, ct), desk.ConfirmAsync(over.Token), UntilOverAsync(books, over.Token));
        await StrikeAsync(stage, watching, ct);
        await watching;
        await over.CancelAsync();
        await Task.WhenAll(starting, confirming);
        var left = await UntilNothingIsLeftAsync(books, ct);
        await stage.RetireAllAsync();
        return await ResultAsync(stage, books, plan, left, watch.Elapsed);
    }

    private async Task StrikeAsync(FlowStage stage, Task until, CancellationToken ct)
    {
        for (var strike = 1; strike <= (options.Strikes ?? int.MaxValue); strike++)
        {
            await stage.WaitAsync(1, 5);
            if (until.IsCompleted || ct.IsCancellationRequested)
            {
                return;
            }

            await (strike % PostgresEvery == PostgresEvery / 2 ? stage.RestartPostgresAsync() : Task.Run(stage.KillOne, ct));
        }
    }

    /// <summary>Until all trips are over, or nothing has moved for three leases and a minute: then something is stuck.</summary>
    private async Task UntilOverAsync(TripBooks books, CancellationToken ct)
    {
        var (moves, progress, told) = (-1L, clock.GetTimestamp(), 0L);
        while (clock.GetElapsedTime(progress) < TimeSpan.FromSeconds((options.LeaseSeconds * 3) + 60))
        {
            if (await books.TryProgressAsync() is { } now)
            {
                (progress, moves) = now.Moves > moves ? (clock.GetTimestamp(), now.Moves) : (progress, moves);
                if (now.Over >= told + Math.Max(10, options.Workflows / 20))
                {
                    told = now.Over;
                    say($"{told} of {options.Workflows} trips are over");
                }

                if (now.Over == options.Workflows)
                {
                    return;
                }
            }

            await Task.Delay(TimeSpan.FromSeconds(0.5), clock, ct);
        }
    }

    /// <summary>An orchestration hears a little later that its trip is over. What is there after three leases stays.</summary>
    private async Task<IReadOnlyList<string>> UntilNothingIsLeftAsync(TripBooks books, CancellationToken ct)
    {
        var since = clock.GetTimestamp();
        IReadOnlyList<string> left;
        while ((left = await books.LeftOversAsync()).Count > 0 && clock.GetElapsedTime(since) < TimeSpan.FromSeconds((options.LeaseSeconds * 3) + 10))
        {
            await Task.Delay(TimeSpan.FromSeconds(0.5), clock, ct);
        }

        return left;
    }

    private async Task<FlowResult> ResultAsync(FlowStage stage, TripBooks books, IReadOnlyList<Trip> plan, IReadOnlyList<string> left, TimeSpan took)
    {
        var ledger = stage.Provider.Ledger;
        var accounts = new TripAccounts(ledger, await books.InstancesAsync(), await books.StepsAsync(), await books.EventsTakenAsync(), await books.ShortSleepsAsync(), left);
        var figures = new FlowFigures(
            plan.CountBy(trip => trip.End).ToDictionary(), stage.HostsKilled, stage.PostgresRestarts, accounts.Instances.Count, accounts.Steps.Count,
            await books.InterruptionsAsync(), stage.Provider.Requests, ledger.Count, ledger.Count(e => e.Name is "repay" or "refund" or "release"), took);
        return new FlowResult(options, figures, [.. stage.Troubles, .. TripCheck.Violations(plan, accounts)]);
    }
}

using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Work;

/// <summary>A run that does what items behind it in its serial key were put in for.</summary>
public sealed class AbsorbTests : IAsyncLifetime
{
    private WorkStage _stage = null!;

    /// <summary>Between the look at what waits and the run's end.</summary>
    private Func<WorkItem, Task> Meanwhile { get; set; } = _ => Task.CompletedTask;

    public async Task InitializeAsync() => _stage = await WorkStage.StartAsync(services => services.AddSingleton(this).AddWorkHandler<Gatherer>("test.gather", kind => kind.MaxAttempts = 2));

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    public async Task What_waits_behind_a_run_is_done_with_it_and_nothing_else_is()
    {
        Meanwhile = item => item.Key == "1" ? _stage.EnqueueAsync(Gather("late")) : Task.CompletedTask;
        var other = await _stage.Platform.NewTenantAsync("Other");
        await _stage.Platform.AsAsync(other, tx => Enqueue(tx, Gather("theirs")));
        await _stage.EnqueueAsync(
            Gather("1"), Gather("2"), Gather("3"), Gather("4") with { RunAt = TimeProvider.System.GetUtcNow().AddHours(1) },
            Gather("elsewhere") with { SerialKey = "t" }, new NewWork("test.play", "other kind", new { }) { SerialKey = "s" });
        await _stage.Platform.DrainAsync();

        // What is not due yet holds back what follows it, as ever.
        Assert.Equal(["1", "elsewhere", "theirs"], _stage.Runs.Order(StringComparer.Ordinal));
        Assert.Equal("done|0|", await _stage.StateAsync("2"));
        Assert.Equal("done|0|", await _stage.StateAsync("3"));
        Assert.Equal("ready|0|", await _stage.StateAsync("4"));
        Assert.Equal("ready|0|", await _stage.StateAsync("late"));

        await _stage.DrainDueAsync();
        Assert.Equal(["1", "4", "elsewhere", "other kind", "theirs"], _stage.Runs.Order(StringComparer.Ordinal));
        Assert.Equal("done|0|", await _stage.StateAsync("late"));
    }

    [Fact]
    public async Task A_run_that_fails_takes_none_with_it_and_those_behind_it_have_runs_of_their_own()
    {
        Meanwhile = item => item.Key == "poison" ? throw new InvalidOperationException("It refuses.") : Task.CompletedTask;
        await _stage.EnqueueAsync(Gather("poison"), Gather("2"), Gather("3"));
        await _stage.Platform.DrainAsync();
        await _stage.DrainDueAsync();

        Assert.Equal(["poison", "poison", "2"], _stage.Runs);
        Assert.StartsWith("dead|2|", await _stage.StateAsync("poison"), StringComparison.Ordinal);
        Assert.Equal("done|0|", await _stage.StateAsync("3"));
    }

    private static NewWork Gather(string key) => new("test.gather", key, new { }) { SerialKey = "s" };

    private Task Enqueue(Transaction tx, NewWork work)
    {
        _stage.Platform.Get<WorkQueue>().Enqueue(tx, work);
        return Task.CompletedTask;
    }

    private sealed class Gatherer(AbsorbTests test, Database database, WorkQueue queue) : IWorkHandler
    {
        public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
        {
            test._stage.Runs.Enqueue(item.Key);
            await using var tx = database.Begin(Actor.System(item.TenantId));
            queue.Absorb(tx, item, await queue.BehindAsync(tx, item, ct));
            await test.Meanwhile(item);
            item.Settle(tx, new WorkOutcome.Done());
            await tx.CommitAsync(ct);
            return WorkOutcome.Settled;
        }
    }
}

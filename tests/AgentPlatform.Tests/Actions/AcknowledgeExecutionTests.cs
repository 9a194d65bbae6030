using AgentPlatform.Actions;
using AgentPlatform.Actions.Aftermath;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Tests.Brain;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Actions;

public sealed class AcknowledgeExecutionTests : IAsyncLifetime
{
    private static readonly ActionDefinition Pay = new()
    {
        ActionId = "pay",
        ActionName = "pay the bill",
        ResponseTemplate = "paid",
        RequiresUserAcknowledgement = true,
        AcknowledgementTimeoutSeconds = 60,
    };

    private readonly Conversations.StillClock _clock = new(TimeProvider.System.GetUtcNow());
    private Talk _talk = null!;

    public async Task InitializeAsync() =>
        _talk = await Talk.StartAsync(services => services.AddSingleton<TimeProvider>(_clock), Pay, Pay with { ActionId = "plain", ActionName = "plain thing", RequiresUserAcknowledgement = false });

    public async Task DisposeAsync() => await _talk.DisposeAsync();

    [Fact]
    [Behaviour("brain-exec-ack")]
    public async Task Only_an_attempt_that_asks_for_it_is_acknowledged()
    {
        await _talk.SayAsync("plain thing");
        await _talk.SayAsync("pay the bill");
        var runs = await _talk.ExecutionsAsync();
        Assert.Equal([false, true], runs.Select(run => run.AcknowledgeBy is not null));

        Assert.Equal("acknowledgement_not_expected", (await AcknowledgeAsync(runs[0])).Problem!.Code);
        var acknowledged = (await AcknowledgeAsync(runs[1])).Value;
        Assert.True(acknowledged.Acknowledged);
        Assert.NotNull(acknowledged.AcknowledgedAt);

        await PassAsync(TimeSpan.FromMinutes(2));
        Assert.False((await _talk.ExecutionsAsync())[1].AcknowledgementTimeout);
        Assert.True((await AcknowledgeAsync(runs[1])).IsOk);
    }

    [Fact]
    [Behaviour("brain-exec-ack-timeout")]
    public async Task An_acknowledgement_that_does_not_come_in_time_ends_the_wait_and_is_refused_later()
    {
        await _talk.SayAsync("pay the bill");
        var run = Assert.Single(await _talk.ExecutionsAsync());
        Assert.Equal(60, (run.AcknowledgeBy!.Value - run.CompletedAt!.Value).TotalSeconds, 0);

        await _talk.Platform.DrainAsync();
        Assert.False(Assert.Single(await _talk.ExecutionsAsync()).AcknowledgementTimeout);

        await PassAsync(TimeSpan.FromSeconds(61));
        Assert.True(Assert.Single(await _talk.ExecutionsAsync()) is { AcknowledgementTimeout: true, Acknowledged: false });
        Assert.Equal("acknowledgement_timed_out", (await AcknowledgeAsync(run)).Problem!.Code);
        Assert.Contains("action.acknowledgement_timed_out", await _talk.EventsAsync());
    }

    [Fact]
    public async Task The_deadline_counts_also_before_its_work_item_has_run()
    {
        await _talk.SayAsync("pay the bill");
        var run = Assert.Single(await _talk.ExecutionsAsync());

        _clock.Advance(TimeSpan.FromSeconds(61));

        Assert.Equal("acknowledgement_timed_out", (await AcknowledgeAsync(run)).Problem!.Code);
    }

    private async Task PassAsync(TimeSpan time)
    {
        _clock.Advance(time);
        await _talk.HastenAsync();
        await _talk.Platform.DrainAsync();
    }

    private Task<Result<ActionExecution>> AcknowledgeAsync(ActionExecution run) =>
        _talk.InAsync(tx => _talk.Platform.Get<AcknowledgeExecution>().RunAsync(tx, run.ExecutionId, default));
}

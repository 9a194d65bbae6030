using AgentPlatform.Tests.LocalHost;
using AgentPlatform.Work;
using Microsoft.Extensions.Logging.Abstractions;

namespace AgentPlatform.Tests.Work;

/// <summary>A host by itself: what nobody nudges it for.</summary>
public sealed class PumpTests
{
    [Fact]
    public async Task A_host_finds_at_its_start_and_after_a_silence_what_nobody_nudged_it_for()
    {
        await using var stage = await WorkStage.StartAsync();
        var (clock, runner) = (FakeClock.AtNoon(), stage.Platform.Get<WorkRunner>());
        await stage.EnqueueAsync("left by a killed host");
        using var pump = new WorkPump(new InProcessNudge(runner), runner, clock, NullLogger<WorkPump>.Instance);
        await pump.StartAsync(default);
        Assert.Equal(1, await Eventually.SeeAsync(() => Task.FromResult(stage.Runs.Count), n => n == 1));

        await stage.EnqueueAsync("left by another");
        var ran = await Eventually.SeeAsync(
            () =>
            {
                clock.Advance(TimeSpan.FromSeconds(5));
                return Task.FromResult(stage.Runs.Count);
            },
            n => n == 2);
        await pump.StopAsync(default);

        Assert.Equal(2, ran);
        Assert.Equal(["left by a killed host", "left by another"], stage.Runs);
    }
}

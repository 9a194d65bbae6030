using AgentPlatform.LocalHost.Hosting;

namespace AgentPlatform.Tests.LocalHost;

public sealed class IdleMemoryTests
{
    [Fact]
    public void Memory_is_given_back_once_after_a_burst_and_not_while_it_lasts()
    {
        using var memory = new IdleMemory(TimeProvider.System);
        var burst = IdleMemory.Burst;

        Assert.Equal(
            [false, false, true, false, false, false, true],
            new[] { burst, 2 * burst, 2 * burst + 1, 2 * burst + 2, 2 * burst + IdleMemory.Quiet / 2, 4 * burst, 4 * burst + 1 }.Select(memory.IsToGive));
    }

    [Fact]
    public void Little_garbage_is_left_to_the_collector()
    {
        using var memory = new IdleMemory(TimeProvider.System);

        Assert.DoesNotContain(true, Enumerable.Range(1, 30).Select(i => memory.IsToGive(i * IdleMemory.Quiet / 2)));
    }
}

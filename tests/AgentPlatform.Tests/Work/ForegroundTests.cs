using AgentPlatform.Kernel;
using AgentPlatform.Work;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tests.Work;

public sealed class ForegroundTests : IAsyncLifetime
{
    private readonly Overlap _overlap = new();
    private WorkStage _stage = null!;

    public async Task InitializeAsync() =>
        _stage = await WorkStage.StartAsync(services => services.AddSingleton(_overlap).AddWorkHandler<Slow>("test.slow"));

    public async Task DisposeAsync() => await _stage.DisposeAsync();

    [Fact]
    public async Task Background_work_goes_on_one_by_one_while_callers_crowd_and_side_by_side_again_when_they_have_left()
    {
        var load = _stage.Platform.Get<ForegroundLoad>();
        var callers = Enumerable.Range(0, (2 * Environment.ProcessorCount) + 1).Select(_ => load.Enter()).ToList();
        Assert.Equal(1, await MostAtATimeAsync("crowded"));

        callers.ForEach(caller => caller.Dispose());
        Assert.False(await Eventually.SeeAsync(() => Task.FromResult(load.IsCrowded), crowded => !crowded));
        Assert.InRange(await MostAtATimeAsync("alone"), 2, 6);
    }

    private async Task<int> MostAtATimeAsync(string name)
    {
        _overlap.Most = 0;
        await _stage.EnqueueAsync([.. Enumerable.Range(0, 6).Select(i => new NewWork("test.slow", $"{name}-{i}", new { }))]);
        Assert.Equal(6, await _stage.Platform.DrainAsync());
        return _overlap.Most;
    }

    internal sealed class Overlap
    {
        private int _running;

        internal int Most { get; set; }

        internal async Task RunAsync(TimeProvider clock, CancellationToken ct)
        {
            var running = Interlocked.Increment(ref _running);
            lock (this)
            {
                Most = Math.Max(Most, running);
            }

            await Task.Delay(TimeSpan.FromMilliseconds(50), clock, ct);
            Interlocked.Decrement(ref _running);
        }
    }

    internal sealed class Slow(Overlap overlap) : IWorkHandler
    {
        public async Task<WorkOutcome> HandleAsync(WorkItem item, CancellationToken ct)
        {
            await overlap.RunAsync(TimeProvider.System, ct);
            return new WorkOutcome.Done();
        }
    }
}

using Microsoft.Extensions.Hosting;

namespace AgentPlatform.LocalHost.Hosting;

/// <summary>
/// Gives memory back to the machine once the process has become quiet. The collector runs when memory is asked for, so what a burst of messages or the
/// training of a classifier leaves would stay for as long as nobody asks. The pause falls where little happens, and once after each burst.
/// </summary>
internal sealed class IdleMemory(TimeProvider clock) : BackgroundService
{
    /// <summary>Allocated between two looks, at most, when nobody is at work.</summary>
    internal const long Quiet = 1 << 20;

    /// <summary>Less garbage than this is not worth a pause.</summary>
    internal const long Burst = 16 << 20;

    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(2);

    private long _seen;
    private long _given;

    /// <summary>Whether to collect now, when so many bytes have been allocated since the process began.</summary>
    internal bool IsToGive(long allocated)
    {
        var gives = allocated - _seen < Quiet && allocated - _given > Burst;
        _seen = allocated;
        _given = gives ? allocated : _given;
        return gives;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(LookEvery, clock);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            if (IsToGive(GC.GetTotalAllocatedBytes()))
            {
                GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            }
        }
    }
}

namespace AgentPlatform.LocalHost.Durable;

/// <summary>How many activities may run in this process at once, and the way to begin those that this process scheduled itself.</summary>
internal sealed class ActivityRoom(DurableSettings settings) : IDisposable
{
    private Action<ClaimedActivity, Task<Answer>?>? _begin;
    private volatile bool _isOpen;

    public void Dispose() => Free.Dispose();

    internal SemaphoreSlim Free { get; } = new(settings.MaxActivities);

    internal void Open(Action<ClaimedActivity, Task<Answer>?> begin) => (_begin, _isOpen) = (begin, true);

    /// <summary>What is scheduled from now on is left to other hosts.</summary>
    internal void Close() => _isOpen = false;

    /// <summary>Takes room for as many as there is, at most <paramref name="wanted"/>.</summary>
    internal int Take(int wanted)
    {
        var taken = 0;
        while (_isOpen && taken < wanted && Free.Wait(0))
        {
            taken++;
        }

        return taken;
    }

    /// <summary>Waits for room for one, by the machine's clock.</summary>
    internal async Task<bool> TakeAsync(TimeSpan patience) => _isOpen && await Free.WaitAsync(patience);

    internal void Give(int count)
    {
        if (count > 0)
        {
            Free.Release(count);
        }
    }

    /// <summary>Begins one that room was taken for, or goes on with it where it runs already.</summary>
    internal void Begin(ClaimedActivity activity, Task<Answer>? running = null) => _begin!(activity, running);
}

namespace AgentPlatform.LocalHost.Durable;

/// <summary>
/// Runs an orchestrator on one thread, a turn at a time, in the order in which its tasks complete. What is queued from elsewhere came from
/// awaiting something that is not durable; it is noted, since a replay would see it in another order.
/// </summary>
internal sealed class TurnScheduler : TaskScheduler
{
    private readonly Queue<Task> _ready = new();
    private int _thread = -1;

    /// <summary>Whether something was queued by another thread than the turn's.</summary>
    internal bool IsForeign { get; private set; }

    internal bool IsTurn => _thread == Environment.CurrentManagedThreadId;

    /// <summary>Runs <paramref name="first"/> and then everything that becomes ready.</summary>
    internal void Run(Action first)
    {
        var context = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(null);
        _thread = Environment.CurrentManagedThreadId;
        try
        {
            first();
            while (TryTake(out var task))
            {
                TryExecuteTask(task);
            }
        }
        finally
        {
            _thread = -1;
            SynchronizationContext.SetSynchronizationContext(context);
        }
    }

    protected override void QueueTask(Task task)
    {
        lock (_ready)
        {
            IsForeign |= !IsTurn;
            _ready.Enqueue(task);
        }
    }

    // Inlining would make the order depend on who waits.
    protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) => false;

    protected override IEnumerable<Task> GetScheduledTasks()
    {
        lock (_ready)
        {
            return [.. _ready];
        }
    }

    private bool TryTake(out Task task)
    {
        lock (_ready)
        {
            return _ready.TryDequeue(out task!);
        }
    }
}

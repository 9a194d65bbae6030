using Microsoft.Extensions.Logging;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>The context of one orchestrator in memory: it numbers its steps, and hands it what the history answers.</summary>
internal sealed class ReplayContext(
    string name, string instanceId, string version, string? input, ParentOrchestrationInstance? parent, TurnScheduler scheduler, ILoggerFactory loggers)
    : TaskOrchestrationContext
{
    private readonly DurableJson _json = DurableJson.Instance;
    private readonly Dictionary<int, (string Name, IAwaited Promise)> _open = [];
    private readonly SortedDictionary<int, HistoryEvent> _decided = [];
    private readonly List<int> _cancelled = [];
    private DateTimeOffset _now;
    private bool _isReplaying = true;
    private int _nextStep;
    private int _nextGuid;

    public override TaskName Name => name;

    public override string InstanceId => instanceId;

    public override string Version => version;

    public override ParentOrchestrationInstance? Parent => parent;

    public override DateTime CurrentUtcDateTime => _now.UtcDateTime;

    public override bool IsReplaying => _isReplaying;

    protected override ILoggerFactory LoggerFactory => loggers;

    internal EventInbox Events { get; } = new(DurableJson.Instance);

    /// <summary>What the code has decided and no history has shown yet, by step.</summary>
    internal IReadOnlyDictionary<int, HistoryEvent> Decided => _decided;

    /// <summary>Timers given up since the last turn.</summary>
    internal IReadOnlyList<int> CancelledTimers => _cancelled;

    /// <summary>The custom status set in this turn, in a box of its own since null clears it.</summary>
    internal ValueTuple<string?>? CustomStatus { get; private set; }

    internal ContinueAsNewOptions? Next { get; private set; }

    /// <summary>Whether anything could still wake the orchestrator.</summary>
    internal bool IsWaiting => _open.Count > 0 || Events.IsAwaited;

    /// <summary>Whether the answer of a single step is all that could.</summary>
    internal bool AwaitsOneStep => _open.Count == 1 && !Events.IsAwaited;

    internal DurableTrail Code { get; } = new();

    internal void BeginTurn(DateTimeOffset now, bool isReplaying)
    {
        (_now, _isReplaying) = (now, isReplaying);
        _cancelled.Clear();
        CustomStatus = null;
    }

    internal HistoryEvent? Match(int step) => _decided.Remove(step, out var decided) ? decided : null;

    internal IReadOnlyList<HistoryEvent> TakeDecisions()
    {
        HistoryEvent[] taken = [.. _decided.Values];
        _decided.Clear();
        return taken;
    }

    internal void Complete(int step, string? payload)
    {
        if (_open.Remove(step, out var open))
        {
            open.Promise.TryComplete(payload, _json);
        }
    }

    internal void Fail(int step, TaskFailureDetails failure)
    {
        if (_open.Remove(step, out var open))
        {
            open.Promise.Fail(new TaskFailedException(open.Name, step, failure));
        }
    }

    internal object? Input(Type type) => _json.Deserialize(input, type);

    public override T? GetInput<T>()
        where T : default => _json.Deserialize<T>(input);

    public override Task<TResult> CallActivityAsync<TResult>(TaskName name, object? input = null, TaskOptions? options = null)
    {
        Check(input, options);
        var payload = _json.Serialize(input);
        return RetryAsync(options?.Retry, () => Schedule<TResult>(id => new(HistoryKind.TaskScheduled, _now, id, name, Payload: payload)));
    }

    public override Task<TResult> CallSubOrchestratorAsync<TResult>(TaskName orchestratorName, object? input = null, TaskOptions? options = null)
    {
        Check(input, options);
        var sub = options as SubOrchestrationOptions;
        var payload = _json.Serialize(input);
        // One id for all attempts: a failed sub-orchestration makes room for the next attempt.
        var target = sub?.InstanceId ?? NewGuid().ToString("N");
        return RetryAsync(
            options?.Retry,
            () => Schedule<TResult>(id => new(HistoryKind.SubOrchestrationCreated, _now, id, orchestratorName, target, Payload: payload) { Version = sub?.Version }));
    }

    public override Task CreateTimer(DateTime fireAt, CancellationToken cancellationToken)
    {
        EnsureTurn();
        if (cancellationToken.IsCancellationRequested)
        {
            return Task.FromCanceled(cancellationToken);
        }

        var promise = new Promise<object?>();
        var step = Decide(id => new(HistoryKind.TimerCreated, _now, id, DueAt: new DateTimeOffset(fireAt.ToUniversalTime())));
        _open[step] = ("timer", promise);
        cancellationToken.Register(() =>
        {
            if (_open.Remove(step))
            {
                _cancelled.Add(step);
                promise.TryCancel(cancellationToken);
            }
        });
        return promise.Task;
    }

    public override Task<T> WaitForExternalEvent<T>(string eventName, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(eventName);
        EnsureTurn();
        return Events.WaitAsync<T>(eventName, cancellationToken);
    }

    public override void SendEvent(string instanceId, string eventName, object payload)
    {
        ArgumentException.ThrowIfNullOrEmpty(instanceId);
        ArgumentException.ThrowIfNullOrEmpty(eventName);
        EnsureTurn();
        Decide(id => new(HistoryKind.EventSent, _now, id, eventName, instanceId, Payload: _json.Serialize(payload)));
    }

    public override void SetCustomStatus(object? customStatus)
    {
        EnsureTurn();
        CustomStatus = new(_json.Serialize(customStatus));
    }

    public override void ContinueAsNew(object? newInput = null, bool preserveUnprocessedEvents = true) =>
        ContinueAsNew(new ContinueAsNewOptions { NewInput = newInput, PreserveUnprocessedEvents = preserveUnprocessedEvents });

    public override void ContinueAsNew(ContinueAsNewOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        EnsureTurn();
        Next = options;
    }

    public override Guid NewGuid()
    {
        EnsureTurn();
        return NameBasedGuid.Of($"{InstanceId}_{CurrentUtcDateTime:o}_{_nextGuid++}");
    }

    private static void Check(object? input, TaskOptions? options)
    {
        if (input is TaskOptions && options is null)
        {
            throw new ArgumentException("Task options were given as the input; name the parameter: options.", nameof(input));
        }
    }

    private async Task<T> RetryAsync<T>(TaskRetryOptions? retry, Func<Task<T>> call)
    {
        var start = CurrentUtcDateTime;
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await call();
            }
            catch (TaskFailedException e) when (retry is not null)
            {
                if (!await IsWorthAnotherAsync(retry, attempt, CurrentUtcDateTime - start, e.FailureDetails))
                {
                    throw;
                }
            }
        }
    }

    private async Task<bool> IsWorthAnotherAsync(TaskRetryOptions retry, int attempt, TimeSpan elapsed, TaskFailureDetails failure)
    {
        if (retry.Handler is { } handler)
        {
            return await handler(new RetryContext(this, attempt, failure, elapsed, CancellationToken.None));
        }

        if (retry.Policy!.After(attempt, elapsed, failure) is not { } wait)
        {
            return false;
        }

        await CreateTimer(wait, CancellationToken.None);
        return true;
    }

    private Task<T> Schedule<T>(Func<int, HistoryEvent> decision)
    {
        EnsureTurn();
        var promise = new Promise<T>();
        var step = Decide(decision);
        _open[step] = (_decided[step].Name!, promise);
        return promise.Task;
    }

    private int Decide(Func<int, HistoryEvent> decision)
    {
        var step = _nextStep++;
        var decided = decision(step);
        _decided.Add(step, decided);
        Code.Add(decided);
        return step;
    }

    private void EnsureTurn()
    {
        if (!scheduler.IsTurn)
        {
            throw new InvalidOperationException(
                "The context was used outside of the orchestrator's own thread. An orchestrator may await only what its context gives it, without ConfigureAwait(false).");
        }
    }
}

/// <summary>The last steps, for a message that names them.</summary>
internal sealed class DurableTrail
{
    private const int Kept = 11;
    private readonly Queue<HistoryEvent> _last = new();

    internal IReadOnlyList<HistoryEvent> Last => [.. _last];

    internal void Add(HistoryEvent step)
    {
        // Without the payload, which may be large.
        _last.Enqueue(step with { Payload = null, Stored = null });
        if (_last.Count > Kept)
        {
            _last.Dequeue();
        }
    }
}

using System.Text.Json;
using AgentPlatform.LocalHost.Invocation;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.LocalHost.Durable;

/// <summary>
/// An orchestrator in memory. It is brought there by its history and then takes turns; while no other host has stepped the instance it
/// need not be replayed again.
/// </summary>
internal sealed class OrchestrationSession : IAsyncDisposable
{
    private readonly TurnScheduler _scheduler = new();
    private readonly DurableTrail _history = new();
    private readonly ReplayContext _context;
    private readonly LocalFunction? _function;
    private readonly FunctionExecutor _executor;
    private readonly AsyncServiceScope _scope;
    private readonly string _codeVersion;
    private string? _recordedBy;
    private Task<object?>? _root;

    internal OrchestrationSession(
        InstanceHead head, string? input, LocalFunction? function, FunctionExecutor executor, AsyncServiceScope scope, string codeVersion)
    {
        (Head, _function, _executor, _scope, _codeVersion) = (head, function, executor, scope, codeVersion);
        _context = new ReplayContext(
            head.Name, head.Id, head.Version, input, head.Parent, _scheduler, scope.ServiceProvider.GetRequiredService<ILoggerFactory>());
    }

    /// <summary>The instance as the last step left it; the fence is that of its claim.</summary>
    internal InstanceHead Head { get; set; }

    public ValueTask DisposeAsync() => _scope.DisposeAsync();

    /// <summary>Whether an answer of a single activity is all that it waits for.</summary>
    internal bool AwaitsOneActivity => _context.AwaitsOneStep;

    /// <summary>
    /// Runs the orchestrator over what has happened so far. What is not <paramref name="isWhole"/> may lack the decisions of its last turn: they
    /// come with the next <see cref="Advance"/>.
    /// </summary>
    /// <exception cref="NonDeterministicOrchestrationException">It does not do what it did.</exception>
    internal void Replay(IEnumerable<HistoryEvent> past, bool isWhole)
    {
        foreach (var recorded in past)
        {
            Apply(recorded, isReplaying: true);
        }

        if (isWhole && _context.Decided.Count > 0)
        {
            throw NonDeterministic(null, _context.Decided.Values.First());
        }
    }

    /// <summary>Hands the orchestrator what is new, and says what comes of it.</summary>
    internal Turn Advance(IReadOnlyList<HistoryEvent> fresh)
    {
        if (_function is null)
        {
            return Turn.Failing(new TaskFailureDetails("OrchestratorTaskNotFound", $"There is no orchestrator '{Head.Name}'.", null, null, null));
        }

        try
        {
            foreach (var happened in fresh)
            {
                Apply(happened, isReplaying: false);
            }
        }
        catch (NonDeterministicOrchestrationException e)
        {
            return Turn.Failing(TaskFailureDetails.FromException(e));
        }

        if (_scheduler.IsForeign || (_root is { IsCompleted: false } && !_context.IsWaiting))
        {
            return Turn.Failing(TaskFailureDetails.FromException(new InvalidOperationException(
                $"The orchestrator '{Head.Name}' awaits something that is not durable. It may await only what its context gives it.")));
        }

        var status = _context.CustomStatus;
        return new Turn(_context.TakeDecisions(), [.. _context.CancelledTimers], status, _root is { IsCompleted: true } ? End(_root) : null);
    }

    private Ending End(Task<object?> root)
    {
        try
        {
            var output = DurableJson.Instance.Serialize(root.GetAwaiter().GetResult());
            return _context.Next is { } next
                ? new Ending.ContinuedAsNew(
                    DurableJson.Instance.Serialize(next.NewInput), next.NewVersion, next.PreserveUnprocessedEvents ? [.. _context.Events.Early] : [])
                : new Ending.Completed(output);
        }
        catch (Exception e)
        {
            return new Ending.Failed(TaskFailureDetails.FromException(e));
        }
    }

    private void Apply(HistoryEvent happened, bool isReplaying)
    {
        switch (happened.Kind)
        {
            case HistoryKind.TurnStarted:
                _context.BeginTurn(happened.At, isReplaying);
                _recordedBy = happened.Name;
                break;
            case HistoryKind.ExecutionStarted:
                _scheduler.Run(() => _ = Task.Factory.StartNew(() => _root = RunAsync(), CancellationToken.None, TaskCreationOptions.None, _scheduler));
                break;
            case HistoryKind.EventRaised when _root is { IsCompleted: true }:
                _context.Events.Keep(happened);
                break;
            case HistoryKind.EventRaised:
                _scheduler.Run(() => _context.Events.Receive(happened));
                break;
            case HistoryKind.TaskCompleted or HistoryKind.SubOrchestrationCompleted or HistoryKind.TimerFired:
                _scheduler.Run(() => _context.Complete(happened.TaskId!.Value, happened.Payload));
                break;
            case HistoryKind.TaskFailed or HistoryKind.SubOrchestrationFailed:
                _scheduler.Run(() => _context.Fail(happened.TaskId!.Value, JsonSerializer.Deserialize<TaskFailureDetails>(happened.Payload!)!));
                break;
            case var _ when happened.IsDecision:
                Match(happened);
                break;
        }
    }

    private Task<object?> RunAsync() =>
        _executor.ExecuteAsync(_function!, new TriggerData(_context, new Dictionary<string, object?>()), _scope.ServiceProvider, items: null, CancellationToken.None);

    private void Match(HistoryEvent recorded)
    {
        _history.Add(recorded);
        var decided = _context.Match(recorded.TaskId!.Value);
        // Names differ by more than case, as everywhere.
        if (decided is null || decided.Kind != recorded.Kind || !string.Equals(decided.Name, recorded.Name, StringComparison.OrdinalIgnoreCase))
        {
            throw NonDeterministic(recorded, decided);
        }
    }

    private NonDeterministicOrchestrationException NonDeterministic(HistoryEvent? recorded, HistoryEvent? decided) => NonDeterministicOrchestrationException.At(
        Head.Name, Head.Id, recorded, decided, _recordedBy, _codeVersion, _history.Last, _context.Code.Last);
}

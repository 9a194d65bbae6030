using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Workflows.Definitions;

namespace AgentPlatform.Workflows.Running;

/// <summary>
/// Pure: given a definition and what was done of it, what comes next. It decides all that follows at once from what is known, so asking again
/// without news gives nothing to do.
/// </summary>
internal sealed class Interpreter
{
    internal const string Cancelled = "cancelled";
    internal const string TimedOut = "workflow_timeout";

    private readonly List<Order> _orders = [];

    /// <summary>What begins if nothing that ends at the same moment forbids it.</summary>
    private readonly List<Order.Run> _starts = [];
    private readonly DateTimeOffset _now;
    private readonly Func<Guid> _newId;
    private RunState _run;

    private Interpreter(RunState run, DateTimeOffset now, Func<Guid> newId) => (_run, _now, _newId) = (run, now, newId);

    internal static Decision Decide(RunState run, DateTimeOffset now, Func<Guid> newId)
    {
        var interpreter = new Interpreter(run, now, newId);
        if (!run.Instance.IsOver)
        {
            interpreter.Decide();
        }

        return new(interpreter._orders, interpreter.WakeAt());
    }

    private void Decide()
    {
        // Pausing holds all but the run's own end of time.
        if (_run.Instance.Control == "paused" && _run.Instance.TimeoutAt > _now)
        {
            return;
        }

        while (WhyBack() is null && (Close() || Begin()))
        {
            // What has just ended lets others begin, which may end at once.
        }

        if (WhyBack() is { } error)
        {
            _run = _run with { Rows = [.. _run.Rows.Where(row => _starts.All(start => start.Row.Id != row.Id))] };
            Return(error);
            return;
        }

        _orders.AddRange(_starts);
        if (_run.Definition.Steps.All(step => _run.IsDone(step.Id)))
        {
            _orders.Add(new Order.Finish("completed", Output(), RolledBack: false));
        }
    }

    /// <summary>The reason to go no further, if there is one; the first one stands.</summary>
    private RunError? WhyBack() =>
        _run.Instance.Phase == "undoing" ? new(_run.Instance.ErrorCode!, _run.Instance.Error!, _run.Instance.ErrorStep)
        : _run.Instance.Control == "cancelled" ? new(Cancelled, _run.Instance.ControlReason ?? "Cancelled.")
        : _run.Rows.FirstOrDefault(row => row is { Iteration: 0, Status: "failed" or "cancelled" }) is { } failed
            ? new(failed.ErrorCode ?? "step_cancelled", failed.Error ?? "The step was cancelled.", failed.StepId)
        : _run.Instance.TimeoutAt <= _now ? new(TimedOut, "The workflow has taken too long.")
        : null;

    /// <summary>Ends what time, an event or its elements have ended. True when there was something.</summary>
    private bool Close()
    {
        foreach (var row in _run.Rows.Where(row => row is { IsOpen: true, IsUndo: false, Iteration: 0 }))
        {
            var step = _run.Definition.Step(row.StepId);
            if (Ended(step, row) is { } ended)
            {
                Replace(ended);
                _orders.Add(new Order.Close(ended));
                return true;
            }

            if (step.Type is not (StepType.Sleep or StepType.Wait) && row.DueAt <= _now)
            {
                StopRunning(row.StepId, stopped => Fail(stopped, "step_timeout", "The step has taken too long."));
            }
        }

        return false;
    }

    private WorkflowStep? Ended(StepDefinition step, WorkflowStep row) => step.Type switch
    {
        StepType.Sleep => row.DueAt <= _now ? End(row, "completed", Json.Of(new { })) : null,
        StepType.Wait => Answered(step, row),
        _ when step.ForEach is not null => Gathered(step, row),
        _ => null,
    };

    private WorkflowStep? Answered(StepDefinition step, WorkflowStep row)
    {
        if (_run.Signals.FirstOrDefault(s => s.ConsumedAt is null && s.Name == step.Event) is { } signal)
        {
            _run = _run with { Signals = [.. _run.Signals.Where(s => s.Id != signal.Id)] };
            _orders.Add(new Order.Consume(signal, row));
            return End(row, "completed", signal.Payload);
        }

        return row.DueAt > _now || row.DueAt is null ? null
            : step.ContinuesOnTimeout ? End(row, "completed", Json.Of(new { timed_out = true }))
            : Fail(row, "step_timeout", $"No event '{step.Event}' came in time.");
    }

    /// <summary>The elements that are free to begin are begun; when all are over, so is the for-each.</summary>
    private WorkflowStep? Gathered(StepDefinition step, WorkflowStep row)
    {
        var (items, elements) = (RunState.Items(row), _run.Elements(step.Id).ToList());
        var failed = elements.FirstOrDefault(e => e.Status is "failed" or "cancelled");
        var open = elements.Count(e => e.IsOpen);
        if (failed is null && (row.DueAt is null || row.DueAt > _now))
        {
            var free = Math.Min((step.Concurrency ?? StepDefinition.DefaultConcurrency) - open, items.Count - elements.Count);
            for (var i = elements.Count; i < elements.Count + free; i++)
            {
                Start(step, i + 1, items[i]);
            }

            return elements.Count == items.Count && open == 0
                ? End(row, "completed", Json.Of(elements.OrderBy(e => e.Iteration).Select(e => e.Result)))
                : null;
        }

        return open > 0 ? null
            : failed is null ? Fail(row, "step_timeout", "The step has taken too long.")
            : Fail(row, failed.ErrorCode ?? "step_cancelled", $"Element {failed.Iteration}: {failed.Error ?? "cancelled."}");
    }

    /// <summary>Begins what has all of its predecessors behind it. True when something ended by that.</summary>
    private bool Begin()
    {
        var ended = false;
        foreach (var step in _run.Definition.Steps.Where(step => _run.Row(step.Id) is null && step.After!.All(_run.IsDone)).ToList())
        {
            var scope = _run.Scope();
            if (step.When is { } when && !Condition.Holds(when, scope))
            {
                Write(NewRow(step, 0) with { Status = "skipped", CompletedAt = _now });
                ended = true;
            }
            else if (step.ForEach is { } list)
            {
                ended |= OpenList(step, Mapping.Find(list, scope));
            }
            else if (step.Type is StepType.Sleep or StepType.Wait)
            {
                var lasts = step.SleepSeconds ?? step.TimeoutSeconds;
                Write(NewRow(step, 0) with { Status = "waiting", EventName = step.Event, DueAt = lasts is { } seconds ? _now.AddSeconds(seconds) : null });
                ended = true;
            }
            else
            {
                Start(step, 0, null);
            }
        }

        return ended;
    }

    private bool OpenList(StepDefinition step, JsonElement? list)
    {
        var row = NewRow(step, 0) with { Status = "running", Input = list, DueAt = step.TimeoutSeconds is { } seconds ? _now.AddSeconds(seconds) : null };
        Write(list is { ValueKind: JsonValueKind.Array } ? row : Fail(row, "not_a_list", $"{step.ForEach} is no list."));
        return true;
    }

    private void Start(StepDefinition step, int iteration, JsonElement? item)
    {
        var input = Mapping.Apply(step.Input ?? Actions.Registry.Parameters.None, _run.Scope(item, iteration - 1));
        var row = NewRow(step, iteration) with
        {
            Status = "running",
            Input = input,
            DueAt = iteration == 0 && step.TimeoutSeconds is { } seconds ? _now.AddSeconds(seconds) : null,
        };
        _run = _run with { Rows = [.. _run.Rows, row] };
        _starts.Add(new Order.Run(step, row));
    }

    /// <summary>Nothing new begins; what is under way is waited for; then what was done is undone, the latest first.</summary>
    private void Return(RunError error)
    {
        if (_run.Instance.Phase == "forward")
        {
            _orders.Add(new Order.TurnBack(error));
        }

        foreach (var stepId in _run.Rows.Where(row => row is { IsOpen: true, IsUndo: false }).Select(row => row.StepId).Distinct().ToList())
        {
            StopRunning(stepId, row => End(row, "cancelled", null) with { Error = error.Message });
        }

        if (_run.Rows.Any(row => row is { IsOpen: true }))
        {
            return;
        }

        var undoable = MustStand() ? [] : Undoable();
        if (undoable.FirstOrDefault(row => UndoOf(row) is null) is { } next)
        {
            BeginUndo(next);
            return;
        }

        var rolledBack = undoable.Count > 0 && undoable.All(row => UndoOf(row) is { Status: "completed" });
        _orders.Add(new Order.Finish(error.Code == Cancelled ? "cancelled" : "failed", null, rolledBack));
    }

    /// <summary>A final step has succeeded, or may have: what led to it must stand.</summary>
    private bool MustStand() =>
        _run.Doings.Any(row => _run.Definition.Step(row.StepId).IsFinal && HasEffect(row));

    /// <summary>What may have happened counts as if it had.</summary>
    private static bool HasEffect(WorkflowStep row) => row.Status == "completed" || row.MayHaveHappened;

    private List<WorkflowStep> Undoable() =>
        [.. _run.Doings.Where(row => HasEffect(row) && _run.Definition.Step(row.StepId).Undo is not null)
            .OrderByDescending(row => row.CompletedAt).ThenByDescending(row => _run.Definition.PlaceOf(row.StepId)).ThenByDescending(row => row.Iteration)];

    private WorkflowStep? UndoOf(WorkflowStep done) => _run.Rows.FirstOrDefault(row => row.IsUndo && row.StepId == done.StepId && row.Iteration == done.Iteration);

    private void BeginUndo(WorkflowStep done)
    {
        var step = _run.Definition.Step(done.StepId);
        var item = done.Iteration > 0 ? RunState.Items(_run.Row(done.StepId)!)[done.Iteration - 1] : (JsonElement?)null;
        var row = NewRow(step, done.Iteration) with
        {
            Direction = "undo",
            Status = "running",
            ActionId = step.Undo!.Action,
            OriginInstance = done.OriginInstance,
            Input = step.Undo.Input is { } mapping ? Mapping.Apply(mapping, _run.Scope(item, done.Iteration - 1, done)) : null,
        };
        _orders.Add(new Order.Undo(step, done, row));
        _run = _run with { Rows = [.. _run.Rows, row] };
    }

    private void StopRunning(string stepId, Func<WorkflowStep, WorkflowStep> end)
    {
        foreach (var row in _run.Rows.Where(row => row is { IsOpen: true, IsUndo: false } && row.StepId == stepId).ToList())
        {
            if (row.ActionQueueId is not null || row.ChildInstance is not null)
            {
                // Its own time may be over at the moment at which another step fails.
                if (!_orders.OfType<Order.Stop>().Any(stop => stop.Row.Id == row.Id))
                {
                    _orders.Add(new Order.Stop(row, end(row)));
                }
            }
            else if (!_run.Elements(stepId).Any(element => element.IsOpen))
            {
                var stopped = end(row);
                Replace(stopped);
                _orders.Add(new Order.Close(stopped));
            }
        }
    }

    private JsonElement? Output()
    {
        if (_run.Definition.Output is { } mapping)
        {
            return Mapping.Apply(mapping, _run.Scope());
        }

        var followed = _run.Definition.Steps.SelectMany(step => step.After!).ToHashSet(StringComparer.Ordinal);
        return Json.Of(_run.Rows.Where(row => row is { Iteration: 0, Status: "completed" } && !followed.Contains(row.StepId)).ToDictionary(row => row.StepId, row => row.Result));
    }

    /// <summary>When time alone changes something.</summary>
    private DateTimeOffset? WakeAt()
    {
        if (_run.Instance.IsOver || _orders.OfType<Order.Finish>().Any())
        {
            return null;
        }

        var paused = _run.Instance.Control == "paused";
        return _run.Rows.Where(row => row is { IsOpen: true, IsUndo: false, DueAt: not null } && !paused && row.DueAt > _now).Select(row => row.DueAt)
            .Append(_run.Instance.Phase == "forward" && _run.Instance.TimeoutAt > _now ? _run.Instance.TimeoutAt : null).Min();
    }

    private WorkflowStep NewRow(StepDefinition step, int iteration) => new()
    {
        Id = _newId(),
        InstanceId = _run.Instance.Id,
        OriginInstance = _run.Instance.Id,
        StepId = step.Id,
        Iteration = iteration,
        Type = step.Type,
        ActionId = step.Action,
        StartedAt = _now,
    };

    private WorkflowStep End(WorkflowStep row, string status, JsonElement? result) => row with { Status = status, Result = result, CompletedAt = _now };

    private WorkflowStep Fail(WorkflowStep row, string code, string message) => End(row, "failed", null) with { ErrorCode = code, Error = message };

    private void Write(WorkflowStep row)
    {
        _run = _run with { Rows = [.. _run.Rows, row] };
        _orders.Add(new Order.Write(row));
    }

    private void Replace(WorkflowStep row) => _run = _run with { Rows = [.. _run.Rows.Select(r => r.Id == row.Id ? row : r)] };
}

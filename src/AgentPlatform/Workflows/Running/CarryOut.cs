using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Messaging;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using AgentPlatform.Workflows.Definitions;
using AgentPlatform.Workflows.Patterns;
using AgentPlatform.Workflows.Starting;

namespace AgentPlatform.Workflows.Running;

/// <summary>Does what was decided about an instance, and says whether that brought news to decide on.</summary>
internal sealed class CarryOut(
    InstanceStore store, SettleStep settle, ActionRegistry registry, ActionQueue queue, StartWorkflow starts, WorkQueue work, ConversationLog conversations, Outbox outbox, EventStore events,
    TimeProvider clock)
{
    internal const string StopKind = "workflows.stop";

    internal async Task<(RunState Run, bool HasNews)> RunAsync(Transaction tx, RunState run, Decision decision, CancellationToken ct)
    {
        var actions = new Dictionary<(Guid, string), ActionDefinition?>();
        var hasNews = false;
        foreach (var order in decision.Orders)
        {
            switch (order)
            {
                case Order.Write(var row):
                    run = Write(tx, run, row);
                    break;
                case Order.Close(var row):
                    store.Update(tx, row);
                    run = Tell(tx, run, row);
                    break;
                case Order.Consume(var signal, var by):
                    store.Consume(tx, signal, by);
                    run = run with { Signals = [.. run.Signals.Where(s => s.Id != signal.Id)] };
                    break;
                case Order.Run { Step.Type: StepType.Workflow } sub:
                    run = await StartAsync(tx, run, sub, ct);
                    break;
                case Order.Run(var step, var row):
                    var action = await FindAsync(tx, actions, step.AgentId ?? run.Instance.AgentId, row.ActionId!, ct);
                    run = Write(tx, run, await RequestAsync(tx, run, action, row, Key(run.Instance.Id, row), row.Input!.Value, step.Retry, null, ct));
                    break;
                case Order.Undo undo:
                    var undoing = await FindAsync(tx, actions, undo.Step.AgentId ?? run.Instance.AgentId, undo.Row.ActionId!, ct);
                    run = await UndoAsync(tx, run, undo, undoing, ct);
                    break;
                case Order.Stop stop:
                    run = await StopAsync(tx, run, stop, ct);
                    break;
                case Order.TurnBack(var error):
                    store.TurnBack(tx, run.Instance.Id, error);
                    run = run with { Instance = After(run.Instance, error) };
                    break;
                case Order.Finish finish:
                    run = await FinishAsync(tx, run, finish, ct);
                    break;
            }

            var begun = order switch { Order.Run o => o.Row, Order.Undo o => o.Row, Order.Stop o => o.Row, _ => null };
            hasNews |= begun is not null && run.Rows.Any(row => row.Id == begun.Id && !row.IsOpen);
        }

        return (run, hasNews);
    }

    /// <summary>The key under which a step of an instance acts: the same for every try at it.</summary>
    private static string Key(Guid instance, WorkflowStep row) => $"workflow:{instance:n}:{row.StepId}:{row.Iteration}";

    private static WorkflowInstance After(WorkflowInstance instance, RunError error) => instance with
    {
        Phase = "undoing",
        Control = error.Code == Interpreter.Cancelled ? "cancelled" : "running",
        TimedOut = error.Code == Interpreter.TimedOut,
        Error = error.Message,
        ErrorCode = error.Code,
        ErrorStep = error.StepId,
        ErrorSignature = ErrorSignature.Of(error),
    };

    private async Task<ActionDefinition?> FindAsync(Transaction tx, Dictionary<(Guid, string), ActionDefinition?> found, Guid agentId, string actionId, CancellationToken ct) =>
        found.TryGetValue((agentId, actionId), out var known) ? known : found[(agentId, actionId)] = await registry.FindAsync(tx, agentId, actionId, ct);

    /// <summary>The row with what became of the request; one that cannot be carried out has failed at once.</summary>
    private async Task<WorkflowStep> RequestAsync(
        Transaction tx, RunState run, ActionDefinition? action, WorkflowStep row, string key, JsonElement values, StepRetry? retry, string? undone, CancellationToken ct)
    {
        if (action is not { IsActive: true })
        {
            return Failed(row, "action_not_offered", $"The agent no longer offers '{row.ActionId}'.");
        }

        var instance = run.Instance;
        var item = await queue.EnqueueAsync(tx, new ActionRequest(action, instance.SessionId, instance.ContactId, instance.ConversationId, key)
        {
            Context = null,
            Params = values,
            WorkflowInstanceId = instance.WorkflowInstanceId,
            NeedsApproval = !row.IsUndo,
            Retry = retry?.Over(action.Policy),
            RollbackOf = undone,
            TraceId = instance.Id.ToString("n"),
        }, ct);
        row = row with { ActionQueueId = item.Id };
        switch (item.Status)
        {
            case QueueStatus.Pending:
                await queue.CancelAsync(tx, item.Id, "params_invalid", ct);
                return Failed(row, "params_invalid", $"Missing {item.ParamsMissing.GetRawText()}, wrong {item.ParamsValidationErrors.GetRawText()}.");
            case QueueStatus.Blocked:
                return row with { Status = "waiting" };
            case QueueStatus.Completed or QueueStatus.Failed or QueueStatus.Cancelled:
                // What this undoes was undone by another fork of the same run.
                return StepOutcome.After(row, new ActionChange(item, action), clock.GetUtcNow());
            default:
                return row;
        }
    }

    /// <summary>Without a mapping the undoing gets what the step was given, and what it brought over it.</summary>
    private async Task<RunState> UndoAsync(Transaction tx, RunState run, Order.Undo order, ActionDefinition? action, CancellationToken ct)
    {
        var done = order.Done;
        var brought = done.Result is { ValueKind: JsonValueKind.Object } result ? result : Parameters.None;
        var values = order.Row.Input ?? (action is null ? Parameters.None : Parameters.Merge(action, done.Input ?? Parameters.None, brought));
        var undone = done.Status == "completed" ? done.ExecutionId : null;
        var row = await RequestAsync(tx, run, action, order.Row with { Input = values }, $"{Key(done.OriginInstance, done)}:undo", values, order.Step.Undo!.Retry, undone, ct);
        return Write(tx, run, row);
    }

    private async Task<RunState> StartAsync(Transaction tx, RunState run, Order.Run order, CancellationToken ct)
    {
        var row = order.Row;
        store.Insert(tx, row);
        var child = await starts.RunAsync(tx, new WorkflowStart(order.Step.Workflow!, run.Instance.ConversationId, "workflow", $"step:{row.Id:n}")
        {
            Input = row.Input,
            ParentStep = row.Id,
            Chain = run.Instance.ChainOn,
        }, ct);
        row = child.IsOk ? row with { ChildInstance = child.Value.Id } : Failed(row, child.Problem.Code, child.Problem.Title);
        store.Update(tx, row);
        return Tell(tx, run, row);
    }

    /// <summary>A request that has not begun is cancelled, and its row ended before it can hear of it; a sub-workflow is told to stop, and ends by itself.</summary>
    private async Task<RunState> StopAsync(Transaction tx, RunState run, Order.Stop stop, CancellationToken ct)
    {
        if (stop.Row.ChildInstance is { } child)
        {
            work.Enqueue(tx, new NewWork(StopKind, child.ToString("n"), new StopWork(child, stop.Stopped.Error!)));
            return run;
        }

        store.Update(tx, stop.Stopped);
        if ((await queue.CancelAsync(tx, stop.Row.ActionQueueId!.Value, stop.Stopped.Error!, ct)).IsOk)
        {
            return Tell(tx, run, stop.Stopped);
        }

        store.Update(tx, stop.Row);
        return run;
    }

    private async Task<RunState> FinishAsync(Transaction tx, RunState run, Order.Finish finish, CancellationToken ct)
    {
        var ended = run.Instance with { Status = finish.Status, Output = finish.Output, RollbackPerformed = finish.RolledBack, CompletedAt = clock.GetUtcNow() };
        run = run with { Instance = ended };
        store.Save(tx, run, wakeAt: null);
        store.Finish(tx, ended.Id, finish);
        PatternShelf.Learn(tx, ended);
        events.Append(tx, WorkflowEvents.Of(
            $"workflow.{finish.Status}", ended,
            new { ended.Output, ended.Error, ended.ErrorCode, ended.ErrorStep, ended.ErrorSignature, ended.TimedOut, finish.RolledBack, ended.ForkedFrom }));
        if (finish.Status == "failed" && run.Definition.FailureMessage is { } message && await conversations.FindAsync(tx, ended.ConversationId, ct) is { BotMayReply: true })
        {
            outbox.Queue(tx, new OutgoingMessage(ended.ContactId, ended.ConversationId, "agent", message) { Priority = "high", IdempotencyKey = $"workflow:{ended.Id:n}:failed" });
        }

        // The lower instance before the higher: a higher one never holds its own lock while it waits for a lower one's.
        if (ended.ParentStep is { } parent && await store.StepAsync(tx, parent, ct) is { } step)
        {
            await settle.RunAsync(tx, step, row => AfterChild(row, ended, clock.GetUtcNow()), ct);
        }

        return run;
    }

    private static WorkflowStep AfterChild(WorkflowStep row, WorkflowInstance child, DateTimeOffset now) => row with
    {
        Status = child.Status,
        Result = child.Output,
        Error = child.Error,
        ErrorCode = child.Status == "completed" ? null : $"workflow_{child.Status}",
        CompletedAt = now,
    };

    private RunState Write(Transaction tx, RunState run, WorkflowStep row)
    {
        store.Insert(tx, row);
        return Tell(tx, run, row);
    }

    /// <summary>The row as it is now, last in the list.</summary>
    private RunState Tell(Transaction tx, RunState run, WorkflowStep row)
    {
        run = run with { Rows = [.. run.Rows.Where(r => r.Id != row.Id), row] };
        if (row.IsOpen)
        {
            events.Append(tx, WorkflowEvents.OfStep(run, row));
        }
        else
        {
            settle.Tell(tx, run, row);
        }

        return run;
    }

    private WorkflowStep Failed(WorkflowStep row, string code, string message) => row with { Status = "failed", ErrorCode = code, Error = message, CompletedAt = clock.GetUtcNow() };
}

internal sealed record StopWork(Guid InstanceId, string Reason);

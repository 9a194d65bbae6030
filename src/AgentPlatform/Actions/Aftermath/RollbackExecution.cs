using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Actions.Aftermath;

/// <summary>
/// Undoes a completed execution with the action that its registry entry names, once. The undoing is a request of its own, logged
/// like every other; the original is marked when it completes.
/// </summary>
internal sealed class RollbackExecution(ActionRegistry registry, ActionQueue queue)
{
    internal async Task<Result<QueuedAction>> RunAsync(Transaction tx, string executionId, CancellationToken ct)
    {
        if (await tx.FindAsync<ActionExecution>(Sql.Lock, [executionId], ct) is not { } original)
        {
            return Problem.NotFound("execution");
        }

        var before = await tx.SingleAsync<Orders>(Sql.Orders, [executionId], ct);
        var action = await registry.FindAsync(tx, original.AgentId, original.ActionId, ct);
        var undo = action?.RollbackActionId is { } id ? await registry.FindAsync(tx, original.AgentId, id, ct) : null;
        if (Refusal(original, action, undo, before) is { } refusal)
        {
            return refusal;
        }

        // What the execution brought (a booking's number) says more than what it was given.
        var values = Parameters.Merge(undo!, original.ParamsUsed, original.Result ?? Parameters.None);
        if (Parameters.Problem(undo!, values) is { } incomplete)
        {
            return incomplete;
        }

        return await queue.EnqueueAsync(tx, new ActionRequest(undo!, original.SessionId, original.ContactId, original.ConversationId, $"rollback:{executionId}:{before.Total}")
        {
            Context = null,
            Params = values,
            NeedsApproval = true,
            RollbackOf = executionId,
            TraceId = original.TraceId,
            RequestId = original.RequestId,
        }, ct);
    }

    private static Problem? Refusal(ActionExecution original, ActionDefinition? action, ActionDefinition? undo, Orders before) => original switch
    {
        { RollbackPerformed: true } => Problem.Conflict("already_rolled_back", "The execution has been rolled back before."),
        _ when before.Standing > 0 => Problem.Conflict("rollback_requested", "The rollback has been requested before; it is queued, or in the dead letters."),
        { Status: not "completed" } => Problem.Conflict("rollback_not_possible", "Only a completed execution can be rolled back."),
        { DuplicateExecution: true } => Problem.Conflict("rollback_not_possible", "A duplicate did nothing; roll back the original execution."),
        _ when action is not { RollbackPossible: true } => Problem.Conflict("rollback_not_possible", "The action cannot be rolled back."),
        _ when undo is not { IsActive: true } => Problem.Conflict("rollback_action_missing", "The action that would undo this one is not offered."),
        _ => null,
    };

    private sealed record Orders(long Standing, long Total);

    private static class Sql
    {
        // The lock makes two orders one after the other.
        internal const string Lock = "SELECT * FROM actions.action_execution_log WHERE execution_id = $1 FOR UPDATE";

        internal const string Orders =
            "SELECT count(*) FILTER (WHERE status <> 'cancelled') AS standing, count(*) AS total FROM actions.action_queue WHERE rollback_of = $1";
    }
}

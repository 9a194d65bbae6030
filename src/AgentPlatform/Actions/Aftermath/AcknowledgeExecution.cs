using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Actions.Aftermath;

/// <summary>The contact's or operator's "seen": once, in time, and only for an attempt that asked for it.</summary>
internal sealed class AcknowledgeExecution(WorkQueue work, TimeProvider clock)
{
    /// <summary>Starts the wait of an attempt that completes now, in the same transaction; null when it waits for nobody.</summary>
    internal DateTimeOffset? Expect(Transaction tx, ActionDefinition action, string executionId)
    {
        if (!action.RequiresUserAcknowledgement)
        {
            return null;
        }

        var deadline = clock.GetUtcNow().AddSeconds(action.AcknowledgementTimeoutSeconds);
        work.Enqueue(tx, new NewWork(ActionsModule.AcknowledgementKind, executionId, new AcknowledgementWait(executionId)) { RunAt = deadline });
        return deadline;
    }

    /// <summary>Problem <c>acknowledgement_timed_out</c> after the deadline, <c>acknowledgement_not_expected</c> where none was asked for.</summary>
    internal async Task<Result<ActionExecution>> RunAsync(Transaction tx, string executionId, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        var acknowledged = await tx.ExecuteAsync(Sql.Acknowledge, [executionId, now], ct) == 1;
        if (acknowledged)
        {
            await work.CancelAsync(tx, ActionsModule.AcknowledgementKind, executionId, "acknowledged", ct);
        }

        return await tx.FindAsync<ActionExecution>(Sql.Find, [executionId], ct) switch
        {
            null => Problem.NotFound("execution"),
            { Acknowledged: true } row => row,
            { AcknowledgeBy: { } deadline } when deadline <= now =>
                Problem.Conflict("acknowledgement_timed_out", "The wait for an acknowledgement is over."),
            _ => Problem.Conflict("acknowledgement_not_expected", "This execution does not wait for an acknowledgement."),
        };
    }

    private static class Sql
    {
        // The deadline counts, not the moment at which its work item runs. Attempts from before there were deadlines have none.
        internal const string Acknowledge =
            """
            UPDATE actions.action_execution_log SET acknowledged = true, acknowledged_at = $2
            WHERE execution_id = $1 AND requires_acknowledgement AND NOT acknowledged AND status = 'completed'
              AND (acknowledge_by IS NULL OR acknowledge_by > $2)
            """;

        internal const string Find = "SELECT * FROM actions.action_execution_log WHERE execution_id = $1";
    }
}

internal sealed record AcknowledgementWait(string ExecutionId);

/// <summary>The deadline of an acknowledgement has come.</summary>
internal sealed class EndAcknowledgementWait(Database database, EventStore events, TimeProvider clock) : IWorkHandler
{
    public async Task<WorkOutcome> HandleAsync(WorkItem work, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(work.TenantId));
        if (await tx.FindAsync<ActionExecution>(Sql.TimeOut, [work.Read<AcknowledgementWait>().ExecutionId, clock.GetUtcNow()], ct) is { } ended)
        {
            events.Append(tx, new NewEvent("action.acknowledgement_timed_out", "conversation", ended.ConversationId,
                new { queue_id = ended.QueueId, action_id = ended.ActionId, execution_id = ended.ExecutionId, acknowledge_by = ended.AcknowledgeBy })
            { CreatedBy = "actions" });
        }

        work.Settle(tx, new WorkOutcome.Done());
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private static class Sql
    {
        internal const string TimeOut =
            """
            UPDATE actions.action_execution_log SET acknowledgement_timeout = true
            WHERE execution_id = $1 AND NOT acknowledged AND NOT acknowledgement_timeout AND acknowledge_by <= $2
            RETURNING *
            """;
    }
}

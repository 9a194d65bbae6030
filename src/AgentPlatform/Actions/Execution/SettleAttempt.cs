using AgentPlatform.Actions.Aftermath;
using AgentPlatform.Actions.Checkpoints;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.Actions.Execution;

/// <summary>Ends an attempt: the request completes, is tried again, or fails for good; all of it in the transaction that settles its work item.</summary>
internal sealed class SettleAttempt(
    ExecutionLog executions, AcknowledgeExecution acknowledgements, DeadLetters deadLetters, ActionEffects effects, WorkQueue queue, EventStore events, ActionListeners listeners,
    TimeProvider clock, ILogger<ExecuteAction> log)
{
    /// <summary>How often the provider is asked, after the last try, what became of it.</summary>
    internal const int LastQuestions = 3;

    private static readonly TimeSpan LeastPause = TimeSpan.FromSeconds(2);

    /// <summary>Only a question may follow, no call.</summary>
    internal static bool HasNoTries(QueuedAction item) => item.RetryCount > 0 && item.RetryCount >= item.MaxRetries;

    /// <summary>
    /// Pure: when the request is looked at again, or null when it ends here. A call whose outcome is unknown is asked for even when the tries
    /// are used up, or the kind of its error is not one to retry.
    /// </summary>
    internal static DateTimeOffset? Next(QueuedAction item, ActionDefinition action, ActionResult result, DateTimeOffset now, double random)
    {
        var failures = item.RetryCount + 1;
        if (result.Effect == "unknown" && !EffectRules.CanResolve(action))
        {
            return null;
        }

        if (item.Policy.Next(failures, result.Failure!.Kind, now, random) is { } next)
        {
            return next;
        }

        var pause = item.Policy.Delay(failures, random);
        return result.Effect == "unknown" && EffectProbe.Of(action) is not null && failures < item.MaxRetries + LastQuestions
            ? now + (pause > LeastPause ? pause : LeastPause)
            : null;
    }

    internal async Task<WorkOutcome> RunAsync(Transaction tx, WorkItem work, QueuedAction item, ActionDefinition action, ActionResult result, CancellationToken ct)
    {
        WorkOutcome outcome = new WorkOutcome.Done();
        result = HasNoTries(item) && result is { Effect: "not_happened", Probed: true } ? Given(item, result) : result;
        if (ForEach.Of(action) is null)
        {
            effects.Settle(tx, item.Id, result);
        }

        if (result.Failure is not { } failure)
        {
            executions.Complete(tx, item.ExecutionId!, result, acknowledgements.Expect(tx, action, item.ExecutionId!));
            await CompleteAsync(tx, item, action, result, ct);
        }
        else
        {
            executions.Fail(tx, item.ExecutionId!, failure);
            if (Next(item, action, result, clock.GetUtcNow(), Random.Shared.NextDouble()) is { } next)
            {
                await RetryAsync(tx, item, action, failure, next, ct);
                outcome = new WorkOutcome.Snooze(next - clock.GetUtcNow());
            }
            else
            {
                await FailAsync(tx, item, action, failure with { MayHaveHappened = result.Effect == "unknown" }, ct);
            }
        }

        work.Settle(tx, outcome);
        await tx.CommitAsync(ct);
        return WorkOutcome.Settled;
    }

    private async Task CompleteAsync(Transaction tx, QueuedAction item, ActionDefinition action, ActionResult result, CancellationToken ct)
    {
        var completed = await tx.SingleAsync<QueuedAction>(Sql.Complete, [item.Id, clock.GetUtcNow(), result.Value], ct);
        events.Append(tx, ActionEvents.Of("action.completed", completed, new { execution_id = item.ExecutionId, api_response_status = result.ResponseStatus }));
        if (item.ReplayOf is not null || item.RetryErrors.GetArrayLength() > 0)
        {
            events.Append(tx, ActionEvents.Of("action.recovered", completed, new { execution_id = item.ExecutionId, replay_of = item.ReplayOf }));
        }

        if (item.RollbackOf is { } undone)
        {
            executions.RolledBack(tx, undone, item.ActionId, item.ExecutionId!);
        }

        deadLetters.Completed(tx, item.QueueId);

        await listeners.TellAsync(tx, new ActionChange(completed, action), ct);
    }

    private async Task RetryAsync(Transaction tx, QueuedAction item, ActionDefinition action, ActionFailure failure, DateTimeOffset next, CancellationToken ct)
    {
        var retrying = await tx.SingleAsync<QueuedAction>(Sql.Retry, [item.Id, clock.GetUtcNow(), next, Error(item, failure)], ct);
        events.Append(tx, ActionEvents.Of("action.failed", retrying, new { execution_id = item.ExecutionId, attempt = item.RetryCount + 1, error_type = failure.Kind, will_retry = true, next_retry_at = next }));
        log.AttemptFailed(item.ActionId, item.QueueId, failure.Kind, next);
        await listeners.TellAsync(tx, new ActionChange(retrying, action, failure), ct);
    }

    internal async Task FailAsync(Transaction tx, QueuedAction item, ActionDefinition? action, ActionFailure failure, CancellationToken ct)
    {
        var failed = await tx.SingleAsync<QueuedAction>(Sql.Fail, [item.Id, clock.GetUtcNow(), Error(item, failure)], ct);
        effects.Leave(tx, item.Id);
        deadLetters.Add(tx, failed, ActionQueue.Text(item.Status), action?.Category, failure);
        if (EscalationPolicy.Of(action) is not null)
        {
            queue.Enqueue(tx, new NewWork(EscalateFailure.WorkKind, failed.QueueId, new EscalationWork(failed.QueueId)));
        }

        events.Append(tx, ActionEvents.Of("action.failed", failed, new { execution_id = item.ExecutionId, attempt = item.RetryCount + 1, error_type = failure.Kind, will_retry = false }));
        log.GaveUp(item.ActionId, item.QueueId, failure.Kind);
        await listeners.TellAsync(tx, new ActionChange(failed, action, failure), ct);
    }

    /// <summary>The last try was not carried out: what is told is why it failed, not that it was asked for.</summary>
    private static ActionResult Given(QueuedAction item, ActionResult asked)
    {
        var last = item.RetryErrors.EnumerateArray().Last();
        return asked with
        {
            Failure = new(last.GetProperty("type").GetString()!, $"{last.GetProperty("error").GetString()} The call was not carried out."),
        };
    }

    private NpgsqlParameter Error(QueuedAction item, ActionFailure failure) =>
        Json.Param(new[] { new { attempt = item.RetryCount + 1, error = failure.Message, type = failure.Kind, timestamp = clock.GetUtcNow() } });

    private static class Sql
    {
        internal const string Complete =
            "UPDATE actions.action_queue SET status = 'completed', completed_at = $2, result = $3 WHERE id = $1 RETURNING *";

        internal const string Retry =
            """
            UPDATE actions.action_queue
            SET status = 'retrying', retry_count = retry_count + 1, last_retry_at = $2, next_retry_at = $3, retry_errors = retry_errors || $4::jsonb
            WHERE id = $1
            RETURNING *
            """;

        internal const string Fail =
            """
            UPDATE actions.action_queue
            SET status = 'failed', retry_count = least(retry_count + 1, max_retries), last_retry_at = $2, next_retry_at = NULL, completed_at = $2,
                retry_errors = retry_errors || $3::jsonb
            WHERE id = $1
            RETURNING *
            """;
    }
}

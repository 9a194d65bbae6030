using System.Text.Json;
using AgentPlatform.Conversations;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Messaging;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Tasks;

/// <summary>How attempts and tasks end: what follows, who is told, and who waited for it. Every caller has locked the task.</summary>
internal sealed class SettleTask(
    TaskAttempts attempts, TaskGates gates, ConversationLog conversations, Outbox outbox, EventStore events, IOptions<TasksOptions> options, TimeProvider clock,
    ILogger<SettleTask> log)
{
    private const int MaxSummary = 1000;
    private static readonly TimeSpan MaxDelay = TimeSpan.FromHours(1);

    internal Task CompleteAsync(Transaction tx, AgencyTask task, Guid executionId, JsonElement value, string? summary, CancellationToken ct)
    {
        attempts.Complete(tx, executionId, value, TaskEvidence.Of(value));
        return CompletedAsync(tx, task, value, summary, ct);
    }

    /// <summary>The task is done, by whomever.</summary>
    internal async Task CompletedAsync(Transaction tx, AgencyTask task, JsonElement value, string? summary, CancellationToken ct)
    {
        var text = summary?.Clip(MaxSummary);
        var told = await TellAsync(tx, task, "completed", task.NotifyOnComplete, $"Done: {task.Title}{(string.IsNullOrWhiteSpace(text) ? "." : $"\n{text}")}", ct);
        tx.Post(Sql.Complete, task.Id, clock.GetUtcNow(), Json.Param(value), text, Json.Param(told));
        events.Append(tx, new NewEvent("agency_task.completed", "agency_task", task.Id, new { title = task.Title, task_type = task.TaskType, conversation_id = task.ConversationId, summary = text }));
        log.TaskCompleted(task.Id, task.TaskType);
        await gates.FollowAsync(tx, task.Id, ct);
    }

    /// <summary>One attempt has failed. The task is tried again, later each time, until it has failed once more than its retries.</summary>
    internal async Task FailAsync(Transaction tx, AgencyTask task, Guid executionId, TaskFailure failure, bool again, CancellationToken ct)
    {
        attempts.Fail(tx, executionId, failure);
        if (again && task.ErrorCount < task.MaxRetries)
        {
            var next = clock.GetUtcNow() + Delay(task.ErrorCount + 1);
            var queued = await tx.SingleAsync<AgencyTask>(Sql.Requeue, [task.Id, clock.GetUtcNow(), failure.Message, $"Failed ({failure.Code}); tried again at {next:u}."], ct);
            gates.Enqueue(tx, queued, TaskTrigger.Retry, next);
            events.Append(tx, new NewEvent("agency_task.attempt_failed", "agency_task", task.Id, new { error = failure.Message, error_code = failure.Code, next_attempt_at = next }));
            return;
        }

        var told = await TellAsync(tx, task, "failed", task.NotifyOnFailure, $"I am sorry, this did not work out: {task.Title}. A colleague will look into it.", ct);
        tx.Post(Sql.Fail, task.Id, clock.GetUtcNow(), failure.Message, $"Given up ({failure.Code}): {failure.Message}", Json.Param(told));
        events.Append(tx, new NewEvent("agency_task.failed", "agency_task", task.Id, new { title = task.Title, task_type = task.TaskType, conversation_id = task.ConversationId, error = failure.Message, error_code = failure.Code }));
        log.TaskFailed(task.Id, task.TaskType, failure.Code);
        await gates.FollowAsync(tx, task.Id, ct);
    }

    internal async Task CancelAsync(Transaction tx, AgencyTask task, string reason, CancellationToken ct)
    {
        attempts.Cancel(tx, task.Id, reason);
        tx.Post(Sql.Cancel, task.Id, clock.GetUtcNow(), reason);
        events.Append(tx, new NewEvent("agency_task.cancelled", "agency_task", task.Id, new { reason }));
        await gates.WithdrawAsync(tx, task, reason, ct);
        await gates.FollowAsync(tx, task.Id, ct);
    }

    internal TimeSpan Delay(int failures) =>
        TimeSpan.FromSeconds(Math.Min(options.Value.RetrySeconds * Math.Pow(2, Math.Clamp(failures, 1, 20) - 1), MaxDelay.TotalSeconds));

    /// <summary>
    /// Tells the contact, each kind of end once, however often the task is taken up again. Where there is nobody to write to, or a colleague
    /// is speaking with them, the task's event is the notice. Returns what goes into the log of notices.
    /// </summary>
    private async Task<IReadOnlyList<TaskNotice>> TellAsync(Transaction tx, AgencyTask task, string kind, bool wanted, string text, CancellationToken ct)
    {
        if (!wanted || Json.Read<TaskNotice[]>(task.NotificationsSent).Any(sent => sent.Kind == kind))
        {
            return [];
        }

        if (task.ConversationId is not { } id || await conversations.FindAsync(tx, id, ct) is not { ContactId: { } contactId, BotMayReply: true })
        {
            return [new TaskNotice(kind, "event", clock.GetUtcNow())];
        }

        outbox.Queue(tx, new OutgoingMessage(contactId, id, "agent", text)
        {
            // Who asked waits for the answer; who did not ask is written to within their limits.
            Proactive = task.SourceType != "conversation",
            TaskId = task.Id,
            IdempotencyKey = $"task:{task.Id:n}:{kind}",
        });
        return [new TaskNotice(kind, "message", clock.GetUtcNow())];
    }

    private static class Sql
    {
        internal const string Complete =
            """
            UPDATE tasks.agency_tasks
            SET status = 'completed', status_reason = NULL, completed_at = $2, started_at = coalesce(started_at, $2), result = $3, result_summary = $4,
                notifications_sent = notifications_sent || $5
            WHERE id = $1
            """;

        internal const string Requeue =
            """
            UPDATE tasks.agency_tasks
            SET status = 'queued', status_reason = $4, queued_at = $2, queue_round = queue_round + 1, last_error = $3, error_count = error_count + 1
            WHERE id = $1
            RETURNING *
            """;

        internal const string Fail =
            """
            UPDATE tasks.agency_tasks
            SET status = 'failed', status_reason = $4, completed_at = $2, last_error = $3, error_count = error_count + 1,
                notifications_sent = notifications_sent || $5
            WHERE id = $1
            """;

        internal const string Cancel = "UPDATE tasks.agency_tasks SET status = 'cancelled', status_reason = $3, completed_at = $2 WHERE id = $1";
    }
}

/// <summary>An entry of <c>notifications_sent</c>. Via: <c>message</c> (to the contact) or <c>event</c>.</summary>
internal sealed record TaskNotice(string Kind, string Via, DateTimeOffset At);

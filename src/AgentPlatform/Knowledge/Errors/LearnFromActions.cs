using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Aftermath;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Knowledge.Errors;

/// <summary>
/// Failed attempts at actions raise the patterns of their errors. A request that completes after all has been recovered: by its own retries, or
/// as the replay of a dead letter.
/// </summary>
internal sealed class LearnFromActions(ErrorPatterns patterns, ActionQueue queue, DeadLetters deadLetters) : IEventConsumer
{
    internal const string Consumer = "knowledge.actions";

    internal static readonly string[] Types = ["action.failed", "action.recovered"];

    public async Task HandleAsync(StoredEvent e, Transaction tx, CancellationToken ct)
    {
        if (await queue.OfQueueIdAsync(tx, e.Payload.GetProperty("queue_id").GetString()!, ct) is not { } item)
        {
            return;
        }

        var attempts = Json.Read<FailedAttempt[]>(item.RetryErrors);
        var context = ErrorPattern.OfAction(item.ActionId);
        if (e.EventType == "action.recovered")
        {
            await RecoveredAsync(tx, item, attempts, context, ct);
        }
        else if (Json.Read<Failure>(e.Payload.GetProperty("details")) is var failure && attempts.LastOrDefault(a => a.Attempt == failure.Attempt) is { } attempt)
        {
            patterns.Occurred(tx, attempt.Told, context, e.CreatedAt);
            Failed(tx, item, attempt, context, failure.WillRetry);
        }
    }

    private async Task RecoveredAsync(Transaction tx, QueuedAction item, FailedAttempt[] attempts, string context, CancellationToken ct)
    {
        if (attempts.Length > 0)
        {
            patterns.Credit(tx, [.. attempts.Select(a => a.Told)], context, RecoveryStrategy.Retry, worked: true);
        }

        if (item.ReplayOf is { } dlqId && await deadLetters.FindAsync(tx, dlqId, ct) is { IsOk: true } letter)
        {
            var last = Json.Read<FinalError>(letter.Value.FinalError);
            patterns.Credit(tx, [new ToldError(last.Type, last.Message)], context, RecoveryStrategy.Replay, worked: true);
        }
    }

    /// <summary>Given up: what was tried before has not helped.</summary>
    private void Failed(Transaction tx, QueuedAction item, FailedAttempt attempt, string context, bool willRetry)
    {
        if (!willRetry && attempt.Attempt > 1)
        {
            patterns.Credit(tx, [attempt.Told], context, RecoveryStrategy.Retry, worked: false);
        }

        if (!willRetry && item.ReplayOf is not null)
        {
            patterns.Credit(tx, [attempt.Told], context, RecoveryStrategy.Replay, worked: false);
        }
    }

    /// <summary>An entry of a request's <c>retry_errors</c>.</summary>
    private sealed record FailedAttempt(int Attempt, string Error, string Type)
    {
        internal ToldError Told => new(Type, Error);
    }

    private sealed record Failure(int? Attempt, bool WillRetry);

    private sealed record FinalError(string Type, string Message);
}

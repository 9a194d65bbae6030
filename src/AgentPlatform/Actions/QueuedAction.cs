using System.Text.Json;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Postgres;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Actions;

public enum QueueStatus
{
    Pending,
    Ready,
    Executing,
    Completed,
    Failed,
    Retrying,
    Blocked,
    Cancelled,
}

/// <summary>
/// A requested action: a row of <c>action_queue</c> as the API shows it. <c>pending</c> waits for parameters, <c>blocked</c> for
/// its eligibility or another action; <c>ready</c>, <c>executing</c> and <c>retrying</c> are driven by the work engine.
/// </summary>
public sealed record QueuedAction
{
    public Guid Id { get; init; }
    public string QueueId { get; init; } = "";
    public string ActionId { get; init; } = "";
    public string? ActionName { get; init; }
    public Guid SessionId { get; init; }
    public Guid ContactId { get; init; }
    public Guid AgentId { get; init; }
    public Guid ConversationId { get; init; }
    public string? IntentId { get; init; }
    public int? TurnNumber { get; init; }
    public string? WorkflowInstanceId { get; init; }
    public string? TraceId { get; init; }
    public string? RequestId { get; init; }
    public QueueStatus Status { get; init; }

    /// <summary>1 (lowest) to 10; see <see cref="QueuePriority"/>.</summary>
    public short Priority { get; init; }
    public JsonElement ParamsCollected { get; init; }
    public JsonElement ParamsMissing { get; init; }
    public JsonElement ParamsValidationErrors { get; init; }
    public int RetryCount { get; init; }
    public int MaxRetries { get; init; }
    public DateTimeOffset? LastRetryAt { get; init; }
    public DateTimeOffset? NextRetryAt { get; init; }
    public JsonElement RetryErrors { get; init; }
    public BackoffStrategy BackoffStrategy { get; init; }
    public int InitialDelaySeconds { get; init; }
    public int MaxDelaySeconds { get; init; }
    public string[] RetryOnErrors { get; init; } = [];
    public double RetryJitter { get; init; }
    public string? BlockerReason { get; init; }
    public JsonElement? BlockerDetails { get; init; }
    public string IdempotencyKey { get; init; } = "";
    public string? ExecutionId { get; init; }
    public JsonElement? Result { get; init; }

    /// <summary>The execution that this request undoes.</summary>
    public string? RollbackOf { get; init; }

    /// <summary>The dead letter that this request tries again.</summary>
    public string? ReplayOf { get; init; }
    public bool PersistedToDb { get; init; }
    public string? CheckpointId { get; init; }
    public DateTimeOffset? LastCheckpointAt { get; init; }
    public DateTimeOffset AddedAt { get; init; }
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? CompletedAt { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    internal RetryPolicy Policy => new(MaxRetries, BackoffStrategy, InitialDelaySeconds, MaxDelaySeconds, RetryOnErrors, RetryJitter);

    internal IReadOnlyList<string> Missing => ParamsMissing.Deserialize<string[]>() ?? [];
}

/// <summary>What the queue is asked to do. The same <see cref="IdempotencyKey"/> asks once, however often it is said.</summary>
public sealed record ActionRequest(ActionDefinition Action, Guid SessionId, Guid ContactId, Guid ConversationId, string IdempotencyKey)
{
    /// <summary>Null when an operator orders it: then neither eligibility nor opposites, which are the contact's own, count.</summary>
    public required EligibilityContext? Context { get; init; }
    public JsonElement Params { get; init; } = Parameters.None;
    public string? IntentId { get; init; }
    public int? TurnNumber { get; init; }
    public string? TraceId { get; init; }
    public string? RequestId { get; init; }

    /// <summary>The workflow that requests it: its actions do not wait for each other.</summary>
    public string? WorkflowInstanceId { get; init; }

    /// <summary>An action with an approval policy waits for its approval, although no eligibility is looked at.</summary>
    public bool NeedsApproval { get; init; }

    /// <summary>In place of the registry entry's retry policy.</summary>
    public RetryPolicy? Retry { get; init; }

    /// <summary>The execution that this request undoes.</summary>
    public string? RollbackOf { get; init; }
    internal string? ReplayOf { get; init; }
}

/// <summary>A requested action changed: what another module may want to know in the same transaction.</summary>
public sealed record ActionChange(QueuedAction Item, ActionDefinition? Definition, ActionFailure? Failure = null);

/// <summary>
/// Told of every step of a queued action, inside the transaction that makes it: the turn (intents, replies) and whoever else
/// waits for an action. An exception undoes the step.
/// </summary>
public interface IActionListener
{
    Task ChangedAsync(Transaction tx, ActionChange change, CancellationToken ct);
}

/// <summary>The listeners, found when something happens: they may themselves need the queue.</summary>
internal sealed class ActionListeners(IServiceProvider services)
{
    internal async Task TellAsync(Transaction tx, ActionChange change, CancellationToken ct)
    {
        foreach (var listener in services.GetServices<IActionListener>())
        {
            await listener.ChangedAsync(tx, change, ct);
        }
    }
}

/// <summary>The registry's words and the queue's numbers: low 2, normal 5, high 8, critical 10.</summary>
public static class QueuePriority
{
    public static short Of(string registryPriority) => registryPriority switch
    {
        "low" => 2,
        "normal" => 5,
        "high" => 8,
        "critical" => 10,
        _ => throw new ArgumentOutOfRangeException(nameof(registryPriority), registryPriority, "Not a registry priority."),
    };

    /// <summary>The work engine counts from 0 (most urgent) to 100.</summary>
    internal static short ForWork(short queuePriority) => (short)((10 - queuePriority) * 10);
}

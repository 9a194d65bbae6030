using System.Text.Json;
using AgentPlatform.Kernel;

namespace AgentPlatform.Actions.Controls;

/// <summary>What holds for an execution (a queued action): a row of <c>execution_controls</c> as the API shows it.</summary>
public sealed record ExecutionControl
{
    public Guid Id { get; init; }

    /// <summary>The id of the queued action.</summary>
    public Guid ActionQueueId { get; init; }

    /// <summary><c>running</c>, <c>paused</c>, <c>cancelled</c> or <c>awaiting_approval</c>.</summary>
    public string ControlState { get; init; } = "";
    public string? StateReason { get; init; }

    /// <summary>Told to the next attempt, once; null when there is none or it was consumed.</summary>
    public string? InjectedInstruction { get; init; }
    public DateTimeOffset? InjectedAt { get; init; }

    /// <summary>Where a pause stopped it: <c>{"status", "attempts", "next_retry_at", "checkpoint_id", "last_error"}</c>; the next attempt is given it.</summary>
    public JsonElement? CheckpointData { get; init; }
    public DateTimeOffset LastStateChange { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    /// <summary>Why a command is refused now, or null.</summary>
    internal Problem? Refuses(string command, QueueStatus status) => (command, ControlState) switch
    {
        (_, "cancelled") => Problem.Conflict("execution_cancelled", "The execution is cancelled; that cannot be undone."),
        _ when status is QueueStatus.Completed or QueueStatus.Failed => Problem.Conflict("execution_over", "The execution is over."),
        ("pause", not "running") => Problem.Conflict("execution_not_running", $"The execution is {ControlState}."),
        ("resume", not "paused") => Problem.Conflict("execution_not_paused", $"The execution is {ControlState}."),
        ("inject", _) when InjectedInstruction is not null => Problem.Conflict("instruction_pending", "An earlier instruction has not been consumed yet."),
        _ => null,
    };

    /// <summary>What follows from the request's own state while nobody has paused it.</summary>
    internal static string Following(QueuedAction item) =>
        item.Status == QueueStatus.Cancelled ? "cancelled" : item.BlockerReason == Approvals.ApprovalPolicy.Awaiting ? Approvals.ApprovalPolicy.Awaiting : "running";

    internal static JsonElement Checkpoint(QueuedAction item) => Json.Of(new
    {
        item.Status,
        attempts = item.RetryCount,
        item.NextRetryAt,
        item.CheckpointId,
        last_error = item.RetryErrors.EnumerateArray().Select(error => (JsonElement?)error).LastOrDefault(),
    });
}

using System.Text.Json;
using AgentPlatform.Kernel;

namespace AgentPlatform.Workflows.Sops;

/// <summary>
/// One execution of a version of an SOP, step after step. Status: <c>awaiting_approval</c>, <c>in_progress</c>, <c>completed</c>, <c>failed</c> or
/// <c>cancelled</c>.
/// </summary>
public sealed record SopExecution
{
    public Guid Id { get; init; }
    public Guid SopId { get; init; }

    /// <summary>The version that was in force when it was started, and that it keeps.</summary>
    public int Version { get; init; }

    /// <summary>The member who started it; null when the platform did.</summary>
    public Guid? UserId { get; init; }

    /// <summary><c>human</c>: people do every step. <c>ai_agent</c>: actions do. <c>hybrid</c>: actions do those that name one.</summary>
    public string ExecutorType { get; init; } = "";

    /// <summary>The conversation for whose contact its actions are carried out.</summary>
    public Guid? ConversationId { get; init; }
    public Guid? AgentSessionId { get; init; }
    public string Status { get; init; } = "";

    /// <summary>Why it was cancelled.</summary>
    public string? StatusReason { get; init; }

    /// <summary>Until when it may be approved; null when it needs no approval.</summary>
    public DateTimeOffset? ApprovalDueAt { get; init; }

    /// <summary>Who let it begin, or refused to; null also when nobody did in time.</summary>
    public Guid? DecidedBy { get; init; }
    public DateTimeOffset? DecidedAt { get; init; }

    /// <summary>The place, from 0, of the step under way; null when none is.</summary>
    public int? CurrentStepIndex { get; init; }
    public int StepRound { get; init; }
    public DateTimeOffset? StepStartedAt { get; init; }

    /// <summary>When the step has taken too long.</summary>
    public DateTimeOffset? StepDueAt { get; init; }

    /// <summary>The request that does the step; null when a person does.</summary>
    public Guid? ActionQueueId { get; init; }

    /// <summary>A list of <see cref="SopStepResult"/>, in the order in which they came.</summary>
    public JsonElement StepResults { get; init; }

    /// <summary>What it was given; conditions and parameters see it as <c>$.input</c>.</summary>
    public JsonElement Context { get; init; }

    /// <summary><c>{"steps": {"1": …}, "error": {"code", "message", "step_number"}}</c> once it is over.</summary>
    public JsonElement? Result { get; init; }
    public string? Feedback { get; init; }

    /// <summary>1 to 5.</summary>
    public int? Rating { get; init; }

    /// <summary>A list of <see cref="SopIssue"/>: what failed on the way, and what people found.</summary>
    public JsonElement Issues { get; init; }
    public DateTimeOffset StartedAt { get; init; }
    public DateTimeOffset? CompletedAt { get; init; }
    public long? DurationMs { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    internal static readonly string[] Statuses = ["awaiting_approval", "in_progress", "completed", "failed", "cancelled"];
    internal static readonly string[] Executors = ["human", "ai_agent", "hybrid"];

    internal bool IsOver => Status is "completed" or "failed" or "cancelled";

    internal IReadOnlyList<SopStepResult> Results => Json.Read<SopStepResult[]>(StepResults);

    /// <summary>Whether an action does the step.</summary>
    internal bool IsAgents(SopStep step) => ExecutorType != "human" && step.ActionType == "action";
}

/// <summary>
/// What became of a step. Status: <c>completed</c>, <c>failed</c>, or <c>skipped</c> because its conditions did not hold. <paramref name="Next"/>: what
/// follows: <c>step</c> (the next in order), <c>retry</c>, <c>alternative</c> (that is <paramref name="Alternative"/>) or <c>stop</c>.
/// </summary>
public sealed record SopStepResult(
    int StepNumber, string Status, string Next, DateTimeOffset StartedAt, DateTimeOffset CompletedAt, string? DoneBy = null, Guid? UserId = null, JsonElement? Result = null,
    string? Error = null, string? ErrorCode = null, int? Alternative = null);

/// <summary>Something that went wrong. Source: <c>execution</c>, or <c>rating</c> when a person reported it.</summary>
public sealed record SopIssue(string Source, string Message, int? StepNumber = null, string? Code = null);

/// <summary>How a step has ended: with a result, or an error.</summary>
internal sealed record StepEnd(string DoneBy, Guid? UserId, JsonElement? Result, string? ErrorCode = null, string? Error = null)
{
    /// <summary>Trying again cannot help, or might do twice what was perhaps done.</summary>
    internal bool IsFinal { get; init; }

    internal static StepEnd Failed(string doneBy, string code, string error) => new(doneBy, null, null, code, error);
}

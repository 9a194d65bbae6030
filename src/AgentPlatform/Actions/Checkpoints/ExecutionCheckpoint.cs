using System.Text.Json;
using AgentPlatform.Kernel;

namespace AgentPlatform.Actions.Checkpoints;

/// <summary>How far an execution (a queued action) has come: a row of <c>execution_checkpoints</c> as the API shows it.</summary>
public sealed record ExecutionCheckpoint
{
    public Guid Id { get; init; }
    public string CheckpointId { get; init; } = "";

    /// <summary>The id of the queued action.</summary>
    public Guid ActionQueueId { get; init; }

    /// <summary>The attempt that wrote it; null for one written before the first.</summary>
    public string? ExecutionId { get; init; }

    /// <summary>The phase of the next step, counted from 1.</summary>
    public int? PhaseId { get; init; }
    public string? PhaseName { get; init; }

    /// <summary>The step to go on with, counted from 0.</summary>
    public int StepIndex { get; init; }

    /// <summary>A list of <c>{"step", "phase"}</c>.</summary>
    public JsonElement CompletedSteps { get; init; }
    public JsonElement CompletedPhases { get; init; }

    /// <summary>What each completed step brought, by its number.</summary>
    public JsonElement PartialResults { get; init; }
    public JsonElement ExtractedData { get; init; }

    /// <summary>A browser's state, where a caller supplied it; the next attempt's templates see it.</summary>
    public JsonElement? SessionState { get; init; }
    public JsonElement? BrowserContext { get; init; }

    /// <summary><c>{"step", "type", "message", "code"}</c> of the failure that made it.</summary>
    public JsonElement? ErrorInfo { get; init; }

    /// <summary><c>error</c>, <c>manual</c>, <c>auto</c> or <c>phase_complete</c>.</summary>
    public string CheckpointReason { get; init; } = "";
    public bool CanResume { get; init; }
    public int ResumeCount { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? ExpiresAt { get; init; }

    internal IReadOnlyList<JsonElement> Results =>
        [.. PartialResults.EnumerateObject().OrderBy(p => int.Parse(p.Name, System.Globalization.CultureInfo.InvariantCulture)).Take(StepIndex).Select(p => p.Value)];

    /// <summary>Why nothing may go on from here, or null.</summary>
    internal Problem? Refuses(DateTimeOffset now) =>
        !CanResume ? Problem.Conflict("checkpoint_not_resumable", "The checkpoint says that it cannot be resumed from.")
        : ExpiresAt <= now ? Expired
        : null;

    internal static Problem Expired { get; } = Problem.Gone("checkpoint_expired", "The checkpoint has expired.");
}

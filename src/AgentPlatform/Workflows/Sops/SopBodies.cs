using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Workflows.Definitions;
using AgentPlatform.Workflows.Sops.Drafting;
using AgentPlatform.Workflows.Starting;

namespace AgentPlatform.Workflows.Sops;

internal sealed record CategoryBody(string? Name, string? Description, string? Icon, string? Color, int? SortOrder, bool? IsActive)
{
    internal Problem? ProblemAs(bool isNew) => new Validation().Text("name", Name, 100, required: isNew || Name is not null).Text("description", Description, 10_000)
        .Text("icon", Icon, 50).Text("color", Color, 20).Problem;
}

/// <summary>An SOP to make, or what to change of one: then what is absent stays. <see cref="Steps"/> are given all together.</summary>
internal sealed record SopBody
{
    public Guid? CategoryId { get; init; }
    public string? Title { get; init; }
    public string? Description { get; init; }
    public string? Objective { get; init; }
    public string[]? ApplicableTo { get; init; }

    /// <summary>True: nothing must hold any more.</summary>
    public JsonElement? Prerequisites { get; init; }
    public string[]? Triggers { get; init; }
    public int? EstimatedDuration { get; init; }
    public string? Priority { get; init; }
    public string[]? Tags { get; init; }
    public bool? AiEnabled { get; init; }
    public bool? HumanApprovalRequired { get; init; }
    public int? ApprovalTimeout { get; init; }
    public string? AutomationLevel { get; init; }
    public JsonElement? Metadata { get; init; }
    public SopStepBody[]? Steps { get; init; }

    internal Problem? ProblemAs(bool isNew)
    {
        var rules = new Validation().Text("title", Title, 255, required: isNew || Title is not null).Text("description", Description, 20_000).Text("objective", Objective, 10_000)
            .Check("applicable_to", AreShort(ApplicableTo), "Are at most 50, of 1 to 100 characters.").Check("tags", AreShort(Tags), "Are at most 50, of 1 to 100 characters.")
            .Check("triggers", Triggers is null || Triggers.All(EventStarts.Types.Contains), $"May be {string.Join(", ", EventStarts.Types)}.")
            .Check("estimated_duration", EstimatedDuration is null or >= 0, "Must be at least 0.")
            .Check("approval_timeout", ApprovalTimeout is null or (>= 60 and <= 31_536_000), "Must be seconds, from 60 to 31536000.")
            .OneOf("priority", Priority, required: false, Sop.Priorities).OneOf("automation_level", AutomationLevel, required: false, Sop.AutomationLevels)
            .MustBeObject("metadata", Metadata);
        foreach (var (at, message) in Prerequisites is { } needed ? Condition.Errors(needed, "prerequisites", PathRules.InputOnly.Error) : [])
        {
            rules.Check(at, false, message);
        }

        return Steps is null ? rules.Problem
            : Array.Exists(Steps, step => step?.Alternatives?.Contains(null) ?? step is null) ? Kernel.Problem.Invalid("steps", "Must be objects, and so must their alternatives.")
            : SopRules.Check(Steps, rules).Problem;
    }

    private static bool AreShort(string[]? texts) => texts is not { Length: > 50 } && texts?.All(text => text is { Length: >= 1 and <= 100 }) != false;
}

internal sealed record SopStepBody
{
    public int StepNumber { get; init; }
    public string? Title { get; init; }
    public string? Instructions { get; init; }
    public string? ActionType { get; init; }
    public StepAction? ActionConfig { get; init; }
    public JsonElement? Conditions { get; init; }
    public StepAlternative[]? Alternatives { get; init; }
    public string? ExpectedOutcome { get; init; }
    public JsonElement? ValidationCriteria { get; init; }
    public StepErrorHandling? ErrorHandling { get; init; }
    public JsonElement? Resources { get; init; }
    public JsonElement? Examples { get; init; }
    public string? Tips { get; init; }
    public int? EstimatedDuration { get; init; }
    public int? Timeout { get; init; }
    public int[]? DependsOn { get; init; }

    internal SopStep ToStep() => new()
    {
        StepNumber = StepNumber,
        Title = Title!.Trim(),
        Instructions = Instructions!,
        ActionType = ActionType ?? "manual",
        ActionConfig = ActionConfig is null ? null : Json.Of(ActionConfig),
        Conditions = Conditions,
        Alternatives = Json.Of(Alternatives ?? []),
        ExpectedOutcome = ExpectedOutcome,
        ValidationCriteria = ValidationCriteria,
        ErrorHandling = Json.Of(ErrorHandling ?? StepErrorHandling.Stop),
        Resources = Resources ?? Json.Of(Array.Empty<object>()),
        Examples = Examples ?? Json.Of(Array.Empty<object>()),
        Tips = Tips,
        EstimatedDuration = EstimatedDuration,
        Timeout = Timeout,
        DependsOn = DependsOn,
    };
}

/// <summary>An execution to begin. Executor: what the SOP's automation level says unless told.</summary>
internal sealed record ExecuteBody(string? ExecutorType, Guid? ConversationId, JsonElement? Context)
{
    internal Problem? Problem => new Validation().OneOf("executor_type", ExecutorType, required: false, SopExecution.Executors).MustBeObject("context", Context).Problem;
}

/// <summary>What a person did of a step: a result, or why it could not be done.</summary>
internal sealed record StepResultBody(string? Status, JsonElement? Result, string? Error)
{
    internal Problem? Problem => new Validation().OneOf("status", Status, required: true, "completed", "failed").MustBeObject("result", Result)
        .Text("error", Error, 2000, required: Status == "failed").Problem;
}

/// <summary>What people think of an execution that is over.</summary>
internal sealed record RatingBody(int? Rating, string? Feedback, ReportedIssue[]? Issues)
{
    internal Problem? Problem => new Validation().Check("rating", Rating is >= 1 and <= 5, "Must be 1 to 5.").Text("feedback", Feedback, 10_000)
        .Check("issues", Issues is not { Length: > 50 } && Issues?.All(issue => issue is { Message.Length: >= 1 and <= 2000 }) != false, "Are at most 50, with a message of 1 to 2000 characters.").Problem;
}

internal sealed record ReportedIssue(string? Message, int? StepNumber);

using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Knowledge.Patterns;

namespace AgentPlatform.Knowledge.Errors;

/// <summary>Something that goes wrong, and what helps: a row of <c>error_patterns</c>.</summary>
public sealed record ErrorPattern : ILearnedRow
{
    public Guid Id { get; init; }

    /// <summary>The member who alone sees and changes it; null when the tenant shares it.</summary>
    public Guid? UserId { get; init; }
    public string ErrorType { get; init; } = "";
    public string ErrorMessage { get; init; } = "";

    /// <summary>The message without its values: errors of one type, context and signature are the same error.</summary>
    public string Signature { get; init; } = "";

    /// <summary><c>action:{action_id}</c>, <c>task:{kind}</c>, or a worker's own word.</summary>
    public string? Context { get; init; }

    /// <summary>A list of <see cref="RecoveryStrategy"/>, in the order in which to try them.</summary>
    public JsonElement RecoveryStrategies { get; init; }
    public int OccurrenceCount { get; init; }
    public int ResolvedCount { get; init; }
    public DateTimeOffset? LastOccurred { get; init; }

    /// <summary>Holds <c>learned</c> until a person changes the row.</summary>
    public JsonElement Metadata { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset UpdatedAt { get; init; }

    internal static string OfAction(string actionId) => $"action:{actionId}";

    internal static string OfTask(string kind) => $"task:{kind}";
}

/// <summary>
/// What to do about an error. Kind: <c>retry</c> (after a delay), <c>replay</c> (request it again, perhaps with corrected parameters),
/// <c>run_action</c> (another one), <c>escalate</c> (to support) or <c>hand_over</c> (to a person). A kind is listed once, <c>run_action</c> once an action.
/// </summary>
public sealed record RecoveryStrategy(string Kind, int? DelaySeconds = null, string? ActionId = null, string? Note = null)
{
    public int Successes { get; init; }
    public int Failures { get; init; }

    internal static readonly string[] Kinds = ["retry", "replay", "run_action", "escalate", "hand_over"];
    internal static readonly RecoveryStrategy Retry = new("retry");
    internal static readonly RecoveryStrategy Replay = new("replay");

    /// <summary>The counts that the same strategy has in another list.</summary>
    internal RecoveryStrategy CountedAs(IEnumerable<RecoveryStrategy> before) =>
        before.FirstOrDefault(s => s.Kind == Kind && s.ActionId == ActionId) is { } same ? this with { Successes = same.Successes, Failures = same.Failures } : this;
}

/// <summary>A strategy as it is written by people; what it has achieved is counted.</summary>
internal sealed record StrategyBody(string? Kind, int? DelaySeconds, string? ActionId, string? Note)
{
    internal RecoveryStrategy Strategy => new(Kind!, DelaySeconds, ActionId, Note);

    internal Validation Rules(Validation rules, string field) => rules.OneOf($"{field}.kind", Kind, required: true, RecoveryStrategy.Kinds)
        .Check($"{field}.delay_seconds", DelaySeconds is null or (>= 0 and <= 604_800), "Must be between 0 and 604800.")
        .Check($"{field}.action_id", Kind == "run_action" == ActionId is { Length: >= 1 and <= 100 }, "Names the action of run_action, and only of that.")
        .Text($"{field}.note", Note, 1000);
}

/// <summary>A pattern to write down, or what to change of one: then what is absent stays.</summary>
internal sealed record ErrorPatternBody(string? ErrorType, string? ErrorMessage, string? Context, StrategyBody[]? RecoveryStrategies, JsonElement? Metadata, bool? Shared)
{
    internal Problem? ProblemAsNew => Rules(new Validation().Text("error_type", ErrorType, 255, required: true).Text("error_message", ErrorMessage, 2000, required: true)
        .Text("context", Context, 500, required: Context is not null)).Problem;

    internal Problem? ProblemAsChange => Rules(new Validation().Check("error_type", ErrorType is null, Fixed).Check("error_message", ErrorMessage is null, Fixed)
        .Check("context", Context is null, Fixed).Check("shared", Shared is null, Fixed)).Problem;

    private const string Fixed = "Cannot be changed: write down another pattern.";
    private const int MaxStrategies = 20;

    private Validation Rules(Validation rules)
    {
        var strategies = (RecoveryStrategies ?? []).OfType<StrategyBody>().ToArray();
        rules.MustBeObject("metadata", Metadata).Check("recovery_strategies", strategies.Length <= MaxStrategies, $"Are at most {MaxStrategies}.")
            .Check("recovery_strategies", strategies.Length == (RecoveryStrategies ?? []).Length, "Must not hold null.")
            .Check("recovery_strategies", strategies.GroupBy(s => (s.Kind, s.ActionId)).All(same => same.Count() == 1), "Must not name a strategy twice.");
        for (var i = 0; i < strategies.Length; i++)
        {
            strategies[i].Rules(rules, $"recovery_strategies[{i}]");
        }

        return rules;
    }
}

/// <summary>An error that a worker outside the platform has met.</summary>
internal sealed record OccurrenceBody(string? ErrorType, string? ErrorMessage, string? Context)
{
    internal Problem? Problem => new Validation().Text("error_type", ErrorType, 255, required: true).Text("error_message", ErrorMessage, 2000, required: true)
        .Text("context", Context, 500, required: Context is not null).Problem;
}

/// <summary>What was tried against an error, and whether it helped.</summary>
internal sealed record RecoveryBody(StrategyBody? Strategy, bool? Succeeded)
{
    internal Problem? Problem
    {
        get
        {
            var rules = new Validation().Check("strategy", Strategy is not null, "Is required.").Check("succeeded", Succeeded is not null, "Is required.");
            return (Strategy?.Rules(rules, "strategy") ?? rules).Problem;
        }
    }
}

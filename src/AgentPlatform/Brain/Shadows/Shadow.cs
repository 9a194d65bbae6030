using System.Security.Cryptography;
using System.Text.Json;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents.Rules;

namespace AgentPlatform.Brain.Shadows;

/// <summary>
/// Another way for an agent to decide, tried beside the live one: <see cref="Candidate"/> says what it has otherwise. Of the agent's turns it takes
/// <see cref="SampleRate"/>, until <see cref="EndsAt"/>. Status: <c>running</c>, <c>stopped</c> by somebody, or <c>ended</c> by itself.
/// </summary>
public sealed record Shadow(
    Guid Id, Guid AgentId, string Name, JsonElement Candidate, decimal SampleRate, string Status, DateTimeOffset? EndsAt, DateTimeOffset? StoppedAt,
    DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt)
{
    internal const string Running = "running";

    private readonly Lazy<Candidate> _otherwise = new(() => Kernel.Json.Read<Candidate>(Candidate));

    internal Candidate Otherwise => _otherwise.Value;

    /// <summary>By a hash, so that a turn that is taken again is sampled again, and another shadow samples others.</summary>
    internal bool Takes(Guid messageId, DateTimeOffset now)
    {
        Span<byte> both = stackalloc byte[32];
        Id.TryWriteBytes(both);
        messageId.TryWriteBytes(both[16..]);
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(both, hash);
        return (EndsAt is null || now < EndsAt) && BitConverter.ToUInt32(hash) < (double)SampleRate * (1UL << 32);
    }
}

/// <summary>A shadow to start. SampleRate: the share of turns, above 0 to 1; 1 when null.</summary>
public sealed record ShadowInput(string? Name, Candidate? Candidate, decimal? SampleRate, DateTimeOffset? EndsAt);

/// <summary>What is otherwise; a part that is null is as the agent has it.</summary>
public sealed record Candidate(RuleChanges? Rules, CandidateUnderstanding? Understanding, CandidateModel? Model)
{
    internal bool IsEmpty => Rules is not { IsEmpty: false } && Understanding is null or { IsEmpty: true } && Model is null or { IsEmpty: true };
}

/// <summary>
/// Thresholds of recognition in place of the settings of the same names; and sentences that the classifier learns as well, by the id of the action that they
/// ask for.
/// </summary>
public sealed record CandidateUnderstanding(
    int? FuzzyThreshold, decimal? ConfirmBelow, decimal? ConfirmModelBelow, decimal? BelieveModelFrom, IReadOnlyDictionary<string, string[]>? Examples = null)
{
    internal bool IsEmpty => this is { FuzzyThreshold: null, ConfirmBelow: null, ConfirmModelBelow: null, BelieveModelFrom: null } && Examples is null or { Count: 0 };

    /// <summary>The actions with what the classifier is to learn of them.</summary>
    internal IReadOnlyList<ActionDefinition> Teach(IReadOnlyList<ActionDefinition> actions) => Examples is not { Count: > 0 } more
        ? actions
        : [.. actions.Select(action => more.TryGetValue(action.ActionId, out var own) ? action with { Examples = Kernel.Json.Of(action.ExampleSentences.Concat(own)) } : action)];

    internal BrainOptions Over(BrainOptions options)
    {
        var other = options.Copy();
        other.FuzzyThreshold = FuzzyThreshold ?? options.FuzzyThreshold;
        other.ConfirmBelow = ConfirmBelow ?? options.ConfirmBelow;
        other.ConfirmModelBelow = ConfirmModelBelow ?? options.ConfirmModelBelow;
        other.BelieveModelFrom = BelieveModelFrom ?? options.BelieveModelFrom;
        return other;
    }
}

/// <summary>Another language model, asked at other times, told by other prompts: a version of one of the agent's template sets.</summary>
public sealed record CandidateModel(string? DefaultModel, string[]? FallbackModels, string? ModelUse, Guid? TemplateSetId, int? PromptVersion)
{
    internal bool IsEmpty => this is { DefaultModel: null, FallbackModels: null, ModelUse: null, TemplateSetId: null, PromptVersion: null };

    internal Tenancy.Agent Over(Tenancy.Agent agent) => agent with
    {
        DefaultModel = DefaultModel ?? agent.DefaultModel,
        FallbackModels = FallbackModels ?? agent.FallbackModels,
        ModelUse = ModelUse ?? agent.ModelUse,
    };
}

/// <summary>
/// A turn that a shadow took. Live and Candidate: what was decided. Status: <c>waiting</c>, then <c>same</c>, <c>different</c> in
/// <see cref="Differences"/>, or <c>skipped</c> for a <see cref="Reason"/>.
/// </summary>
public sealed record ShadowTurn(
    Guid Id, Guid ShadowId, Guid ConversationId, int TurnNumber, Guid MessageId, string Status, string? Reason, JsonElement Live, JsonElement? Candidate,
    string[] Differences, decimal LiveCostUsd, decimal CostUsd, int Calls, int? LatencyMs, DateTimeOffset CreatedAt, DateTimeOffset? DecidedAt);

/// <summary>What came of a shadow. Latencies are of the decision with its calls of models, in milliseconds.</summary>
public sealed record ShadowReport(Shadow Shadow, ShadowCounts Counts);

/// <summary>DifferentBy: how many turns differ in each kind. LiveCostUsd: what the same turns cost live.</summary>
public sealed record ShadowCounts(
    long Turns, long Waiting, long Same, long Different, long Skipped, JsonElement DifferentBy, JsonElement SkippedBy, long Calls, decimal CostUsd, decimal LiveCostUsd,
    int? AverageLatencyMs, int? SlowestLatencyMs);

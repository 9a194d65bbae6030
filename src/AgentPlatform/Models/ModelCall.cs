using System.Text.Json;
using AgentPlatform.Costs;
using AgentPlatform.Resilience;

namespace AgentPlatform.Models;

/// <summary>What was said before, by the contact or by us.</summary>
public sealed record PromptMessage(bool FromContact, string Text);

/// <summary>The form a model has to fill in: a function, and the JSON Schema of its arguments.</summary>
public sealed record AnswerForm(string Name, string Description, JsonElement Schema);

/// <summary>What a model is told.</summary>
public sealed record ModelPrompt(string Instructions, IReadOnlyList<PromptMessage> Messages, AnswerForm Form);

/// <summary>
/// Where a call belongs. A turn is known by its first message, and its calls are counted from one: the same place is called once.
/// Through: the latest message that the call is about. What is no turn has an id of its own run in both places.
/// </summary>
public sealed record CallPlace(Guid TurnId, int Attempt, Guid AgentId, string AgentType, Guid? ContactId, Guid ContextId, Guid ThroughId)
{
    private const string Conversation = "conversation";

    /// <summary>What <see cref="ContextId"/> is the id of.</summary>
    public string ContextType { get; init; } = Conversation;

    internal Guid? ConversationId => ContextType == Conversation ? ContextId : null;

    /// <summary>The instance of the agent that asks.</summary>
    public Guid? AgentInstanceId { get; init; }
}

/// <summary>The version of the template set that a prompt was worded by.</summary>
public sealed record PromptVersion(Guid TemplateSetId, int Version);

/// <summary>A call to make. Purpose: <c>reply</c>, or <c>repair</c> of an answer that could not be used. Version: null for the built-in wording.</summary>
public sealed record NewCall(CallPlace Place, LlmModel Model, string Purpose, ModelPrompt Prompt, PromptVersion? Version = null);

/// <summary>Whether a call may be made.</summary>
public abstract record CallStart
{
    private CallStart()
    {
    }

    /// <summary>It is in the journal, and its money is held: commit, then make it.</summary>
    public sealed record Ready(PreparedCall Call) : CallStart;

    /// <summary>The provider is in trouble, and left alone for now.</summary>
    public sealed record Unavailable(string Reason) : CallStart;

    /// <summary>There is no money for it.</summary>
    public sealed record OverBudget(BudgetRefusal Refusal) : CallStart;
}

/// <summary>A call that the journal knows of, not made yet.</summary>
public sealed record PreparedCall(Guid Id, NewCall Call, int Bytes, Passage Passage);

/// <summary>
/// A row of <c>agent_actions_log</c>. Status: <c>started</c>, then <c>answered</c>, <c>failed</c>, or <c>interrupted</c> when its host died.
/// Output of an answered call: <c>{"arguments": {…}, "text": "…", "finish_reason": "…", "request_id": "…"}</c>.
/// TemplateSetId and PromptVersion: what worded the prompt; null for the built-in wording.
/// </summary>
public sealed record StoredCall(
    Guid Id, Guid TurnId, int Attempt, Guid AgentId, string AgentType, string ActionType, Guid? ContactId, Guid ContextId, string ContextType, Guid ThroughId,
    string ModelName, string ModelUsed, string Provider, string Status, JsonElement InputData, JsonElement? OutputData, string? Error, int? InputTokens,
    int? OutputTokens, decimal? CostUsd, int? LatencyMs, DateTimeOffset CreatedAt, DateTimeOffset? FinishedAt, Guid? TemplateSetId, int? PromptVersion,
    Guid? AgentInstanceId);

/// <summary>The calls that an instance of an agent made, with what they cost.</summary>
public sealed record InstanceCalls(Guid AgentInstanceId, long Calls, long Failed, long InputTokens, long OutputTokens, decimal CostUsd, int? AverageLatencyMs);

/// <summary>How a call went.</summary>
internal sealed record ModelReply(ServiceVerdict Verdict)
{
    internal JsonElement? Arguments { get; init; }

    internal string? Text { get; init; }

    internal string? FinishReason { get; init; }

    internal string? RequestId { get; init; }

    /// <summary>Null when nothing was paid for. A failed call may have been, as far as its answer came.</summary>
    internal TokenCounts? Tokens { get; init; }

    internal string? Error { get; init; }

    internal static ModelReply Failed(ServiceVerdict verdict, string error) => new(verdict) { Error = error };
}

using System.Text.Json;
using System.Text.Json.Serialization;

namespace AgentPlatform.Conversations;

/// <summary>The agent's working memory between two turns: <c>sessions.state</c> of seed 000, field by field. What it does not know it keeps.</summary>
public sealed record SessionState
{
    /// <summary>A question was asked; the next message is first tried as its answer.</summary>
    public bool ExpectingResponse { get; init; }

    public AnswerSheet? AnswerSheet { get; init; }

    public ActiveTask? ActiveTask { get; init; }

    public IReadOnlyList<PreviousIntent> PreviousIntents { get; init; } = [];

    public TalkContext ConversationContext { get; init; } = new();

    /// <summary>What a short reply may mean now: yes, no, #1, #2 …</summary>
    public IReadOnlyList<string> AvailableSignals { get; init; } = [];

    /// <summary>The open intents of this session, as their table has them.</summary>
    public IReadOnlyList<JsonElement> IntentLedger { get; init; } = [];

    /// <summary>The waiting actions of this session, as their table has them.</summary>
    public IReadOnlyList<JsonElement> ActionQueue { get; init; } = [];

    /// <summary>By schema id.</summary>
    public IReadOnlyDictionary<string, SchemaState> SchemaStates { get; init; } = new Dictionary<string, SchemaState>(StringComparer.Ordinal);

    /// <summary>What the last turn let the client see, in order.</summary>
    public IReadOnlyList<StreamingUpdate> StreamingUpdates { get; init; } = [];

    /// <summary>What tools told of variables that the talk has not set, by name.</summary>
    public IReadOnlyDictionary<string, ResolvedVariable> Resolved { get; init; } = new Dictionary<string, ResolvedVariable>(StringComparer.Ordinal);

    [JsonExtensionData]
    public IDictionary<string, JsonElement>? More { get; init; }
}

/// <summary>The answer of a tool that a variable's value is asked of: the value, or why there is none.</summary>
public sealed record ResolvedVariable
{
    public required string Tool { get; init; }

    public JsonElement? Value { get; init; }

    public string? Error { get; init; }

    public required DateTimeOffset ResolvedAt { get; init; }
}

/// <summary>How replies are read: for every option the phrases that mean it. Type, e.g. <c>confirmation</c> or <c>choice</c>.</summary>
public sealed record AnswerSheet
{
    public required string Type { get; init; }

    public IReadOnlyDictionary<string, string[]> Options { get; init; } = new Dictionary<string, string[]>(StringComparer.Ordinal);

    [JsonExtensionData]
    public IDictionary<string, JsonElement>? More { get; init; }
}

/// <summary>An action whose parameters are being collected. Status, e.g. <c>collecting_params</c>.</summary>
public sealed record ActiveTask
{
    public required Guid TaskId { get; init; }

    public required string CanonicalAction { get; init; }

    public IReadOnlyDictionary<string, JsonElement> ParamsCollected { get; init; } = new Dictionary<string, JsonElement>(StringComparer.Ordinal);

    public IReadOnlyList<string> ParamsMissing { get; init; } = [];

    public required string Status { get; init; }

    [JsonExtensionData]
    public IDictionary<string, JsonElement>? More { get; init; }
}

public sealed record PreviousIntent
{
    public required string IntentType { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? CanonicalAction { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Confidence { get; init; }

    public required int Turn { get; init; }
}

/// <summary>What the talk is about: <c>conversation_context</c>.</summary>
public sealed record TalkContext
{
    public string? Domain { get; init; }

    public string? UserState { get; init; }

    public string? LastAction { get; init; }

    [JsonExtensionData]
    public IDictionary<string, JsonElement>? More { get; init; }
}

public sealed record SchemaState
{
    public required string SchemaId { get; init; }

    public IReadOnlyDictionary<string, SchemaKey> Keys { get; init; } = new Dictionary<string, SchemaKey>(StringComparer.Ordinal);

    /// <summary>none, incomplete or complete.</summary>
    public required string SchemaStatus { get; init; }

    public DateTimeOffset? CacheExpiresAt { get; init; }
}

/// <summary>Status: none or complete.</summary>
public sealed record SchemaKey(string Status, JsonElement? Value);

/// <summary>For example <c>action_lookup</c> with status <c>found</c>, or <c>intent_logged</c> with the intent's id.</summary>
public sealed record StreamingUpdate
{
    public required string UpdateType { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Status { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? IntentId { get; init; }

    public required DateTimeOffset Timestamp { get; init; }

    [JsonExtensionData]
    public IDictionary<string, JsonElement>? More { get; init; }
}

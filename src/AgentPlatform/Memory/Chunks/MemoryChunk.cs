using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;

namespace AgentPlatform.Memory.Chunks;

/// <summary>
/// Something kept at hand, which fades unless it is retrieved. Memory type: <c>conversation</c>, <c>fact</c>, <c>research</c> or <c>campaign</c>. Decay weight:
/// 1 when it was retrieved last, half of that after each half-life since. Without an agent it is every agent's; without a contact it is about nobody in particular.
/// </summary>
public sealed record MemoryChunk
{
    internal static readonly string[] Types = ["conversation", "fact", "research", "campaign"];

    public Guid Id { get; init; }
    public Guid? AgentId { get; init; }
    public Guid? ContactId { get; init; }
    public Guid? ConversationId { get; init; }
    public string Content { get; init; } = "";
    public string MemoryType { get; init; } = "";

    /// <summary>Where it comes from; what is told again under the same source takes its place.</summary>
    public string? Source { get; init; }
    public string EmbeddingModel { get; init; } = "";
    public JsonElement Metadata { get; init; }
    public decimal DecayWeight { get; init; }
    public int AccessCount { get; init; }
    public DateTimeOffset LastAccessed { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
}

/// <summary>A chunk to keep. Embedding: 768 numbers by the model named; without one it is made here.</summary>
public sealed record MemoryChunkInput(
    string? Content, string? MemoryType, string? Source = null, Guid? AgentId = null, Guid? ContactId = null, float[]? Embedding = null, string? EmbeddingModel = null,
    JsonElement? Metadata = null)
{
    internal const int Longest = 8000;

    internal Problem? Problem => new Validation()
        .Text("content", Content, Longest, required: true)
        .OneOf("memory_type", MemoryType, required: true, MemoryChunk.Types)
        .Text("source", Source, 500)
        .Check("embedding", Embedding is null || Embedding.Length == Dimensions.Chunks, $"Must have {Dimensions.Chunks} dimensions.")
        .Check("embedding", Embedding is null || (Embedding.All(float.IsFinite) && Embedding.Any(n => n != 0)), "Must be finite numbers, not all of them 0.")
        .Text("embedding_model", EmbeddingModel, 100, required: Embedding is not null)
        .Check("embedding_model", EmbeddingModel is null || Embedding is not null, "Goes with an embedding only.")
        .MustBeObject("metadata", Metadata)
        .Problem;
}

/// <summary>A chunk that the platform keeps.</summary>
internal sealed record NewChunk(string Content, string MemoryType, string? Source)
{
    internal Guid? AgentId { get; init; }

    internal Guid? ContactId { get; init; }

    internal Guid? ConversationId { get; init; }

    internal float[]? Embedding { get; init; }

    internal string? EmbeddingModel { get; init; }

    internal JsonElement? Metadata { get; init; }
}

using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Memory.Chunks;
using AgentPlatform.Memory.Episodes;
using AgentPlatform.Memory.Graph;

namespace AgentPlatform.Memory.Searching;

/// <summary>
/// Something that is remembered. Kind: <c>episode</c>, <c>chunk</c> or <c>entity</c>; type: the episode's, chunk's or entity's. Similarity: the cosine between it
/// and what was asked for. Weight: a chunk's decay weight; of an episode half to one, by its importance; of an entity 1. Score: similarity times weight.
/// </summary>
public sealed record MemoryHit
{
    public string Kind { get; init; } = "";
    public Guid Id { get; init; }
    public string Type { get; init; } = "";
    public string Content { get; init; } = "";
    public Guid? AgentId { get; init; }
    public Guid? ContactId { get; init; }
    public Guid? GroupId { get; init; }
    public string? Source { get; init; }

    /// <summary>Since when it was so.</summary>
    public DateTimeOffset ValidFrom { get; init; }
    public DateTimeOffset? ValidTo { get; init; }
    public double Similarity { get; init; }
    public double Weight { get; init; }
    public double Score { get; init; }

    /// <summary>Of an entity found as the neighbour of others: over which relationship.</summary>
    public Neighbour? Via { get; init; }
}

/// <summary>
/// What to look for: a text, or an embedding of 768 numbers by the model named, which chunks kept with that model's embeddings are compared with. With an agent:
/// what it may know. With a contact: what is about it, and what is about nobody in particular. As of: what was true then, and how entities stood to each other;
/// known at: what had been learned by then. Session, group and episode type leave episodes only, memory type chunks only.
/// </summary>
public sealed record MemoryQuery(
    string? Q = null, Guid? AgentId = null, Guid? ContactId = null, Guid? SessionId = null, Guid? GroupId = null, string? EpisodeType = null, string? MemoryType = null,
    DateTimeOffset? AsOf = null, DateTimeOffset? KnownAt = null, int? Limit = null, float[]? Embedding = null, string? EmbeddingModel = null)
{
    internal const int MostHits = 50;

    internal bool IsOfEpisodes => SessionId is not null || GroupId is not null || EpisodeType is not null || KnownAt is not null;

    internal bool IsOfChunks => MemoryType is not null || Embedding is not null;

    internal Problem? Problem => new Validation()
        .Text("q", Q, 2000, required: Embedding is null)
        .Check("q", Q is null || Embedding is null, "Is given or the embedding, not both.")
        .OneOf("episode_type", EpisodeType, required: false, Episode.Types)
        .OneOf("memory_type", MemoryType, required: false, MemoryChunk.Types)
        .Check("memory_type", !(IsOfEpisodes && IsOfChunks), "Chunks have no session, group, episode type or time of learning.")
        .Check("limit", Limit is null or (>= 1 and <= MostHits), $"Must be between 1 and {MostHits}.")
        .Check("embedding", Embedding is null || Embedding.Length == Dimensions.Chunks, $"Must have {Dimensions.Chunks} dimensions.")
        .Check("embedding", Embedding is null || (Embedding.All(float.IsFinite) && Embedding.Any(n => n != 0)), "Must be finite numbers, not all of them 0.")
        .Text("embedding_model", EmbeddingModel, 100, required: Embedding is not null)
        .Problem;
}

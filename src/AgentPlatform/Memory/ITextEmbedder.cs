namespace AgentPlatform.Memory;

/// <summary>
/// Turns a text into a direction, so that texts of like meaning point nearly the same way. Brain's needs no model and no network, so it may be asked inside a
/// transaction.
/// </summary>
public interface ITextEmbedder
{
    /// <summary>Kept with each embedding: those of another way to embed cannot be compared.</summary>
    string Model { get; }

    /// <summary>Of length 1, also for a text without a word.</summary>
    float[] Embed(string text, int dimensions);
}

/// <summary>How many numbers an embedding has, store by store: as the schema says.</summary>
internal static class Dimensions
{
    internal const int Episodes = 1536;

    /// <summary>Of memory chunks and entities.</summary>
    internal const int Chunks = 768;
}

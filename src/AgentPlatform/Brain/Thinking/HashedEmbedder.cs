using AgentPlatform.Brain.Nlu;
using AgentPlatform.Memory;

namespace AgentPlatform.Brain.Thinking;

/// <summary>
/// The platform's own embedding, folded into as many dimensions as a store has. Features that meet by the folding do so with either sign, so that they cancel
/// out on average instead of making strangers alike.
/// </summary>
internal sealed class HashedEmbedder : ITextEmbedder
{
    public string Model => Embedding.Name;

    public float[] Embed(string text, int dimensions)
    {
        var (vector, folded) = (Embedding.Of(text), new float[dimensions]);
        for (var i = 0; i < vector.Ids.Length; i++)
        {
            var (fold, place) = Math.DivRem(vector.Ids[i], dimensions);
            folded[place] += fold % 2 == 0 ? vector.Values[i] : -vector.Values[i];
        }

        var length = MathF.Sqrt(folded.Sum(value => value * value));
        if (length == 0)
        {
            folded[0] = 1;
            return folded;
        }

        return [.. folded.Select(value => value / length)];
    }
}

using System.Numerics;
using System.Runtime.CompilerServices;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using FuzzySharp;

namespace AgentPlatform.Brain.Understanding;

/// <summary>
/// How a sentence was recognised: <c>exact</c>, <c>synonym</c>, <c>fuzzy</c>, <c>model</c> (by a language model) or <c>not_found</c>. Fuzzy is what no phrase of the registry says
/// literally: misspelt, or in other words, which takes the trained model that <see cref="ModelVersion"/> names.
/// </summary>
public sealed record ActionMatch(string MatchType, ActionDefinition? Action, decimal Confidence, string? Phrase, int? ModelVersion = null)
{
    public const string Exact = "exact";
    public const string Synonym = "synonym";
    public const string Fuzzy = "fuzzy";
    public const string Model = "model";
    public const string NotFound = "not_found";

    internal static readonly ActionMatch None = new(NotFound, null, 0m, null);
}

/// <summary>
/// Finds the action that a sentence asks for: by its name, else by a synonym, else by the nearest spelling above the threshold.
/// A phrase is recognised as a whole, inside a longer sentence, or with other words between its own ("find me remote jobs").
/// </summary>
internal static class ActionMatcher
{
    /// <summary>Words between the words of a phrase: more of them, and the sentence is about something else.</summary>
    private const int MaxGap = 6;

    /// <summary>Phrases are prepared once for each definition, which lives as long as its version of the agent's book.</summary>
    private static readonly ConditionalWeakTable<ActionDefinition, Phrase[]> Prepared = [];

    internal static ActionMatch Match(IReadOnlyList<ActionDefinition> actions, string sentence, int fuzzyThreshold)
    {
        var words = Phrases.Words(sentence);
        return words.Length == 0 ? ActionMatch.None
            : Best(actions, ActionMatch.Exact, phrase => phrase.IsName ? Literal(phrase.Words, words, whole: 1.00m, inside: 0.97m, gapped: null) : null)
            ?? Best(actions, ActionMatch.Synonym, phrase => phrase.IsName ? null : Literal(phrase.Words, words, whole: 0.95m, inside: 0.92m, gapped: 0.88m))
            ?? Best(actions, ActionMatch.Fuzzy, phrase => Near(phrase.Words, words, fuzzyThreshold))
            ?? ActionMatch.None;
    }

    private static Phrase[] PhrasesOf(ActionDefinition action)
    {
        string?[] names = [action.ActionName, action.ActionId, action.DisplayName];
        var all = names.OfType<string>().Select(name => new Phrase(name, Phrases.Words(name), IsName: true))
            .Concat(action.SynonymPhrases.Select(synonym => new Phrase(synonym, Phrases.Words(synonym), IsName: false)));
        return [.. all.Where(phrase => phrase.Words.Length > 0)];
    }

    /// <summary>The most certain hit; among equals the longest phrase, then the first action id, so that the answer never depends on row order.</summary>
    private static ActionMatch? Best(IReadOnlyList<ActionDefinition> actions, string type, Func<Phrase, decimal?> score) =>
        (from action in actions
         from phrase in Prepared.GetValue(action, PhrasesOf)
         let confidence = score(phrase)
         where confidence is not null
         orderby confidence descending, phrase.Words.Length descending, action.ActionId
         select new ActionMatch(type, action, confidence.Value, phrase.Text)).FirstOrDefault();

    private static decimal? Literal(string[] phrase, string[] said, decimal whole, decimal inside, decimal? gapped) =>
        phrase.AsSpan().SequenceEqual(said) ? whole
        : said.AsSpan().IndexOf(phrase) >= 0 ? inside
        : gapped is not null && phrase.Length > 1 && Aligned(phrase, said, (a, b) => a == b ? 100 : 0, 100) is not null ? gapped
        : null;

    /// <summary>Between 0.50 and 0.85, below every literal hit, in proportion to the likeness.</summary>
    private static decimal? Near(string[] phrase, string[] said, int threshold)
    {
        var whole = Ratio(string.Concat(phrase), string.Concat(said), threshold);
        var likeness = Math.Max(whole, Aligned(phrase, said, (a, b) => Likeness(a, b, threshold), threshold) ?? 0);
        return likeness < threshold || phrase.Sum(word => word.Length) < 4 ? null : Math.Round(0.50m + 0.35m * (likeness - threshold) / Math.Max(1, 100 - threshold), 2);
    }

    // Two letters of difference in a short word make another word.
    private static int Likeness(string a, string b, int threshold) => a == b ? 100 : a.Length < 4 || b.Length < 4 ? 0 : Ratio(a, b, threshold);

    /// <summary>How alike they are where that is the threshold at least: twice the letters in common, of all. What has too few letters in common is not compared.</summary>
    private static int Ratio(string a, string b, int threshold)
    {
        var (lettersOfA, lettersOfB) = (Letters(a), Letters(b));
        var common = Math.Min(a.Length - BitOperations.PopCount(lettersOfA & ~lettersOfB), b.Length - BitOperations.PopCount(lettersOfB & ~lettersOfA));
        return 200.0 * common / (a.Length + b.Length) < threshold - 1 ? 0 : Fuzz.Ratio(a, b);
    }

    /// <summary>One bit a letter, which others may share: then it only looks more alike than it is.</summary>
    private static ulong Letters(string word)
    {
        var letters = 0UL;
        foreach (var letter in word)
        {
            letters |= 1UL << (letter & 63);
        }

        return letters;
    }

    /// <summary>The phrase's words found in order, each alike enough: their average likeness, or null.</summary>
    private static int? Aligned(string[] phrase, string[] said, Func<string, string, int> alike, int threshold)
    {
        var (at, last, sum) = (0, -1, 0);
        foreach (var word in phrase)
        {
            var best = 0;
            while (at < said.Length && (best = alike(word, said[at])) < threshold)
            {
                at++;
            }

            if (at == said.Length || (last >= 0 && at - last > MaxGap))
            {
                return null;
            }

            sum += best;
            last = at++;
        }

        return sum / phrase.Length;
    }

    private sealed record Phrase(string Text, string[] Words, bool IsName);
}

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
        var said = new Wording(Phrases.Words(sentence));
        return said.Words.Length == 0 ? ActionMatch.None
            : Best(actions, ActionMatch.Exact, phrase => phrase.IsName ? Literal(phrase.Wording, said, whole: 1.00m, inside: 0.97m, gapped: null) : null)
            ?? Best(actions, ActionMatch.Synonym, phrase => phrase.IsName ? null : Literal(phrase.Wording, said, whole: 0.95m, inside: 0.92m, gapped: 0.88m))
            ?? Best(actions, ActionMatch.Fuzzy, phrase => Near(phrase.Wording, said, fuzzyThreshold))
            ?? ActionMatch.None;
    }

    private static Phrase[] PhrasesOf(ActionDefinition action)
    {
        string?[] names = [action.ActionName, action.ActionId, action.DisplayName];
        var all = names.OfType<string>().Select(name => new Phrase(action, name, new Wording(Phrases.Words(name)), IsName: true))
            .Concat(action.SynonymPhrases.Select(synonym => new Phrase(action, synonym, new Wording(Phrases.Words(synonym)), IsName: false)));
        return [.. all.Where(phrase => phrase.Wording.Words.Length > 0)];
    }

    /// <summary>The most certain hit; among equals the longest phrase, then the first action id, so that the answer never depends on row order.</summary>
    private static ActionMatch? Best(IReadOnlyList<ActionDefinition> actions, string type, Func<Phrase, decimal?> score)
    {
        Phrase? best = null;
        var most = 0m;
        for (var i = 0; i < actions.Count; i++)
        {
            foreach (var phrase in Prepared.GetValue(actions[i], PhrasesOf))
            {
                if (score(phrase) is { } confidence && (best is null || confidence > most || (confidence == most && phrase.GoesBefore(best))))
                {
                    (best, most) = (phrase, confidence);
                }
            }
        }

        return best is null ? null : new ActionMatch(type, best.Action, most, best.Text);
    }

    private static decimal? Literal(Wording phrase, Wording said, decimal whole, decimal inside, decimal? gapped) =>
        (phrase.Letters & ~said.Letters) != 0 ? null
        : phrase.Words.AsSpan().SequenceEqual(said.Words) ? whole
        : said.Words.AsSpan().IndexOf(phrase.Words) >= 0 ? inside
        : gapped is not null && phrase.Words.Length > 1 && Aligned(phrase, said, 100) is not null ? gapped
        : null;

    /// <summary>Between 0.50 and 0.85, below every literal hit, in proportion to the likeness.</summary>
    private static decimal? Near(Wording phrase, Wording said, int threshold)
    {
        if (phrase.Joined.Length < 4)
        {
            return null;
        }

        var whole = Ratio(phrase.Joined, phrase.Letters, said.Joined, said.Letters, threshold);
        var likeness = Math.Max(whole, Aligned(phrase, said, threshold) ?? 0);
        return likeness < threshold ? null : Math.Round(0.50m + 0.35m * (likeness - threshold) / Math.Max(1, 100 - threshold), 2);
    }

    /// <summary>
    /// How alike they are where that is the threshold at least: twice the letters in common, of all. What has too few letters in common is not compared.
    /// </summary>
    private static int Ratio(string a, ulong lettersOfA, string b, ulong lettersOfB, int threshold)
    {
        var common = Math.Min(a.Length - BitOperations.PopCount(lettersOfA & ~lettersOfB), b.Length - BitOperations.PopCount(lettersOfB & ~lettersOfA));
        return 200.0 * common / (a.Length + b.Length) < threshold - 1 ? 0 : Fuzz.Ratio(a, b);
    }

    /// <summary>The phrase's words found in order, each alike enough: their average likeness, or null.</summary>
    private static int? Aligned(Wording phrase, Wording said, int threshold)
    {
        var (at, last, sum) = (0, -1, 0);
        for (var word = 0; word < phrase.Words.Length; word++)
        {
            var best = 0;
            while (at < said.Words.Length && (best = Likeness(phrase, word, said, at, threshold)) < threshold)
            {
                at++;
            }

            if (at == said.Words.Length || (last >= 0 && at - last > MaxGap))
            {
                return null;
            }

            sum += best;
            last = at++;
        }

        return sum / phrase.Words.Length;
    }

    // Two letters of difference in a short word make another word.
    private static int Likeness(Wording phrase, int word, Wording said, int at, int threshold)
    {
        var (a, b) = (phrase.Words[word], said.Words[at]);
        return a == b ? 100
            : threshold == 100 || a.Length < 4 || b.Length < 4 ? 0
            : Ratio(a, phrase.LettersOf[word], b, said.LettersOf[at], threshold);
    }

    /// <summary>Words, and what comparisons look at first.</summary>
    private sealed class Wording(string[] words)
    {
        internal string[] Words { get; } = words;

        internal ulong[] LettersOf { get; } = [.. words.Select(Bits)];

        internal string Joined { get; } = string.Concat(words);

        internal ulong Letters { get; } = words.Aggregate(0UL, (all, word) => all | Bits(word));

        /// <summary>One bit a letter, which others may share: then it only looks more alike than it is.</summary>
        private static ulong Bits(string word)
        {
            var letters = 0UL;
            foreach (var letter in word)
            {
                letters |= 1UL << (letter & 63);
            }

            return letters;
        }
    }

    private sealed record Phrase(ActionDefinition Action, string Text, Wording Wording, bool IsName)
    {
        internal bool GoesBefore(Phrase other) => Wording.Words.Length != other.Wording.Words.Length
            ? Wording.Words.Length > other.Wording.Words.Length
            : string.CompareOrdinal(Action.ActionId, other.Action.ActionId) < 0;
    }
}

using AgentPlatform.Actions.Registry;

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
    /// <summary>The list is kept with what has been prepared of it, for as long as it lives: an agent's book has one.</summary>
    internal static ActionMatch Match(IReadOnlyList<ActionDefinition> actions, string sentence, int fuzzyThreshold)
    {
        var said = new WordRow(Phrases.Words(sentence));
        if (said.Count == 0)
        {
            return ActionMatch.None;
        }

        var book = PhraseBook.Of(actions);
        return book.Literal(said, ActionMatch.Exact, phrase => phrase.IsName ? Likeness.Literal(phrase.Words, said, whole: 1.00m, inside: 0.97m, gapped: null) : null)
            ?? book.Literal(said, ActionMatch.Synonym, phrase => phrase.IsName ? null : Likeness.Literal(phrase.Words, said, whole: 0.95m, inside: 0.92m, gapped: 0.88m))
            ?? book.Near(said, ActionMatch.Fuzzy, fuzzyThreshold, phrase => Likeness.Near(phrase.Words, said, fuzzyThreshold))
            ?? ActionMatch.None;
    }
}

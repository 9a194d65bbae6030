using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using AgentPlatform.Actions.Registry;

namespace AgentPlatform.Brain.Understanding;

/// <summary>A name or synonym of an action.</summary>
internal sealed record Phrase(ActionDefinition Action, string Text, WordRow Words, bool IsName);

/// <summary>
/// The phrases of a list of actions. What rules most of them out lies in arrays of its own, which are read in one go: thousands of phrases would else
/// be fetched from memory for every message, and that takes longer than to compare them.
/// </summary>
internal sealed class PhraseBook
{
    private static readonly ConditionalWeakTable<IReadOnlyList<ActionDefinition>, PhraseBook> Books = [];

    /// <summary>For lists that are made anew: a definition lives as long as its version of the agent's book.</summary>
    private static readonly ConditionalWeakTable<ActionDefinition, Phrase[]> Prepared = [];

    private readonly Phrase[] _phrases;
    private readonly ulong[] _words;
    private readonly Outline[] _outlines;

    private PhraseBook(IReadOnlyList<ActionDefinition> actions)
    {
        _phrases = [.. actions.SelectMany(action => Prepared.GetValue(action, PhrasesOf))];
        _words = [.. _phrases.Select(phrase => phrase.Words.Bits)];
        _outlines = [.. _phrases.Select(phrase => Outline.Of(phrase.Words))];
    }

    internal static PhraseBook Of(IReadOnlyList<ActionDefinition> actions) => Books.GetValue(actions, static list => new PhraseBook(list));

    /// <summary>The best of the phrases all of whose words were said.</summary>
    internal ActionMatch? Literal(WordRow said, string type, Func<Phrase, decimal?> score) => Best(type, i => (_words[i] & ~said.Bits) == 0, score);

    /// <summary>The best of the phrases that something that was said may be spelt like.</summary>
    internal ActionMatch? Near(WordRow said, string type, int threshold, Func<Phrase, decimal?> score) => Best(type, i => _outlines[i].IsNear(said, threshold), score);

    /// <summary>The most certain hit; among equals the longest phrase, then the first action id, so that the answer never depends on row order.</summary>
    private ActionMatch? Best(string type, Func<int, bool> mayFit, Func<Phrase, decimal?> score)
    {
        Phrase? best = null;
        var most = 0m;
        for (var i = 0; i < _phrases.Length; i++)
        {
            if (mayFit(i) && score(_phrases[i]) is { } confidence && (best is null || confidence > most || (confidence == most && IsFirst(_phrases[i], best))))
            {
                (best, most) = (_phrases[i], confidence);
            }
        }

        return best is null ? null : new ActionMatch(type, best.Action, most, best.Text);
    }

    private static bool IsFirst(Phrase phrase, Phrase other) => phrase.Words.Count != other.Words.Count
        ? phrase.Words.Count > other.Words.Count
        : string.CompareOrdinal(phrase.Action.ActionId, other.Action.ActionId) < 0;

    private static Phrase[] PhrasesOf(ActionDefinition action)
    {
        string?[] names = [action.ActionName, action.ActionId, action.DisplayName];
        var all = names.OfType<string>().Select(name => new Phrase(action, name, new WordRow(Phrases.Words(name)), IsName: true))
            .Concat(action.SynonymPhrases.Select(synonym => new Phrase(action, synonym, new WordRow(Phrases.Words(synonym)), IsName: false)));
        return [.. all.Where(phrase => phrase.Words.Count > 0)];
    }

    /// <summary>Letters and lengths of a phrase and of its longest word.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct Outline(ulong Letters, ulong LettersOfWord, int Length, int LengthOfWord)
    {
        internal static Outline Of(WordRow phrase)
        {
            var longest = phrase.Words.Index().MaxBy(word => word.Item.Length).Index;
            return new(phrase.AllLetters, phrase.LettersOf[longest], phrase.Joined.Length, phrase.Words[longest].Length);
        }

        /// <summary>As a whole, or by one word like the longest of its own.</summary>
        internal bool IsNear(WordRow said, int threshold)
        {
            if (Likeness.MayBe(Length, Letters, said.Joined.Length, said.AllLetters, threshold))
            {
                return true;
            }

            for (var i = 0; i < said.Words.Length; i++)
            {
                if (Likeness.MayBeWord(LengthOfWord, LettersOfWord, said.Words[i].Length, said.LettersOf[i], threshold))
                {
                    return true;
                }
            }

            return false;
        }
    }
}

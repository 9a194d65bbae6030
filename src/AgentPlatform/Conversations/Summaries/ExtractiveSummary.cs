using System.Text.RegularExpressions;
using AgentPlatform.Kernel;

namespace AgentPlatform.Conversations.Summaries;

/// <summary>A line to summarise: who said it (<c>Contact</c>, <c>Agent</c>, <c>Operator</c>) and what.</summary>
public sealed record SpokenLine(string Speaker, string Text);

/// <summary>The summary and the facts it rests on.</summary>
public sealed record SummaryResult(string Text, IReadOnlyList<string> Names, IReadOnlyList<string> Decisions, IReadOnlyList<string> OpenQuestions);

/// <summary>
/// A summary without a model, the same for the same input: the sentences whose words recur most and stand where topics are opened,
/// with names, decisions and unanswered questions kept for sure. Earlier summaries are read again as what they are, lines of talk.
/// </summary>
public static partial class ExtractiveSummary
{
    /// <summary>Sentences a summary holds at most.</summary>
    public const int MaxSentences = 12;

    private const int LongestSentence = 240;

    private static readonly HashSet<string> StopWords = new(
        ("a about after all also am an and any are as at be because been but by can could did do does for from get had has have he her here him his how i if in into is it its just "
        + "know like me more my no not now of ok okay on one or our out please she so some thanks that the their them then there they this to up us very want was we well were what when "
        + "where which who will with would yes you your").Split(' '),
        StringComparer.Ordinal);

    public static SummaryResult Summarize(string? earlier, IReadOnlyList<SpokenLine> lines)
    {
        var sentences = Sentences([.. Earlier(earlier), .. lines]);
        var open = sentences.Where(s => s.IsQuestion && !sentences.Any(l => l.Index > s.Index && l.Speaker != s.Speaker)).ToList();
        var decisions = sentences.Where(s => !s.IsQuestion && Decision().IsMatch(s.Text)).ToList();
        var weights = Weights(sentences);
        // What must not be lost goes first, then what weighs most; a sentence that says again what is kept already adds nothing.
        var wanted = open.TakeLast(3).Concat(decisions.TakeLast(4)).Concat(sentences.Where(s => Introduction().IsMatch(s.Text)).Take(2))
            .Concat(sentences.OrderByDescending(s => Score(s, weights)).ThenBy(s => s.Index));
        var kept = new List<Sentence>();
        foreach (var sentence in wanted.Where(s => kept.Count < MaxSentences && !kept.Exists(k => k.Says(s))))
        {
            kept.Add(sentence);
        }

        kept.Sort((x, y) => x.Index.CompareTo(y.Index));
        return new(
            string.Join('\n', kept.Select(s => $"{s.Speaker}: {s.Text}")),
            [.. sentences.SelectMany(s => Names(s.Text)).Distinct(StringComparer.Ordinal).Take(20)],
            [.. decisions.TakeLast(10).Select(s => $"{s.Speaker}: {s.Text}")],
            [.. open.TakeLast(5).Select(s => $"{s.Speaker}: {s.Text}")]);
    }

    private static IEnumerable<SpokenLine> Earlier(string? summary) =>
        (summary ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(l => l.Split(": ", 2))
            .Select(l => l is [var speaker, var text] ? new SpokenLine(speaker, text) : new SpokenLine("Summary", l[0]));

    private static List<Sentence> Sentences(IEnumerable<SpokenLine> lines)
    {
        var all = new List<Sentence>();
        foreach (var line in lines)
        {
            foreach (var part in Boundary().Split(line.Text).Select(p => p.Trim()).Where(p => p.Any(char.IsLetterOrDigit)))
            {
                var text = part.Length > LongestSentence ? $"{part.Clip(LongestSentence).TrimEnd()} …" : part;
                if (all.TrueForAll(s => s.Text != text || s.Speaker != line.Speaker))
                {
                    all.Add(new Sentence(all.Count, line.Speaker, text, Words(text)));
                }
            }
        }

        return all;
    }

    private static string[] Words(string text) =>
        [.. Word().Matches(text.ToLowerInvariant()).Select(m => m.Value).Where(w => w.Length > 1 && !StopWords.Contains(w))];

    private static Dictionary<string, int> Weights(IReadOnlyList<Sentence> sentences) =>
        sentences.SelectMany(s => s.Words.Distinct(StringComparer.Ordinal)).GroupBy(w => w, StringComparer.Ordinal)
            .ToDictionary(g => g.Key, g => g.Count(), StringComparer.Ordinal);

    private static double Score(Sentence s, Dictionary<string, int> weights)
    {
        if (s.Words.Length == 0)
        {
            return 0;
        }

        // Divided by the root, not by the count: a long sentence may win, but not by its length alone.
        var frequency = s.Words.Distinct(StringComparer.Ordinal).Sum(w => Math.Log(1 + weights[w])) / Math.Sqrt(s.Words.Length);
        var position = s.Index < 2 ? 1.0 : 0;
        return frequency + position + (Names(s.Text).Any() ? 0.8 : 0) + (s.Text.Any(char.IsDigit) ? 0.5 : 0);
    }

    /// <summary>Capitalised words that a sentence does not merely begin with, and what follows "I am" or "my name is".</summary>
    private static IEnumerable<string> Names(string text) =>
        Introduction().Matches(text).Concat(ProperName().Matches(text)).Select(m => m.Groups["name"].Value)
            .Where(n => !StopWords.Contains(n.ToLowerInvariant()));

    [GeneratedRegex(@"(?<=[.!?…])\s+|\r?\n", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Boundary();

    [GeneratedRegex(@"[\p{L}\p{Nd}][\p{L}\p{Nd}'’@.+-]*[\p{L}\p{Nd}]|[\p{L}\p{Nd}]", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Word();

    [GeneratedRegex(@"\b(?:[Mm]y name is|I am|I'm|I’m|[Tt]his is) (?<name>\p{Lu}[\p{Ll}'’-]+(?: \p{Lu}[\p{Ll}'’-]+)*)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Introduction();

    [GeneratedRegex(@"(?<=[\p{Ll}\p{Nd},;:] )(?<name>\p{Lu}[\p{Ll}\p{Lu}'’-]+(?: \p{Lu}[\p{Ll}\p{Lu}'’-]+)*)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex ProperName();

    [GeneratedRegex(@"\b(?:decided|agreed|agree|confirmed|confirm|booked|approved|chose|choose|chosen|let'?s|let’s|we will|we'll|I will|I'll|I’ll|go with|going with|settled|deal|cancelled|canceled)\b", RegexOptions.IgnoreCase, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Decision();

    private sealed record Sentence(int Index, string Speaker, string Text, string[] Words)
    {
        internal bool IsQuestion => Text.EndsWith('?');

        /// <summary>Most words of the shorter one are in the other, too.</summary>
        internal bool Says(Sentence other) =>
            Index == other.Index
            || Words.Intersect(other.Words, StringComparer.Ordinal).Count() > 0.6 * Math.Max(1, Math.Min(Words.Length, other.Words.Length));
    }
}

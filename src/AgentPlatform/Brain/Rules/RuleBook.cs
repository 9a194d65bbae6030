using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Agents.ReplyTemplates;
using AgentPlatform.Agents.Rules;
using AgentPlatform.Brain.Nlu;
using AgentPlatform.Brain.Nlu.Models;
using AgentPlatform.Brain.Understanding;
using AgentPlatform.Kernel;

namespace AgentPlatform.Brain.Rules;

/// <summary>An agent's rules and templates at one version, the rules ready to be asked: in the order in which they can be decided, with what their conditions need.</summary>
internal sealed class RuleBook
{
    internal static readonly RuleBook Empty = new([], []);

    /// <summary>Beside the rules, for most are ruled out by it: see <see cref="PhraseBook"/>.</summary>
    private readonly ulong[] _words;

    internal RuleBook(IReadOnlyList<Rule> rules, IReadOnlyList<ReplyTemplate> templates)
    {
        (Written, Templates) = (rules, templates);
        Names = rules.ToDictionary(rule => rule.Id, rule => rule.Name);
        var order = RuleOrder.Of(rules) ?? throw new InvalidOperationException("Rules that wait for themselves were stored.");
        Rules = [.. order.Where(rule => rule.Enabled).Select(rule => new ReadyRule(rule))];
        _words = [.. Rules.Select(rule => rule.Words)];
    }

    /// <summary>Those that the words of a text do not rule out, in their order.</summary>
    internal IEnumerable<ReadyRule> MayHold(RuleText text)
    {
        var said = WordRow.BitsOf(text.Words.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        for (var i = 0; i < _words.Length; i++)
        {
            if ((_words[i] & ~said) == 0)
            {
                yield return Rules[i];
            }
        }
    }

    /// <summary>The enabled ones.</summary>
    internal IReadOnlyList<ReadyRule> Rules { get; }

    /// <summary>All, as they are stored.</summary>
    internal IReadOnlyList<Rule> Written { get; }

    internal IReadOnlyList<ReplyTemplate> Templates { get; }

    /// <summary>Of all, the disabled ones too.</summary>
    internal IReadOnlyDictionary<Guid, string> Names { get; }
}

/// <summary>How near a text came to what a condition is about, from where on it holds, and by what that was measured.</summary>
internal sealed record Nearness(decimal Similarity, decimal Threshold, string MeasuredBy);

/// <summary>What a condition says of a text. Holds: null when that cannot be told. Near: null where it is no matter of degree, or the text is far away.</summary>
internal readonly record struct Finding(bool? Holds, Nearness? Near = null)
{
    internal static Finding Of(Nearness near) => new(near.Similarity >= near.Threshold, near);
}

/// <summary>What conditions are asked about; made once a turn. Taught: the rule that the classifier takes the message for.</summary>
internal sealed class RuleText(string text, Func<JsonElement> scope, Func<Taught?> taught, decimal believeFrom)
{
    /// <summary>What is said further on is not what a rule waits for.</summary>
    private const int Longest = 4000;

    /// <summary>The turn of a conversation does not wait for a whole book of bad patterns.</summary>
    private const int MostTimedOut = 5;

    private readonly Lazy<JsonElement> _scope = new(scope);
    private readonly Lazy<Taught?> _taught = new(taught);
    private readonly Lazy<float[][]> _sentences = new(() => [.. Phrases.Sentences(text).Select(sentence => Embedding.Spread(Embedding.Of(sentence)))]);

    internal string Raw { get; } = text.Clip(Longest);

    /// <summary>Normalised, with a blank at either end, so that a phrase with blanks around it is found as whole words.</summary>
    internal string Words { get; } = $" {Phrases.Normalize(text.Clip(Longest))} ";

    internal JsonElement Scope => _scope.Value;

    /// <summary>A rule does not ask whether it was meant: it holds where nobody would be asked.</summary>
    internal Nearness? NearnessOf(string ruleClass) => _taught.Value is { } taught && taught.Class == ruleClass ? new(taught.Confidence, believeFrom, $"model {taught.ModelVersion}") : null;

    /// <summary>Of the sentence of the message that comes nearest to one of these.</summary>
    internal float SimilarityTo(SparseVector[] others)
    {
        var most = 0f;
        foreach (var sentence in _sentences.Value)
        {
            foreach (var other in others)
            {
                most = MathF.Max(most, Embedding.Similarity(sentence, other));
            }
        }

        return most;
    }

    /// <summary>Patterns that took too long.</summary>
    internal int TimedOut { get; set; }

    internal bool IsTooMuch => TimedOut >= MostTimedOut;
}

/// <summary>A rule whose condition and action have been read.</summary>
internal sealed class ReadyRule
{
    /// <summary>What has less in common with a message was no candidate.</summary>
    private const float Far = 0.30f;

    private readonly Func<RuleText, Finding> _find;

    internal ReadyRule(Rule rule)
    {
        (Rule, Action) = (rule, rule.Action);
        Words = rule.ConditionKind == Rule.Phrases
            ? Rule.Lines(rule.ConditionText).Select(line => WordRow.BitsOf(Phrases.Words(line))).DefaultIfEmpty().Aggregate((all, line) => all & line)
            : 0;
        _find = rule.ConditionKind switch
        {
            Rule.Phrases => Says([.. Rule.Lines(rule.ConditionText).Select(line => $" {Phrases.Normalize(line)} ")]),
            Rule.Pattern => Matches(Rule.Compile(rule.ConditionText)),
            Rule.Examples => Resembles(ClassNames.OfRule(rule.Id)),
            Rule.Embedding => IsNear([.. Rule.Lines(rule.ConditionText).Select(Embedding.Of)], rule.Threshold!.Value),
            _ => Fulfils(JsonSerializer.Deserialize<JsonElement>(rule.ConditionText)),
        };
    }

    internal Rule Rule { get; }

    internal RuleAction Action { get; }

    /// <summary>Words that are in each of the phrases that it waits for, by <see cref="WordRow.BitsOf"/>; none for other conditions.</summary>
    internal ulong Words { get; }

    /// <summary>It cannot be told whether a pattern holds that took too long, or came after such ones.</summary>
    internal Finding Find(RuleText text)
    {
        try
        {
            return Rule.ConditionKind == Rule.Pattern && text.IsTooMuch ? new(null) : _find(text);
        }
        catch (RegexMatchTimeoutException)
        {
            text.TimedOut++;
            return new(null);
        }
    }

    private static Func<RuleText, Finding> Says(string[] phrases) => text => new(Array.Exists(phrases, phrase => text.Words.Contains(phrase, StringComparison.Ordinal)));

    private static Func<RuleText, Finding> Matches(Regex pattern) => text => new(pattern.IsMatch(text.Raw));

    private static Func<RuleText, Finding> Fulfils(JsonElement condition) => text => new(Condition.Holds(condition, text.Scope));

    private static Func<RuleText, Finding> IsNear(SparseVector[] sentences, decimal threshold) => text =>
        text.SimilarityTo(sentences) is >= Far and var similarity ? Finding.Of(new(Math.Round((decimal)similarity, 2), threshold, Embedding.Name)) : new(false);

    private static Func<RuleText, Finding> Resembles(string ruleClass) => text => text.NearnessOf(ruleClass) is { } near ? Finding.Of(near) : new(false);
}

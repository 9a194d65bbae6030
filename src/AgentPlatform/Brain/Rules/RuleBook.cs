using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Agents.ReplyTemplates;
using AgentPlatform.Agents.Rules;
using AgentPlatform.Brain.Understanding;
using AgentPlatform.Kernel;

namespace AgentPlatform.Brain.Rules;

/// <summary>An agent's rules and templates at one version, the rules ready to be asked: in the order in which they can be decided, with what their conditions need.</summary>
internal sealed class RuleBook
{
    internal static readonly RuleBook Empty = new([], []);

    internal RuleBook(IReadOnlyList<Rule> rules, IReadOnlyList<ReplyTemplate> templates)
    {
        Templates = templates;
        Names = rules.ToDictionary(rule => rule.Id, rule => rule.Name);
        var order = RuleOrder.Of(rules) ?? throw new InvalidOperationException("Rules that wait for themselves were stored.");
        Rules = [.. order.Where(rule => rule.Enabled).Select(rule => new ReadyRule(rule))];
    }

    /// <summary>The enabled ones.</summary>
    internal IReadOnlyList<ReadyRule> Rules { get; }

    internal IReadOnlyList<ReplyTemplate> Templates { get; }

    /// <summary>Of all, the disabled ones too.</summary>
    internal IReadOnlyDictionary<Guid, string> Names { get; }
}

/// <summary>What conditions are asked about; made once a turn.</summary>
internal sealed class RuleText(string text, Func<JsonElement> scope)
{
    /// <summary>What is said further on is not what a rule waits for.</summary>
    private const int Longest = 4000;

    /// <summary>The turn of a conversation does not wait for a whole book of bad patterns.</summary>
    private const int MostTimedOut = 5;

    private readonly Lazy<JsonElement> _scope = new(scope);

    internal string Raw { get; } = text.Length <= Longest ? text : text[..Longest];

    /// <summary>Normalised, with a blank at either end, so that a phrase with blanks around it is found as whole words.</summary>
    internal string Words { get; } = $" {Phrases.Normalize(text.Length <= Longest ? text : text[..Longest])} ";

    internal JsonElement Scope => _scope.Value;

    /// <summary>Patterns that took too long.</summary>
    internal int TimedOut { get; set; }

    internal bool IsTooMuch => TimedOut >= MostTimedOut;
}

/// <summary>A rule whose condition and action have been read.</summary>
internal sealed class ReadyRule
{
    private readonly Func<RuleText, bool> _holds;

    internal ReadyRule(Rule rule)
    {
        (Rule, Action) = (rule, rule.Action);
        _holds = rule.ConditionKind switch
        {
            Rule.Phrases => Says([.. Rule.Lines(rule.ConditionText).Select(line => $" {Phrases.Normalize(line)} ")]),
            Rule.Pattern => Matches(Rule.Compile(rule.ConditionText)),
            _ => Fulfils(JsonSerializer.Deserialize<JsonElement>(rule.ConditionText)),
        };
    }

    internal Rule Rule { get; }

    internal RuleAction Action { get; }

    /// <summary>Null when it cannot be told, because the pattern took too long, or patterns before it did.</summary>
    internal bool? Holds(RuleText text)
    {
        try
        {
            return Rule.ConditionKind == Rule.Pattern && text.IsTooMuch ? null : _holds(text);
        }
        catch (RegexMatchTimeoutException)
        {
            text.TimedOut++;
            return null;
        }
    }

    private static Func<RuleText, bool> Says(string[] phrases) => text => Array.Exists(phrases, phrase => text.Words.Contains(phrase, StringComparison.Ordinal));

    private static Func<RuleText, bool> Matches(Regex pattern) => text => pattern.IsMatch(text.Raw);

    private static Func<RuleText, bool> Fulfils(JsonElement condition) => text => Condition.Holds(condition, text.Scope);
}

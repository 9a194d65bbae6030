using System.Security.Cryptography;
using System.Text;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Actions;
using AgentPlatform.Agents.Rules;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Brain.Understanding;

namespace AgentPlatform.Brain.Nlu.Models;

/// <summary>
/// What an agent's classifier learns from: the names, synonyms and examples of its actions; the names and entry phrases of its scenarios; the sentences
/// of its rules by examples; and as what is out of scope, everyday sentences that share no telling word with them.
/// </summary>
internal sealed record TrainingSet(IReadOnlyList<LabelledUtterance> Examples, byte[] Fingerprint)
{
    /// <summary>Part of the fingerprint: another trainer makes another model of the same examples.</summary>
    private const string Trainer = "1";

    /// <summary>Shorter words ("what", "my") are in everything that is said.</summary>
    private const int TellingLength = 5;

    private static readonly string[] Background = Load();

    internal bool HasIntents => Examples.Any(e => e.Intent is not null);

    internal static TrainingSet Of(IReadOnlyList<ActionDefinition> actions, IReadOnlyList<Scenario> scenarios, IReadOnlyList<Rule> rules)
    {
        var wanted =
            (from lesson in Lessons(actions, scenarios, rules)
             from phrase in lesson.Phrases
             where Phrases.Normalize(phrase).Length > 0
             select new LabelledUtterance(phrase, lesson.Class)).DistinctBy(e => (Phrases.Normalize(e.Text), e.Intent)).ToList();
        var told = wanted.SelectMany(e => Telling(e.Text)).ToHashSet(StringComparer.Ordinal);
        var examples = wanted.Concat(Background.Where(sentence => !Telling(sentence).Any(told.Contains)).Select(sentence => new LabelledUtterance(sentence, null))).ToList();
        var text = string.Join('\n', examples.Select(e => $"{e.Intent}\t{e.Text}").Prepend(Trainer));
        return new(examples, SHA256.HashData(Encoding.UTF8.GetBytes(text)));
    }

    /// <summary>In one order whatever the order of the rows: the same again has the same fingerprint.</summary>
    private static IEnumerable<Lesson> Lessons(IReadOnlyList<ActionDefinition> actions, IReadOnlyList<Scenario> scenarios, IReadOnlyList<Rule> rules) =>
    [
        .. actions.Where(action => action.ActionId != Onboarding.ActionId).Select(action => new Lesson(action.ActionId, PhrasesOf(action))),
        .. scenarios.Where(scenario => scenario.Enabled).OrderBy(scenario => scenario.Id)
            .Select(scenario => new Lesson(ClassNames.OfScenario(scenario.Id), scenario.EntryCondition.Prepend(scenario.Name))),
        .. rules.Where(rule => rule is { Enabled: true, ConditionKind: Rule.Examples }).OrderBy(rule => rule.Id)
            .Select(rule => new Lesson(ClassNames.OfRule(rule.Id), Rule.Lines(rule.ConditionText))),
    ];

    private static IEnumerable<string> PhrasesOf(ActionDefinition action) =>
        [action.ActionName, action.ActionId.Replace('_', ' '), .. action.DisplayName is { } display ? new[] { display } : [], .. action.SynonymPhrases, .. action.ExampleSentences];

    private static IEnumerable<string> Telling(string text) => Phrases.Words(text).Where(word => word.Length >= TellingLength).Select(Utterance.Stem);

    private static string[] Load()
    {
        using var stream = typeof(TrainingSet).Assembly.GetManifestResourceStream("Brain/Nlu/Models/Background.txt") ?? throw new InvalidOperationException("The background sentences are missing from the assembly.");
        using var reader = new StreamReader(stream);
        return [.. reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Where(line => line[0] != '#')];
    }

    private sealed record Lesson(string Class, IEnumerable<string> Phrases);
}

using System.Security.Cryptography;
using System.Text;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Actions;
using AgentPlatform.Brain.Understanding;

namespace AgentPlatform.Brain.Nlu.Models;

/// <summary>
/// What an agent's classifier learns from: the names, synonyms and examples of its actions; and as what is out of scope, everyday sentences
/// that share no telling word with them.
/// </summary>
internal sealed record TrainingSet(IReadOnlyList<LabelledUtterance> Examples, byte[] Fingerprint)
{
    /// <summary>Part of the fingerprint: another trainer makes another model of the same examples.</summary>
    private const string Trainer = "1";

    /// <summary>Shorter words ("what", "my") are in everything that is said.</summary>
    private const int TellingLength = 5;

    private static readonly string[] Background = Load();

    internal bool HasIntents => Examples.Any(e => e.Intent is not null);

    internal static TrainingSet Of(IReadOnlyList<ActionDefinition> actions)
    {
        var wanted =
            (from action in actions
             where action.ActionId != Onboarding.ActionId
             from phrase in PhrasesOf(action)
             where Phrases.Normalize(phrase).Length > 0
             select new LabelledUtterance(phrase, action.ActionId)).DistinctBy(e => (Phrases.Normalize(e.Text), e.Intent)).ToList();
        var told = wanted.SelectMany(e => Telling(e.Text)).ToHashSet(StringComparer.Ordinal);
        var examples = wanted.Concat(Background.Where(sentence => !Telling(sentence).Any(told.Contains)).Select(sentence => new LabelledUtterance(sentence, null))).ToList();
        var text = string.Join('\n', examples.Select(e => $"{e.Intent}\t{e.Text}").Prepend(Trainer));
        return new(examples, SHA256.HashData(Encoding.UTF8.GetBytes(text)));
    }

    private static IEnumerable<string> PhrasesOf(ActionDefinition action) =>
        [action.ActionName, action.ActionId.Replace('_', ' '), .. action.DisplayName is { } display ? new[] { display } : [], .. action.SynonymPhrases, .. action.ExampleSentences];

    private static IEnumerable<string> Telling(string text) => Phrases.Words(text).Where(word => word.Length >= TellingLength).Select(Utterance.Stem);

    private static string[] Load()
    {
        using var stream = typeof(TrainingSet).Assembly.GetManifestResourceStream("Brain/Nlu/Models/Background.txt") ?? throw new InvalidOperationException("The background sentences are missing from the assembly.");
        using var reader = new StreamReader(stream);
        return [.. reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Where(line => line[0] != '#')];
    }
}

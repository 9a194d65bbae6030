using AgentPlatform.Brain.Scenarios;
using AgentPlatform.Brain.Understanding;

namespace AgentPlatform.Brain.Nlu.Models;

/// <summary>
/// The names of a classifier's classes. An action's is its id; a scenario's and a rule's is the row's id behind a word and a colon, which no id of an
/// action may hold.
/// </summary>
internal static class ClassNames
{
    internal const string Scenarios = "scenario:";
    internal const string Rules = "rule:";

    internal static string OfScenario(Guid id) => $"{Scenarios}{id}";

    internal static string OfRule(Guid id) => $"{Rules}{id}";
}

/// <summary>
/// What the classifier takes a message for that is no action: a scenario or a rule, from whose sentences it has learned. It is a guess, and made only
/// where nothing that a tenant wrote down is said.
/// </summary>
internal sealed record Taught(string Class, decimal Confidence, string Sentence, int ModelVersion)
{
    internal string Reasoning => $"model {ModelVersion} recognises \"{Sentence}\"";

    /// <param name="input">The turn.</param>
    /// <param name="kind">Which of its names a class has to begin with.</param>
    /// <returns>The class it is surest of, from <see cref="BrainOptions.BelieveModelFrom"/> on; null when that is none of this kind.</returns>
    internal static Taught? Of(TurnInput input, string kind)
    {
        if (input.Model is not { } model || !model.Knows(kind))
        {
            return null;
        }

        // Somebody who greets first means what comes after it.
        var sentences = Phrases.Sentences(input.Text).Select(SmallTalk.WithoutGreeting).Where(sentence => SmallTalk.Of(sentence) is null).ToList();
        var best = sentences.Select(sentence => Of(model, sentence)).OfType<Taught>()
            .Where(taught => taught.Confidence >= input.Options.BelieveModelFrom && taught.Class.StartsWith(kind, StringComparison.Ordinal))
            .MaxBy(taught => taught.Confidence);
        return best is null || sentences.Exists(sentence => IsWritten(input, sentence)) ? null : best;
    }

    private static Taught? Of(AgentModel model, string sentence) =>
        model.Model.Classify(sentence) is { InScope: true } said ? new(said.Intent!, Math.Round((decimal)said.Ranked[0].Confidence, 2), sentence, model.Version) : null;

    private static bool IsWritten(TurnInput input, string sentence) =>
        ActionMatcher.Match(input.Actions, sentence, input.Options.FuzzyThreshold).Action is not null || ScenarioTurn.EntryOf(input, sentence).Action is not null;
}

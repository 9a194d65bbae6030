using System.Text.RegularExpressions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Actions;
using AgentPlatform.Brain.Understanding;

namespace AgentPlatform.Brain.Nlu.Models;

/// <summary>Which action a sentence asks for: by the registry's own phrases, and where none of them is said, by the trained classifier.</summary>
internal static partial class Recognition
{
    internal static ActionMatch Of(IReadOnlyList<ActionDefinition> actions, AgentModel? model, string sentence, BrainOptions options)
    {
        var match = ActionMatcher.Match(actions, sentence, options.FuzzyThreshold);
        return match.Action is null && model is not null ? Trained(actions, model, sentence, options) ?? match : match;
    }

    /// <summary>"Cancel my application and find me jobs" is two requests, "jobs in Berlin and Hamburg" is one: every part must name an action of its own.</summary>
    internal static IReadOnlyList<string> Requests(IReadOnlyList<ActionDefinition> actions, string sentence, BrainOptions options)
    {
        var parts = Joints().Split(sentence);
        if (parts.Length == 1)
        {
            return [sentence];
        }

        var matches = parts.Select(part => ActionMatcher.Match(actions, part, options.FuzzyThreshold)).ToArray();
        return matches.All(m => m.Confidence >= options.ConfirmBelow) && matches.DistinctBy(m => m.Action!.ActionId).Count() == parts.Length ? parts : [sentence];
    }

    private static ActionMatch? Trained(IReadOnlyList<ActionDefinition> actions, AgentModel model, string sentence, BrainOptions options)
    {
        var said = model.Model.Classify(sentence);
        var confidence = said.InScope ? Math.Round((decimal)said.Ranked[0].Confidence, 2) : 0;
        // An action that was switched off since the training is not offered, however sure the model is of it.
        return confidence >= options.BelieveModelFrom && confidence > 0 && actions.FirstOrDefault(a => a.ActionId == said.Intent) is { } action
            ? new(ActionMatch.Fuzzy, action, confidence, null, model.Version)
            : null;
    }

    [GeneratedRegex(@"\s*(?:,\s*and|,\s*then|\band|\bthen|\bplus)\s+", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Joints();
}

using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents;
using AgentPlatform.Agents.ReplyTemplates;
using AgentPlatform.Brain.Scenarios;

namespace AgentPlatform.Brain.Rules;

/// <summary>What is said in the end, and the template that it comes from.</summary>
internal sealed record Words(string Text, ReplyTemplate? Template);

/// <summary>
/// Pure: the templates that bear on a reply. Of those whose scope holds the narrowest wins, and of equals the newest. The words that the law asks for
/// are never replaced.
/// </summary>
internal static class Wording
{
    /// <summary>Where the talk stood when it was spoken to.</summary>
    internal static IReadOnlyList<string> Suggestions(TurnInput input)
    {
        var offered = Bearing(input, ReplyTemplate.Suggest, input.Place?.Scenario.Id, input.Place?.Step.Id).ToList();
        return [.. offered.TakeWhile(template => template.Scope == offered[0].Scope).Select(template => Templates.Text(template.Content, RuleTurn.Data(input)))];
    }

    /// <summary>What was not understood is answered by the fallback, and nothing is offered beside it.</summary>
    internal static Envelope FallBack(TurnInput input, Envelope envelope) =>
        ScenarioTurn.IsLost(envelope) && envelope.Handoff is null && First(input, envelope, ReplyTemplate.Fallback) is { } template
            ? envelope with
            {
                Intents = [.. envelope.Intents.Select(intent => intent with { ResponseType = "text" })],
                Say = [Text(input, envelope, template)],
                Ask = null,
                Fallback = template,
            }
            : envelope;

    /// <summary>Where nothing is said, nothing is replaced.</summary>
    internal static Words Of(TurnInput input, Envelope envelope, string text) =>
        text.Length > 0 && !IsRequired(envelope) && First(input, envelope, ReplyTemplate.Exclusive) is { } template
            ? new(Text(input, envelope, template), template)
            : new(text, envelope.Fallback);

    /// <summary>Whatever would be said, a template says something else.</summary>
    internal static bool IsReplaced(TurnInput input, Envelope envelope) => First(input, envelope, ReplyTemplate.Exclusive) is not null;

    private static bool IsRequired(Envelope envelope) => envelope.EvenIfOptedOut || envelope.Remember.Any(memory => memory is Memory.Consent);

    /// <summary>Where the talk stands after the turn.</summary>
    private static ReplyTemplate? First(TurnInput input, Envelope envelope, string mode)
    {
        var (scenario, step) = envelope.Scenario switch
        {
            null => (input.Place?.Scenario.Id, input.Place?.Step.Id),
            { Steps: [.., var last] } move => (move.Scenario.Id, last.Id),
            { Prompt: not null } move => (move.Scenario.Id, input.Place?.Step.Id),
            _ => (null, null),
        };
        return Bearing(input, mode, scenario, step).FirstOrDefault();
    }

    private static IEnumerable<ReplyTemplate> Bearing(TurnInput input, string mode, Guid? scenario, Guid? step) =>
        input.Rules.Templates
            .Where(template => template.Mode == mode && Scope.Holds(template.Scope, template.ScopeId, scenario, step))
            .OrderByDescending(template => Scope.Narrowness(template.Scope)).ThenByDescending(template => template.Id);

    private static string Text(TurnInput input, Envelope envelope, ReplyTemplate template) =>
        Templates.Text(template.Content, RuleTurn.Data(input with { Variables = envelope.Scenario?.Variables ?? envelope.Variables ?? input.Variables }));
}

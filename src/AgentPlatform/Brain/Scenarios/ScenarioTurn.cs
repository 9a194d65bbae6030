using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Brain.Nlu.Models;
using AgentPlatform.Brain.Understanding;
using AgentPlatform.Kernel;

namespace AgentPlatform.Brain.Scenarios;

/// <summary>
/// Pure: a message in a scenario, or one that enters it. An answer leads on; a cancel, a "what?" and a correction repair the talk; what asks
/// for something else is left to others, and the scenario's question is repeated after it.
/// </summary>
internal static partial class ScenarioTurn
{
    /// <summary>From here on a phrase of the registry is said literally.</summary>
    private const decimal Literal = 0.92m;

    private static readonly HashSet<Guid> NoSteps = [];

    /// <summary>Scenarios as the matcher knows them, each for as long as it is in memory.</summary>
    private static readonly ConditionalWeakTable<IReadOnlyList<Scenario>, ActionDefinition[]> Entries = [];

    /// <summary>The answer, unless it moved the scenario, with the question the talk should come back to.</summary>
    internal static Envelope GoOn(TurnInput input, Envelope envelope)
    {
        if (input.Place is not { } place || envelope.Scenario is not null || envelope.Handoff is not null)
        {
            return envelope;
        }

        // In the middle of a talk nobody wants to hear all that could be talked about instead.
        var plain = IsLost(envelope) ? envelope with { Say = [Persona.NotFound(input, offersFollow: false)], Ask = null } : envelope;
        return plain with { Resume = Prompt(input, place, envelope.Variables ?? input.Variables) };
    }

    internal static Envelope? InProgress(TurnInput input)
    {
        if (input.Place is not { } place)
        {
            return null;
        }

        if (TurnDecision.IsCancel(input.Text))
        {
            return new(input.Role)
            {
                Intents = [Understood("cancel", place.Scenario, "left the scenario", "text")],
                Say = ["All right, I have dropped that."],
                Scenario = new(place.Scenario, [], ScenarioMove.Left, input.Variables, null),
            };
        }

        return IsRepeat(input.Text) ? new(input.Role) { Intents = [Understood("repeat", place.Scenario, "asked again", "question")] }
            : !IsChoice(place.Step.Collect!, input.Text) && IsDigression(input) ? null
            : Correction(input, place) ?? Reply(input, place);
    }

    /// <summary>Whether a scenario is asked for literally, which an answer to something else hardly does by chance.</summary>
    internal static bool IsNamed(TurnInput input) => input.Place is null && EntryOf(input, SmallTalk.WithoutGreeting(input.Text)).Confidence >= Literal;

    /// <summary>By the scenario's name or one of its phrases, unless an action is asked for more clearly; else by what the classifier has learned from them.</summary>
    internal static Envelope? Enter(TurnInput input)
    {
        var said = SmallTalk.WithoutGreeting(input.Text);
        var match = EntryOf(input, said);
        if (match.Action is null || match.Confidence < input.Options.ConfirmBelow)
        {
            return Guess(input);
        }

        // What the classifier makes of a sentence is a guess; a literal phrase is not.
        var action = match.MatchType == ActionMatch.Fuzzy ? Recognition.Of(input.Actions, input.Model, said, input.Options) : ActionMatcher.Match(input.Actions, said, input.Options.FuzzyThreshold);
        if (action.Confidence > match.Confidence)
        {
            return null;
        }

        var scenario = input.Scenarios.First(s => s.Id == match.Action.Id);
        return Begin(input, scenario, said, Understood("scenario", scenario, "entered", "question") with { Confidence = match.Confidence, Reasoning = $"{match.MatchType}: \"{match.Phrase}\"" });
    }

    /// <summary>A scenario that was guessed is entered when the guess is good; else the contact is asked first.</summary>
    private static Envelope? Guess(TurnInput input)
    {
        if (Taught.Of(input, ClassNames.Scenarios) is not { } taught
            || input.Scenarios.FirstOrDefault(s => s.Enabled && ClassNames.OfScenario(s.Id) == taught.Class) is not { } scenario)
        {
            return null;
        }

        var said = SmallTalk.WithoutGreeting(input.Text);
        var intent = Understood("scenario", scenario, "entered", "question") with { Confidence = taught.Confidence, Reasoning = taught.Reasoning };
        return taught.Confidence >= input.Options.ConfirmModelBelow
            ? Begin(input, scenario, said, intent)
            : new(input.Role)
            {
                Intents = [intent with { Resolution = "confirmation asked" }],
                Ask = new Question($"Did you mean: {scenario.Name}?", Requests.ConfirmSheet(new OnYes(scenario.Name, Parameters.None, ActionMatch.Fuzzy) { Entry = new(scenario.Id, said) })),
            };
    }

    /// <summary>A yes to the question whether it was meant; what was said with it counts.</summary>
    internal static Envelope? Confirmed(TurnInput input, ScenarioEntry entry) =>
        input.Place is null && input.Scenarios.FirstOrDefault(s => s.Id == entry.ScenarioId && s.Enabled) is { } scenario
            ? Begin(input, scenario, entry.Said, Understood("scenario", scenario, "entered", "question") with { Reasoning = "confirmed" })
            : null;

    /// <summary>From the first step on, past what was told already.</summary>
    internal static Envelope Begin(TurnInput input, Scenario scenario, string said, Intent intent)
    {
        var fresh = input.Variables.Where(v => scenario.Collecting(v.Key) is null || !input.Declared.Replaces(v.Key)).ToDictionary(StringComparer.Ordinal);
        var (given, _) = Judge(scenario, Read(input, scenario, said, asked: null, exclude: []));
        var variables = input.Declared.Update(fresh, given);
        var walk = ScenarioWalk.From(scenario, scenario.Path[0], input.Declared.Resolve(variables), given.Keys.ToHashSet(StringComparer.Ordinal), NoSteps);
        return Going(input, scenario, walk, ScenarioPlace.Entered, variables, intent with { Entities = given });
    }

    internal static ActionMatch EntryOf(TurnInput input, string said) =>
        ActionMatcher.Match(Entries.GetValue(input.Scenarios, static all => [.. all.Where(s => s.Enabled).Select(Entry)]), said, input.Options.FuzzyThreshold);

    private static Envelope? Reply(TurnInput input, ScenarioPlace place)
    {
        var slot = place.Step.Collect!;
        var asked = place.Unasked || input.Text.TrimEnd().EndsWith('?') ? null : slot.Name;
        var known = Answered(input, place);
        // A number in the answer to another question is hardly ever the answer to one that was not put yet.
        var exclude = known.Where(name => name != asked).Concat(Slots(place.Scenario).Where(s => s.Type == "number" && s.Name != asked).Select(s => s.Name));
        var (given, wrong) = Judge(place.Scenario, Read(input, place.Scenario, input.Text, asked, exclude));
        var intent = Understood("provide_information", place.Scenario, given.Count == 0 ? "no value found" : $"supplied {string.Join(", ", given.Keys)}", "question") with { Reasoning = $"answer to {slot.Name}", Entities = given };
        if (given.Count == 0)
        {
            return wrong.TryGetValue(slot.Name, out var message) ? Staying(input, place, input.Variables, intent, message)
                : asked is null ? null
                : new(input.Role) { Intents = [intent] };
        }

        var variables = input.Declared.Update(input.Variables, given);
        return given.ContainsKey(slot.Name)
            ? Going(input, place.Scenario, WalkOn(input, place, variables, Ahead(input, place, variables), NoSteps), "answered", variables, intent)
            : Staying(input, place, variables, intent, Prompt(input, place, variables));
    }

    /// <summary>"No, my mail is …": the value is changed, and the way from its step gone anew, past what is still known.</summary>
    private static Envelope? Correction(TurnInput input, ScenarioPlace place)
    {
        var known = Answered(input, place);
        if (Corrects().Match(input.Text) is not { Success: true } lead || known.Count == 0)
        {
            return null;
        }

        var all = Slots(place.Scenario).Select(slot => slot.Name).ToList();
        var (given, _) = Judge(place.Scenario, Read(input, place.Scenario, input.Text[lead.Length..], asked: null, all.Except(known, StringComparer.Ordinal)));
        // "Sorry, 12" to a question for a number answers that, whatever other number was told before.
        var answers = Read(input, place.Scenario, input.Text[lead.Length..], asked: null, all.Where(name => name != place.Step.Collect!.Name)).Count > 0;
        if (given.Count == 0 || answers)
        {
            return null;
        }

        var variables = input.Declared.Update(input.Variables, given);
        var intent = Understood("correction", place.Scenario, $"corrected {string.Join(", ", given.Keys)}", "question") with { Entities = given };
        // What was told ahead lies ahead: its step is still to come.
        var going = place.Scenario.Path.FirstOrDefault(step => step.Collect is { } slot && given.ContainsKey(slot.Name) && place.Passed.Contains(step.Id)) is { } first
            ? Going(input, place.Scenario, WalkOn(input, place with { Step = first }, variables, known, place.Passed), ScenarioPlace.Corrected, variables, intent)
            : Staying(input, place, variables, intent, Prompt(input, place, variables));
        return going with { Say = [$"I have changed that: {string.Join(", ", given.Select(v => $"{v.Key.Replace('_', ' ')} {v.Value}"))}.", .. going.Say] };
    }

    private static ScenarioWalk WalkOn(
        TurnInput input, ScenarioPlace place, Dictionary<string, JsonElement> variables, IReadOnlySet<string> known, IReadOnlySet<Guid> silent)
    {
        var resolved = input.Declared.Resolve(variables);
        return ScenarioWalk.From(place.Scenario, ScenarioWalk.Follow(place.Scenario, place.Step, Json.Of(resolved)), resolved, known, silent);
    }

    private static Envelope Going(
        TurnInput input, Scenario scenario, ScenarioWalk walk, string reason, IReadOnlyDictionary<string, JsonElement> variables, Intent intent)
    {
        var actions = walk.Actions.Select(input.FindAction).OfType<ActionDefinition>().ToList();
        var missing = walk.Actions.FirstOrDefault(id => input.FindAction(id) is null);
        return new(input.Role)
        {
            Intents =
            [
                intent with { ResponseType = walk.Prompt is null ? "text" : "question" },
                .. actions.Select(action => new Intent("action", 0.99m) { Canonical = action.ActionId, MatchType = ActionMatch.Exact, Reasoning = $"scenario {scenario.Name}" }),
            ],
            Say = missing is null ? walk.Say : [.. walk.Say, "A colleague will take care of that."],
            Handoff = missing is null ? null : $"scenario \"{scenario.Name}\" asks for the action {missing}, which the agent does not have",
            Do = [.. actions.Select((action, i) => new Step.Enqueue(i + 1, action, Parameters.Merge(action, Parameters.None, Json.Of(input.Declared.Resolve(variables)))))],
            Ask = walk.Prompt is { } prompt ? new Question(prompt) : null,
            Scenario = new(scenario, walk.Steps, reason, variables, walk.Prompt),
        };
    }

    /// <summary>What was asked for is still open: the value was wrong, or something else was told.</summary>
    private static Envelope Staying(TurnInput input, ScenarioPlace place, IReadOnlyDictionary<string, JsonElement> variables, Intent intent, string question) =>
        new(input.Role) { Intents = [intent], Ask = new Question(question), Scenario = new(place.Scenario, [], "asked again", variables, question) };

    private static string Prompt(TurnInput input, ScenarioPlace place, IReadOnlyDictionary<string, JsonElement> variables) =>
        Templates.Text(place.Step.Collect!.Prompt, Json.Of(input.Declared.Resolve(variables)));

    internal static bool IsLost(Envelope envelope) =>
        envelope.Do.Count == 0 && envelope.Intents.All(intent => intent.Type == "unknown") && envelope.Ask?.Sheet?.Type is null or "choice";

    /// <summary>One of the options that were just offered, even if an action has a name like it.</summary>
    private static bool IsChoice(Slot slot, string text) => slot.Choices?.Any(choice => Phrases.Normalize(choice) == Phrases.Normalize(text)) == true;

    private static bool IsDigression(TurnInput input) =>
        SmallTalk.Of(input.Text) is not null || ActionMatcher.Match(input.Actions, input.Text, input.Options.FuzzyThreshold).Confidence >= Literal;

    private static bool IsRepeat(string text) =>
        Phrases.Normalize(text) is "what" or "repeat" or "pardon" or "sorry" or "come again" or "say again" or "again" or "repeat that" or "repeat please" or "please repeat" or "can you repeat that" or "what was that" or "what do you mean";

    /// <summary>The slots of this run that have a value; one that gathers values over many runs can always take another.</summary>
    private static HashSet<string> Answered(TurnInput input, ScenarioPlace place) =>
        Slots(place.Scenario).Select(slot => slot.Name).Where(name => name != place.Step.Collect!.Name && input.Variables.ContainsKey(name) && input.Declared.Replaces(name)).ToHashSet(StringComparer.Ordinal);

    /// <summary>Told before they were asked for. One that was asked before is asked again when the way comes back to it.</summary>
    private static HashSet<string> Ahead(TurnInput input, ScenarioPlace place, Dictionary<string, JsonElement> variables) =>
        place.Scenario.Path.Where(step => step.Collect is { } slot && variables.ContainsKey(slot.Name) && input.Declared.Replaces(slot.Name) && !place.Recent.Contains(step.Id)).Select(step => step.Collect!.Name).ToHashSet(StringComparer.Ordinal);

    private static IEnumerable<Slot> Slots(Scenario scenario) => scenario.Path.Select(step => step.Collect).OfType<Slot>();

    private static Dictionary<string, JsonElement> Read(TurnInput input, Scenario scenario, string text, string? asked, IEnumerable<string> exclude) =>
        ParameterReader.Read(Form(scenario), text, Entities.Find(text, input.Today), asked, exclude);

    private static (Dictionary<string, JsonElement> Good, Dictionary<string, string> Wrong) Judge(Scenario scenario, Dictionary<string, JsonElement> values)
    {
        var errors = Parameters.Check(Form(scenario), Json.Of(values)).Errors;
        return (values.Where(v => !errors.ContainsKey(v.Key)).ToDictionary(StringComparer.Ordinal), errors.ToDictionary(StringComparer.Ordinal));
    }

    /// <summary>As the reader of parameters sees a scenario.</summary>
    private static ActionDefinition Form(Scenario scenario) => new()
    {
        ParamsRequired = Json.Of(Slots(scenario).Select(slot => slot.Name)),
        ParamValidation = Json.Of(Slots(scenario).ToDictionary(slot => slot.Name, slot => slot.Rule, StringComparer.Ordinal)),
    };

    /// <summary>As the matcher of phrases sees it.</summary>
    private static ActionDefinition Entry(Scenario scenario) => new() { Id = scenario.Id, ActionId = scenario.Id.ToString(), ActionName = scenario.Name, Synonyms = Json.Of(scenario.EntryCondition) };

    private static Intent Understood(string type, Scenario scenario, string resolution, string responseType) =>
        new(type, 0.99m) { Canonical = scenario.Name, Resolution = resolution, ResponseType = responseType };

    [GeneratedRegex(@"^\s*(?:no|nope|wait|sorry|actually|correction|i meant|oh)\b[\s,.:;!-]*(?:(?:wait|sorry|actually|i meant|i mean|it should be)\b[\s,.:;!-]*)*", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Corrects();
}

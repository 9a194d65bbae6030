using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Brain.Rules;
using AgentPlatform.Brain.Scenarios;
using AgentPlatform.Brain.Understanding;
using AgentPlatform.Channels.Twilio;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Tasks;

namespace AgentPlatform.Brain;

/// <summary>
/// The whole of a turn's thinking, without I/O: control words, then the answer to what was asked, then the task in hand, then rules, then the
/// scenario, then new requests. The first that recognises the message answers it.
/// </summary>
internal static class TurnDecision
{
    /// <summary>The name under which an active task remembers which parameter it asked for last.</summary>
    internal const string Asked = "asked";

    internal static Envelope Decide(TurnInput input) =>
        Control(input)
        ?? (input.OptedOut ? Envelope.Silent(input.Role, new Intent("message_while_opted_out", 1.00m) { Resolution = "not answered: opted out", ResponseType = "none" }) : null)
        ?? ScenarioTurn.GoOn(input, Talk(input));

    /// <summary>STOP and the like.</summary>
    internal static bool IsControl(TurnInput input) => Control(input) is not null;

    /// <summary>Whether the contact wants to hear from us holds whoever answers.</summary>
    internal static IReadOnlyList<Memory> Consent(TurnInput input) => [.. Control(input)?.Remember.Where(memory => memory is Memory.Consent) ?? []];

    private static Envelope Talk(TurnInput input) =>
        Answer(input)
        ?? Onboard(input)
        ?? Collect(input)
        ?? RuleTurn.Decide(input, Interpret);

    private static Envelope Interpret(TurnInput input) =>
        ScenarioTurn.InProgress(input)
        ?? (input.Place is null ? ScenarioTurn.Enter(input) : null)
        ?? Requests.Decide(input) with { IsOpen = true };

    private static Envelope? Control(TurnInput input)
    {
        // Whoever types STOP after three other messages means it: each message is looked at, and the last such word holds.
        var said = input.Messages.LastOrDefault(m => Signals.Control(m) is ControlWord.Stop or ControlWord.Start) ?? input.Text;
        var word = Signals.Control(said);
        // A carrier reads CANCEL as STOP; where no carrier reads along, it calls off the task in hand.
        if (word == ControlWord.Stop && input.Channel != ChannelAddress.Sms && (input.State.ActiveTask is not null || input.Place is not null) && IsCancel(said))
        {
            return null;
        }

        return word switch
        {
            ControlWord.Stop => OptOut(input, said),
            ControlWord.Start => new(input.Role)
            {
                Intents = [new("opt_in", 1.00m) { Resolution = "opted in", ResponseType = "text" }],
                Say = [$"You will hear from {input.Agent.Name} again. Reply STOP at any time to end this."],
                Remember = [new Memory.Consent(false, $"keyword:{said.Trim().ToUpperInvariant()}")],
            },
            ControlWord.Help => Requests.Help(input, carrier: input.Channel == ChannelAddress.Sms) with { EvenIfOptedOut = true },
            _ => null,
        };
    }

    /// <summary>A keyword by SMS is confirmed by the carrier itself; in all other cases we confirm, once.</summary>
    private static Envelope OptOut(TurnInput input, string said)
    {
        var keyword = ControlWords.Classify(said) == ControlWord.Stop;
        var confirmed = !input.OptedOut && !(keyword && input.Channel == ChannelAddress.Sms);
        return new(input.Role)
        {
            Intents = [new("opt_out", 1.00m) { Resolution = "opted out", ResponseType = confirmed ? "text" : "none" }],
            Say = confirmed ? ["You will not hear from us again. Reply START if you change your mind."] : [],
            EvenIfOptedOut = true,
            Remember = [new Memory.Consent(true, keyword ? $"keyword:{said.Trim().ToUpperInvariant()}" : "natural_language")],
        };
    }

    private static Envelope? Answer(TurnInput input)
    {
        var sheet = input.State.AnswerSheet;
        if (sheet is null || (!input.State.ExpectingResponse && sheet.Type != "choice") || Signals.Resolve(sheet, input.Text) is not { } option)
        {
            return null;
        }

        return sheet.Type == "choice" ? Pick(input, sheet, option) : Confirm(input, sheet, option);
    }

    private static Envelope Confirm(TurnInput input, AnswerSheet sheet, string option)
    {
        var wanted = sheet.More is { } more && more.TryGetValue("on_yes", out var on) ? Json.Read<OnYes>(on) : null;
        if (option != Signals.Yes || wanted is null)
        {
            return new(input.Role)
            {
                Intents = [new("rejection", 0.99m) { Canonical = wanted?.ActionId, Resolution = "declined", ResponseType = "text" }],
                Say = ["All right, I will leave it."],
            };
        }

        if (wanted.Task is { } task)
        {
            return Requests.PassedOn(input, task, new Intent("confirmation", 0.99m));
        }

        if (wanted.Entry is { } entry)
        {
            return ScenarioTurn.Confirmed(input, entry) ?? Requests.NotFound(input, wanted.ActionId);
        }

        return input.FindAction(wanted.ActionId) is { } action
            ? Do(input, action, wanted.Params, wanted.MatchType, "confirmed")
            : Requests.NotFound(input, wanted.ActionId);
    }

    private static Envelope Pick(TurnInput input, AnswerSheet sheet, string option)
    {
        var choices = sheet.More is { } more && more.TryGetValue("choices", out var list) ? Json.Read<Choice[]>(list) : [];
        var index = sheet.Options.Keys.ToList().IndexOf(option);
        if (index >= choices.Length)
        {
            return Requests.NotFound(input, option);
        }

        var choice = choices[index];
        if (choice.ActionId is { } id && input.FindAction(id) is { } action)
        {
            return Do(input, action, Parameters.None, ActionMatch.Exact, $"picked {option}");
        }

        return PickItem(input, choice, option);
    }

    /// <summary>An item of a list: an action that can use it is proposed, with what the item already tells.</summary>
    private static Envelope PickItem(TurnInput input, Choice choice, string option)
    {
        var item = choice.Item ?? Parameters.None;
        var intent = new Intent("selection", 0.99m)
        {
            Canonical = choice.Source,
            Reasoning = $"picked {option}",
            Entities = Requests.Flat(item),
            Resolution = $"selected {choice.Title}",
            ResponseType = "text",
        };
        var follow = input.Actions
            .Where(action => action.ActionId != choice.Source && action.Required.Any(name => item.ValueKind == JsonValueKind.Object && item.TryGetProperty(name, out _)))
            .OrderByDescending(action => QueuePriority.Of(action.Priority)).ThenBy(action => action.ActionId, StringComparer.Ordinal)
            .FirstOrDefault();
        if (follow is null)
        {
            return new(input.Role) { Intents = [intent], Say = [$"You picked {choice.Title}."], Remember = [new Memory.Selected(item)] };
        }

        var sheet = Requests.ConfirmSheet(new OnYes(follow.ActionId, Parameters.Merge(follow, Parameters.None, item), ActionMatch.Exact));
        return new(input.Role)
        {
            Intents = [intent with { ResponseType = "question" }],
            Ask = new Question($"You picked {choice.Title}. Shall I {Requests.Lower(follow.Title)}?", sheet),
            Remember = [new Memory.Selected(item)],
        };
    }

    private static Envelope Do(TurnInput input, ActionDefinition action, JsonElement values, string matchType, string why) => new(input.Role)
    {
        Intents = [new("action", 0.99m) { Canonical = action.ActionId, MatchType = matchType, Reasoning = why, Entities = Requests.Flat(values) }],
        Do = [new Step.Enqueue(0, action, values)],
    };

    /// <summary>The bouncer lets a clear request pass to the queue (where eligibility decides) and goes on asking.</summary>
    private static Envelope? Onboard(TurnInput input)
    {
        if (input.Role != Persona.Bouncer || input.FindAction(Onboarding.ActionId) is not { } action)
        {
            return null;
        }

        var others = input.Actions.Where(a => a.ActionId != Onboarding.ActionId).ToList();
        var asked = input.State.ActiveTask is { CanonicalAction: Onboarding.ActionId };
        var match = ActionMatcher.Match(others, input.Text, input.Options.FuzzyThreshold);
        if (match.MatchType is not (ActionMatch.Exact or ActionMatch.Synonym) || (asked && match.Confidence < 0.92m))
        {
            return input.State.ActiveTask is null or { CanonicalAction: Onboarding.ActionId } ? Onboarding.Decide(input, action) : null;
        }

        var next = Onboarding.Decide(input with { Text = "" }, action);
        var request = Requests.Decide(input with { Actions = others });
        return request with { Ask = request.Ask ?? next.Ask, Task = next.Task };
    }

    private static Envelope? Collect(TurnInput input)
    {
        if (input.State.ActiveTask is not { Status: "collecting_params" } task || input.FindAction(task.CanonicalAction) is not { } action || task.CanonicalAction == Onboarding.ActionId)
        {
            return null;
        }

        if (IsCancel(input.Text))
        {
            return new(input.Role)
            {
                Intents = [new("cancel", 0.99m) { Canonical = action.ActionId, Resolution = "task cancelled", ResponseType = "text" }],
                Say = ["All right, I have dropped that."],
                Do = [new Step.Cancel(0, task.TaskId)],
            };
        }

        var other = ActionMatcher.Match(input.Actions, input.Text, input.Options.FuzzyThreshold);
        if (SmallTalk.Of(input.Text) is not null || ScenarioTurn.IsNamed(input) || (other.Confidence >= 0.92m && other.Action!.ActionId != action.ActionId))
        {
            return null;
        }

        var asked = task.More is { } more && more.TryGetValue(Asked, out var name) ? name.GetString() : task.ParamsMissing is [var first, ..] ? first : null;
        var isQuestion = input.Text.TrimEnd().EndsWith('?');
        var values = ParameterReader.Read(action, input.Text, Entities.Find(input.Text, input.Today), isQuestion ? null : asked, exclude: task.ParamsCollected.Keys.Where(key => key != asked));
        return new(input.Role)
        {
            Intents = [Requests.Supplied(action, values, $"answer to {asked}", "question")],
            Do = [new Step.Supply(0, task.TaskId, Json.Of(values))],
        };
    }

    internal static bool IsCancel(string text) => Phrases.Normalize(text) is "cancel" or "never mind" or "nevermind" or "forget it" or "forget about it" or "stop that" or "cancel that" or "drop it" or "cancel it";
}

/// <summary>What a yes would start: an action, a task for the agency, or a scenario.</summary>
internal sealed record OnYes(string ActionId, JsonElement Params, string MatchType, TaskRequest? Task = null)
{
    public ScenarioEntry? Entry { get; init; }
}

/// <summary>A scenario that was perhaps meant by what was said.</summary>
internal sealed record ScenarioEntry(Guid ScenarioId, string Said);

/// <summary>An option of an offered list: an action, or an item of the list that <see cref="Source"/> returned.</summary>
internal sealed record Choice(string Title, string? ActionId = null, JsonElement? Item = null, string? Source = null);

using System.Text.Json;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Brain.Understanding;
using AgentPlatform.Kernel;

namespace AgentPlatform.Brain.Thinking;

/// <summary>
/// Pure: what a model answered, as an envelope; or what is wrong with it. Nothing of an answer is used when a part of it is wrong: an action that
/// the agent does not have, a parameter that the action does not take, a value that its rule refuses.
/// </summary>
internal static class ModelAnswer
{
    /// <summary>Characters of what is said and asked: as many as a long text message may have.</summary>
    private const int MostText = 1600;

    private const int MostActions = 5;

    /// <summary>How sure a request is that a model understood: surer than a guess, and less than what was said literally.</summary>
    private const decimal Confidence = 0.85m;

    internal static (Envelope? Envelope, IReadOnlyList<string> Wrong) Read(TurnInput input, string model, JsonElement output)
    {
        if (Filled(output) is not { } filled)
        {
            return (null, [$"The form `{TurnPrompt.Form}` was not filled in, or not with values of its types."]);
        }

        var wrong = filled.Do.SelectMany(step => Wrong(input, step)).Concat(Wrong(filled)).ToList();
        return wrong.Count > 0 ? (null, wrong) : (Answer(input, filled, $"{model}: {filled.Because}"), []);
    }

    /// <summary>The form's arguments, or the same as plain JSON, which models without functions write.</summary>
    private static Reply? Filled(JsonElement output)
    {
        try
        {
            return output.TryGetProperty("arguments", out var arguments) && arguments.ValueKind == JsonValueKind.Object ? Whole(Json.Read<Reply>(arguments))
                : output.TryGetProperty("text", out var text) && text.GetString() is { } words ? Whole(Json.Read<Reply>(JsonDocument.Parse(Unfenced(words)).RootElement))
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Models write null where there is nothing; inside of a list it stands for what was forgotten.</summary>
    private static Reply? Whole(Reply reply)
    {
        var whole = reply with { Say = reply.Say ?? [], Do = reply.Do ?? [], Remember = reply.Remember ?? [] };
        return whole.Say.All(text => text is not null) && whole.Do.All(step => step?.Action is not null) && whole.Remember.All(one => one is { Field: not null, Value: not null }) ? whole : null;
    }

    private static string Unfenced(string text) => text.IndexOf('{') is >= 0 and var from && text.LastIndexOf('}') is var to && to > from ? text[from..(to + 1)] : text;

    private static IEnumerable<string> Wrong(TurnInput input, Wanted step)
    {
        if (step.Action == Onboarding.ActionId || input.FindAction(step.Action) is not { } action)
        {
            return [$"There is no action `{step.Action}`."];
        }

        var known = action.Required.Concat(action.Optional).ToHashSet(StringComparer.Ordinal);
        return step.Params.ValueKind is not (JsonValueKind.Object or JsonValueKind.Undefined)
            ? [$"The params of {action.ActionId} are not an object."]
            : Requests.Flat(step.Params).Keys.Where(name => !known.Contains(name)).Select(name => $"{action.ActionId} takes no parameter `{name}`.")
                .Concat(Parameters.Check(action, Values(action, step)).Errors.Select(error => $"{action.ActionId}.{error.Key}: {error.Value}"));
    }

    private static IEnumerable<string> Wrong(Reply filled)
    {
        if (filled.Say.Sum(text => text.Length) + (filled.Ask?.Length ?? 0) > MostText)
        {
            yield return $"What you say and ask has more than {MostText} characters.";
        }

        if (filled.Do.Count > MostActions)
        {
            yield return $"There are more than {MostActions} actions.";
        }

        if (filled is { Say.Count: 0, Ask: null, Do.Count: 0, Handoff: null })
        {
            yield return "Nothing is said, asked, done or handed off.";
        }

        foreach (var field in filled.Remember.Select(r => r.Field).Where(field => field != "note" && !TurnPrompt.Fields.Contains(field)))
        {
            yield return $"There is no field `{field}`.";
        }
    }

    private static Envelope Answer(TurnInput input, Reply filled, string why)
    {
        var steps = filled.Do.Select((step, i) => (Action: input.FindAction(step.Action)!, Params: Values(input.FindAction(step.Action)!, step), Place: i)).ToList();
        var confirm = input.RequireConfirmation && steps.Count > 0;
        var ask = filled.Ask is { Length: > 0 } text ? new Question(text) : null;
        var talk = new Intent("conversation", Confidence) { Reasoning = why, Resolution = "answered", ResponseType = ask is null ? "text" : "question" };
        return new(input.Role)
        {
            Intents = steps.Count == 0 ? [talk] : [.. steps.Select(step => Intent(step.Action, step.Params, why, confirm))],
            Say = filled.Say,
            Ask = confirm ? Confirmation(steps[0].Action, steps[0].Params) : ask,
            Do = confirm ? [] : [.. steps.Select(step => new Step.Enqueue(step.Place, step.Action, step.Params))],
            Handoff = filled.Handoff is { Length: > 0 } reason ? reason : null,
            Remember = [.. filled.Remember.Select((one, i) => one.Field == "note" ? (Memory)new Memory.Note($"note_{input.Turn}_{i + 1}", one.Value) : new Memory.Field(one.Field, one.Value))],
        };
    }

    private static Intent Intent(ActionDefinition action, JsonElement values, string why, bool confirm)
    {
        var intent = new Intent("action", Confidence) { Canonical = action.ActionId, MatchType = ActionMatch.Model, Reasoning = why, Entities = Requests.Flat(values) };
        return confirm ? intent with { Resolution = "confirmation asked", ResponseType = "question" } : intent;
    }

    private static Question Confirmation(ActionDefinition action, JsonElement values) =>
        new($"Shall I {Requests.Lower(action.Title)}?", Requests.ConfirmSheet(new OnYes(action.ActionId, values, ActionMatch.Model)));

    private static JsonElement Values(ActionDefinition action, Wanted step) =>
        Parameters.Merge(action, Parameters.None, step.Params.ValueKind == JsonValueKind.Object ? step.Params : Parameters.None);

    /// <summary>The form, filled in.</summary>
    private sealed record Reply(string? Ask, string? Handoff, string? Because)
    {
        public IReadOnlyList<string> Say { get; init; } = [];

        public IReadOnlyList<Wanted> Do { get; init; } = [];

        public IReadOnlyList<Known> Remember { get; init; } = [];
    }

    private sealed record Wanted(string Action, JsonElement Params);

    private sealed record Known(string Field, string Value);
}

using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Brain.Nlu.Models;
using AgentPlatform.Brain.Understanding;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Tasks;

namespace AgentPlatform.Brain;

/// <summary>What a sentence is when it asks for no action.</summary>
internal enum Talk
{
    Greeting,
    Thanks,
    Goodbye,
    Help,
    Human,
    News,
}

internal static class SmallTalk
{
    private static readonly string[] Greetings = ["hi", "hello", "hey", "hiya", "howdy", "good morning", "good afternoon", "good evening", "hi there", "hello there", "hey there", "greetings"];
    private static readonly string[] Thanks = ["thanks", "thank you", "thx", "ty", "thanks a lot", "thank you very much", "thank you so much", "many thanks", "cheers", "great thanks", "perfect thanks", "perfect thank you"];
    private static readonly string[] Goodbyes = ["bye", "goodbye", "good bye", "see you", "see you later", "good night", "talk to you later", "have a nice day"];
    private static readonly string[] Helps = ["help", "help me", "what can you do", "what can i do", "what can you do for me", "how does this work", "menu", "options", "commands", "who are you"];
    private static readonly string[] Humans = ["talk to a human", "speak to a human", "talk to a person", "speak to a person", "real person", "human please", "talk to someone", "speak to someone", "speak with someone", "speak with a human", "human agent", "live agent"];
    private static readonly string[] NewsWords = ["whats new", "what is new", "any news", "any updates", "my priorities", "what do you have for me", "show my priorities", "updates"];

    internal static Talk? Of(string sentence)
    {
        var said = Phrases.Normalize(sentence);
        return Greetings.Contains(said) ? Talk.Greeting
            : Thanks.Contains(said) ? Talk.Thanks
            : Goodbyes.Contains(said) ? Talk.Goodbye
            : Helps.Contains(said) ? Talk.Help
            : NewsWords.Contains(said) ? Talk.News
            : Humans.Any(phrase => $" {said} ".Contains($" {phrase} ", StringComparison.Ordinal)) ? Talk.Human
            : null;
    }

    /// <summary>"Hi, find me jobs" is about the jobs.</summary>
    internal static string WithoutGreeting(string sentence)
    {
        var cut = sentence.IndexOfAny([',', ' ', '-']);
        return cut > 0 && Greetings.Contains(Phrases.Normalize(sentence[..cut])) ? sentence[cut..].TrimStart(',', ' ', '-', '!') : sentence;
    }
}

/// <summary>New requests: each sentence is small talk, an action of the registry, or not understood.</summary>
internal static class Requests
{
    internal static Envelope Decide(TurnInput input)
    {
        var sentences = Phrases.Sentences(input.Text).SelectMany(sentence => Recognition.Requests(input.Actions, sentence, input.Options));
        var read = Together(input, sentences.Select(sentence => Read(input, SmallTalk.WithoutGreeting(sentence))));
        if (read.Count == 0)
        {
            return NotFound(input, input.Text);
        }

        var anythingClear = read.Any(r => r.Intent.Type is not "unknown");
        var result = new Envelope(input.Role);
        foreach (var one in read)
        {
            result = one.Action is { } action ? Asked(input, result, one, action) : result with { Intents = [.. result.Intents, one.Intent] };
        }

        return read.Find(r => r.Talk is not null)?.Talk is { } talk && !read.Exists(r => r.Action is not null) ? Chat(input, result, talk)
            : anythingClear ? result
            : Merge(IsTask(input) ? PassOn(input) : NotFound(input, input.Text), result.Intents);
    }

    /// <summary>Nothing in the registry fits: what is often asked for is offered as a list to pick from.</summary>
    internal static Envelope NotFound(TurnInput input, string said)
    {
        var offered = Popular(input);
        var intent = Unknown(said);
        var note = input.Role == Persona.Innovator ? [new Memory.Note($"innovator_note_{input.Turn}", said)] : Array.Empty<Memory>();
        var text = Persona.NotFound(input, offered.Count > 0);
        return offered.Count == 0
            ? new(input.Role) { Intents = [intent], Say = [text], Remember = note }
            : new(input.Role) { Intents = [intent with { ResponseType = "list" }], Ask = Offer(text, offered), Remember = note };
    }

    internal static Envelope PassedOn(TurnInput input, TaskRequest request, Intent intent) => new(input.Role)
    {
        Intents = [intent with { Resolution = "passed on as a task", ResponseType = "text" }],
        Say = ["I cannot do that myself, so I have passed it on to a colleague. You will hear from us."],
        Do = [new Step.OpenTask(0, request)],
    };

    internal static Envelope Help(TurnInput input, bool carrier)
    {
        var offered = Popular(input);
        var legal = carrier ? " Reply STOP to end messages; message and data rates may apply." : "";
        var text = $"This is {input.Agent.Name}.{legal}" + (offered.Count > 0 ? " You can ask me to:" : " Just tell me what you need.");
        return new(input.Role)
        {
            Intents = [new("help", 0.99m) { Resolution = "help given", ResponseType = offered.Count > 0 ? "list" : "text" }],
            Say = offered.Count > 0 ? [] : [text],
            Ask = offered.Count > 0 ? Offer(text, offered) : null,
        };
    }

    internal static AnswerSheet ConfirmSheet(OnYes onYes) =>
        Signals.Confirmation() with { More = new Dictionary<string, JsonElement>(StringComparer.Ordinal) { ["on_yes"] = Json.Of(onYes) } };

    internal static AnswerSheet ChoiceSheet(IReadOnlyList<Choice> choices) =>
        Signals.Choice([.. choices.Select(c => c.Title)]) with { More = new Dictionary<string, JsonElement>(StringComparer.Ordinal) { ["choices"] = Json.Of(choices) } };

    internal static string Numbered(IEnumerable<string> titles) => string.Join('\n', titles.Select((title, i) => $"{i + 1}. {title}"));

    internal static Dictionary<string, JsonElement> Flat(JsonElement item) =>
        item.ValueKind == JsonValueKind.Object ? item.EnumerateObject().ToDictionary(p => p.Name, p => p.Value, StringComparer.Ordinal) : [];

    internal static string Lower(string title) => title.Length == 0 ? title : char.ToLowerInvariant(title[0]) + title[1..];

    /// <summary>One or two words that nothing fits are asked about again; a sentence is something to do.</summary>
    private static bool IsTask(TurnInput input) => input.MakesTasks && Phrases.Words(input.Text).Length > 2;

    private static Envelope PassOn(TurnInput input)
    {
        var (request, intent) = (new TaskRequest(input.Text, input.InboundMessageId), Unknown(input.Text));
        return input.RequireConfirmation
            ? new(input.Role)
            {
                Intents = [intent with { ResponseType = "question" }],
                Ask = new Question("I cannot do that myself. Shall I pass it on to a colleague?", ConfirmSheet(new OnYes(TaskBoard.Request, Parameters.None, ActionMatch.NotFound, request))),
            }
            : PassedOn(input, request, intent);
    }

    /// <summary>
    /// What is told at once is not asked for: a sentence that asks for nothing is read for what the request before it leaves open, as the answer to
    /// a question would be. So three messages come to the same whether one turn reads them or three.
    /// </summary>
    private static List<Reading> Together(TurnInput input, IEnumerable<Reading> sentences)
    {
        var read = new List<Reading>();
        foreach (var one in sentences)
        {
            var asking = one.Intent.Type == "unknown" ? read.FindLastIndex(r => r.Action is not null) : -1;
            if (asking < 0 || LeftOpen(input, read[asking], one.Sentence) is not { Count: > 0 } told)
            {
                read.Add(one);
                continue;
            }

            var request = read[asking];
            read[asking] = request with { Said = request.Said.Concat(told).ToDictionary(StringComparer.Ordinal) };
            read.Add(new(one.Sentence, Supplied(request.Action!, told, "told with the request", "none")));
        }

        return read;
    }

    /// <summary>While something required is missing any value of the right type may be it; after that only what is told by the parameter's own words.</summary>
    private static Dictionary<string, JsonElement> LeftOpen(TurnInput input, Reading request, string sentence)
    {
        var action = request.Action!;
        var entities = action.Required.All(request.Said.ContainsKey) ? [] : Entities.Find(sentence, input.Today);
        return ParameterReader.Read(action, sentence, entities, asked: null, exclude: request.Said.Keys);
    }

    internal static Intent Supplied(ActionDefinition action, Dictionary<string, JsonElement> values, string why, string responseType) => new("provide_information", 0.95m)
    {
        Canonical = action.ActionId,
        Reasoning = why,
        Entities = values,
        Resolution = values.Count == 0 ? "no value found" : $"supplied {string.Join(", ", values.Keys)}",
        ResponseType = responseType,
    };

    private static Reading Read(TurnInput input, string sentence)
    {
        var match = Recognition.Of(input.Actions, input.Model, sentence, input.Options);
        if (match.MatchType is ActionMatch.NotFound or ActionMatch.Fuzzy && SmallTalk.Of(sentence) is { } talk)
        {
            return new(sentence, new Intent(TypeOf(talk), 0.98m) { Resolution = "answered", ResponseType = "text" }) { Talk = talk };
        }

        if (match.Action is not { } action)
        {
            return new(sentence, Unknown(sentence));
        }

        var intent = new Intent("action", match.Confidence)
        {
            Canonical = action.ActionId,
            MatchType = match.MatchType,
            Reasoning = match.ModelVersion is { } version ? $"model {version} recognises \"{sentence}\"" : $"\"{match.Phrase}\" in \"{sentence}\"",
        };
        var unsure = match.MatchType == ActionMatch.Fuzzy && match.Confidence < (match.ModelVersion is null ? input.Options.ConfirmBelow : input.Options.ConfirmModelBelow);
        return new(sentence, intent) { Action = action, MustConfirm = input.RequireConfirmation || unsure, Said = SaidIn(input, action, sentence) };
    }

    /// <summary>An action: put in the queue, or asked about first.</summary>
    private static Envelope Asked(TurnInput input, Envelope result, Reading read, ActionDefinition action)
    {
        var values = Known(input, action, read.Sentence, read.Said);
        var intent = read.Intent with { Entities = EntitiesOf(input, values, read.Sentence) };
        if (!read.MustConfirm)
        {
            return result with { Intents = [.. result.Intents, intent], Do = [.. result.Do, new Step.Enqueue(result.Intents.Count, action, Json.Of(values))] };
        }

        var text = intent.MatchType == ActionMatch.Fuzzy ? $"Did you mean: {action.Title}?" : $"Shall I {Lower(action.Title)}?";
        return result with
        {
            Intents = [.. result.Intents, intent with { Resolution = "confirmation asked", ResponseType = "question" }],
            Ask = new Question(text, ConfirmSheet(new OnYes(action.ActionId, Json.Of(values), intent.MatchType!))),
        };
    }

    /// <summary>From the sentence; what it leaves open from what is <see cref="Known"/>.</summary>
    internal static Dictionary<string, JsonElement> ValuesOf(TurnInput input, ActionDefinition action, string sentence) =>
        Known(input, action, sentence, SaidIn(input, action, sentence));

    private static Dictionary<string, JsonElement> SaidIn(TurnInput input, ActionDefinition action, string sentence) =>
        ParameterReader.Read(action, sentence, Entities.Find(sentence, input.Today), asked: null);

    /// <summary>What was said; what that leaves open from the item it points at ("#2"), from the item picked before, and from the contact.</summary>
    private static Dictionary<string, JsonElement> Known(TurnInput input, ActionDefinition action, string sentence, Dictionary<string, JsonElement> said)
    {
        var values = new Dictionary<string, JsonElement>(said, StringComparer.Ordinal);
        foreach (var source in new[] { PointedAt(input, sentence), Picked(input), Json.Of(new { email = input.Contact.Email, phone = input.Contact.PhoneNumber, phone_number = input.Contact.PhoneNumber, linkedin_url = input.Contact.LinkedinUrl }) })
        {
            foreach (var name in action.Required.Where(name => !values.ContainsKey(name)))
            {
                if (source is { ValueKind: JsonValueKind.Object } item && item.TryGetProperty(name, out var value) && value.ValueKind is not JsonValueKind.Null)
                {
                    values[name] = value;
                }
            }
        }

        return values;
    }

    private static JsonElement? PointedAt(TurnInput input, string sentence)
    {
        if (input.State.AnswerSheet is not { Type: "choice", More: { } more } sheet || !more.TryGetValue("choices", out var list))
        {
            return null;
        }

        var said = $" {Phrases.Normalize(sentence)} ";
        var number = Entities.Find(sentence, input.Today).First(Entities.Choice);
        var index = sheet.Options.ToList().FindIndex(option =>
            option.Key == $"#{number}" || option.Value.Any(name => name.Length > 2 && said.Contains($" {name} ", StringComparison.Ordinal)));
        return index < 0 ? null : Json.Read<Choice[]>(list)[index].Item;
    }

    private static JsonElement? Picked(TurnInput input) =>
        input.State.ConversationContext.More is { } more && more.TryGetValue("selected", out var item) ? item : null;

    private static Dictionary<string, JsonElement> EntitiesOf(TurnInput input, Dictionary<string, JsonElement> values, string sentence)
    {
        var all = new Dictionary<string, JsonElement>(values, StringComparer.Ordinal);
        foreach (var entity in Entities.Find(sentence, input.Today))
        {
            all.TryAdd(entity.Type, Json.Of(entity.Value));
        }

        return all;
    }

    private static Envelope Chat(TurnInput input, Envelope read, Talk talk) => talk switch
    {
        Talk.Greeting or Talk.News => News(input, read, talk),
        Talk.Help => Merge(Help(input, carrier: false), read.Intents),
        Talk.Human => read with { Say = ["I am getting a colleague for you. Somebody will answer here."], Handoff = "the contact asked for a human" },
        Talk.Goodbye => read with { Say = [Persona.Goodbye] },
        _ => read with { Say = [Persona.Thanks(input)] },
    };

    /// <summary>The concierge opens with what matters most to this contact, once per item.</summary>
    private static Envelope News(TurnInput input, Envelope read, Talk talk)
    {
        var news = input.Role == Persona.Concierge ? input.Priorities.Where(p => p.Title is not null).Take(5).ToList() : [];
        var opening = talk == Talk.Greeting ? Persona.Greeting(input) : news.Count == 0 ? "Nothing new for you right now." : "";
        var listed = news.Count == 0 ? "" : $"New for you:\n{Numbered(news.Select(p => p.Title!))}";
        return read with
        {
            Say = [string.Join('\n', new[] { opening, listed }.Where(part => part.Length > 0))],
            Remember = news.Count == 0 ? [] : [new Memory.Presented([.. news.Select(p => p.Id)])],
        };
    }

    private static List<Choice> Popular(TurnInput input)
    {
        var popular = input.Agent.PopularActions.Select(input.FindAction).OfType<ActionDefinition>().ToList();
        var offered = popular.Count > 0 ? popular : [.. input.Actions.OrderByDescending(a => QueuePriority.Of(a.Priority)).ThenBy(a => a.ActionId, StringComparer.Ordinal)];
        return [.. offered.Where(a => a.ActionId != Onboarding.ActionId).Take(5).Select(a => new Choice(a.Title, a.ActionId))];
    }

    private static Question Offer(string text, List<Choice> choices) => new($"{text}\n{Numbered(choices.Select(c => c.Title))}", ChoiceSheet(choices));

    private static Intent Unknown(string said) => new("unknown", 0.00m) { MatchType = ActionMatch.NotFound, Reasoning = $"nothing in the registry fits \"{said}\"", ResponseType = "text" };

    private static Envelope Merge(Envelope answer, IReadOnlyList<Intent> intents) => answer with
    {
        Intents = [.. intents.Select(intent => intent with { ResponseType = answer.Intents[0].ResponseType, Resolution = intent.Resolution ?? answer.Intents[0].Resolution })],
    };

    private static string TypeOf(Talk talk) => talk switch
    {
        Talk.Human => "handoff",
        Talk.News => "priorities",
        _ => talk.ToString().ToLowerInvariant(),
    };

    private sealed record Reading(string Sentence, Intent Intent)
    {
        internal Talk? Talk { get; init; }
        internal ActionDefinition? Action { get; init; }
        internal bool MustConfirm { get; init; }

        /// <summary>The action's parameters as far as they were said.</summary>
        internal Dictionary<string, JsonElement> Said { get; init; } = [];
    }
}

using System.Globalization;
using System.Text.Json;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Agents.Prompts;
using AgentPlatform.Brain.Understanding;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Models;

namespace AgentPlatform.Brain.Thinking;

/// <summary>What a model gets to know besides the turn's own input.</summary>
internal sealed record Background(string? Summary, string Personality, IReadOnlyList<Message> History, IReadOnlyList<string> Constitution, IReadOnlyList<string> Memories);

/// <summary>Pure: what a model is told of a turn, and the form it answers in.</summary>
internal static class TurnPrompt
{
    internal const string Form = "reply";

    /// <summary>A registry of hundreds would cost more to tell than the answer is worth: those that share the most words with what was said.</summary>
    internal const int MostActions = 60;

    internal static readonly string[] Fields = ["first_name", "last_name", "company", "title", "linkedin_url"];

    private static readonly string[] StepParts = ["action", "params"];
    private static readonly string[] FieldParts = ["field", "value"];
    private static readonly string[] Always = ["because"];

    internal static ModelPrompt Of(TurnInput input, Background background)
    {
        var actions = Offered(input);
        return new(Instructions(input, background, actions), [.. Told(background.History)], new AnswerForm(Form, "The answer to the latest messages.", Schema(actions)));
    }

    /// <summary>The same again, with the answer that could not be used and what is wrong with it.</summary>
    internal static ModelPrompt Repaired(ModelPrompt prompt, TurnInput input, Background background, JsonElement answer, IReadOnlyList<string> wrong)
    {
        var data = new Dictionary<string, object?>(Data(input, background, Offered(input)), StringComparer.Ordinal) { ["wrong"] = string.Join(' ', wrong) };
        return prompt with
        {
            Messages =
            [
                .. prompt.Messages,
                new(FromContact: false, answer.GetRawText()),
                new(FromContact: true, Templates.Text(input.Prompt.Template(PromptParts.Find(PromptParts.Repair)!), Json.Of(data))),
            ],
        };
    }

    /// <summary>The contact has to have the first word.</summary>
    private static IEnumerable<PromptMessage> Told(IEnumerable<Message> history) =>
        history.Select(message => new PromptMessage(message.Direction == "inbound", message.Content)).SkipWhile(message => !message.FromContact);

    private static string Instructions(TurnInput input, Background background, IReadOnlyList<ActionDefinition> actions)
    {
        var data = Json.Of(Data(input, background, actions));
        var parts = PromptParts.All.Where(part => part.Name != PromptParts.Repair).Select(part => Templates.Text(input.Prompt.Template(part), data).Trim());
        return string.Join("\n\n", parts.Where(part => part.Length > 0));
    }

    /// <summary>What the templates of a prompt may use.</summary>
    private static Dictionary<string, object?> Data(TurnInput input, Background background, IReadOnlyList<ActionDefinition> actions)
    {
        var contact = input.Contact;
        return new(StringComparer.Ordinal)
        {
            ["agent"] = new { input.Agent.Name, input.Agent.SystemPrompt },
            ["channel"] = input.Channel,
            ["today"] = input.Today.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
            ["form"] = Form,
            ["contact"] = new { FirstName = Line(contact.FirstName), LastName = Line(contact.LastName), Company = Line(contact.Company), Title = Line(contact.Title), contact.Verified },
            ["contact_facts"] = Json.Text(new { contact.FirstName, contact.LastName, contact.Company, contact.Title, contact.Verified }),
            ["personality"] = Line(background.Personality),
            ["summary"] = background.Summary,
            ["foundation"] = input.Foundation.Select(Line),
            ["memories"] = background.Memories.Select(Line),
            ["constitution"] = background.Constitution.Select(Line),
            ["scenario"] = input.Place?.Scenario.Name,
            ["suggestions"] = input.Suggestions,
            ["actions"] = actions.Select(action => new { Id = action.ActionId, action.Title, action.Description, Line = Line(action) }),
            ["variables"] = input.Declared.Resolve(input.Variables).ToDictionary(v => v.Key, v => v.Value.ValueKind == JsonValueKind.String ? Json.Of(Line(v.Value.GetString())) : v.Value, StringComparer.Ordinal),
        };
    }

    /// <summary>What a contact wrote stays inside the line that it stands in: a line of its own would look like one of ours.</summary>
    private static string? Line(string? text) => text is null ? null : new string([.. text.Select(c => char.IsControl(c) || c is '\u2028' or '\u2029' ? ' ' : c)]);

    private static string Line(ActionDefinition action) => Json.Text(new { action = action.ActionId, title = action.Title, action.Description, @params = Params(action) });

    private static Dictionary<string, object> Params(ActionDefinition action) => action.Required.Concat(action.Optional).ToDictionary(
        name => name,
        name => (object)new { type = action.Rule(name).Type, required = action.Required.Contains(name) },
        StringComparer.Ordinal);

    private static List<ActionDefinition> Offered(TurnInput input)
    {
        var said = Phrases.Words(input.Text).ToHashSet(StringComparer.Ordinal);
        return [.. input.Actions.Where(action => action.ActionId != Onboarding.ActionId)
            .OrderByDescending(action => action.SynonymPhrases.Append(action.ActionName).Append(action.Title).SelectMany(Phrases.Words).Distinct(StringComparer.Ordinal).Count(said.Contains))
            .ThenByDescending(action => Actions.QueuePriority.Of(action.Priority)).ThenBy(action => action.ActionId, StringComparer.Ordinal)
            .Take(MostActions)];
    }

    private static JsonElement Schema(IReadOnlyList<ActionDefinition> actions) => Json.Of(new
    {
        type = "object",
        properties = new
        {
            say = new { type = "array", items = new { type = "string" } },
            ask = new { type = "string" },
            @do = new
            {
                type = "array",
                items = new
                {
                    type = "object",
                    properties = new { action = new { type = "string", @enum = actions.Select(a => a.ActionId) }, @params = new { type = "object" } },
                    required = StepParts,
                },
            },
            handoff = new { type = "string" },
            remember = new
            {
                type = "array",
                items = new
                {
                    type = "object",
                    properties = new { field = new { type = "string", @enum = Fields.Append("note") }, value = new { type = "string" } },
                    required = FieldParts,
                },
            },
            because = new { type = "string" },
        },
        required = Always,
    });
}

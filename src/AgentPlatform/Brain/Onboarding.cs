using System.Text.Json;
using System.Text.RegularExpressions;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Brain.Understanding;
using AgentPlatform.Brain.Verification;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;

namespace AgentPlatform.Brain;

/// <summary>
/// The bouncer's task. An agent onboards when its registry holds the action <c>onboarding</c>, whose parameters are the profile's
/// fields: their order, prompts and rules are the tenant's. A complete profile verifies the contact; where the agent wants it, so does only the proof of
/// the e-mail address.
/// </summary>
public static partial class Onboarding
{
    public const string ActionId = "onboarding";

    /// <summary>The entry that a tenant begins with: name, company, title, e-mail and LinkedIn.</summary>
    public static ActionDefinition Default { get; } = new()
    {
        ActionId = ActionId,
        ActionName = "complete my profile",
        DisplayName = "Complete your profile",
        Category = "onboarding",
        Synonyms = Json.Of(new[] { "onboarding", "sign me up", "register me" }),
        ExecutionType = "set_field",
        ParamsRequired = Json.Of(new[] { "first_name", "last_name", "company", "title", "email", "linkedin_url" }),
        ParamValidation = Json.Of(new Dictionary<string, ParameterRule>(StringComparer.Ordinal)
        {
            ["first_name"] = new() { Type = "name", MaxLength = 100, Prompt = "What is your first name?", Message = "I need your first name, in letters." },
            ["last_name"] = new() { Type = "name", MaxLength = 100, Prompt = "And your last name?", Message = "I need your last name, in letters." },
            ["company"] = new() { MaxLength = 255, Prompt = "Which company are you with?", Extract = ["work at {value}", "work for {value}", "company is {value}", "from {value}", "at {value}"] },
            ["title"] = new() { MaxLength = 255, Prompt = "What is your title there?", Extract = ["title is {value}", "work as a {value}", "work as an {value}", "work as {value}", "i am the {value} at", "i'm the {value} at", "i am a {value} at", "i'm a {value} at", ", {value} at"] },
            ["email"] = new() { Type = "email", MaxLength = 255, Prompt = "What is your work e-mail?", Message = "That does not look like an e-mail address. It should look like ada@example.com." },
            ["linkedin_url"] = new()
            {
                Type = "url",
                MaxLength = 500,
                Pattern = @"^https?://([a-z]+\.)?linkedin\.com/in/[^/\s]+/?([?#].*)?$",
                Prompt = "Last one: what is the link to your LinkedIn profile?",
                Message = "Please send the full link, like https://www.linkedin.com/in/your-name.",
            },
        }),
        ResponseTemplate = "Thank you {{contact.first_name}}, you are all set!",
    };

    /// <summary>What is known already counts, whenever and wherever it was said.</summary>
    internal static Envelope Decide(TurnInput input, ActionDefinition action)
    {
        if (EmailStep.IsWaiting(input))
        {
            return EmailStep.Decide(input, Thanks(action, input.State.ActiveTask!.ParamsCollected));
        }

        var known = Known(input.Contact, action);
        var asked = input.State.ActiveTask is { CanonicalAction: ActionId } task ? task.ParamsMissing is [var first, ..] ? first : null : null;
        var said = Read(input, action, asked, known);
        var check = Parameters.Check(action, Json.Of(said));
        var good = said.Where(value => !check.Errors.ContainsKey(value.Key)).ToDictionary(StringComparer.Ordinal);
        var all = new Dictionary<string, JsonElement>(known, StringComparer.Ordinal);
        foreach (var (name, value) in good)
        {
            all[name] = value;
        }

        var missing = action.Required.Where(name => !all.ContainsKey(name)).ToList();
        var intent = new Intent(said.Count == 0 ? "greeting" : "provide_information", 0.90m)
        {
            Canonical = ActionId,
            Entities = said,
            Resolution = said.Count == 0 ? "onboarding question asked" : $"learned {string.Join(", ", good.Keys)}",
            ResponseType = "question",
        };
        var fields = good.Select(Memory (value) => new Memory.Field(value.Key, value.Value.ToString())).ToList();
        return missing.Count == 0
            ? Complete(input, action, intent, fields, all)
            : Next(input, action, intent, fields, missing, asked is null && said.Count == 0, check.Errors) with { Task = TaskOf(input, all, missing) };
    }

    private static Envelope Complete(TurnInput input, ActionDefinition action, Intent intent, List<Memory> fields, Dictionary<string, JsonElement> all)
    {
        if (input.Agent.VerifyEmail && all.TryGetValue("email", out var email))
        {
            return EmailStep.Begin(input, intent, fields, email.ToString(), TaskOf(input, all, []));
        }

        return new(input.Role)
        {
            Intents = [intent with { ResponseType = "text", Resolution = "profile complete" }],
            Say = [Thanks(action, all)],
            Remember = [.. fields, new Memory.Verified()],
        };
    }

    private static string Thanks(ActionDefinition action, IReadOnlyDictionary<string, JsonElement> all) =>
        action.ResponseTemplate is { } template ? Templates.Text(template, Json.Of(new { contact = all })) : "Thank you, you are all set!";

    private static Envelope Next(
        TurnInput input, ActionDefinition action, Intent intent, List<Memory> fields, List<string> missing, bool first, IReadOnlyDictionary<string, string> errors)
    {
        // A wrong value is asked for again before anything new.
        var wrong = missing.Find(errors.ContainsKey);
        return new(input.Role)
        {
            Intents = [intent],
            Say = first ? [Persona.Greeting(input)] : [],
            Ask = new Question(wrong is null ? Parameters.Prompt(action, missing[0]) : errors[wrong]),
            Remember = fields,
        };
    }

    private static ActiveTask TaskOf(TurnInput input, Dictionary<string, JsonElement> all, List<string> missing) => new()
    {
        TaskId = input.State.ActiveTask is { CanonicalAction: ActionId } task ? task.TaskId : input.Contact.Id,
        CanonicalAction = ActionId,
        ParamsCollected = all,
        ParamsMissing = missing,
        Status = "collecting_params",
    };

    private static Dictionary<string, JsonElement> Known(Contact contact, ActionDefinition action)
    {
        var profile = Json.Of(contact);
        return action.Required
            .Where(name => profile.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 })
            .ToDictionary(name => name, name => profile.GetProperty(name), StringComparer.Ordinal);
    }

    private static Dictionary<string, JsonElement> Read(TurnInput input, ActionDefinition action, string? asked, Dictionary<string, JsonElement> known)
    {
        var entities = Entities.Find(input.Text, input.Today);
        var values = ParameterReader.Read(action, input.Text, entities, asked, exclude: known.Keys);
        if (entities.FirstOrDefault(e => e.Type == Entities.Url && e.Value.Contains("linkedin.com", StringComparison.OrdinalIgnoreCase)) is { } link)
        {
            values["linkedin_url"] = Json.Of(link.Value);
        }

        var name = entities.First(Entities.Name) ?? (asked is "first_name" or "last_name" ? BareName(input.Text) : null);
        if (name is not null && asked is null or "first_name" && !known.ContainsKey("first_name"))
        {
            var words = name!.Split(' ', 2, StringSplitOptions.RemoveEmptyEntries);
            values["first_name"] = Json.Of(words[0]);
            if (words.Length > 1 && !known.ContainsKey("last_name"))
            {
                values["last_name"] = Json.Of(words[1]);
            }
        }

        return values.Where(value => action.Required.Contains(value.Key)).ToDictionary(StringComparer.Ordinal);
    }

    private static string? BareName(string text) => OnlyName().Match(text.Trim()) is { Success: true } match ? match.Value : null;

    [GeneratedRegex(@"^\p{L}[\p{L}'’-]*(?: \p{L}[\p{L}'’-]*){0,3}$", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex OnlyName();
}

using System.Text.Json;
using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Brain;
using AgentPlatform.Kernel;

namespace AgentPlatform.Demo;

/// <summary>What the demo's agents can do. Their HTTP actions call the job board at its address.</summary>
internal static class DemoActions
{
    internal static readonly string[] Popular = ["search_jobs", "apply_job", "application_status", "cancel_application", "talk_to_human"];

    /// <summary>Looks for jobs and applies for them, for anybody who writes.</summary>
    internal static IReadOnlyList<ActionDefinition> JobSearch(string board) => [Search(board), Apply(board), Status(board), Cancel(board), Human];

    /// <summary>The same, once the person has introduced themselves.</summary>
    internal static IReadOnlyList<ActionDefinition> Concierge(string board) =>
        [Onboarding.Default, .. JobSearch(board).Select(action => action with { EligibilityCriteria = Json.Of(new { user_tier = List("verified") }) })];

    private static ActionDefinition Search(string board) => new()
    {
        ActionId = "search_jobs",
        ActionName = "search jobs",
        DisplayName = "Search jobs",
        Description = "Searches open jobs by role and place.",
        Category = "jobs",
        Synonyms = List(
            "find jobs", "find a job", "find work", "look for jobs", "looking for a job", "looking for jobs", "looking for work", "job search", "search for jobs", "show jobs", "any jobs",
            "open positions", "vacancies", "who is hiring", "jobs", "need a job"),
        ParamsOptional = List("role", "location"),
        ParamValidation = Json.Of(new Dictionary<string, ParameterRule>(StringComparer.Ordinal)
        {
            ["role"] = new()
            {
                MaxLength = 200,
                Extract =
                [
                    "find me {value} jobs", "find {value} jobs", "search for {value} jobs", "search {value} jobs", "show me {value} jobs", "looking for {value} jobs", "look for {value} jobs",
                    "any {value} jobs", "need a {value} job", "looking for a {value} job", "find me a {value} job", "find a {value} job", "jobs as a {value}", "jobs as {value}", "work as a {value}",
                    "job as a {value}", "jobs for {value}", "{value} jobs",
                ],
            },
            ["location"] = new() { MaxLength = 200, Extract = ["in {value}", "near {value}", "around {value}"] },
        }),
        ExecutionType = "http",
        ApiMethod = "GET",
        ApiEndpoint = $"{board}/jobs?role={{{{role}}}}&location={{{{location}}}}",
        ResponseType = "list",
        ResponseTemplate = "{{result.headline}} Say \"apply for #1\" to apply:",
        TimeoutSeconds = 10,
    };

    private static ActionDefinition Apply(string board) => new()
    {
        ActionId = "apply_job",
        ActionName = "apply for a job",
        DisplayName = "Apply for a job",
        Description = "Sends an application to the employer.",
        Category = "jobs",
        Synonyms = List("apply for", "apply to", "apply", "i want to apply", "submit my application", "send my application", "apply job"),
        ParamsRequired = List("job_id", "email"),
        ParamsOptional = List("resume"),
        ParamValidation = Json.Of(new Dictionary<string, ParameterRule>(StringComparer.Ordinal)
        {
            // "apply for #2" is read by the list it points at.
            ["job_id"] = new() { MaxLength = 200, Prompt = "Which job? Send its id, such as J101, or the full title.", Extract = ["apply for J{value}", "apply to J{value}", "apply for job {value}", "apply for the {value} position"] },
            ["email"] = new() { Type = "email", Prompt = "Which e-mail address shall the employer answer to?", Message = "That does not look like an e-mail address. It should look like ada@example.com." },
            ["resume"] = new() { Type = "url", MaxLength = 500 },
        }),
        Opposites = List("cancel_application"),
        RollbackPossible = true,
        RollbackActionId = "cancel_application",
        RequiresUserAcknowledgement = true,
        ExecutionType = "http",
        ApiMethod = "POST",
        ApiEndpoint = $"{board}/applications",
        ApiIdempotent = true,
        ApiBody = Json.Of(new { job = "{{job_id}}", applicant = "{{contact.id}}", email = "{{email}}", resume = "{{resume}}" }),
        SuccessCriteria = AnswersAlsoWhenUnknown,
        ResponseTemplate = "{{#if result.message}}{{result.message}} They will answer to {{email}}.{{else}}{{result.title}} Search again to see the ids of open jobs.{{/if}}",
        Priority = "high",
        TimeoutSeconds = 10,
    };

    private static ActionDefinition Status(string board) => new()
    {
        ActionId = "application_status",
        ActionName = "application status",
        DisplayName = "See my applications",
        Description = "Lists the applications and how they stand.",
        Category = "jobs",
        Synonyms = List("my applications", "status of my application", "status of my applications", "check my application", "what have i applied for", "where did i apply"),
        ExecutionType = "http",
        ApiMethod = "GET",
        ApiEndpoint = $"{board}/applications?applicant={{{{contact.id}}}}",
        ResponseTemplate = "{{#if result.count}}{{#each result.applications}}{{this.message}} {{/each}}{{else}}You have not applied for anything yet.{{/if}}",
        TimeoutSeconds = 10,
    };

    private static ActionDefinition Cancel(string board) => new()
    {
        ActionId = "cancel_application",
        ActionName = "cancel my application",
        DisplayName = "Cancel my application",
        Description = "Takes back the application for a job, or the latest one.",
        Category = "jobs",
        Synonyms = List("withdraw my application", "withdraw application", "cancel application", "cancel the application", "take back my application", "undo my application"),
        ParamsOptional = List("job_id"),
        ParamValidation = Json.Of(new Dictionary<string, ParameterRule>(StringComparer.Ordinal)
        {
            ["job_id"] = new() { MaxLength = 200, Extract = ["application for J{value}", "application for job {value}", "application for the {value} position", "application to J{value}"] },
        }),
        Opposites = List("apply_job"),
        ExecutionType = "http",
        ApiMethod = "POST",
        ApiEndpoint = $"{board}/applications/cancel",
        ApiBody = Json.Of(new { job = "{{job_id}}", applicant = "{{contact.id}}" }),
        SuccessCriteria = AnswersAlsoWhenUnknown,
        ResponseTemplate = "{{#if result.message}}{{result.message}}{{else}}There is no application to cancel.{{/if}}",
        TimeoutSeconds = 10,
    };

    private static ActionDefinition Human { get; } = new()
    {
        ActionId = "talk_to_human",
        ActionName = "talk to a human",
        DisplayName = "Talk to a human",
        Description = "Hands the conversation to a colleague.",
        Category = "support",
        Synonyms = List("speak to a human", "talk to a person", "real person", "human agent", "talk to someone", "speak to someone"),
        ExecutionType = "handoff",
        ResponseTemplate = "I am getting a colleague for you. Somebody will answer here.",
        Priority = "critical",
    };

    // A job that does not exist is an answer to pass on, not a call that failed.
    private static JsonElement AnswersAlsoWhenUnknown { get; } = JsonDocument.Parse("""{"status_codes": [200, 404]}""").RootElement;

    private static JsonElement List(params string[] items) => Json.Of(items);
}

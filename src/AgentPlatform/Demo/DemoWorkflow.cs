using System.Text.Json;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Workflows.Definitions;

namespace AgentPlatform.Demo;

/// <summary>
/// The application with a résumé: a place is held, the résumé stored, a colleague allows it, and it is sent. From then on there is no way back; before,
/// whatever fails lets go of both. Then the employer has three days to answer.
/// </summary>
internal static class DemoWorkflow
{
    internal const string Id = "application_with_resume";

    internal static Workflow Workflow(Guid agentId) => new()
    {
        WorkflowId = Id,
        AgentId = agentId,
        Name = "Application with a résumé",
        Description = "Holds a place, stores the résumé, asks a colleague, sends the application, and waits for the employer's answer.",
        Category = "jobs",
        Source = "api",
        IsActive = true,
    };

    internal static WorkflowDefinition Definition { get; } = new()
    {
        FailureMessage = "I am sorry, your application could not be sent. The place is free again and your résumé is removed.",
        TimeoutSeconds = 14 * 24 * 60 * 60,
        Steps =
        [
            new() { Id = "reserve", Action = "hold_place", Input = Map(("job_id", "$.input.job_id")), Undo = new("release_place", Map(("place_id", "$.step.result.place_id")), null) },
            new() { Id = "upload_resume", Action = "store_resume", Input = Map(("resume", "$.input.resume")), Undo = new("remove_resume", Map(("resume_id", "$.step.result.resume_id")), null) },
            new() { Id = "approve", Type = StepType.Approval, Action = "allow_application", Input = Map(("job_id", "$.input.job_id"), ("email", "$.input.email")) },
            new() { Id = "submit", Action = "submit_application", Reversibility = Reversibility.Final, Input = Map(("job_id", "$.input.job_id"), ("email", "$.input.email"), ("resume", "$.steps.upload_resume.url")) },
            new() { Id = "notify", Action = "tell_application_sent", Input = Map(("message", "$.steps.submit.message")) },
            new() { Id = "answer", Type = StepType.Wait, Event = "employer_answered", TimeoutSeconds = 3 * 24 * 60 * 60, OnTimeout = "continue" },
            new() { Id = "tell_answer", Action = "tell_employer_answer", Input = Map(("answer", "$.steps.answer.answer")) },
        ],
    };

    internal static IReadOnlyList<ActionDefinition> Actions(string board) =>
    [
        Trigger,
        Call(board, "hold_place", "Hold a place", "places", ["job_id"], new { job = "{{job_id}}", applicant = "{{contact.id}}" }),
        Call(board, "release_place", "Release the place", "places/release", ["place_id"], new { id = "{{place_id}}" }),
        Call(board, "store_resume", "Store the résumé", "resumes", ["resume"], new { applicant = "{{contact.id}}", url = "{{resume}}" }),
        Call(board, "remove_resume", "Remove the résumé", "resumes/remove", ["resume_id"], new { id = "{{resume_id}}" }),
        Call(board, "submit_application", "Submit the application", "applications", ["job_id", "email", "resume"], new { job = "{{job_id}}", applicant = "{{contact.id}}", email = "{{email}}", resume = "{{resume}}" }),
        Tell("allow_application", "Allow an application", ["job_id", "email"], null) with { Approval = Json.Of(new { risk_level = "medium", expires_in_seconds = 24 * 60 * 60 }) },
        Tell("tell_application_sent", "Tell that the application is sent", ["message"], "{{message}} I will tell you what the employer says."),
        Tell("tell_employer_answer", "Tell the employer's answer", ["answer"], "{{#if answer}}The employer has answered: {{answer}}{{else}}The employer has not answered yet.{{/if}}") with
        {
            ParamsRequired = List(),
            ParamsOptional = List("answer"),
        },
    ];

    private static ActionDefinition Trigger { get; } = new()
    {
        ActionId = "apply_with_resume",
        ActionName = "apply with my resume",
        DisplayName = "Apply with a résumé",
        Description = "Sends an application with a résumé, once a colleague has looked at it.",
        Category = "jobs",
        Synonyms = List("apply with resume", "apply with my cv", "send my resume", "submit my resume", "full application"),
        ParamsRequired = List("job_id", "email", "resume"),
        ParamValidation = Json.Of(new Dictionary<string, ParameterRule>(StringComparer.Ordinal)
        {
            ["job_id"] = new() { MaxLength = 200, Prompt = "Which job? Send its id, such as J101.", Extract = ["resume to {value}", "resume for {value}", "cv to {value}", "cv for {value}"] },
            ["email"] = new() { Type = "email", Prompt = "Which e-mail address shall the employer answer to?" },
            ["resume"] = new() { Type = "url", MaxLength = 500, Prompt = "Where is your resume? Send its address, such as https://example.com/cv.pdf." },
        }),
        TriggersWorkflow = true,
        WorkflowId = Id,
        ResponseTemplate = "I hold a place for {{job_id}} and get your application ready. A colleague looks at it, and then it goes out.",
    };

    private static ActionDefinition Call(string board, string id, string title, string path, string[] parameters, object body) => new()
    {
        ActionId = id,
        ActionName = id.Replace('_', ' '),
        DisplayName = title,
        Category = "application",
        ParamsRequired = List(parameters),
        ExecutionType = "http",
        ApiMethod = "POST",
        ApiEndpoint = $"{board}/{path}",
        ApiIdempotent = true,
        ApiBody = Json.Of(body),
        ResponseType = "none",
        TimeoutSeconds = 10,
        EstimatedDurationSeconds = 1,
    };

    private static ActionDefinition Tell(string id, string title, string[] parameters, string? template) => new()
    {
        ActionId = id,
        ActionName = id.Replace('_', ' '),
        DisplayName = title,
        Category = "application",
        ParamsRequired = List(parameters),
        ResponseType = template is null ? "none" : "text",
        ResponseTemplate = template,
    };

    private static JsonElement Map(params (string Name, string Path)[] members) => Json.Of(members.ToDictionary(m => m.Name, m => m.Path, StringComparer.Ordinal));

    private static JsonElement List(params string[] items) => Json.Of(items);
}

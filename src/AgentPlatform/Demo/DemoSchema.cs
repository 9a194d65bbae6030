using AgentPlatform.Actions.Registry;
using AgentPlatform.Kernel;
using AgentPlatform.Schemas;

namespace AgentPlatform.Demo;

/// <summary>What the board knows of an applicant, as a schema, and an action for those of whom it knows enough.</summary>
internal static class DemoSchema
{
    internal const string Id = "candidate";

    /// <summary>Cached for seconds only: whoever tries the demo shall see what an application changes.</summary>
    internal static SchemaInput Candidate(string baseUrl, Guid boardToken) => new()
    {
        SchemaId = Id,
        SchemaName = "Candidate",
        Description = "What the job board knows of an applicant.",
        Category = "jobs",
        ApiEndpoint = $"{baseUrl}/demo/board/candidates/{{{{contact.id}}}}",
        ApiAuth = new SchemaAuth("bearer_token", "sealed_secret", "Authorization"),
        ApiToken = boardToken.ToString(),
        CacheTtlSeconds = 5,
        Keys =
        [
            new("email", "candidate.email", RequiredForSchema: true, CompletionLogic: new KeyCompletion(Validation: "email_format")),
            new("applications", "candidate.applications", "integer", RequiredForSchema: true),
            new("resume", "candidate.resume"),
        ],
        // The board does not know who has not applied yet: that is an answer.
        ApiErrorHandling = new(StringComparer.Ordinal) { ["404"] = "empty" },
    };

    internal static ActionDefinition Tips { get; } = new()
    {
        ActionId = "interview_tips",
        ActionName = "interview tips",
        DisplayName = "Get interview tips",
        Description = "Tips for those who have applied for a job.",
        Category = "jobs",
        Synonyms = Json.Of(new[] { "tips for the interview", "prepare me for the interview", "interview advice" }),
        EligibilityCriteria = Json.Of(new { schema_dependencies = new Dictionary<string, object> { [Id] = new { required_keys = new[] { "email", "applications" }, all_must_be = "complete" } } }),
        ResponseTemplate = "Three tips: read the job's summary once more, bring one story for each thing it asks for, and have two questions of your own.",
    };
}

namespace AgentPlatform.Functions;

/// <summary>The REST API: one function, whose pipeline routes, authenticates and answers.</summary>
public sealed class ApiFunction(Pipelines pipelines)
{
    [Function("Api")]
    public Task<IResult> RunAsync([HttpTrigger(AuthorizationLevel.Anonymous, Route = "api/{*path}")] HttpRequest request) =>
        pipelines.ApiAsync(request.HttpContext);
}

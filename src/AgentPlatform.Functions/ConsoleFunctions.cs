namespace AgentPlatform.Functions;

/// <summary>The web pages. Four addresses, one pipeline, which serves them and signs operators in.</summary>
public sealed class ConsoleFunctions(Pipelines pipelines)
{
    [Function("Console")]
    public Task<IResult> ConsoleAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "post", Route = "console/{*path}")] HttpRequest request) =>
        pipelines.ConsoleAsync(request.HttpContext);

    [Function("Simulator")]
    public Task<IResult> SimulatorAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "post", Route = "simulator/{*path}")] HttpRequest request) =>
        pipelines.ConsoleAsync(request.HttpContext);

    [Function("Workflows")]
    public Task<IResult> WorkflowsAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "post", Route = "workflows/{*path}")] HttpRequest request) =>
        pipelines.ConsoleAsync(request.HttpContext);

    [Function("Verification")]
    public Task<IResult> VerificationAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "post", Route = "verify/{*path}")] HttpRequest request) =>
        pipelines.ConsoleAsync(request.HttpContext);
}

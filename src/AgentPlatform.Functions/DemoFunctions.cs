using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Demo;
using AgentPlatform.Kernel;

namespace AgentPlatform.Functions;

/// <summary>The job board that the demo tenant's actions call. Its token is its address, as with a provider's webhook.</summary>
public sealed class DemoFunctions(JobBoard board)
{
    [Function("DemoJobs")]
    public async Task<IResult> Jobs([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "demo/{token}/jobs")] HttpRequest request, string token, CancellationToken ct) =>
        (await board.SearchAsync(token, request.Query["query"], request.Query["location"], request.Query["role"], ct)).ToHttp();

    [Function("DemoApplications")]
    public async Task<IResult> Applications(
        [HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "demo/{token}/applications")] HttpRequest request, string token, CancellationToken ct) =>
        (await board.ListAsync(token, request.Query["applicant"].ToString(), ct)).ToHttp();

    [Function("DemoApply")]
    public async Task<IResult> Apply(
        [HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "demo/{token}/applications")] HttpRequest request, string token, CancellationToken ct)
    {
        var body = await ReadAsync<ApplicationRequest>(request, ct);
        return body.IsOk ? (await board.ApplyAsync(token, request.Headers["Idempotency-Key"].ToString(), body.Value, ct)).ToHttp() : body.Problem.ToHttp();
    }

    [Function("DemoCancel")]
    public async Task<IResult> Cancel(
        [HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "demo/{token}/applications/cancel")] HttpRequest request, string token, CancellationToken ct)
    {
        var body = await ReadAsync<CancelRequest>(request, ct);
        return body.IsOk ? (await board.CancelAsync(token, body.Value, ct)).ToHttp() : body.Problem.ToHttp();
    }

    private static async Task<Result<T>> ReadAsync<T>(HttpRequest request, CancellationToken ct)
    {
        try
        {
            return await JsonSerializer.DeserializeAsync<T>(request.Body, Json.Options, ct) is { } body ? body : Problem.BadRequest("malformed_body", "The body is empty.");
        }
        catch (JsonException e)
        {
            return Problem.BadRequest("malformed_body", "The body is not the JSON that is expected here.", e.Path);
        }
    }
}

using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Demo;
using AgentPlatform.Kernel;

namespace AgentPlatform.Functions;

/// <summary>The job board that the demo tenant's actions call. Its token is its address, as with a provider's webhook.</summary>
public sealed class DemoFunctions(JobBoard board, ApplicationDesk desk)
{
    [Function("DemoJobs")]
    public async Task<IResult> Jobs([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "demo/{token}/jobs")] HttpRequest request, string token, CancellationToken ct) =>
        (await board.SearchAsync(token, request.Query["query"], request.Query["location"], request.Query["role"], ct)).ToHttp();

    [Function("DemoApplications")]
    public async Task<IResult> Applications(
        [HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "demo/{token}/applications")] HttpRequest request, string token, CancellationToken ct) =>
        (await board.ListAsync(token, request.Query["applicant"].ToString(), ct)).ToHttp();

    /// <summary>What the schema <c>candidate</c> asks. Here the board's token comes as a bearer: a schema keeps it sealed.</summary>
    [Function("DemoCandidate")]
    public async Task<IResult> Candidate(
        [HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "demo/board/candidates/{applicant}")] HttpRequest request, string applicant, CancellationToken ct) =>
        (await board.CandidateAsync(request.Headers.Authorization.ToString().Replace("Bearer ", "", StringComparison.OrdinalIgnoreCase), applicant, ct)).ToHttp();

    [Function("DemoApply")]
    public async Task<IResult> Apply(
        [HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "demo/{token}/applications")] HttpRequest request, string token, CancellationToken ct)
    {
        var body = await ReadAsync<ApplicationRequest>(request, ct);
        return body.IsOk ? (await board.ApplyAsync(token, Key(request), body.Value, ct)).ToHttp() : body.Problem.ToHttp();
    }

    [Function("DemoCancel")]
    public async Task<IResult> Cancel(
        [HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "demo/{token}/applications/cancel")] HttpRequest request, string token, CancellationToken ct)
    {
        var body = await ReadAsync<CancelRequest>(request, ct);
        return body.IsOk ? (await board.CancelAsync(token, body.Value, ct)).ToHttp() : body.Problem.ToHttp();
    }

    [Function("DemoHold")]
    public Task<IResult> Hold([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "demo/{token}/places")] HttpRequest request, string token, CancellationToken ct) =>
        DeskAsync(request, body => desk.HoldAsync(token, Key(request), body, ct), ct);

    [Function("DemoRelease")]
    public Task<IResult> Release([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "demo/{token}/places/release")] HttpRequest request, string token, CancellationToken ct) =>
        DeskAsync(request, body => desk.ReleaseAsync(token, body, ct), ct);

    [Function("DemoStore")]
    public Task<IResult> Store([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "demo/{token}/resumes")] HttpRequest request, string token, CancellationToken ct) =>
        DeskAsync(request, body => desk.StoreAsync(token, Key(request), body, ct), ct);

    [Function("DemoRemove")]
    public Task<IResult> Remove([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "demo/{token}/resumes/remove")] HttpRequest request, string token, CancellationToken ct) =>
        DeskAsync(request, body => desk.RemoveAsync(token, body, ct), ct);

    private static async Task<IResult> DeskAsync<T>(HttpRequest request, Func<DeskRequest, Task<Result<T>>> ask, CancellationToken ct)
    {
        var body = await ReadAsync<DeskRequest>(request, ct);
        return body.IsOk ? (await ask(body.Value)).ToHttp() : body.Problem.ToHttp();
    }

    private static string Key(HttpRequest request) => request.Headers["Idempotency-Key"].ToString();

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

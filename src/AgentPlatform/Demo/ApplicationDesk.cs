using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Demo;

/// <summary>A place among the applicants for a job. Status: <c>held</c> or <c>released</c>.</summary>
public sealed record Place(Guid PlaceId, string JobId, string Status);

/// <summary>A résumé on the board. Status: <c>stored</c> or <c>removed</c>.</summary>
public sealed record Resume(Guid ResumeId, string Url, string Status);

/// <summary>What is asked of the desk; each request says what it needs.</summary>
public sealed record DeskRequest(string? Job, string? Applicant, string? Url, Guid? Id);

/// <summary>The board's longer way to a job: hold a place and store a résumé first, both of which can be taken back. Each request is done once per key.</summary>
public sealed class ApplicationDesk(Database database, TimeProvider clock)
{
    public Task<Result<Place>> HoldAsync(string token, string key, DeskRequest request, CancellationToken ct) => InAsync(token, async tx =>
        JobSearch.Resolve(request.Job) is not { } job ? Problem.NotFound("job")
        : Missing(("applicant", request.Applicant), ("Idempotency-Key", key)) is { } problem ? problem
        : await OnceAsync<Place>(tx, Sql.Hold, Sql.Held, [tx.TenantId, clock.NewId(), key, job.JobId, request.Applicant], key, ct), ct);

    public Task<Result<Place>> ReleaseAsync(string token, DeskRequest request, CancellationToken ct) => InAsync(token, async tx =>
        await tx.FindAsync<Place>(Sql.Release, [tx.TenantId, request.Id ?? Guid.Empty], ct) is { } released ? released : (Result<Place>)Problem.NotFound("place"), ct);

    public Task<Result<Resume>> StoreAsync(string token, string key, DeskRequest request, CancellationToken ct) => InAsync(token, async tx =>
        Missing(("applicant", request.Applicant), ("url", request.Url), ("Idempotency-Key", key)) is { } problem ? problem
        : await OnceAsync<Resume>(tx, Sql.Store, Sql.Stored, [tx.TenantId, clock.NewId(), key, request.Applicant, request.Url], key, ct), ct);

    public Task<Result<Resume>> RemoveAsync(string token, DeskRequest request, CancellationToken ct) => InAsync(token, async tx =>
        await tx.FindAsync<Resume>(Sql.Remove, [tx.TenantId, request.Id ?? Guid.Empty], ct) is { } removed ? removed : (Result<Resume>)Problem.NotFound("resume"), ct);

    private async Task<Result<T>> InAsync<T>(string token, Func<Transaction, Task<Result<T>>> work, CancellationToken ct)
    {
        await using var tx = database.BeginGateway(JobBoard.Canonical(token));
        if (!await JobBoard.EnterAsync(tx, ct))
        {
            return Problem.NotFound("board");
        }

        var result = await work(tx);
        if (result.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return result;
    }

    private static async Task<Result<T>> OnceAsync<T>(Transaction tx, string insert, string find, object?[] args, string key, CancellationToken ct)
    {
        tx.Post(insert, args);
        return await tx.SingleAsync<T>(find, [tx.TenantId, key], ct);
    }

    private static Problem? Missing(params (string Field, string? Value)[] fields) =>
        fields.FirstOrDefault(field => string.IsNullOrWhiteSpace(field.Value)).Field is { } missing ? Problem.Invalid(missing, "Is required.") : null;

    private static class Sql
    {
        internal const string Hold = "INSERT INTO demo.places (tenant_id, id, idempotency_key, job_id, applicant) VALUES ($1, $2, $3, $4, $5) ON CONFLICT ON CONSTRAINT places_idempotency_key DO NOTHING";

        internal const string Held = "SELECT id AS place_id, job_id, status FROM demo.places WHERE tenant_id = $1 AND idempotency_key = $2";

        internal const string Release = "UPDATE demo.places SET status = 'released' WHERE tenant_id = $1 AND id = $2 RETURNING id AS place_id, job_id, status";

        internal const string Store = "INSERT INTO demo.resumes (tenant_id, id, idempotency_key, applicant, url) VALUES ($1, $2, $3, $4, $5) ON CONFLICT ON CONSTRAINT resumes_idempotency_key DO NOTHING";

        internal const string Stored = "SELECT id AS resume_id, url, status FROM demo.resumes WHERE tenant_id = $1 AND idempotency_key = $2";

        internal const string Remove = "UPDATE demo.resumes SET status = 'removed' WHERE tenant_id = $1 AND id = $2 RETURNING id AS resume_id, url, status";
    }
}

using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Demo;

/// <summary>An application as its applicant sees it. Status: <c>submitted</c> or <c>cancelled</c>.</summary>
public sealed record JobApplication(Guid Id, string JobId, string Applicant, string Email, string? Resume, string Status, DateTimeOffset CreatedAt, DateTimeOffset? CancelledAt);

/// <summary>An application to send. <see cref="Job"/> is a job's id or its title.</summary>
public sealed record ApplicationRequest(string? Job, string? Applicant, string? Email, string? Resume);

/// <summary>Which application to take back: the one for <see cref="Job"/>, or the latest.</summary>
public sealed record CancelRequest(string? Job, string? Applicant);

/// <summary>What the board answers about one application: with the job it is for, and a sentence to repeat to the applicant.</summary>
public sealed record ApplicationAnswer(string Message, Job? Job = null, JobApplication? Application = null);

/// <summary>The applications of an applicant, newest first.</summary>
public sealed record ApplicationList(int Count, IReadOnlyList<ApplicationAnswer> Applications);

/// <summary>What the board knows of an applicant.</summary>
public sealed record Candidate(string Email, string? Resume, int Applications);

/// <summary>An answer of the board about a person.</summary>
public sealed record CandidateAnswer(Candidate Candidate);

/// <summary>
/// The demo's job board. Its token is its address: who knows it may search, apply and cancel; nobody else learns that it exists.
/// </summary>
public sealed class JobBoard(Database database, TimeProvider clock)
{
    public async Task<Result<JobResults>> SearchAsync(string token, string? query, string? location, string? role, CancellationToken ct)
    {
        await using var tx = database.BeginGateway(Canonical(token));
        return await EnterAsync(tx, ct) ? JobSearch.Find(query, location, role) : Problem.NotFound("board");
    }

    /// <summary>
    /// Idempotent twice over: the same key gives the same application, and so does the same person asking again for a job they are
    /// already applying for.
    /// </summary>
    public async Task<Result<ApplicationAnswer>> ApplyAsync(string token, string idempotencyKey, ApplicationRequest request, CancellationToken ct)
    {
        await using var tx = database.BeginGateway(Canonical(token));
        if (!await EnterAsync(tx, ct))
        {
            return Problem.NotFound("board");
        }

        var missing = new[] { ("applicant", request.Applicant), ("email", request.Email), ("Idempotency-Key", idempotencyKey) }.FirstOrDefault(field => string.IsNullOrWhiteSpace(field.Item2)).Item1;
        if (missing is not null)
        {
            return Problem.Invalid(missing, "Is required.");
        }

        if (JobSearch.Resolve(request.Job) is not { } job)
        {
            return Problem.NotFound("job");
        }

        // A domain that is made never to exist: what an application that fails is tried with.
        if (request.Email!.EndsWith(".invalid", StringComparison.OrdinalIgnoreCase))
        {
            return Problem.Unprocessable("address_unreachable", "The employer cannot answer to this address.");
        }

        tx.Post(Sql.Insert, tx.TenantId, clock.NewId(), idempotencyKey, job.JobId, request.Applicant!, request.Email!, request.Resume, clock.GetUtcNow());
        var application = await tx.SingleAsync<JobApplication>(Sql.Applied, [tx.TenantId, idempotencyKey, request.Applicant!, job.JobId], ct);
        await tx.CommitAsync(ct);
        return Describe(application);
    }

    /// <summary>Takes back the application for the job named, or the latest one. Taking back twice changes nothing.</summary>
    public async Task<Result<ApplicationAnswer>> CancelAsync(string token, CancelRequest request, CancellationToken ct)
    {
        await using var tx = database.BeginGateway(Canonical(token));
        if (!await EnterAsync(tx, ct))
        {
            return Problem.NotFound("board");
        }

        var job = JobSearch.Resolve(request.Job);
        if (!string.IsNullOrWhiteSpace(request.Job) && job is null)
        {
            return Problem.NotFound("job");
        }

        var cancelled = await tx.FindAsync<JobApplication>(Sql.Cancel, [tx.TenantId, request.Applicant ?? "", job?.JobId, clock.GetUtcNow()], ct);
        await tx.CommitAsync(ct);
        return cancelled is null ? Problem.NotFound("application") : Describe(cancelled);
    }

    public async Task<Result<ApplicationList>> ListAsync(string token, string applicant, CancellationToken ct)
    {
        await using var tx = database.BeginGateway(Canonical(token));
        if (!await EnterAsync(tx, ct))
        {
            return Problem.NotFound("board");
        }

        var applications = await tx.QueryAsync<JobApplication>(Sql.List, [tx.TenantId, applicant], ct);
        return new ApplicationList(applications.Count, [.. applications.Select(Describe)]);
    }

    /// <summary>Somebody is known from their first application on.</summary>
    public async Task<Result<CandidateAnswer>> CandidateAsync(string token, string applicant, CancellationToken ct)
    {
        await using var tx = database.BeginGateway(Canonical(token));
        if (!await EnterAsync(tx, ct))
        {
            return Problem.NotFound("board");
        }

        return await tx.FindAsync<Candidate>(Sql.Candidate, [tx.TenantId, applicant], ct) is { } candidate ? new CandidateAnswer(candidate) : Problem.NotFound("candidate");
    }

    /// <summary>The token of the acting tenant's board, which is opened when there is none yet.</summary>
    internal async Task<Guid> OpenAsync(Transaction tx, CancellationToken ct)
    {
        tx.Post(Sql.Open, tx.TenantId, clock.NewId());
        return await tx.SingleAsync<Guid>(Sql.Token, [tx.TenantId], ct);
    }

    // Row level security compares the token as text.
    internal static string Canonical(string token) => Guid.TryParse(token, out var parsed) ? parsed.ToString() : "";

    internal static async Task<bool> EnterAsync(Transaction tx, CancellationToken ct)
    {
        if (await tx.QueryAsync<Guid>(Sql.Find, [], ct) is not [var tenantId])
        {
            return false;
        }

        tx.Enter(Actor.System(tenantId));
        return true;
    }

    private static ApplicationAnswer Describe(JobApplication application)
    {
        var job = JobSearch.Resolve(application.JobId);
        var what = job is null ? application.JobId : $"{job.Title} at {job.Company}";
        return new(application.Status == "cancelled" ? $"Your application for {what} is cancelled." : $"Your application for {what} has been sent.", job, application);
    }

    private static class Sql
    {
        internal const string Find = "SELECT tenant_id FROM demo.boards WHERE token::text = kernel.current_bearer()";

        internal const string Token = "SELECT token FROM demo.boards WHERE tenant_id = $1";

        internal const string Open = "INSERT INTO demo.boards (tenant_id, id) VALUES ($1, $2) ON CONFLICT ON CONSTRAINT boards_one_per_tenant DO NOTHING";

        // No conflict target: either the key was used before, or the person is already applying for this job.
        internal const string Insert =
            """
            INSERT INTO demo.applications (tenant_id, id, idempotency_key, job_id, applicant, email, resume, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT DO NOTHING
            """;

        internal const string Applied =
            """
            SELECT id, job_id, applicant, email, resume, status, created_at, cancelled_at
            FROM demo.applications
            WHERE tenant_id = $1 AND (idempotency_key = $2 OR (applicant = $3 AND job_id = $4 AND status = 'submitted'))
            ORDER BY (idempotency_key = $2) DESC
            LIMIT 1
            """;

        internal const string Cancel =
            """
            WITH latest AS (
                SELECT tenant_id, id FROM demo.applications
                WHERE tenant_id = $1 AND applicant = $2 AND ($3::text IS NULL OR job_id = $3)
                ORDER BY (status = 'submitted') DESC, id DESC
                LIMIT 1 FOR UPDATE)
            UPDATE demo.applications a SET status = 'cancelled', cancelled_at = coalesce(a.cancelled_at, $4)
            FROM latest WHERE a.tenant_id = latest.tenant_id AND a.id = latest.id
            RETURNING a.id, a.job_id, a.applicant, a.email, a.resume, a.status, a.created_at, a.cancelled_at
            """;

        internal const string Candidate =
            """
            SELECT a.email,
                   coalesce(a.resume, (SELECT url FROM demo.resumes WHERE tenant_id = $1 AND applicant = $2 AND status = 'stored' ORDER BY id DESC LIMIT 1)) AS resume,
                   (SELECT count(*) FROM demo.applications WHERE tenant_id = $1 AND applicant = $2 AND status = 'submitted')::integer AS applications
            FROM demo.applications AS a WHERE a.tenant_id = $1 AND a.applicant = $2
            ORDER BY a.id DESC LIMIT 1
            """;

        internal const string List =
            """
            SELECT id, job_id, applicant, email, resume, status, created_at, cancelled_at
            FROM demo.applications WHERE tenant_id = $1 AND applicant = $2 ORDER BY id DESC LIMIT 10
            """;
    }
}

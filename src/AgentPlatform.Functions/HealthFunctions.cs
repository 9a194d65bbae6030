using AgentPlatform.Postgres;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.Functions;

/// <summary>For load balancers: does the process answer, and can it serve.</summary>
public sealed class HealthFunctions(Migrator migrator, ILogger<HealthFunctions> log)
{
    [Function("HealthLive")]
    public IResult Live([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "health/live")] HttpRequest request) =>
        TypedResults.Ok(new { status = "live" });

    /// <summary>200 when the database answers and has every migration of this build, else 503.</summary>
    [Function("HealthReady")]
    public async Task<IResult> Ready([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "health/ready")] HttpRequest request, CancellationToken ct)
    {
        try
        {
            var pending = await migrator.PendingAsync(ct);
            return pending.Count == 0
                ? TypedResults.Ok(new { status = "ready" })
                : TypedResults.Json(new { status = "migrations pending", pending = pending.Select(m => m.Name) }, statusCode: StatusCodes.Status503ServiceUnavailable);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException or MigrationException)
        {
            log.NotReady(e);
            return TypedResults.Json(new { status = "database unavailable" }, statusCode: StatusCodes.Status503ServiceUnavailable);
        }
    }
}

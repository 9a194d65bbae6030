using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Work.Operate;

/// <summary>
/// What a kind, a concurrency key, or a key within a kind may have: max_running items at a time on all hosts together; and, of a kind,
/// max_waiting items before new ones are refused.
/// </summary>
public sealed record NewLimit(string? Kind, string? ConcurrencyKey, int? MaxRunning, int? MaxWaiting);

/// <summary>A limit in force.</summary>
public sealed record Limit(Guid Id, string? Kind, string? ConcurrencyKey, int? MaxRunning, int? MaxWaiting, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt);

internal sealed class Limits(Database database, IWorkNudge nudge, TimeProvider clock)
{
    internal static void Map(RouteGroupBuilder work)
    {
        work.MapGet("/limits", async (HttpContext http, Limits limits, CancellationToken ct) => TypedResults.Ok(await limits.ListAsync(http.Actor(), ct)))
            .RequireScope("work:read").Describe("listWorkLimits", "List the limits of work.").Produces<IReadOnlyList<Limit>>();
        work.MapPost("/limits", async (HttpContext http, Limits limits, NewLimit request, CancellationToken ct) =>
                (await limits.SetAsync(http.Actor(), request, ct)).ToHttp())
            .RequireScope("work:write").Describe("limitWork", "Limit how much may run, or wait, at a time.").Produces<Limit>();
        work.MapDelete("/limits/{id:guid}", async (HttpContext http, Limits limits, Guid id, CancellationToken ct) =>
                (await limits.LiftAsync(http.Actor(), id, ct)).ToNoContent())
            .RequireScope("work:write").Describe("liftWorkLimit", "End a limit.").Produces(StatusCodes.Status204NoContent);
    }

    internal async Task<IReadOnlyList<Limit>> ListAsync(Actor actor, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await tx.QueryAsync<Limit>(Sql.List, [actor.TenantId], ct);
    }

    /// <summary>A scope has one limit: setting it again replaces it.</summary>
    internal async Task<Result<Limit>> SetAsync(Actor actor, NewLimit request, CancellationToken ct)
    {
        if (Check(request) is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        var limit = await tx.SingleAsync<Limit>(
            Sql.Set, [clock.NewId(), actor.TenantId, request.Kind, request.ConcurrencyKey, request.MaxRunning, request.MaxWaiting], ct);
        tx.AfterCommit(nudge.Nudge);
        await tx.CommitAsync(ct);
        return limit;
    }

    internal async Task<Result<Guid>> LiftAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await tx.ExecuteAsync(Sql.Lift, [actor.TenantId, id], ct) == 0)
        {
            return Problem.NotFound("work_limit");
        }

        tx.AfterCommit(nudge.Nudge);
        await tx.CommitAsync(ct);
        return id;
    }

    private static Problem? Check(NewLimit request) =>
        new Validation()
            .Text("kind", request.Kind, 200)
            .Text("concurrency_key", request.ConcurrencyKey, 500)
            .Check("max_running", request.MaxRunning is null or > 0, "Must be above zero; a pause holds everything back.")
            .Check("max_running", request.MaxRunning is not null || request.MaxWaiting is not null, "Either this or max_waiting is required.")
            .Check("max_waiting", request.MaxWaiting is null or > 0, "Must be above zero.")
            .Check("max_waiting", request.MaxWaiting is null || request is { Kind: not null, ConcurrencyKey: null }, "Belongs to a kind as a whole.")
            .Problem;

    private static class Sql
    {
        internal const string List =
            """
            SELECT id, kind, concurrency_key, max_running, max_waiting, created_at, updated_at
            FROM work.limits WHERE tenant_id = $1 ORDER BY created_at DESC, id
            """;

        internal const string Set =
            """
            INSERT INTO work.limits (id, tenant_id, kind, concurrency_key, max_running, max_waiting) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT ON CONSTRAINT limits_scope DO UPDATE SET max_running = excluded.max_running, max_waiting = excluded.max_waiting
            RETURNING id, kind, concurrency_key, max_running, max_waiting, created_at, updated_at
            """;

        internal const string Lift = "DELETE FROM work.limits WHERE tenant_id = $1 AND id = $2";
    }
}

using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Work.Operate;

/// <summary>
/// What a kind, a concurrency key, or a key within a kind may have, on all hosts together: max_running items at a time; per_second items
/// started, after a pause up to burst at once (a second's worth unless told); and, of a kind, max_waiting items before new ones are refused.
/// </summary>
public sealed record NewLimit(string? Kind, string? ConcurrencyKey, int? MaxRunning, int? MaxWaiting, double? PerSecond = null, int? Burst = null);

/// <summary>A limit in force. Tokens: how many items its rate would let start at once now.</summary>
public sealed record Limit(
    Guid Id, string? Kind, string? ConcurrencyKey, int? MaxRunning, int? MaxWaiting, double? PerSecond, int? Burst, double? Tokens,
    DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt);

internal sealed class Limits(Database database, IWorkNudge nudge, TimeProvider clock)
{
    internal static void Map(RouteGroupBuilder work)
    {
        work.MapGet("/limits", async (HttpContext http, Database database, int? limit, string? cursor, CancellationToken ct) =>
                await http.PageAsync(database, limit, cursor, (tx, page) => ListAsync(tx, page, ct)))
            .RequireScope("work:read").Describe("listWorkLimits", "List the limits of work, newest first.").Produces<Page<Limit>>();
        work.MapPost("/limits", async (HttpContext http, Limits limits, NewLimit request, CancellationToken ct) =>
                (await limits.SetAsync(http.Actor(), request, ct)).ToHttp())
            .RequireScope("work:write").Describe("limitWork", "Limit how much may run, or wait, at a time.").Produces<Limit>();
        work.MapDelete("/limits/{id:guid}", async (HttpContext http, Limits limits, Guid id, CancellationToken ct) =>
                (await limits.LiftAsync(http.Actor(), id, ct)).ToNoContent())
            .RequireScope("work:write").Describe("liftWorkLimit", "End a limit.").Produces(StatusCodes.Status204NoContent);
    }

    internal static async Task<Page<Limit>> ListAsync(Transaction tx, PageRequest page, CancellationToken ct) =>
        Page<Limit>.Cut(await tx.QueryAsync<Limit>(Sql.List, [tx.TenantId, null, page.Before, page.Fetch], ct), page, limit => limit.Id);

    /// <summary>A scope has one limit: setting it again replaces it.</summary>
    internal async Task<Result<Limit>> SetAsync(Actor actor, NewLimit request, CancellationToken ct)
    {
        if (Check(request) is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        var burst = request.PerSecond is { } rate ? request.Burst ?? (int)Math.Ceiling(rate) : (int?)null;
        var id = await tx.SingleAsync<Guid>(
            Sql.Set, [clock.NewId(), actor.TenantId, request.Kind, request.ConcurrencyKey, request.MaxRunning, request.MaxWaiting, request.PerSecond, burst], ct);
        tx.Post(Sql.Fill, actor.TenantId, id);
        var limit = await tx.SingleAsync<Limit>(Sql.List, [actor.TenantId, id, null, 1], ct);
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
            .Check("max_running", request.MaxRunning is not null || request.MaxWaiting is not null || request.PerSecond is not null, "One of this, per_second and max_waiting is required.")
            .Check("per_second", request.PerSecond is null or (> 0 and <= 1_000_000), "Must be above zero and at most 1000000; a pause holds everything back.")
            .Check("burst", request.Burst is null or > 0, "Must be above zero.")
            .Check("burst", request.Burst is null || request.PerSecond is not null, "Belongs to per_second.")
            .Check("max_waiting", request.MaxWaiting is null or > 0, "Must be above zero.")
            .Check("max_waiting", request.MaxWaiting is null || request is { Kind: not null, ConcurrencyKey: null }, "Belongs to a kind as a whole.")
            .Problem;

    private static class Sql
    {
        internal const string List =
            """
            SELECT l.id, l.kind, l.concurrency_key, l.max_running, l.max_waiting, l.per_second, l.burst,
                   least(l.burst, k.tokens + l.per_second * extract(epoch FROM now() - k.refilled_at)) AS tokens, l.created_at, l.updated_at
            FROM work.limits AS l
            LEFT JOIN work.tokens AS k ON k.tenant_id = l.tenant_id AND k.limit_id = l.id AND l.per_second IS NOT NULL
            WHERE l.tenant_id = $1 AND ($2::uuid IS NULL OR l.id = $2) AND ($3::uuid IS NULL OR l.id < $3) ORDER BY l.id DESC LIMIT $4
            """;

        internal const string Set =
            """
            INSERT INTO work.limits (id, tenant_id, kind, concurrency_key, max_running, max_waiting, per_second, burst) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT ON CONSTRAINT limits_scope DO UPDATE
            SET max_running = excluded.max_running, max_waiting = excluded.max_waiting, per_second = excluded.per_second, burst = excluded.burst
            RETURNING id
            """;

        // A bucket begins full. Changing the limit neither gives tokens nor leaves more than it may hold.
        internal const string Fill =
            """
            INSERT INTO work.tokens AS k (tenant_id, limit_id, tokens, refilled_at)
            SELECT tenant_id, id, burst, now() FROM work.limits WHERE tenant_id = $1 AND id = $2 AND per_second IS NOT NULL
            ON CONFLICT (tenant_id, limit_id) DO UPDATE SET tokens = least(k.tokens, excluded.tokens)
            """;

        internal const string Lift = "DELETE FROM work.limits WHERE tenant_id = $1 AND id = $2";
    }
}

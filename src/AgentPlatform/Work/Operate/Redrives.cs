using System.Text.Json.Serialization;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Work.Operate;

/// <summary>Dead items that died of the same sort of error.</summary>
public sealed record DeadGroup(string Kind, string ErrorSignature, long Count, DateTimeOffset FirstDiedAt, DateTimeOffset LastDiedAt, string? LastError, [property: JsonIgnore] long LastId);

/// <summary>Which dead items to revive (all when neither field is given), how many to try first, and how many a second after that.</summary>
public sealed record StartRedrive(string? Kind, string? ErrorSignature, int Canary = 1, int PerSecond = 10);

/// <summary>A revival of dead items. Status: canary, running, completed or stopped (see reason). Matched were dead when it began.</summary>
public sealed record Redrive(
    Guid Id, string? Kind, string? ErrorSignature, int Canary, int PerSecond, string Status, string? Reason, long Matched, long Released,
    long Done, long DiedAgain, DateTimeOffset CreatedAt, DateTimeOffset? ReleasedAt, DateTimeOffset? FinishedAt);

/// <summary>Dead items seen by their cause, and revived in bulk.</summary>
internal sealed class Redrives(Database database, WorkQueue queue, TimeProvider clock)
{
    internal static void Map(RouteGroupBuilder work)
    {
        work.MapGet("/dead", async (HttpContext http, Database database, int? limit, string? cursor, CancellationToken ct) =>
                await http.PageAsync(database, limit, cursor, (tx, page) => DeadAsync(tx, page, ct)))
            .RequireScope("work:read").Describe("listDeadWork", "Group dead items by kind and error, the most frequent first.").Produces<Page<DeadGroup>>();
        work.MapPost("/redrives", async (HttpContext http, Redrives redrives, StartRedrive request, CancellationToken ct) =>
                (await redrives.StartAsync(http.Actor(), request, ct)).ToAccepted(redrive => $"/api/v1/work/redrives/{redrive.Id}"))
            .RequireScope("work:write").Describe("startRedrive", "Revive dead items at a chosen rate, canaries first.").Produces<Redrive>(StatusCodes.Status202Accepted);
        work.MapGet("/redrives", async (HttpContext http, Redrives redrives, int? limit, string? cursor, CancellationToken ct) =>
                await PageRequest.Parse(limit, cursor).ThenAsync(page => redrives.ListAsync(http.Actor(), page, ct)).ToHttpAsync())
            .RequireScope("work:read").Describe("listRedrives", "List redrives, newest first.").Produces<Page<Redrive>>();
        work.MapGet("/redrives/{id:guid}", (HttpContext http, Database database, Guid id, CancellationToken ct) => http.OneAsync(database, tx => FindAsync(tx, id, ct), "redrive"))
            .RequireScope("work:read").Describe("getRedrive", "How a redrive goes.").Produces<Redrive>();
        work.MapPost("/redrives/{id:guid}/stop", async (HttpContext http, Redrives redrives, Guid id, CancellationToken ct) =>
                (await redrives.StopAsync(http.Actor(), id, ct)).ToHttp())
            .RequireScope("work:write").Describe("stopRedrive", "Release no more items; those released go on.").Produces<Redrive>();
    }

    internal static async Task<Page<DeadGroup>> DeadAsync(Transaction tx, PageRequest page, CancellationToken ct)
    {
        var after = page.Before is { } before ? WorkCursor.Read(before) : ((long Count, long Id)?)null;
        var rows = await tx.QueryAsync<DeadGroup>(Sql.Dead, [tx.TenantId, after?.Count, after?.Id, page.Fetch], ct);
        return Page<DeadGroup>.Cut(rows, page, group => WorkCursor.Of(group.Count, group.LastId));
    }

    internal async Task<Result<Redrive>> StartAsync(Actor actor, StartRedrive request, CancellationToken ct)
    {
        if (Check(request) is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        var id = clock.NewId();
        var matched = await tx.SingleAsync<long>(Sql.Start, [id, actor.TenantId, request.Kind, request.ErrorSignature, request.Canary, request.PerSecond], ct);
        if (matched == 0)
        {
            return Problem.Conflict("nothing_to_redrive", "No dead item fits.");
        }

        if ((await queue.TryEnqueueAsync(tx, new NewWork(RedriveDead.Kind, id.ToString(), new { }), ct)).Problem is { } full)
        {
            return full;
        }

        var started = await FindAsync(tx, id, ct);
        await tx.CommitAsync(ct);
        return started!;
    }

    internal async Task<Page<Redrive>> ListAsync(Actor actor, PageRequest page, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        var rows = await tx.QueryAsync<Redrive>(Sql.List, [actor.TenantId, null, page.Before, page.Fetch], ct);
        return Page<Redrive>.Cut(rows, page, r => r.Id);
    }

    internal async Task<Result<Redrive>> StopAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        var stopped = await tx.ExecuteAsync(Sql.Stop, [actor.TenantId, id], ct);
        if (await FindAsync(tx, id, ct) is not { } found)
        {
            return Problem.NotFound("redrive");
        }

        await tx.CommitAsync(ct);
        return stopped == 1 ? found : Problem.Conflict("redrive_is_over", $"The redrive is {found.Status}.");
    }

    private static Problem? Check(StartRedrive request) =>
        new Validation()
            .Text("kind", request.Kind, 200)
            .Check("error_signature", request.ErrorSignature is not { Length: > 200 }, "Must have at most 200 characters.")
            .Check("canary", request.Canary is >= 0 and <= 1000, "Must be between 0 and 1000.")
            .Check("per_second", request.PerSecond is >= 1 and <= 10_000, "Must be between 1 and 10000.")
            .Problem;

    private static async Task<Redrive?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => await tx.FindAsync<Redrive>(Sql.List, [tx.TenantId, id, null, 1], ct);

    private static class Sql
    {
        internal const string Dead =
            """
            SELECT kind, error_signature, count(*) AS count, min(finished_at) AS first_died_at, max(finished_at) AS last_died_at,
                   (array_agg(last_error ORDER BY finished_at DESC))[1] AS last_error, max(id) AS last_id
            FROM work.items WHERE tenant_id = $1 AND error_signature IS NOT NULL
            GROUP BY kind, error_signature HAVING $2::bigint IS NULL OR (count(*), max(id)) < ($2, $3::bigint)
            ORDER BY count(*) DESC, max(id) DESC LIMIT $4
            """;

        internal const string Start =
            """
            INSERT INTO work.redrives (id, tenant_id, kind, error_signature, canary, per_second, status, matched)
            SELECT $1, $2, $3, $4, $5, $6, CASE WHEN $5 > 0 THEN 'canary' ELSE 'running' END, count(*)
            FROM work.items
            WHERE tenant_id = $2 AND error_signature IS NOT NULL AND ($3::text IS NULL OR kind = $3) AND ($4::text IS NULL OR error_signature = $4)
            RETURNING matched
            """;

        internal const string List =
            """
            SELECT r.id, r.kind, r.error_signature, r.canary, r.per_second, r.status, r.reason, r.matched, r.released,
                   count(i.id) FILTER (WHERE i.state = 'done') AS done, count(i.id) FILTER (WHERE i.state = 'dead') AS died_again,
                   r.created_at, r.released_at, r.finished_at
            FROM work.redrives AS r
            LEFT JOIN work.items AS i ON i.tenant_id = r.tenant_id AND i.redrive_id = r.id
            WHERE r.tenant_id = $1 AND ($2::uuid IS NULL OR r.id = $2) AND ($3::uuid IS NULL OR r.id < $3)
            GROUP BY r.id ORDER BY r.id DESC LIMIT $4
            """;

        internal const string Stop =
            """
            UPDATE work.redrives SET status = 'stopped', reason = 'Stopped by an operator.', finished_at = now()
            WHERE tenant_id = $1 AND id = $2 AND status IN ('canary', 'running')
            """;
    }
}

using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Work.Operate;

/// <summary>What not to start, and why. A kind, a serial key, both together, or, with neither, everything of the tenant.</summary>
public sealed record NewPause(string? Kind, string? SerialKey, string? Reason);

/// <summary>A pause in force.</summary>
public sealed record Pause(Guid Id, string? Kind, string? SerialKey, string Reason, Guid CreatedBy, DateTimeOffset CreatedAt);

/// <summary>Pauses hold back what has not started; what runs may finish. The claim looks at them, so they hold on every host at once.</summary>
internal sealed class Pauses(Database database, IWorkNudge nudge, TimeProvider clock)
{
    internal static void Map(RouteGroupBuilder work)
    {
        work.MapGet("/pauses", async (HttpContext http, Database database, int? limit, string? cursor, CancellationToken ct) =>
                await http.PageAsync(database, limit, cursor, (tx, page) => ListAsync(tx, page, ct)))
            .RequireScope("work:read").Describe("listPauses", "List what is paused, newest first.").Produces<Page<Pause>>();
        work.MapPost("/pauses", async (HttpContext http, Pauses pauses, NewPause request, CancellationToken ct) =>
                (await pauses.PauseAsync(http.Actor(), request, ct)).ToHttp())
            .RequireScope("work:write").Describe("pauseWork", "Start no work of a kind, a serial key or the whole tenant.").Produces<Pause>();
        work.MapDelete("/pauses/{id:guid}", async (HttpContext http, Pauses pauses, Guid id, CancellationToken ct) =>
                (await pauses.ResumeAsync(http.Actor(), id, ct)).ToNoContent())
            .RequireScope("work:write").Describe("resumeWork", "End a pause.").Produces(StatusCodes.Status204NoContent);
    }

    internal static async Task<Page<Pause>> ListAsync(Transaction tx, PageRequest page, CancellationToken ct) =>
        Page<Pause>.Cut(await tx.QueryAsync<Pause>(Sql.List, [tx.TenantId, page.Before, page.Fetch], ct), page, pause => pause.Id);

    /// <summary>Pausing what is paused changes the reason.</summary>
    internal async Task<Result<Pause>> PauseAsync(Actor actor, NewPause request, CancellationToken ct)
    {
        var checks = new Validation().Text("kind", request.Kind, 200).Text("serial_key", request.SerialKey, 500).Text("reason", request.Reason, 500, required: true);
        if (checks.Problem is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        var pause = await tx.SingleAsync<Pause>(Sql.Pause, [clock.NewId(), actor.TenantId, request.Kind, request.SerialKey, request.Reason, actor.UserId], ct);
        await tx.CommitAsync(ct);
        return pause;
    }

    internal async Task<Result<Guid>> ResumeAsync(Actor actor, Guid id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await tx.ExecuteAsync(Sql.Resume, [actor.TenantId, id], ct) == 0)
        {
            return Problem.NotFound("pause");
        }

        tx.AfterCommit(nudge.Nudge);
        await tx.CommitAsync(ct);
        return id;
    }

    private static class Sql
    {
        internal const string List =
            """
            SELECT id, kind, serial_key, reason, created_by, created_at FROM work.pauses
            WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
            """;

        internal const string Pause =
            """
            INSERT INTO work.pauses (id, tenant_id, kind, serial_key, reason, created_by) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT ON CONSTRAINT pauses_scope DO UPDATE SET reason = excluded.reason, created_by = excluded.created_by
            RETURNING id, kind, serial_key, reason, created_by, created_at
            """;

        internal const string Resume = "DELETE FROM work.pauses WHERE tenant_id = $1 AND id = $2";
    }
}

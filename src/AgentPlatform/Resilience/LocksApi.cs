using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Resilience;

/// <summary>A lock to take; <see cref="TtlSeconds"/> is 30 unless told.</summary>
internal sealed record LockBody(string? ResourceType, string? ResourceId, string? Holder, int? TtlSeconds)
{
    internal Problem? Problem => new Validation().Text("resource_type", ResourceType, 100, required: true).Text("resource_id", ResourceId, 500, required: true)
        .Text("holder", Holder, 200).Check("ttl_seconds", TtlSeconds is null or (>= 1 and <= 3600), "Must be between 1 and 3600.")
        .Check("resource_type", ResourceType != CircuitBreaker.LockType, "Is the platform's own.").Problem;
}

/// <summary>The proof of the holder.</summary>
internal sealed record HolderBody(Guid? Token, int? TtlSeconds)
{
    internal Problem? Problem => new Validation().Check("token", Token is not null, "Is required.")
        .Check("ttl_seconds", TtlSeconds is null or (>= 1 and <= 3600), "Must be between 1 and 3600.").Problem;

    internal TimeSpan? Ttl => TtlSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : null;
}

/// <summary>For operators, who see and break locks, and for a tenant's own workers, which take them.</summary>
internal static class LocksApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var locks = v1.MapGroup("/locks").WithTags("Locks");
        locks.MapGet("", ListAsync).RequireScope("locks:read").Describe("listLocks", "Locks and who holds them, the latest taken first.").Produces<Page<LockView>>();
        locks.MapGet("/{id:guid}", (Guid id, HttpContext http, Database database, CancellationToken ct) => http.OneAsync(database, tx => LockKeeper.FindAsync(tx, id, ct), "lock"))
            .RequireScope("locks:read").Describe("getLock", "A lock and who holds it.").Produces<LockView>();
        locks.MapPost("", AcquireAsync).RequireScope("locks:write").Describe("acquireLock", "Take a lock, if nobody holds it.").Produces<HeldLock>(201);
        locks.MapPost("/{id:guid}/renew", RenewAsync).RequireScope("locks:write").Describe("renewLock", "Hold a lock for longer.").Produces<HeldLock>();
        locks.MapPost("/{id:guid}/release", ReleaseAsync).RequireScope("locks:write").Describe("releaseLock", "Give a lock back; only its holder can.").Produces(204);
        locks.MapDelete("/{id:guid}", ForceAsync).RequireScope("locks:write").Sensitive("lock.force_release", "lock").Describe("forceReleaseLock", "Take a lock away from its holder.").Produces<LockView>();
    }

    private static Task<IResult> ListAsync(
        HttpContext http, Database database, LockKeeper locks, CancellationToken ct, string? resource_type = null, int? limit = null, string? cursor = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => locks.ListAsync(tx, resource_type, page, ct));

    private static async Task<IResult> AcquireAsync(HttpContext http, Database database, LockKeeper locks, LockBody body, CancellationToken ct)
    {
        if (body.Problem is { } problem)
        {
            return problem.ToHttp();
        }

        var ttl = body.TtlSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : LockKeeper.DefaultTtl;
        await using var tx = database.Begin(http.Actor());
        var held = await locks.AcquireAsync(tx, body.ResourceType!, body.ResourceId!, body.Holder ?? $"key {http.Caller().KeyId}", ttl, ct);
        await tx.CommitAsync(ct);
        return held is null
            ? Problem.Conflict("lock_held", "Another holds this lock.").ToHttp()
            : ((Result<HeldLock>)held).ToCreated(l => $"/api/v1/locks/{l.Id}");
    }

    private static async Task<IResult> RenewAsync(Guid id, HttpContext http, Database database, LockKeeper locks, HolderBody body, CancellationToken ct)
    {
        if (body.Problem is { } problem)
        {
            return problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        var held = await locks.RenewAsync(tx, id, body.Token!.Value, body.Ttl, ct);
        await tx.CommitAsync(ct);
        return held is null ? NotHeld.ToHttp() : ((Result<HeldLock>)held).ToHttp();
    }

    private static async Task<IResult> ReleaseAsync(Guid id, HttpContext http, Database database, LockKeeper locks, HolderBody body, CancellationToken ct)
    {
        if (body.Problem is { } problem)
        {
            return problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        var released = await locks.ReleaseAsync(tx, id, body.Token!.Value, ct);
        await tx.CommitAsync(ct);
        return released ? TypedResults.NoContent() : NotHeld.ToHttp();
    }

    private static async Task<IResult> ForceAsync(Guid id, HttpContext http, Database database, LockKeeper locks, CancellationToken ct)
    {
        await using var tx = database.Begin(http.Actor());
        var freed = await locks.ForceAsync(tx, id, ct);
        if (freed.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return freed.ToHttp();
    }

    private static Problem NotHeld => Problem.Conflict("lock_not_held", "The lock is not yours: it expired, was released, or belongs to another.");
}

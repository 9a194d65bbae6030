using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Json.Serialization;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Work.Operate;

/// <summary>An item as operators see it. State: ready, running, done, cancelled or dead. Started: its last run, if it has had one.</summary>
public sealed record WorkView(
    long Id, string Kind, string Key, string? SerialKey, short Priority, string State, DateTimeOffset RunAt, int Attempts, int Interruptions, int MaxAttempts,
    DateTimeOffset? LeaseUntil, [property: JsonIgnore] string RawPayload, string? LastError, string? ErrorSignature, Guid? RedriveId,
    DateTimeOffset? StartBy, string? MergeKey, string? ConcurrencyKey,
    DateTimeOffset EnqueuedAt, DateTimeOffset? StartedAt, DateTimeOffset? FinishedAt)
{
    /// <summary>What the item is about; its text when it is not readable as JSON here.</summary>
    public JsonElement Payload
    {
        get
        {
            try
            {
                return JsonElement.Parse(RawPayload, new JsonDocumentOptions { MaxDepth = 32 });
            }
            catch (JsonException)
            {
                return Json.Of(RawPayload);
            }
        }
    }
}

/// <summary>How much of a kind is in a state, and how long its oldest item has been due or over.</summary>
public sealed record WorkDepth(string Kind, string State, long Count, DateTimeOffset Oldest);

/// <summary>How a queue stands. Due: could start now. Retrying: waits for another attempt. Oldest due: how long it could have started.</summary>
public sealed record KindStatistics(
    string Kind, long Waiting, long Due, long Retrying, long Running, long Dead, long Interruptions, double OldestDueSeconds);

/// <summary>
/// The tenant's queues, and how far back an old snapshot keeps the database from cleaning up after all of them. VacuumState: ok, warned, or throttled, when
/// less urgent work is slowed for it.
/// </summary>
public sealed record WorkStatistics(
    IReadOnlyList<KindStatistics> Kinds, double OldestSnapshotSeconds, long OldestSnapshotTransactions, long DeadRows, VacuumState VacuumState);

/// <summary>Items have sequential ids, and groups of them a count before it; the API's cursors hold 128 bits.</summary>
internal static class WorkCursor
{
    internal static Guid Of(long count, long id)
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteInt64BigEndian(bytes, count);
        BinaryPrimitives.WriteInt64BigEndian(bytes[8..], id);
        return new Guid(bytes, bigEndian: true);
    }

    internal static (long Count, long Id) Read(Guid cursor)
    {
        var bytes = cursor.ToByteArray(bigEndian: true).AsSpan();
        return (BinaryPrimitives.ReadInt64BigEndian(bytes), BinaryPrimitives.ReadInt64BigEndian(bytes[8..]));
    }
}

/// <summary>What an operator may see and do: the tenant's items, their depth, and the revival of dead ones.</summary>
internal sealed class OperateWork(Database database, IWorkNudge nudge, IOptions<WorkOptions> options)
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var group = v1.MapGroup("/work").WithTags("Work");
        group.MapGet("", async (HttpContext http, Database database, string? state, string? kind, int? limit, string? cursor, CancellationToken ct) =>
                await http.PageAsync(
                    database, limit, cursor, (tx, page) => ListAsync(tx, state, kind, page, ct),
                    new Validation().OneOf("state", state, required: false, "ready", "running", "done", "cancelled", "dead").Problem))
            .RequireScope("work:read").Describe("listWork", "List work items, newest first.").Produces<Page<WorkView>>();
        group.MapGet("/depth", async (HttpContext http, OperateWork work, CancellationToken ct) =>
                ((Result<Page<WorkDepth>>)new Page<WorkDepth>(await work.DepthAsync(http.Actor(), ct), null)).ToHttp())
            .RequireScope("work:read").Describe("getWorkDepth", "Count work items by kind and state.").Produces<Page<WorkDepth>>();
        group.MapGet("/statistics", async (HttpContext http, OperateWork work, CancellationToken ct) => TypedResults.Ok(await work.StatisticsAsync(http.Actor(), ct)))
            .RequireScope("work:read").Describe("getWorkStatistics", "Tell how each queue stands.").Produces<WorkStatistics>();
        group.MapGet("/{id:long}", (HttpContext http, Database database, long id, CancellationToken ct) =>
                http.OneAsync(database, tx => tx.FindAsync<WorkView>(Sql.Find, [tx.TenantId, id], ct), "work_item"))
            .RequireScope("work:read").Describe("getWork", "One work item.").Produces<WorkView>();
        group.MapPost("/{id:long}/redrive", async (HttpContext http, OperateWork work, long id, CancellationToken ct) =>
                (await work.RedriveAsync(http.Actor(), id, ct)).ToHttp())
            .RequireScope("work:write").Describe("redriveWork", "Give a dead item a fresh set of attempts.").Produces<WorkView>();
        Redrives.Map(group);
        Pauses.Map(group);
        Limits.Map(group);
    }

    internal static async Task<Page<WorkView>> ListAsync(Transaction tx, string? state, string? kind, PageRequest page, CancellationToken ct)
    {
        var rows = await tx.QueryAsync<WorkView>(Sql.List, [tx.TenantId, state, kind, page.Before is { } before ? WorkCursor.Read(before).Id : null, page.Fetch], ct);
        return Page<WorkView>.Cut(rows, page, item => WorkCursor.Of(0, item.Id));
    }

    internal async Task<IReadOnlyList<WorkDepth>> DepthAsync(Actor actor, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await tx.QueryAsync<WorkDepth>(Sql.Depth, [actor.TenantId], ct);
    }

    internal async Task<WorkStatistics> StatisticsAsync(Actor actor, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        var kinds = await tx.QueryAsync<KindStatistics>(Sql.Statistics, [actor.TenantId], ct);
        var horizon = await VacuumHorizon.ReadAsync(tx, ct);
        return new WorkStatistics(kinds, horizon.OldestSnapshotSeconds, horizon.OldestSnapshotTransactions, horizon.DeadRows, horizon.Judge(options.Value));
    }

    internal async Task<Result<WorkView>> RedriveAsync(Actor actor, long id, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        var revived = await tx.FindAsync<WorkView>(Sql.Redrive, [actor.TenantId, id], ct);
        if (revived is null)
        {
            return await tx.FindAsync<long?>(Sql.Exists, [actor.TenantId, id], ct) is null
                ? Problem.NotFound("work_item")
                : Problem.Conflict("work_item_not_dead", "Only a dead item can be redriven.");
        }

        tx.AfterCommit(nudge.Nudge);
        await tx.CommitAsync(ct);
        return revived;
    }

    private static class Sql
    {
        internal const string List =
            """
            SELECT id, kind, key, serial_key, priority, state, run_at, attempts, interruptions, max_attempts, lease_until,
                   payload::text AS raw_payload, last_error, error_signature, redrive_id,
                   start_by, merge_key, concurrency_key, enqueued_at, started_at, finished_at
            FROM work.items
            WHERE tenant_id = $1 AND ($2::text IS NULL OR state = $2) AND ($3::text IS NULL OR kind = $3) AND ($4::bigint IS NULL OR id < $4)
            ORDER BY id DESC LIMIT $5
            """;

        internal const string Find =
            """
            SELECT id, kind, key, serial_key, priority, state, run_at, attempts, interruptions, max_attempts, lease_until,
                   payload::text AS raw_payload, last_error, error_signature, redrive_id,
                   start_by, merge_key, concurrency_key, enqueued_at, started_at, finished_at
            FROM work.items WHERE tenant_id = $1 AND id = $2
            """;

        internal const string Depth =
            """
            SELECT kind, state, count(*) AS count, min(coalesce(finished_at, run_at)) AS oldest
            FROM work.items WHERE tenant_id = $1 GROUP BY kind, state ORDER BY kind, state
            """;

        internal const string Statistics =
            """
            SELECT kind, waiting, due, retrying, running, dead, interruptions, oldest_due_seconds
            FROM work.statistics WHERE tenant_id = $1 ORDER BY kind
            """;

        internal const string Redrive =
            """
            UPDATE work.items SET state = 'ready', attempts = 0, interruptions = 0, run_at = now(), finished_at = NULL, redrive_id = NULL
            WHERE tenant_id = $1 AND id = $2 AND state = 'dead'
            RETURNING id, kind, key, serial_key, priority, state, run_at, attempts, interruptions, max_attempts, lease_until,
                      payload::text AS raw_payload, last_error, error_signature, redrive_id,
                      start_by, merge_key, concurrency_key, enqueued_at, started_at, finished_at
            """;

        internal const string Exists = "SELECT id FROM work.items WHERE tenant_id = $1 AND id = $2";
    }
}

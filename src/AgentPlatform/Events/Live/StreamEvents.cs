using System.Globalization;
using System.Text;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Events.Live;

/// <summary>
/// Live updates as server-sent events. A stream begins now, or after the event named by Last-Event-ID (a browser sends it when it
/// reconnects) or by <c>?after=</c>, and loses none in between. It ends when the client leaves, the host stops, or after a while, so
/// that a revoked key does not listen for ever.
/// </summary>
internal sealed class StreamEvents(
    Database database, EventListener listener, IOptions<EventsOptions> options, TimeProvider clock, IHostApplicationLifetime? host = null)
{
    private const int BatchSize = 100;

    /// <summary>Between looks when an event is stored but not yet safe to read, because an older transaction still runs, and when those of other databases are told apart.</summary>
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(200);

    /// <summary>Between looks when no notifications arrive.</summary>
    internal static readonly TimeSpan Unheard = TimeSpan.FromSeconds(1);

    /// <summary>
    /// One aggregate in version order: its versions have no gaps, so the last one seen is all there is to remember. Between its events come the notes
    /// about it, without an id. Stay: said again and again, as long as somebody follows.
    /// </summary>
    internal async Task<IResult> AggregateAsync(HttpContext http, string aggregateType, Guid aggregateId, CancellationToken ct, Func<CancellationToken, Task>? stay = null)
    {
        var actor = http.Actor();
        var version = await CurrentVersionAsync(actor, aggregateType, aggregateId, ct);
        if (version is null)
        {
            return Problem.NotFound(aggregateType).ToHttp();
        }

        var after = ResumePoint(http) is { } given
            ? int.TryParse(given, NumberStyles.None, CultureInfo.InvariantCulture, out var seen) ? seen : -1
            : version.Value;
        return after < 0
            ? Problem.Invalid("after", "Is not an id this stream gave out.").ToHttp()
            : new Stream(this, actor, aggregateId, after.ToString(CultureInfo.InvariantCulture), stay, async (tx, cursor, token) =>
            {
                var batch = await tx.QueryAsync<StreamedEvent>(
                    Sql.OfAggregate, [actor.TenantId, aggregateType, aggregateId, int.Parse(cursor, CultureInfo.InvariantCulture), BatchSize], token);
                return new Look(batch, batch.Count > 0 ? batch[^1].Cursor : cursor);
            });
    }

    /// <summary>Everything that happens in the tenant, or only events whose type begins with one of the given words.</summary>
    internal Task<IResult> TenantAsync(HttpContext http, string[] types, CancellationToken ct) => TenantAsync(http, types, ofUser: null, ct);

    /// <summary>What becomes of all that the caller has begun or was given: conversations, workflows, whatever has events.</summary>
    internal Task<IResult> UserAsync(HttpContext http, string[] types, CancellationToken ct) => TenantAsync(http, types, http.Actor().UserId, ct);

    private async Task<IResult> TenantAsync(HttpContext http, string[] types, Guid? ofUser, CancellationToken ct)
    {
        var actor = http.Actor();
        var after = ResumePoint(http) ?? await NowAsync(actor, ct);
        return IsPosition(after)
            ? new Stream(this, actor, null, after, null, async (tx, cursor, token) =>
            {
                // Asked first: an event that settles between the two statements is then found by the second, not overlooked by both.
                var ground = await tx.SingleAsync<Ground>(Sql.Unsettled, [actor.TenantId, cursor, Soon], token);
                var batch = await tx.QueryAsync<StreamedEvent>(
                    Sql.OfTenant, [actor.TenantId, cursor, types, BatchSize, ground.WaitsLong ?? false, ofUser], token);
                return new Look(batch, batch.Count > 0 ? batch[^1].Cursor : Later(cursor, ground.SettledBefore), ground.WaitsLong is not null);
            })
            : Problem.Invalid("after", "Is not an id this stream gave out.").ToHttp();
    }

    private static string? ResumePoint(HttpContext http) =>
        http.Request.Headers["Last-Event-ID"].FirstOrDefault() is { Length: > 0 } last ? last : http.Request.Query["after"].FirstOrDefault();

    /// <summary>A place in the order of reading: "transaction.position".</summary>
    private static bool IsPosition(string text) =>
        text.Split('.') is [var transaction, var position] && ulong.TryParse(transaction, NumberStyles.None, CultureInfo.InvariantCulture, out _)
        && long.TryParse(position, NumberStyles.None, CultureInfo.InvariantCulture, out _);

    /// <summary>What was read in vain, as far as all of it is settled, is not read again.</summary>
    private static string Later(string cursor, string settledBefore) =>
        ulong.Parse(settledBefore, CultureInfo.InvariantCulture) > ulong.Parse(cursor.AsSpan(0, cursor.IndexOf('.', StringComparison.Ordinal)), CultureInfo.InvariantCulture)
            ? $"{settledBefore}.0"
            : cursor;

    private async Task<int?> CurrentVersionAsync(Actor actor, string aggregateType, Guid aggregateId, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await tx.FindAsync<int?>(Sql.CurrentVersion, [actor.TenantId, aggregateType, aggregateId], ct);
    }

    private async Task<string> NowAsync(Actor actor, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await tx.SingleAsync<string>(Sql.Now, [], ct);
    }

    private async Task RunAsync(HttpContext http, Actor actor, Guid? aggregateId, string cursor, Func<CancellationToken, Task>? stay, Reader read)
    {
        var settings = options.Value;
        using var lifetime = new CancellationTokenSource(settings.MaxStreamAge, clock);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(
            http.RequestAborted, lifetime.Token, host?.ApplicationStopping ?? CancellationToken.None);
        using var subscription = listener.Subscribe(actor.TenantId, aggregateId);
        http.Response.ContentType = "text/event-stream";
        http.Response.Headers.CacheControl = "no-store";
        http.Response.Headers["X-Accel-Buffering"] = "no";
        http.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        try
        {
            await WriteAsync(http, $"retry: 2000\nid: {cursor}\n\n", ended.Token);
            await FollowAsync(http, actor, cursor, stay, read, subscription, ended.Token);
        }
        catch (OperationCanceledException) when (ended.IsCancellationRequested)
        {
            // The client left, or is told to come back: it resumes where it was.
        }
    }

    private async Task FollowAsync(
        HttpContext http, Actor actor, string cursor, Func<CancellationToken, Task>? stay, Reader read, EventListener.Subscription subscription, CancellationToken ct)
    {
        var (silentSince, wait, ended) = (clock.GetTimestamp(), TimeSpan.Zero, new HashSet<Guid>());
        while (true)
        {
            await (stay?.Invoke(ct) ?? Task.CompletedTask);
            await subscription.WaitAsync(wait, clock, ct);
            // Taken before the events are read: what is void by one of them is told before it.
            var notes = subscription.TakeNotes().Where(note => !ended.Contains(note.TurnId)).ToList();
            (var batch, cursor, var unsettled) = await ReadAsync(actor, cursor, read, ct);
            ended.UnionWith(batch.Select(e => LiveNote.TurnEndedBy(e.Stored)).OfType<Guid>());
            if (batch.Count + notes.Count > 0)
            {
                await WriteAsync(http, string.Concat(notes.Select(Format).Concat(batch.Select(Format))), ct);
                silentSince = clock.GetTimestamp();
            }
            else if (clock.GetElapsedTime(silentSince) >= options.Value.Heartbeat)
            {
                await WriteAsync(http, ": heartbeat\n\n", ct);
                silentSince = clock.GetTimestamp();
            }

            wait = batch.Count == BatchSize ? TimeSpan.Zero
                : unsettled ? Soon
                : listener.IsListening ? options.Value.Poll
                : Unheard;
        }
    }

    private async Task<Look> ReadAsync(Actor actor, string cursor, Reader read, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        return await read(tx, cursor, ct);
    }

    private static string Format(StreamedEvent e) =>
        $"id: {e.Cursor}\nevent: {e.EventType.ReplaceLineEndings(" ")}\ndata: {Json.Text(e.Stored)}\n\n";

    /// <summary>Without an id: a client that comes back resumes after the last event.</summary>
    private static string Format(LiveNote note) => $"event: {note.Type}\ndata: {Json.Text(note.Data)}\n\n";

    private static async Task WriteAsync(HttpContext http, string text, CancellationToken ct)
    {
        await http.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(text), ct);
        await http.Response.Body.FlushAsync(ct);
    }

    private delegate Task<Look> Reader(Transaction tx, string cursor, CancellationToken ct);

    /// <summary>Reached: where the next look begins.</summary>
    private sealed record Look(IReadOnlyList<StreamedEvent> Batch, string Reached, bool Unsettled = false);

    /// <summary>WaitsLong: whether the first event that may not be read yet has waited for long; null when there is none.</summary>
    private sealed record Ground(bool? WaitsLong, string SettledBefore);

    private sealed class Stream(StreamEvents streams, Actor actor, Guid? aggregateId, string cursor, Func<CancellationToken, Task>? stay, Reader read) : IResult
    {
        public Task ExecuteAsync(HttpContext httpContext) => streams.RunAsync(httpContext, actor, aggregateId, cursor, stay, read);
    }

    private sealed record StreamedEvent(
        string Cursor, Guid Id, string EventType, string AggregateType, Guid AggregateId, int Version, System.Text.Json.JsonElement Payload,
        System.Text.Json.JsonElement? Metadata, Guid? UserId, string? CreatedBy, DateTimeOffset CreatedAt)
    {
        internal StoredEvent Stored => new(Id, EventType, AggregateType, AggregateId, Version, Payload, Metadata, UserId, CreatedBy, CreatedAt);
    }

    private static class Sql
    {
        // Only of an aggregate some event of which is visible: the events of a private conversation are not.
        internal const string CurrentVersion =
            """
            SELECT a.version FROM events.aggregates a
            WHERE a.tenant_id = $1 AND a.aggregate_type = $2 AND a.aggregate_id = $3
              AND (EXISTS (SELECT FROM events.events e WHERE e.tenant_id = a.tenant_id AND e.aggregate_type = a.aggregate_type AND e.aggregate_id = a.aggregate_id)
                   OR EXISTS (SELECT FROM events.archived_events e WHERE e.tenant_id = a.tenant_id AND e.aggregate_type = a.aggregate_type AND e.aggregate_id = a.aggregate_id))
            """;

        internal const string OfAggregate =
            """
            SELECT version::text AS cursor, id, event_type, aggregate_type, aggregate_id, version, payload, metadata, user_id, created_by, created_at
            FROM events.events
            WHERE tenant_id = $1 AND aggregate_type = $2 AND aggregate_id = $3 AND version > $4
            ORDER BY version LIMIT $5
            """;

        // Transactions that are running now may still store events: the stream begins before them.
        internal const string Now = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text || '.0'";

        internal const string Unsettled =
            """
            SELECT (SELECT created_at < now() - $3::interval
                    FROM events.events
                    WHERE tenant_id = $1 AND (transaction_id, position) > (split_part($2, '.', 1)::xid8, split_part($2, '.', 2)::bigint) AND transaction_id >= pg_snapshot_xmin(pg_current_snapshot())
                    ORDER BY transaction_id, position
                    LIMIT 1) AS waits_long,
                   pg_snapshot_xmin(pg_current_snapshot())::text AS settled_before
            """;

        internal const string OfTenant =
            """
            SELECT transaction_id::text || '.' || position AS cursor, id, event_type, aggregate_type, aggregate_id, version, payload, metadata,
                   user_id, created_by, created_at
            FROM events.events AS e
            WHERE tenant_id = $1 AND (transaction_id, position) > (split_part($2, '.', 1)::xid8, split_part($2, '.', 2)::bigint) AND transaction_id < (SELECT events.settled_before($5))
              AND (cardinality($3::text[]) = 0 OR EXISTS (SELECT FROM unnest($3::text[]) AS wanted (prefix) WHERE starts_with(event_type, wanted.prefix)))
              AND ($6::uuid IS NULL OR EXISTS (
                  SELECT FROM events.aggregates AS a
                  WHERE a.tenant_id = $1 AND a.aggregate_type = e.aggregate_type AND a.aggregate_id = e.aggregate_id AND a.user_id = $6))
            ORDER BY transaction_id, position LIMIT $4
            """;
    }
}

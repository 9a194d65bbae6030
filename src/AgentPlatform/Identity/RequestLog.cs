using System.Threading.Channels;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentPlatform.Identity;

/// <summary>One request of a known caller, as it ended. The route is the template, so ids and query strings are not in it.</summary>
public sealed record ApiRequest(
    Guid Id,
    Guid? ApiKeyId,
    Guid UserId,
    string Method,
    string Route,
    int Status,
    int DurationMs,
    string? IpAddress,
    string? UserAgent,
    string TraceId,
    DateTimeOffset CreatedAt);

/// <summary>
/// Collects requests and writes them in batches, one transaction per tenant, so that logging costs a request no round trip. A
/// process that is killed loses what it had not yet written: at most about a second.
/// </summary>
public sealed class RequestLog(Database database, TimeProvider clock, ILogger<RequestLog> log) : WriteBehind(clock)
{
    private const int BatchSize = 500;

    // A full channel makes requests wait for the database instead of filling the memory.
    private readonly Channel<(Guid TenantId, ApiRequest Request)> _pending =
        Channel.CreateBounded<(Guid, ApiRequest)>(new BoundedChannelOptions(10_000) { SingleReader = false });

    private readonly SemaphoreSlim _flushing = new(1, 1);

    public ValueTask AddAsync(Guid tenantId, ApiRequest request, CancellationToken ct) => _pending.Writer.WriteAsync((tenantId, request), ct);

    public override async Task FlushAsync(CancellationToken ct)
    {
        await _flushing.WaitAsync(ct);
        try
        {
            while (Take() is { Count: > 0 } batch)
            {
                foreach (var tenant in batch.GroupBy(entry => entry.TenantId, entry => entry.Request))
                {
                    await WriteAsync(token => WriteAsync(tenant.Key, [.. tenant], token), ct);
                }
            }
        }
        finally
        {
            _flushing.Release();
        }
    }

    /// <summary>What was asked with the keys of the transaction's tenant, newest first.</summary>
    public static async Task<Page<ApiRequest>> ListAsync(Transaction tx, Guid? apiKeyId, PageRequest page, CancellationToken ct) =>
        Page<ApiRequest>.Cut(await tx.QueryAsync<ApiRequest>(Sql.List, [tx.TenantId, apiKeyId, page.Before, page.Fetch], ct), page, request => request.Id);

    public override void Dispose()
    {
        _flushing.Dispose();
        base.Dispose();
    }

    protected override void Failed(Exception e) => log.RequestLogFailed(e);

    private List<(Guid TenantId, ApiRequest Request)> Take()
    {
        var batch = new List<(Guid, ApiRequest)>();
        while (batch.Count < BatchSize && _pending.Reader.TryRead(out var entry))
        {
            batch.Add(entry);
        }

        return batch;
    }

    private async Task WriteAsync(Guid tenantId, ApiRequest[] requests, CancellationToken ct)
    {
        await using var tx = database.Begin(Actor.System(tenantId));
        tx.Post(
            Sql.Insert, tenantId, requests.Select(r => r.Id).ToArray(), requests.Select(r => r.ApiKeyId).ToArray(), requests.Select(r => r.UserId).ToArray(),
            requests.Select(r => r.Method).ToArray(), requests.Select(r => r.Route).ToArray(), requests.Select(r => (short)r.Status).ToArray(),
            requests.Select(r => r.DurationMs).ToArray(), requests.Select(r => r.IpAddress).ToArray(), requests.Select(r => r.UserAgent).ToArray(),
            requests.Select(r => r.TraceId).ToArray(), requests.Select(r => r.CreatedAt.UtcDateTime).ToArray());
        tx.Post(Sql.Touch, tenantId, requests.Select(r => r.ApiKeyId).ToArray(), requests.Select(r => r.CreatedAt.UtcDateTime).ToArray());
        try
        {
            await tx.CommitAsync(ct);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.ForeignKeyViolation)
        {
            // The tenant was deleted in the meantime, and its log with it.
            log.RequestsOfDeletedTenant(tenantId, requests.Length);
        }
    }

    private static class Sql
    {
        // A key that was deleted with its user in the meantime leaves its requests without a key.
        internal const string Insert =
            """
            INSERT INTO identity.api_request_logs
                (tenant_id, id, api_key_id, user_id, method, route, status, duration_ms, ip_address, user_agent, trace_id, created_at)
            SELECT $1, r.id, k.id, r.user_id, r.method, r.route, r.status, r.duration_ms, r.ip_address::inet, left(r.user_agent, 512), r.trace_id, r.created_at
            FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::smallint[], $8::int[], $9::text[], $10::text[], $11::text[], $12::timestamptz[])
                AS r (id, api_key_id, user_id, method, route, status, duration_ms, ip_address, user_agent, trace_id, created_at)
            LEFT JOIN identity.api_keys k ON k.tenant_id = $1 AND k.id = r.api_key_id
            """;

        internal const string Touch =
            """
            UPDATE identity.api_keys k SET last_used_at = used.at
            FROM (SELECT id, max(at) AS at FROM unnest($2::uuid[], $3::timestamptz[]) AS u (id, at) GROUP BY id) used
            WHERE k.tenant_id = $1 AND k.id = used.id AND (k.last_used_at IS NULL OR k.last_used_at < used.at)
            """;

        internal const string List =
            """
            SELECT id, api_key_id, user_id, method, route, status::int AS status, duration_ms, host(ip_address) AS ip_address, user_agent, trace_id, created_at
            FROM identity.api_request_logs
            WHERE tenant_id = $1 AND ($2::uuid IS NULL OR api_key_id = $2) AND ($3::uuid IS NULL OR id < $3)
            ORDER BY id DESC LIMIT $4
            """;
    }
}

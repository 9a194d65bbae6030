using AgentPlatform.Actions;
using AgentPlatform.Conversations;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Schemas;

/// <summary>
/// Looks after expired caches. Those that a blocked request waits for are asked for again; those that can serve nobody any more are removed, from the
/// session too; the others stay until then, for a time when the API fails.
/// </summary>
public sealed class ExpireSchemas
{
    private const int BatchSize = 500;
    private readonly Database _database;
    private readonly ActionQueue _actions;
    private readonly SessionStore _sessions;
    private readonly WorkQueue _work;
    private readonly TimeProvider _clock;
    private readonly ILogger<ExpireSchemas> _log;

    internal ExpireSchemas(Database database, ActionQueue actions, SessionStore sessions, WorkQueue work, TimeProvider clock, ILogger<ExpireSchemas> log) =>
        (_database, _actions, _sessions, _work, _clock, _log) = (database, actions, sessions, work, clock, log);

    /// <summary>Returns how many are refreshed, and how many were removed.</summary>
    public async Task<(int Refreshed, int Purged)> RunAsync(CancellationToken ct)
    {
        var (refreshed, purged, after) = (0, 0, (Expired?)null);
        while (await NextAsync(after, ct) is { Count: > 0 } batch)
        {
            foreach (var tenant in batch.GroupBy(expired => expired.TenantId))
            {
                var done = await LookAfterAsync(tenant.Key, [.. tenant], ct);
                (refreshed, purged) = (refreshed + done.Refreshed, purged + done.Purged);
            }

            after = batch[^1];
        }

        if (refreshed + purged > 0)
        {
            _log.Expired(refreshed, purged);
        }

        return (refreshed, purged);
    }

    private async Task<IReadOnlyList<Expired>> NextAsync(Expired? after, CancellationToken ct)
    {
        await using var tx = _database.BeginWorker();
        var found = await tx.QueryAsync<Expired>(Sql.Expired, [after?.CacheExpiresAt ?? DateTimeOffset.UnixEpoch, after?.Id ?? Guid.Empty, BatchSize], ct);
        await tx.CommitAsync(ct);
        return found;
    }

    private async Task<(int Refreshed, int Purged)> LookAfterAsync(Guid tenantId, Expired[] expired, CancellationToken ct)
    {
        var now = _clock.GetUtcNow();
        await using var tx = _database.Begin(Actor.System(tenantId));
        tx.Gather();
        var asking = _actions.WaitingForSchemasAsync(tx, [.. expired.Select(e => e.SessionId).Distinct()], ct);
        var looking = tx.QueryAsync<Useless>(Sql.Useless, [expired.Select(e => e.Id).ToArray(), now], ct);
        await tx.AskAsync(ct);
        var awaited = (await asking).ToHashSet();
        var useless = (await looking).Where(u => !awaited.Contains(u.SessionId) || !u.IsActive).ToArray();
        var due = expired.Where(e => awaited.Contains(e.SessionId) && e.NextRefreshAt <= now).ExceptBy(useless.Select(u => u.Id), e => e.Id).ToArray();
        foreach (var one in due)
        {
            _work.Enqueue(tx, FetchSchema.WorkOf(one.SessionId, one.SchemaId, _clock.NewId()));
        }

        if (useless.Length > 0)
        {
            // Sessions before their states, as a fetch locks them.
            await _sessions.ForgetSchemasAsync(tx, [.. useless.Select(u => (u.SessionId, u.SchemaId))], ct);
            await tx.ExecuteAsync(Sql.Purge, [useless.Select(u => u.Id).ToArray(), now], ct);
        }

        await tx.CommitAsync(ct);
        return (due.Length, useless.Length);
    }

    private sealed record Expired(Guid TenantId, Guid Id, Guid SessionId, string SchemaId, DateTimeOffset CacheExpiresAt, DateTimeOffset NextRefreshAt);

    private sealed record Useless(Guid Id, Guid SessionId, string SchemaId, bool IsActive);

    private static class Sql
    {
        internal const string Expired =
            """
            SELECT tenant_id, id, session_id, schema_id, cache_expires_at, next_refresh_at FROM schemas.user_schema_state
            WHERE cache_expires_at <= now() AND (cache_expires_at, id) > ($1, $2)
            ORDER BY cache_expires_at, id LIMIT $3
            """;

        // A failing API may still be answered from keys within the schema's threshold; nothing else may.
        internal const string Useless =
            """
            SELECT s.id, s.session_id, s.schema_id, b.is_active
            FROM schemas.user_schema_state AS s JOIN schemas.brand_schemas AS b USING (tenant_id, schema_id)
            WHERE s.tenant_id = kernel.current_tenant_id() AND s.id = ANY ($1)
              AND (s.keys_read_at IS NULL OR NOT b.is_active OR NOT b.cache_on_error OR s.schema_version <> b.version
                   OR s.keys_read_at <= $2::timestamptz - make_interval(secs => b.stale_cache_threshold_seconds))
            """;

        // One that was fetched since is not expired.
        internal const string Purge = "DELETE FROM schemas.user_schema_state WHERE tenant_id = kernel.current_tenant_id() AND id = ANY ($1) AND cache_expires_at <= $2";
    }
}

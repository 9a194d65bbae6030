using System.Text.Json;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;

namespace AgentPlatform.Schemas;

/// <summary>What eligibility is told of a session's schemas. What it lacks is put on its way in the same transaction.</summary>
internal sealed class SchemaStates(WorkQueue work, TimeProvider clock) : ISchemaSource
{
    public async Task<IReadOnlyDictionary<string, SchemaReading>> ReadAsync(Transaction tx, Guid sessionId, IReadOnlyCollection<string> schemaIds, CancellationToken ct)
    {
        var (now, readings) = (clock.GetUtcNow(), new Dictionary<string, SchemaReading>(StringComparer.Ordinal));
        foreach (var row in await tx.QueryAsync<Row>(Sql.Needed, [sessionId, schemaIds.ToArray()], ct))
        {
            var reading = Of(row, now);
            readings[row.SchemaId] = reading;
            if (reading.Availability == SchemaReading.Fetching)
            {
                work.Enqueue(tx, FetchSchema.WorkOf(sessionId, row.SchemaId, clock.NewId()));
            }
        }

        return readings;
    }

    /// <summary>Pure. After an error it is asked again when its time has come, and not by everybody who looks.</summary>
    private static SchemaReading Of(Row row, DateTimeOffset now)
    {
        if (row.Keys is not { } keys)
        {
            return new(SchemaReading.Fetching, Parameters.None);
        }

        var state = new ContactSchemaState { SchemaVersion = row.SchemaVersion!, CurrentVersion = row.Version, CacheExpiresAt = row.CacheExpiresAt!.Value, StaleUntil = row.StaleUntil }.At(now);
        return state.Serves ? new(SchemaReading.Known, keys)
            : row.ApiError is not null && row.NextRefreshAt > now && state.Freshness != Freshness.Outdated ? new(SchemaReading.Unavailable, Parameters.None)
            : new(SchemaReading.Fetching, Parameters.None);
    }

    private sealed record Row(
        string SchemaId, string Version, string? SchemaVersion, JsonElement? Keys, DateTimeOffset? CacheExpiresAt, DateTimeOffset? StaleUntil, DateTimeOffset? NextRefreshAt,
        string? ApiError);

    private static class Sql
    {
        internal const string Needed =
            """
            SELECT b.schema_id, b.version, s.schema_version, s.keys, s.cache_expires_at, s.stale_until, s.next_refresh_at, s.api_error
            FROM schemas.brand_schemas AS b
            LEFT JOIN schemas.user_schema_state AS s ON s.tenant_id = b.tenant_id AND s.session_id = $1 AND s.schema_id = b.schema_id
            WHERE b.tenant_id = kernel.current_tenant_id() AND b.schema_id = ANY ($2) AND b.is_active
            ORDER BY b.schema_id
            """;
    }
}

/// <summary>What was answered for a contact that is another's now is asked for anew: the tenant's system may know them by another id.</summary>
internal sealed class MergedStates : IContactMergeParticipant
{
    public Task MoveAsync(Transaction tx, Guid from, Guid into, CancellationToken ct) => tx.ExecuteAsync(Sql.Forget, [from], ct);

    private static class Sql
    {
        internal const string Forget = "DELETE FROM schemas.user_schema_state WHERE tenant_id = kernel.current_tenant_id() AND contact_id = $1";
    }
}

/// <summary>What the tenant's own systems answered for a contact.</summary>
internal sealed class KeptOfContacts : IKeepsPersonalData
{
    public IReadOnlyList<Kept> Kept { get; } =
    [
        new("schemas.user_schema_state", Sql.States, Sql.EraseStates),
    ];

    private static class Sql
    {
        internal const string States =
            """
            SELECT to_jsonb(t)::text FROM schemas.user_schema_state AS t
            WHERE t.contact_id = ANY ($1)
            ORDER BY t.id OFFSET $2 LIMIT $3
            """;

        internal const string EraseStates =
            """
            DELETE FROM schemas.user_schema_state
            WHERE id IN (SELECT t.id FROM schemas.user_schema_state AS t WHERE t.contact_id = ANY ($1) LIMIT $2)
            RETURNING id
            """;
    }
}

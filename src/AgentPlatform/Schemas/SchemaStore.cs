using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Schemas;

/// <summary>Reads definitions and states. Nothing is fetched here.</summary>
internal sealed class SchemaStore(TimeProvider clock)
{
    internal Task<SchemaDefinition?> FindAsync(Transaction tx, string schemaId, CancellationToken ct) => tx.FindAsync<SchemaDefinition>(Sql.Find, [schemaId], ct);

    internal Task<SchemaDefinition?> LockAsync(Transaction tx, string schemaId, CancellationToken ct) => tx.FindAsync<SchemaDefinition>(Sql.Lock, [schemaId], ct);

    internal async Task<Page<SchemaDefinition>> ListAsync(Transaction tx, bool? active, PageRequest page, CancellationToken ct) =>
        Page<SchemaDefinition>.Cut(await tx.QueryAsync<SchemaDefinition>(Sql.List, [active, page.Before, page.Fetch], ct), page, schema => schema.Id);

    /// <summary>As of now; null when the session has asked for nothing of the kind yet.</summary>
    internal async Task<ContactSchemaState?> StateAsync(Transaction tx, Guid sessionId, string schemaId, CancellationToken ct) =>
        (await tx.FindAsync<ContactSchemaState>(Sql.State, [sessionId, schemaId], ct))?.At(clock.GetUtcNow());

    internal async Task<Page<ContactSchemaState>> StatesAsync(Transaction tx, Guid? sessionId, Guid? contactId, PageRequest page, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        var rows = await tx.QueryAsync<ContactSchemaState>(Sql.States, [sessionId, contactId, page.Before, page.Fetch], ct);
        return Page<ContactSchemaState>.Cut([.. rows.Select(state => state.At(now))], page, state => state.Id);
    }

    /// <summary>The row of the session and the schema, made or replaced; in the same place if it was there.</summary>
    internal async Task<ContactSchemaState> PutAsync(Transaction tx, ContactSchemaState s, CancellationToken ct) =>
        await tx.SingleAsync<ContactSchemaState>(
            Sql.Put,
            [
                clock.NewId(), s.SessionId, s.ContactId, s.AgentId, s.ConversationId, s.SchemaId, s.SchemaVersion, s.LastFetchedAt, s.ApiResponseStatus, s.ApiResponseTimeMs, s.ApiError,
                s.KeysReadAt, s.CacheExpiresAt, s.StaleUntil, s.NextRefreshAt, s.Keys, s.SchemaStatus, s.SchemaCompletionPercentage,
                s.RequiredKeysComplete, s.RequiredKeysTotal, s.OptionalKeysComplete, s.OptionalKeysTotal,
            ],
            ct);

    /// <summary>Nobody will ask for it again.</summary>
    internal void Forget(Transaction tx, Guid sessionId, string schemaId) => tx.Post(Sql.Forget, sessionId, schemaId);

    private static class Sql
    {
        internal const string Find = "SELECT * FROM schemas.brand_schemas WHERE tenant_id = kernel.current_tenant_id() AND schema_id = $1";

        internal const string Lock = "SELECT * FROM schemas.brand_schemas WHERE tenant_id = kernel.current_tenant_id() AND schema_id = $1 FOR UPDATE";

        internal const string List =
            """
            SELECT * FROM schemas.brand_schemas
            WHERE tenant_id = kernel.current_tenant_id() AND ($1::boolean IS NULL OR is_active = $1) AND ($2::uuid IS NULL OR id < $2)
            ORDER BY id DESC LIMIT $3
            """;

        internal const string State =
            """
            SELECT s.*, CASE WHEN b.is_active THEN b.version END AS current_version
            FROM schemas.user_schema_state AS s JOIN schemas.brand_schemas AS b USING (tenant_id, schema_id)
            WHERE s.tenant_id = kernel.current_tenant_id() AND s.session_id = $1 AND s.schema_id = $2
            """;

        internal const string States =
            """
            SELECT s.*, CASE WHEN b.is_active THEN b.version END AS current_version
            FROM schemas.user_schema_state AS s JOIN schemas.brand_schemas AS b USING (tenant_id, schema_id)
            WHERE s.tenant_id = kernel.current_tenant_id() AND ($1::uuid IS NULL OR s.session_id = $1) AND ($2::uuid IS NULL OR s.contact_id = $2)
              AND ($3::uuid IS NULL OR s.id < $3)
            ORDER BY s.id DESC LIMIT $4
            """;

        internal const string Forget = "DELETE FROM schemas.user_schema_state WHERE tenant_id = kernel.current_tenant_id() AND session_id = $1 AND schema_id = $2";

        internal const string Put =
            """
            INSERT INTO schemas.user_schema_state (
                tenant_id, id, session_id, contact_id, agent_id, conversation_id, schema_id, schema_version, last_fetched_at, api_response_status, api_response_time_ms, api_error,
                keys_read_at, cache_expires_at, stale_until, next_refresh_at, keys, schema_status, schema_completion_percentage,
                required_keys_complete, required_keys_total, optional_keys_complete, optional_keys_total)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
            ON CONFLICT ON CONSTRAINT schema_state_once_per_session DO UPDATE SET
                contact_id = excluded.contact_id, schema_version = excluded.schema_version, last_fetched_at = excluded.last_fetched_at,
                api_response_status = excluded.api_response_status, api_response_time_ms = excluded.api_response_time_ms, api_error = excluded.api_error,
                keys_read_at = excluded.keys_read_at, cache_expires_at = excluded.cache_expires_at, stale_until = excluded.stale_until, next_refresh_at = excluded.next_refresh_at,
                keys = excluded.keys, schema_status = excluded.schema_status, schema_completion_percentage = excluded.schema_completion_percentage,
                required_keys_complete = excluded.required_keys_complete, required_keys_total = excluded.required_keys_total,
                optional_keys_complete = excluded.optional_keys_complete, optional_keys_total = excluded.optional_keys_total
            RETURNING *, schema_version AS current_version
            """;
    }
}

using System.Globalization;
using AgentPlatform.Actions;
using AgentPlatform.Api;
using AgentPlatform.Channels;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Npgsql;

namespace AgentPlatform.Schemas;

/// <summary>Definitions of schemas. A change is seen by the next question; what waits for a schema is looked at again at once.</summary>
public sealed class ManageSchemas
{
    private readonly Database _database;
    private readonly SchemaStore _store;
    private readonly SecretBox _secrets;
    private readonly ActionQueue _actions;
    private readonly WorkQueue _work;
    private readonly EventStore _events;
    private readonly TimeProvider _clock;

    internal ManageSchemas(Database database, SchemaStore store, SecretBox secrets, ActionQueue actions, WorkQueue work, EventStore events, TimeProvider clock) =>
        (_database, _store, _secrets, _actions, _work, _events, _clock) = (database, store, secrets, actions, work, events, clock);

    public async Task<Result<SchemaDefinition>> CreateAsync(Actor actor, SchemaInput input, CancellationToken ct)
    {
        if ((SchemaRules.Check(input) ?? TokenMissing(input, kept: false)) is { } invalid)
        {
            return invalid;
        }

        await using var tx = _database.Begin(actor);
        var id = _clock.NewId();
        try
        {
            await tx.ExecuteAsync(Sql.Create, [id, .. Values(input, input.Version ?? "1.0", Sealed(input, id, null))], ct);
        }
        catch (PostgresException e) when (e.ConstraintName == "schema_once_per_brand")
        {
            return Problem.Conflict("schema_id_taken", "There is a schema of this id.");
        }

        return await DoneAsync(tx, input.SchemaId!, "schema.created", ct);
    }

    /// <summary>All of it, every time; a token that is left out stays, unless the endpoint is another host's now.</summary>
    public async Task<Result<SchemaDefinition>> ReplaceAsync(Actor actor, SchemaInput input, IfMatch ifMatch, CancellationToken ct)
    {
        if (SchemaRules.Check(input) is { } invalid)
        {
            return invalid;
        }

        await using var tx = _database.Begin(actor);
        if (await _store.LockAsync(tx, input.SchemaId!, ct) is not { } before)
        {
            return Problem.NotFound("schema");
        }

        if ((ifMatch.Check(before.UpdatedAt) ?? TokenMissing(input, kept: before.SealedToken is not null && IsSameHost(before.ApiEndpoint, input.ApiEndpoint!))) is { } refused)
        {
            return refused;
        }

        var values = Values(input, VersionAfter(before, input), Sealed(input, before.Id, before));
        await tx.ExecuteAsync(Sql.Replace, [before.Id, .. values], ct);
        return await DoneAsync(tx, before.SchemaId, "schema.changed", ct);
    }

    /// <summary>What was cached goes with it.</summary>
    public async Task<Result<Guid>> DeleteAsync(Actor actor, string schemaId, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = _database.Begin(actor);
        if (await _store.LockAsync(tx, schemaId, ct) is not { } schema)
        {
            return Problem.NotFound("schema");
        }

        if (ifMatch.Check(schema.UpdatedAt) is { } stale)
        {
            return stale;
        }

        tx.Post(Sql.Delete, schema.Id);
        _events.Append(tx, new NewEvent("schema.deleted", "schema", schema.Id, new { schema_id = schemaId }));
        await tx.CommitAsync(ct);
        return schema.Id;
    }

    private async Task<Result<SchemaDefinition>> DoneAsync(Transaction tx, string schemaId, string happened, CancellationToken ct)
    {
        tx.Gather();
        var (reading, asking) = (_store.FindAsync(tx, schemaId, ct), _actions.WaitingForSchemasAsync(tx, null, ct));
        await tx.AskAsync(ct);
        var schema = (await reading)!;
        foreach (var sessionId in await asking)
        {
            _work.Enqueue(tx, FetchSchema.WorkOf(sessionId, schemaId, _clock.NewId()));
        }

        _events.Append(tx, new NewEvent(happened, "schema", schema.Id, new { schema_id = schemaId, version = schema.Version, is_active = schema.IsActive }));
        await tx.CommitAsync(ct);
        return schema;
    }

    private static Problem? TokenMissing(SchemaInput input, bool kept) =>
        input.ApiAuth.Type == SchemaAuth.Bearer && input.ApiToken is null && !kept
            ? Problem.Invalid("api_token", "Is required: a token belongs to the host it was given for.")
            : null;

    private static bool IsSameHost(string before, string after) =>
        new Uri(before).GetLeftPart(UriPartial.Authority) == new Uri(after).GetLeftPart(UriPartial.Authority);

    private (string? Token, string? Hint) Sealed(SchemaInput input, Guid id, SchemaDefinition? before) =>
        input.ApiAuth.Type != SchemaAuth.Bearer ? (null, null)
        : input.ApiToken is { } token ? (_secrets.Seal(token, id), token.Length >= 12 ? $"…{token[^4..]}" : "…")
        : (before!.SealedToken, before.TokenHint);

    /// <summary>Whatever is asked for or read in another way makes a new version; names and caching do not.</summary>
    private static string VersionAfter(SchemaDefinition before, SchemaInput input)
    {
        if (input.Version is { } given && given != before.Version)
        {
            return given;
        }

        var was = Json.Of(new { before.ApiEndpoint, before.ApiMethod, auth = before.Auth, headers = before.ApiHeaders, keys = before.KeyDefinitions, logic = before.SchemaCompletionLogic });
        var next = Json.Of(new { input.ApiEndpoint, input.ApiMethod, auth = input.ApiAuth, headers = input.ApiHeaders, keys = input.Keys, logic = input.SchemaCompletionLogic });
        var dot = before.Version.IndexOf('.', StringComparison.Ordinal);
        return System.Text.Json.JsonElement.DeepEquals(was, next) ? before.Version
            : $"{before.Version[..dot]}.{(int.Parse(before.Version[(dot + 1)..], CultureInfo.InvariantCulture) + 1).ToString(CultureInfo.InvariantCulture)}";
    }

    private static object?[] Values(SchemaInput s, string version, (string? Token, string? Hint) secret) =>
    [
        s.SchemaId, s.SchemaName!.Trim(), s.Description, version, s.Category, s.ApiEndpoint, s.ApiMethod, Json.Param(s.ApiAuth), secret.Token, secret.Hint,
        Json.Param(s.ApiHeaders), s.ApiTimeoutSeconds, s.RefreshStrategy, s.CacheTtlSeconds, s.CacheOnError, s.StaleCacheThresholdSeconds, Json.Param(s.Keys),
        Json.Param(s.SchemaCompletionLogic), Json.Param(s.ApiErrorHandling), s.IsActive,
    ];

    private static class Sql
    {
        internal const string Create =
            """
            INSERT INTO schemas.brand_schemas (
                tenant_id, id, schema_id, schema_name, description, version, category, api_endpoint, api_method, api_auth, sealed_token, token_hint, api_headers,
                api_timeout_seconds, refresh_strategy, cache_ttl_seconds, cache_on_error, stale_cache_threshold_seconds, keys, schema_completion_logic, api_error_handling, is_active)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
            """;

        internal const string Replace =
            """
            UPDATE schemas.brand_schemas SET
                schema_id = $2, schema_name = $3, description = $4, version = $5, category = $6, api_endpoint = $7, api_method = $8, api_auth = $9, sealed_token = $10,
                token_hint = $11, api_headers = $12, api_timeout_seconds = $13, refresh_strategy = $14, cache_ttl_seconds = $15, cache_on_error = $16,
                stale_cache_threshold_seconds = $17, keys = $18, schema_completion_logic = $19, api_error_handling = $20, is_active = $21
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            """;

        internal const string Delete = "DELETE FROM schemas.brand_schemas WHERE tenant_id = kernel.current_tenant_id() AND id = $1";
    }
}

using AgentPlatform.Api;
using AgentPlatform.Channels;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Models;

/// <summary>What operators do to the tenant's models.</summary>
internal sealed class ManageModels(Database database, ModelCatalog catalog, SecretBox box, EventStore events, TimeProvider clock)
{
    private static readonly string[] Providers = ["anthropic", "openai"];

    internal async Task<Result<LlmModel>> AddAsync(Actor actor, LlmModelInput input, CancellationToken ct)
    {
        if (Check(input, isNew: true) is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        var id = clock.NewId();
        try
        {
            await tx.ExecuteAsync(
                Sql.Add,
                [
                    id, input.Name!.Trim(), input.Provider, input.Model!.Trim(), Url(input), Seal(input.ApiKey, id), input.InputPrice ?? 0, input.OutputPrice ?? 0,
                    input.CacheWritePrice ?? input.InputPrice ?? 0, input.CacheReadPrice ?? input.InputPrice ?? 0, input.MaxOutputTokens ?? 1024, input.TimeoutSeconds ?? 30, input.IsActive ?? true,
                ],
                ct);
        }
        catch (PostgresException e) when (e.ConstraintName == "llm_model_name_is_unique")
        {
            return NameTaken;
        }

        return await DoneAsync(tx, id, "model.added", ct);
    }

    internal async Task<Result<LlmModel>> ChangeAsync(Actor actor, Guid id, LlmModelInput input, IfMatch ifMatch, CancellationToken ct)
    {
        if (Check(input, isNew: false) is { } invalid)
        {
            return invalid;
        }

        await using var tx = database.Begin(actor);
        if (await LockedAsync(tx, id, ifMatch, ct) is { } problem)
        {
            return problem;
        }

        if (NeedsKey((await catalog.FindAsync(tx, id, ct))!, input))
        {
            return Problem.Invalid("api_key", "Is required: a key belongs to the address it was given for. Empty removes it.");
        }

        try
        {
            await tx.ExecuteAsync(
                Sql.Change,
                [
                    id, input.Name?.Trim(), input.Provider, input.Model?.Trim(), input.BaseUrl is not null, Url(input), input.ApiKey is not null, Seal(input.ApiKey, id), input.InputPrice, input.OutputPrice,
                    input.CacheWritePrice, input.CacheReadPrice, input.MaxOutputTokens, input.TimeoutSeconds, input.IsActive,
                ],
                ct);
        }
        catch (PostgresException e) when (e.ConstraintName == "llm_model_name_is_unique")
        {
            return NameTaken;
        }

        return await DoneAsync(tx, id, "model.changed", ct);
    }

    internal async Task<Result<Guid>> RemoveAsync(Actor actor, Guid id, IfMatch ifMatch, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if (await LockedAsync(tx, id, ifMatch, ct) is { } problem)
        {
            return problem;
        }

        tx.Post(Sql.Remove, id);
        events.Append(tx, new NewEvent("model.removed", "model", id, new { }));
        await tx.CommitAsync(ct);
        return id;
    }

    private static Problem NameTaken => Problem.Conflict("model_name_taken", "Another model of this tenant has this name.");

    /// <summary>Whoever may change a model must not be able to have its key sent somewhere else.</summary>
    private static bool NeedsKey(LlmModel before, LlmModelInput input) =>
        before.HasApiKey && input.ApiKey is null
        && ((input.Provider is not null && input.Provider != before.Provider) || (input.BaseUrl is not null && Address(Url(input)) != Address(before.BaseUrl)));

    private static string? Address(string? url) => url is null ? null : new Uri(url).GetLeftPart(UriPartial.Authority);

    private static string? Url(LlmModelInput input) => string.IsNullOrEmpty(input.BaseUrl) ? null : input.BaseUrl;

    private string? Seal(string? key, Guid id) => string.IsNullOrEmpty(key) ? null : box.Seal(key, id);

    private static async Task<Problem?> LockedAsync(Transaction tx, Guid id, IfMatch ifMatch, CancellationToken ct) =>
        await tx.FindAsync<DateTimeOffset?>(Sql.Lock, [id], ct) is { } updatedAt ? ifMatch.Check(updatedAt) : Problem.NotFound("model");

    private async Task<Result<LlmModel>> DoneAsync(Transaction tx, Guid id, string happened, CancellationToken ct)
    {
        var model = (await catalog.FindAsync(tx, id, ct))!;
        events.Append(tx, new NewEvent(happened, "model", id, new { name = model.Name, provider = model.Provider, model = model.Model }));
        await tx.CommitAsync(ct);
        return model;
    }

    private static Problem? Check(LlmModelInput input, bool isNew) => new Validation()
        .Text("name", input.Name, 100, required: isNew || input.Name is not null)
        .OneOf("provider", input.Provider, required: isNew, Providers)
        .Text("model", input.Model, 100, required: isNew || input.Model is not null)
        .Text("base_url", input.BaseUrl, 500)
        .Check("base_url", Url(input) is null || (Uri.TryCreate(input.BaseUrl, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" && url is { UserInfo: "", Query: "" }), "Must be an http(s) URL without credentials and query.")
        .Text("api_key", input.ApiKey, 1000)
        .Check("input_price", IsPrice(input.InputPrice), Price)
        .Check("output_price", IsPrice(input.OutputPrice), Price)
        .Check("cache_write_price", IsPrice(input.CacheWritePrice), Price)
        .Check("cache_read_price", IsPrice(input.CacheReadPrice), Price)
        .Check("max_output_tokens", input.MaxOutputTokens is null or (>= 64 and <= 32000), "Must be 64 to 32000.")
        .Check("timeout_seconds", input.TimeoutSeconds is null or (>= 1 and <= 120), "Must be 1 to 120.")
        .Problem;

    private const string Price = "Must be 0 to 100000 dollars for a million tokens.";

    private static bool IsPrice(decimal? price) => price is null or (>= 0 and <= 100_000);

    private static class Sql
    {
        internal const string Add =
            """
            INSERT INTO models.llm_models (tenant_id, id, name, provider, model, base_url, api_key_sealed, input_price, output_price, cache_write_price,
                                           cache_read_price, max_output_tokens, timeout_seconds, is_active)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
            """;

        internal const string Change =
            """
            UPDATE models.llm_models
            SET name = coalesce($2, name), provider = coalesce($3, provider), model = coalesce($4, model), base_url = CASE WHEN $5 THEN $6 ELSE base_url END,
                api_key_sealed = CASE WHEN $7 THEN $8 ELSE api_key_sealed END, input_price = coalesce($9, input_price), output_price = coalesce($10, output_price),
                cache_write_price = coalesce($11, cache_write_price), cache_read_price = coalesce($12, cache_read_price),
                max_output_tokens = coalesce($13, max_output_tokens), timeout_seconds = coalesce($14, timeout_seconds), is_active = coalesce($15, is_active)
            WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            """;

        internal const string Lock = "SELECT updated_at FROM models.llm_models WHERE tenant_id = kernel.current_tenant_id() AND id = $1 FOR UPDATE";

        internal const string Remove = "DELETE FROM models.llm_models WHERE tenant_id = kernel.current_tenant_id() AND id = $1";
    }
}

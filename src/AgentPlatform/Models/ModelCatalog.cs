using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Models;

/// <summary>Finds the models of the transaction's tenant.</summary>
public sealed class ModelCatalog
{
    /// <summary>The active ones of these names, in the order of the names.</summary>
    public Task<IReadOnlyList<LlmModel>> ChainAsync(Transaction tx, IReadOnlyList<string> names, CancellationToken ct) =>
        tx.QueryAsync<LlmModel>(Sql.Chain, [names.ToArray()], ct);

    internal Task<LlmModel?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<LlmModel>(Sql.Find, [id], ct);

    internal async Task<Page<LlmModel>> ListAsync(Transaction tx, PageRequest page, CancellationToken ct) =>
        Page<LlmModel>.Cut(await tx.QueryAsync<LlmModel>(Sql.List, [page.Before, page.Fetch], ct), page, m => m.Id);

    private static class Sql
    {
        internal const string Chain =
            """
            SELECT m.id, m.name, m.provider, m.model, m.base_url, m.api_key_sealed, m.input_price, m.output_price, m.cache_write_price, m.cache_read_price,
                   m.max_output_tokens, m.timeout_seconds, m.is_active, m.created_at, m.updated_at
            FROM unnest($1::text[]) WITH ORDINALITY AS n (name, place)
            JOIN models.llm_models AS m ON m.tenant_id = kernel.current_tenant_id() AND m.name = n.name AND m.is_active
            ORDER BY n.place
            """;

        internal const string Find =
            """
            SELECT id, name, provider, model, base_url, api_key_sealed, input_price, output_price, cache_write_price, cache_read_price,
                   max_output_tokens, timeout_seconds, is_active, created_at, updated_at
            FROM models.llm_models WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            """;

        internal const string List =
            """
            SELECT id, name, provider, model, base_url, api_key_sealed, input_price, output_price, cache_write_price, cache_read_price,
                   max_output_tokens, timeout_seconds, is_active, created_at, updated_at
            FROM models.llm_models WHERE tenant_id = kernel.current_tenant_id() AND ($1::uuid IS NULL OR id < $1)
            ORDER BY id DESC LIMIT $2
            """;
    }
}

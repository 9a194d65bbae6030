using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Memory.Episodes;

/// <summary>What happened and what held. Every method joins the caller's transaction.</summary>
public sealed class EpisodeStore(ITextEmbedder embedder, TimeProvider clock)
{
    /// <summary>What a person has said or an operator entered weighs more than what was guessed.</summary>
    private const double OfVerifiedFact = 0.8;

    internal static async Task<Page<Episode>> ListAsync(Transaction tx, EpisodeFilter filter, PageRequest page, CancellationToken ct) => Page<Episode>.Cut(
        await tx.QueryAsync<Episode>(
            Sql.List,
            [
                filter.AgentId, filter.ContactId, filter.SessionId, filter.GroupId, filter.EpisodeType, filter.AsOf?.ToUniversalTime(), filter.KnownAt?.ToUniversalTime(),
                filter.Embedded, page.Before, page.Fetch,
            ], ct), page, e => e.Id);

    internal static Task<Episode?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Episode>(Sql.Find, [id], ct);

    internal Task<Episode> AddAsync(Transaction tx, EpisodeInput input, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        var from = input.ValidFrom?.ToUniversalTime() ?? (input.ValidTo < now ? input.ValidTo.Value.ToUniversalTime() : now);
        return tx.SingleAsync<Episode>(
            Sql.Add,
            [
                clock.NewId(), input.AgentId, input.ContactId, input.SessionId, input.GroupId, input.Content!.Trim(), input.EpisodeType, input.Importance ?? 0.5, from,
                input.ValidTo?.ToUniversalTime(), now, Json.Param(input.Metadata ?? Json.Of(new { })),
            ], ct);
    }

    /// <summary>A turn; told twice, it is kept once.</summary>
    internal void AddTurn(Transaction tx, Guid turnId, KeptTurn turn, string content, DateTimeOffset at, int number) => tx.Post(
        Sql.AddTurn, turnId, turn.AgentId, turn.ContactId, turn.ConversationId, turn.SessionId, content, at.ToUniversalTime(), clock.GetUtcNow(), Json.Param(new { turn_number = number }));

    /// <summary>The values of a profile's fields, each with its time; those that are known already only end, or change hands.</summary>
    internal void KeepFacts(Transaction tx, Guid contactId, IEnumerable<ProfileField> values)
    {
        ProfileField[] told = [.. values.Where(v => !string.IsNullOrWhiteSpace(v.FieldValue))];
        if (told.Length > 0)
        {
            tx.Post(
                Sql.KeepFacts, contactId, told.Select(v => v.Id).ToArray(), told.Select(v => $"{v.FieldName.Replace('_', ' ')}: {v.FieldValue}").ToArray(),
                told.Select(v => v.Verified ? OfVerifiedFact : 0.5).ToArray(), told.Select(v => v.ValidFrom.ToUniversalTime()).ToArray(), told.Select(v => v.ValidTo?.ToUniversalTime()).ToArray(),
                told.Select(v => v.FieldName).ToArray(), clock.GetUtcNow());
        }
    }

    /// <summary>Those of the tenant's that have no embedding yet, oldest first.</summary>
    internal static Task<IReadOnlyList<Unembedded>> UnembeddedAsync(Transaction tx, int count, CancellationToken ct) => tx.QueryAsync<Unembedded>(Sql.Unembedded, [count], ct);

    internal void Embed(Transaction tx, IEnumerable<Unembedded> episodes)
    {
        foreach (var episode in episodes)
        {
            tx.Post(Sql.Embed, episode.Id, embedder.Embed(episode.Content, Dimensions.Episodes), embedder.Model);
        }
    }

    internal static async Task<bool> DeleteAsync(Transaction tx, Guid id, CancellationToken ct) => await tx.ExecuteAsync(Sql.Delete, [id], ct) == 1;

    /// <summary>Everything of a contact.</summary>
    internal static Task<int> ForgetAsync(Transaction tx, Guid contactId, CancellationToken ct) => tx.ExecuteAsync(Sql.Forget, [contactId], ct);

    internal static void Move(Transaction tx, Guid from, Guid into) => tx.Post(Sql.Move, from, into);

    internal sealed record Unembedded(Guid Id, string Content);

    private static class Sql
    {
        internal const string List =
            """
            SELECT id, agent_id, customer_profile_id, conversation_id, session_id, group_id, content, episode_type, importance, valid_from, valid_to, recorded_at,
                   embedding_model, metadata
            FROM memory.episodes
            WHERE tenant_id = kernel.current_tenant_id() AND ($1::uuid IS NULL OR agent_id = $1) AND ($2::uuid IS NULL OR customer_profile_id = $2)
              AND ($3::uuid IS NULL OR session_id = $3) AND ($4::uuid IS NULL OR group_id = $4) AND ($5::text IS NULL OR episode_type = $5)
              AND ($6::timestamptz IS NULL OR (valid_from <= $6 AND (valid_to IS NULL OR valid_to > $6))) AND ($7::timestamptz IS NULL OR recorded_at <= $7)
              AND ($8::boolean IS NULL OR (embedding IS NOT NULL) = $8) AND ($9::uuid IS NULL OR id < $9)
            ORDER BY id DESC LIMIT $10
            """;

        internal const string Find =
            """
            SELECT id, agent_id, customer_profile_id, conversation_id, session_id, group_id, content, episode_type, importance, valid_from, valid_to, recorded_at,
                   embedding_model, metadata
            FROM memory.episodes WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            """;

        internal const string Add =
            """
            INSERT INTO memory.episodes (
                tenant_id, id, agent_id, customer_profile_id, session_id, group_id, content, episode_type, importance, valid_from, valid_to, recorded_at, metadata)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            RETURNING id, agent_id, customer_profile_id, conversation_id, session_id, group_id, content, episode_type, importance, valid_from, valid_to, recorded_at,
                      embedding_model, metadata
            """;

        internal const string AddTurn =
            """
            INSERT INTO memory.episodes (
                tenant_id, id, agent_id, customer_profile_id, conversation_id, session_id, group_id, content, episode_type, valid_from, recorded_at, metadata)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $4, $6, 'TURN', $7, $8, $9)
            ON CONFLICT (tenant_id, id) DO NOTHING
            """;

        internal const string KeepFacts =
            """
            INSERT INTO memory.episodes AS e (
                tenant_id, id, customer_profile_id, content, episode_type, importance, valid_from, valid_to, recorded_at, metadata)
            SELECT kernel.current_tenant_id(), f.id, $1, f.content, 'FACT', f.importance, f.valid_from, f.valid_to, $8, jsonb_build_object('field_name', f.field_name)
            FROM unnest($2::uuid[], $3::text[], $4::float8[], $5::timestamptz[], $6::timestamptz[], $7::text[])
                AS f (id, content, importance, valid_from, valid_to, field_name)
            ON CONFLICT (tenant_id, id) DO UPDATE SET valid_to = excluded.valid_to, customer_profile_id = excluded.customer_profile_id
            WHERE e.valid_to IS DISTINCT FROM excluded.valid_to OR e.customer_profile_id IS DISTINCT FROM excluded.customer_profile_id
            """;

        internal const string Unembedded =
            "SELECT id, content FROM memory.episodes WHERE tenant_id = kernel.current_tenant_id() AND embedding IS NULL ORDER BY id LIMIT $1";

        internal const string Embed =
            """
            UPDATE memory.episodes SET embedding = $2::real[]::vector, embedding_model = $3 WHERE tenant_id = kernel.current_tenant_id() AND id = $1 AND embedding IS NULL
            """;

        internal const string Delete = "DELETE FROM memory.episodes WHERE tenant_id = kernel.current_tenant_id() AND id = $1";

        internal const string Forget = "DELETE FROM memory.episodes WHERE tenant_id = kernel.current_tenant_id() AND customer_profile_id = $1";

        internal const string Move = "UPDATE memory.episodes SET customer_profile_id = $2 WHERE tenant_id = kernel.current_tenant_id() AND customer_profile_id = $1";
    }
}

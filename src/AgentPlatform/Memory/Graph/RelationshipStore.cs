using System.Text.Json;
using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Memory.Graph;

/// <summary>How entities stand to each other, over time. Every method joins the caller's transaction.</summary>
public sealed class RelationshipStore(TimeProvider clock)
{
    /// <summary>How far a piece of evidence moves the strength towards 1 or towards 0.</summary>
    private const decimal Step = 0.25m;

    internal const int MostDistance = 3;

    internal static async Task<Page<Relationship>> ListAsync(Transaction tx, Guid? entityId, string? type, DateTimeOffset? asOf, PageRequest page, CancellationToken ct) =>
        Page<Relationship>.Cut(await tx.QueryAsync<Relationship>(Sql.List, [entityId, type, asOf?.ToUniversalTime(), page.Before, page.Fetch], ct), page, r => r.Id);

    internal static Task<Relationship?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Relationship>(Sql.Find, [id], ct);

    /// <summary>Pure: what evidence makes of a strength.</summary>
    internal static decimal Weigh(decimal strength, bool supports) => Math.Round(supports ? strength + ((1 - strength) * Step) : strength * (1 - Step), 2);

    /// <summary>What holds from then on: see <see cref="RelationshipInput"/>.</summary>
    internal async Task<Result<Relationship>> AssertAsync(Transaction tx, RelationshipInput input, CancellationToken ct)
    {
        var (source, target, type) = (input.SourceEntityId!.Value, input.TargetEntityId!.Value, input.RelationshipType!.Trim());
        // Those who write of one source take turns, so what is open now is still open when it is closed.
        if (await tx.FindAsync<Guid?>(Sql.Lock, [source], ct) is null || await EntityStore.FindAsync(tx, target, ct) is null)
        {
            return Problem.NotFound("entity");
        }

        var from = input.ValidFrom?.ToUniversalTime() ?? clock.GetUtcNow();
        var (confidence, metadata) = (input.Confidence ?? 1.0, input.Metadata ?? Json.Of(new { }));
        var known = await tx.FindAsync<Relationship>(Sql.Open, [source, target, type], ct);
        var isSame = known is not null && known.Confidence.Equals(confidence) && JsonElement.DeepEquals(known.Metadata, metadata);
        if (known is { ValidFrom: var began } && !isSame && began >= from)
        {
            return Problem.Conflict("relationship_order", "What it would end began no earlier.", $"It began at {began:O}.");
        }

        if (input.Exclusive && await tx.FindAsync<DateTimeOffset?>(Sql.Later, [source, target, type, from], ct) is { } later)
        {
            return Problem.Conflict("relationship_order", "One to another entity began no earlier.", $"It began at {later:O}.");
        }

        tx.Post(Sql.EndAll, source, type, from, isSame ? target : null, input.Exclusive ? null : target);
        if (isSame)
        {
            return known!;
        }

        return await tx.FindAsync<Relationship>(Sql.Add, [clock.NewId(), source, target, type, confidence, known?.Strength ?? 1m, from, Json.Param(metadata)], ct) is { } added
            ? added
            : Problem.Conflict("relationship_exists", "There was such a relationship from that moment on.");
    }

    /// <summary>The relationship as it is weighed then; null when there is none.</summary>
    internal static async Task<Relationship?> WeighAsync(Transaction tx, Guid id, bool supports, CancellationToken ct) =>
        await tx.FindAsync<Relationship>(Sql.LockOne, [id], ct) is { } known
            ? await tx.SingleAsync<Relationship>(Sql.Weigh, [id, Weigh(known.Strength, supports)], ct)
            : null;

    internal async Task<Result<Relationship>> EndAsync(Transaction tx, Guid id, DateTimeOffset? at, CancellationToken ct)
    {
        var moment = at?.ToUniversalTime() ?? clock.GetUtcNow();
        return await tx.FindAsync<Relationship>(Sql.LockOne, [id], ct) switch
        {
            null => Problem.NotFound("relationship"),
            { ValidTo: not null } => Problem.Conflict("relationship_ended", "The relationship has ended already."),
            { ValidFrom: var from } when from > moment => Problem.Conflict("relationship_order", "The relationship began later.", $"It began at {from:O}."),
            _ => await tx.SingleAsync<Relationship>(Sql.End, [id, moment], ct),
        };
    }

    /// <summary>Where a contact worked, and when: each value of its field <c>company</c>, oldest first, with the company's entity. Told twice, it is kept once.</summary>
    internal static void KeepEmployments(Transaction tx, Guid person, string type, IReadOnlyList<(ProfileField Field, Guid Company)> jobs)
    {
        tx.Post(Sql.EndKnown, jobs.Select(j => j.Field.Id).ToArray(), jobs.Select(j => j.Field.ValidTo?.ToUniversalTime()).ToArray());
        tx.Post(
            Sql.AddMany, person, type, jobs.Select(j => j.Field.Id).ToArray(), jobs.Select(j => j.Company).ToArray(), jobs.Select(j => j.Field.Confidence).ToArray(),
            jobs.Select(j => j.Field.ValidFrom.ToUniversalTime()).ToArray(), jobs.Select(j => j.Field.ValidTo?.ToUniversalTime()).ToArray());
    }

    /// <summary>
    /// Whom entities reach over relationships that held at a moment, from either end, each by its best way; nearest first. Those that another agent knows, or that
    /// are another contact, are left out where an agent or a contact is named.
    /// </summary>
    internal Task<IReadOnlyList<Neighbour>> NeighboursAsync(
        Transaction tx, Guid[] entityIds, NeighbourFilter filter, int distance, int limit, CancellationToken ct) =>
        tx.QueryAsync<Neighbour>(Sql.Neighbours, [entityIds, filter.AsOf?.ToUniversalTime() ?? clock.GetUtcNow(), filter.Type, distance, limit, filter.AgentId, filter.ContactId], ct);

    private static class Sql
    {
        internal const string List =
            """
            SELECT id, source_entity_id, target_entity_id, relationship_type, confidence, strength, valid_from, valid_to, metadata, created_at
            FROM memory.relationships
            WHERE tenant_id = kernel.current_tenant_id() AND ($1::uuid IS NULL OR source_entity_id = $1 OR target_entity_id = $1)
              AND ($2::text IS NULL OR relationship_type = $2)
              AND ($3::timestamptz IS NULL OR (valid_from <= $3 AND (valid_to IS NULL OR valid_to > $3))) AND ($4::uuid IS NULL OR id < $4)
            ORDER BY id DESC LIMIT $5
            """;

        internal const string Find =
            """
            SELECT id, source_entity_id, target_entity_id, relationship_type, confidence, strength, valid_from, valid_to, metadata, created_at
            FROM memory.relationships WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            """;

        internal const string Lock = "SELECT id FROM memory.entities WHERE tenant_id = kernel.current_tenant_id() AND id = $1 FOR NO KEY UPDATE";

        internal const string LockOne =
            """
            SELECT id, source_entity_id, target_entity_id, relationship_type, confidence, strength, valid_from, valid_to, metadata, created_at
            FROM memory.relationships WHERE tenant_id = kernel.current_tenant_id() AND id = $1 FOR NO KEY UPDATE
            """;

        internal const string Open =
            """
            SELECT id, source_entity_id, target_entity_id, relationship_type, confidence, strength, valid_from, valid_to, metadata, created_at
            FROM memory.relationships
            WHERE tenant_id = kernel.current_tenant_id() AND source_entity_id = $1 AND target_entity_id = $2 AND relationship_type = $3 AND valid_to IS NULL
            """;

        internal const string Later =
            """
            SELECT valid_from FROM memory.relationships
            WHERE tenant_id = kernel.current_tenant_id() AND source_entity_id = $1 AND target_entity_id <> $2 AND relationship_type = $3 AND valid_to IS NULL AND valid_from >= $4
            ORDER BY valid_from LIMIT 1
            """;

        internal const string Add =
            """
            INSERT INTO memory.relationships (tenant_id, id, source_entity_id, target_entity_id, relationship_type, confidence, strength, valid_from, metadata)
            VALUES (kernel.current_tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT ON CONSTRAINT uq_relationships DO NOTHING
            RETURNING id, source_entity_id, target_entity_id, relationship_type, confidence, strength, valid_from, valid_to, metadata, created_at
            """;

        internal const string Weigh =
            """
            UPDATE memory.relationships SET strength = $2 WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            RETURNING id, source_entity_id, target_entity_id, relationship_type, confidence, strength, valid_from, valid_to, metadata, created_at
            """;

        internal const string End =
            """
            UPDATE memory.relationships SET valid_to = $2 WHERE tenant_id = kernel.current_tenant_id() AND id = $1
            RETURNING id, source_entity_id, target_entity_id, relationship_type, confidence, strength, valid_from, valid_to, metadata, created_at
            """;

        // Those of the type but the one to leave; only that to one target where it is named.
        internal const string EndAll =
            """
            UPDATE memory.relationships SET valid_to = greatest(valid_from, $3)
            WHERE tenant_id = kernel.current_tenant_id() AND source_entity_id = $1 AND relationship_type = $2 AND valid_to IS NULL
              AND ($4::uuid IS NULL OR target_entity_id <> $4) AND ($5::uuid IS NULL OR target_entity_id = $5)
            """;

        internal const string EndKnown =
            """
            UPDATE memory.relationships AS r SET valid_to = f.valid_to
            FROM unnest($1::uuid[], $2::timestamptz[]) AS f (id, valid_to)
            WHERE r.tenant_id = kernel.current_tenant_id() AND r.id = f.id AND r.valid_to IS NULL AND f.valid_to IS NOT NULL
            """;

        // One that somebody told before stays as it was told.
        internal const string AddMany =
            """
            INSERT INTO memory.relationships (tenant_id, id, source_entity_id, target_entity_id, relationship_type, confidence, valid_from, valid_to)
            SELECT kernel.current_tenant_id(), f.id, $1, f.company, $2, f.confidence, f.valid_from, f.valid_to
            FROM unnest($3::uuid[], $4::uuid[], $5::float8[], $6::timestamptz[], $7::timestamptz[]) AS f (id, company, confidence, valid_from, valid_to)
            ON CONFLICT DO NOTHING
            """;

        // A way never comes back to where it was. Each branch of the lateral walks over the index of its end.
        internal const string Neighbours =
            """
            WITH RECURSIVE ways AS (
                SELECT e.id AS entity_id, 0 AS distance, NULL::uuid AS relationship_id, NULL::text AS relationship_type, NULL::text AS direction,
                       NULL::uuid AS from_entity_id, 1.0::float8 AS score, ARRAY[e.id] AS seen
                FROM memory.entities e WHERE e.tenant_id = kernel.current_tenant_id() AND e.id = ANY ($1)
                UNION ALL
                SELECT r.next, w.distance + 1, r.id, r.relationship_type::text, r.direction, w.entity_id, w.score * r.confidence * r.strength::float8, w.seen || r.next
                FROM ways w
                CROSS JOIN LATERAL (
                    SELECT o.id, o.target_entity_id AS next, o.relationship_type, 'out' AS direction, o.confidence, o.strength, o.valid_from, o.valid_to
                    FROM memory.relationships o WHERE o.tenant_id = kernel.current_tenant_id() AND o.source_entity_id = w.entity_id
                    UNION ALL
                    SELECT i.id, i.source_entity_id, i.relationship_type, 'in', i.confidence, i.strength, i.valid_from, i.valid_to
                    FROM memory.relationships i WHERE i.tenant_id = kernel.current_tenant_id() AND i.target_entity_id = w.entity_id
                ) r
                WHERE w.distance < $4 AND r.valid_from <= $2 AND (r.valid_to IS NULL OR r.valid_to > $2)
                  AND ($3::text IS NULL OR r.relationship_type = $3) AND r.next <> ALL (w.seen)
            ), best AS (
                SELECT DISTINCT ON (entity_id) * FROM ways WHERE distance > 0 AND entity_id <> ALL ($1) ORDER BY entity_id, distance, score DESC, relationship_id
            )
            SELECT b.entity_id, e.agent_id, e.customer_profile_id, e.name, e.entity_type, b.distance, b.relationship_id, b.relationship_type, b.direction, b.from_entity_id, b.score
            FROM best b JOIN memory.entities e ON e.tenant_id = kernel.current_tenant_id() AND e.id = b.entity_id
            WHERE ($6::uuid IS NULL OR e.agent_id IS NULL OR e.agent_id = $6) AND ($7::uuid IS NULL OR e.customer_profile_id IS NULL OR e.customer_profile_id = $7)
            ORDER BY b.distance, b.score DESC, b.entity_id LIMIT $5
            """;
    }
}

using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Workflows.Sops.Drafting;

/// <summary>The caller's own categories. Those of others are not there for them.</summary>
internal sealed class SopCategories(Database database, TimeProvider clock)
{
    /// <summary>In the caller's order; those that are switched off only when asked for.</summary>
    internal Task<IReadOnlyList<SopCategory>> ListAsync(Transaction tx, bool includeInactive, CancellationToken ct) => tx.QueryAsync<SopCategory>(Sql.List, [includeInactive], ct);

    internal Task<SopCategory?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<SopCategory>(Sql.Find, [id], ct);

    /// <summary>Null when an SOP may be put into the category. Problems: <c>sop_category_not_found</c>, <c>sop_category_inactive</c>.</summary>
    internal async Task<Problem?> RefusalAsync(Transaction tx, Guid id, CancellationToken ct) => await FindAsync(tx, id, ct) switch
    {
        null => Problem.NotFound("sop_category"),
        { IsActive: false } => Problem.Conflict("sop_category_inactive", "The category is switched off."),
        _ => null,
    };

    internal async Task<Result<SopCategory>> CreateAsync(Actor actor, CategoryBody body, CancellationToken ct)
    {
        if (body.ProblemAs(isNew: true) is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        var made = await tx.SingleAsync<SopCategory>(Sql.Insert,
        [
            tx.TenantId, clock.NewId(), actor.UserId, body.Name!.Trim(), body.Description, body.Icon, body.Color, body.SortOrder ?? 0,
            body.IsActive ?? true, clock.GetUtcNow(),
        ], ct);
        await tx.CommitAsync(ct);
        return made;
    }

    internal async Task<Result<SopCategory>> ChangeAsync(Actor actor, Guid id, CategoryBody body, IfMatch match, CancellationToken ct)
    {
        if (body.ProblemAs(isNew: false) is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        if (await tx.FindAsync<SopCategory>(Sql.Lock, [id], ct) is not { } category)
        {
            return Problem.NotFound("sop_category");
        }

        if (match.Check(category.UpdatedAt) is { } stale)
        {
            return stale;
        }

        var changed = await tx.SingleAsync<SopCategory>(Sql.Update,
        [
            id, body.Name?.Trim() ?? category.Name, body.Description ?? category.Description, body.Icon ?? category.Icon, body.Color ?? category.Color,
            body.SortOrder ?? category.SortOrder, body.IsActive ?? category.IsActive,
        ], ct);
        await tx.CommitAsync(ct);
        return changed;
    }

    private static class Sql
    {
        internal const string List =
            """
            SELECT * FROM workflows.sop_categories
            WHERE user_id = kernel.current_user_id() AND (is_active OR $1::boolean)
            ORDER BY sort_order, name, id
            """;

        internal const string Find =
            "SELECT * FROM workflows.sop_categories WHERE id = $1 AND user_id = kernel.current_user_id()";

        internal const string Lock =
            "SELECT * FROM workflows.sop_categories WHERE id = $1 AND user_id = kernel.current_user_id() FOR NO KEY UPDATE";

        internal const string Insert =
            """
            INSERT INTO workflows.sop_categories (tenant_id, id, user_id, name, description, icon, color, sort_order, is_active, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
            RETURNING *
            """;

        internal const string Update =
            """
            UPDATE workflows.sop_categories SET name = $2, description = $3, icon = $4, color = $5, sort_order = $6, is_active = $7 WHERE id = $1
            RETURNING *
            """;
    }
}

using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Knowledge.Patterns;

/// <summary>Which elements to list; null does not narrow.</summary>
internal sealed record ElementFilter(string? PagePath, string? ElementName);

/// <summary>Writes and reads <c>element_selectors</c>, for workers that drive browsers and stand outside the platform.</summary>
internal sealed class ElementSelectors(Database database, TimeProvider clock)
{
    internal async Task<Page<ElementSelector>> ListAsync(Transaction tx, ElementFilter filter, PageRequest page, CancellationToken ct) =>
        Page<ElementSelector>.Cut(await tx.QueryAsync<ElementSelector>(Sql.List, [filter.PagePath, filter.ElementName, page.Before, page.Fetch], ct), page, row => row.Id);

    internal Task<ElementSelector?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<ElementSelector>(Sql.Find, [id], ct);

    /// <summary>The element as the caller finds it: their own entry before the shared one.</summary>
    internal Task<ElementSelector?> LookUpAsync(Transaction tx, string pagePath, string elementName, CancellationToken ct) =>
        tx.FindAsync<ElementSelector>(Sql.LookUp, [pagePath, elementName], ct);

    /// <summary>Problem <c>element_selector_exists</c>.</summary>
    internal async Task<Result<ElementSelector>> CreateAsync(Actor actor, ElementSelectorBody body, CancellationToken ct) =>
        body.ProblemAsNew is { } problem ? problem : await database.WriteAsync(
            actor,
            tx => tx.FindAsync<ElementSelector>(Sql.Insert,
            [
                tx.TenantId, clock.NewId(), actor.Owner(body.Shared == true), body.PagePath, body.ElementName, body.PrimarySelector, body.FallbackSelectors ?? [], body.ScreenshotRef,
                Json.Param(body.Metadata ?? Json.Of(new { })), clock.GetUtcNow(),
            ], ct),
            Problem.Conflict("element_selector_exists", "This element of this page is registered."), ct);

    /// <summary>A selector that stays keeps what is known of it.</summary>
    internal async Task<Result<ElementSelector>> ChangeAsync(Actor actor, Guid id, ElementSelectorBody body, IfMatch match, CancellationToken ct) =>
        body.ProblemAsChange is { } problem ? problem : await database.ChangeAsync(
            actor, "element_selector", match, tx => HoldAsync(tx, id, ct),
            async (tx, row) => body.ProblemOn(row) is { } twice ? twice : await tx.SingleAsync<ElementSelector>(
                Sql.Change, [id, body.PrimarySelector ?? row.PrimarySelector, body.FallbackSelectors ?? row.FallbackSelectors, body.ScreenshotRef, Json.Param(body.Metadata)], ct), ct);

    internal Task<Result<ElementSelector>> DeleteAsync(Actor actor, Guid id, IfMatch match, CancellationToken ct) =>
        database.ChangeAsync(actor, "element_selector", match, tx => HoldAsync(tx, id, ct), (tx, row) =>
        {
            tx.Post(Sql.Delete, id);
            return Task.FromResult<Result<ElementSelector>>(row);
        }, ct);

    /// <summary>One attempt with one selector. Problem <c>selector_unknown</c>: the element has no such selector, perhaps not any more.</summary>
    internal async Task<Result<ElementSelector>> AttemptAsync(Actor actor, Guid id, AttemptBody body, CancellationToken ct)
    {
        if (body.Problem is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        if (await tx.FindAsync<ElementSelector>(Sql.Attempt, [id, body.Selector, body.Succeeded, clock.GetUtcNow(), body.ScreenshotRef], ct) is not { } row)
        {
            return await FindAsync(tx, id, ct) is null
                ? Problem.NotFound("element_selector")
                : Problem.Conflict("selector_unknown", "The element has no such selector; look it up again.");
        }

        await tx.CommitAsync(ct);
        return row;
    }

    private static Task<ElementSelector?> HoldAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<ElementSelector>(Sql.Lock, [id], ct);

    private static class Sql
    {
        internal const string List =
            """
            SELECT * FROM knowledge.element_selectors
            WHERE ($1::text IS NULL OR page_path = $1) AND ($2::text IS NULL OR element_name = $2) AND ($3::uuid IS NULL OR id < $3)
            ORDER BY id DESC LIMIT $4
            """;

        internal const string Find = "SELECT * FROM knowledge.element_selectors WHERE id = $1";

        internal const string Lock = "SELECT * FROM knowledge.element_selectors WHERE id = $1 FOR NO KEY UPDATE";

        internal const string LookUp =
            """
            SELECT * FROM knowledge.element_selectors
            WHERE page_path = $1 AND element_name = $2 AND (user_id IS NULL OR user_id = kernel.current_user_id())
            ORDER BY user_id NULLS LAST LIMIT 1
            """;

        internal const string Insert =
            """
            INSERT INTO knowledge.element_selectors (tenant_id, id, user_id, page_path, element_name, primary_selector, fallback_selectors, screenshot_ref, metadata, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            ON CONFLICT ON CONSTRAINT element_selector_once DO NOTHING
            RETURNING *
            """;

        internal const string Change =
            """
            UPDATE knowledge.element_selectors
            SET primary_selector = $2, fallback_selectors = $3::text[], screenshot_ref = coalesce($4, screenshot_ref), metadata = coalesce($5::jsonb, metadata),
                attempts = (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(attempts) WHERE key = $2 OR key = ANY ($3::text[]))
            WHERE id = $1
            RETURNING *
            """;

        internal const string Delete = "DELETE FROM knowledge.element_selectors WHERE id = $1";

        // Everything is reckoned from the row as it is once it is locked, so reports that come at once are all counted.
        internal const string Attempt =
            """
            UPDATE knowledge.element_selectors AS s
            SET attempts = knowledge.count_attempt(s.attempts, $2, $3::boolean),
                primary_selector = (knowledge.in_order(s.primary_selector || s.fallback_selectors, knowledge.count_attempt(s.attempts, $2, $3::boolean)))[1],
                fallback_selectors = (knowledge.in_order(s.primary_selector || s.fallback_selectors, knowledge.count_attempt(s.attempts, $2, $3::boolean)))[2:],
                total_attempts = s.total_attempts + 1,
                successful_attempts = s.successful_attempts + $3::boolean::integer,
                last_verified = CASE WHEN $3::boolean THEN greatest(s.last_verified, $4::timestamptz) ELSE s.last_verified END,
                screenshot_ref = coalesce($5, s.screenshot_ref)
            WHERE s.id = $1 AND (s.primary_selector = $2 OR s.fallback_selectors @> ARRAY[$2]::text[])
            RETURNING *
            """;
    }
}

using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Knowledge.Patterns;

/// <summary>Writes and reads <c>action_patterns</c>: what a task's steps were, how often they worked, and which are the best.</summary>
internal sealed class ActionPatterns(Database database, TimeProvider clock)
{
    internal async Task<Page<ActionPattern>> ListAsync(Transaction tx, string? taskType, PageRequest page, CancellationToken ct) =>
        Page<ActionPattern>.Cut(await tx.QueryAsync<ActionPattern>(Sql.List, [taskType, page.Before, page.Fetch], ct), page, row => row.Id);

    internal Task<ActionPattern?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<ActionPattern>(Sql.Find, [id], ct);

    /// <summary>The one to follow: of the shared ones and the owner's, the one with the highest score; of equals the owner's, then the latest used.</summary>
    internal Task<ActionPattern?> BestAsync(Transaction tx, string taskType, string? pageUrl, Guid? owner, CancellationToken ct) =>
        tx.FindAsync<ActionPattern>(Sql.Best, [taskType, pageUrl, owner], ct);

    /// <summary>Problem <c>action_pattern_exists</c>.</summary>
    internal async Task<Result<ActionPattern>> CreateAsync(Actor actor, ActionPatternBody body, CancellationToken ct) =>
        body.Problem is { } problem ? problem : await database.WriteAsync(
            actor,
            tx => tx.FindAsync<ActionPattern>(Sql.Insert,
            [
                tx.TenantId, clock.NewId(), actor.Owner(body.Shared), body.TaskType, body.TaskName!.Trim(), body.PageUrl, body.Steps, Json.Param(body.Metadata ?? Json.Of(new { })), clock.GetUtcNow(),
            ], ct),
            Problem.Conflict("action_pattern_exists", "There is a pattern with these steps for this task type."), ct);

    internal async Task<Result<ActionPattern>> ChangeAsync(Actor actor, Guid id, ActionPatternChange body, IfMatch match, CancellationToken ct) =>
        body.Problem is { } problem ? problem : await database.ChangeAsync(
            actor, "action_pattern", match, tx => HoldAsync(tx, id, ct),
            async (tx, _) => await tx.SingleAsync<ActionPattern>(Sql.Change, [id, body.TaskName?.Trim(), Json.Param(body.Metadata)], ct), ct);

    internal Task<Result<ActionPattern>> DeleteAsync(Actor actor, Guid id, IfMatch match, CancellationToken ct) =>
        database.ChangeAsync(actor, "action_pattern", match, tx => HoldAsync(tx, id, ct), (tx, row) =>
        {
            tx.Post(Sql.Delete, id);
            return Task.FromResult<Result<ActionPattern>>(row);
        }, ct);

    /// <summary>A worker outside the platform has done a task by the pattern.</summary>
    internal async Task<Result<ActionPattern>> ReportAsync(Actor actor, Guid id, PatternOutcome outcome, CancellationToken ct) =>
        outcome.Problem is { } problem ? problem : await database.WriteAsync(
            actor, tx => tx.FindAsync<ActionPattern>(Sql.Executed, [id, outcome.Succeeded!.Value, clock.GetUtcNow()], ct), Problem.NotFound("action_pattern"), ct);

    /// <summary>A task was done by the pattern.</summary>
    internal void Executed(Transaction tx, Guid id, bool succeeded, DateTimeOffset at) => tx.PostCall(Sql.Executed, id, succeeded, at.ToUniversalTime());

    /// <summary>A task was completed by these steps: the patterns that have them, shared or the owner's, are raised; new steps become a shared one.</summary>
    internal void Worked(Transaction tx, string taskType, string taskName, string? pageUrl, JsonElement steps, Guid? owner, DateTimeOffset at) =>
        tx.Post(Sql.Worked, tx.TenantId, clock.NewId(), owner, taskType, taskName, pageUrl, steps, at.ToUniversalTime());

    private static Task<ActionPattern?> HoldAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<ActionPattern>(Sql.Lock, [id], ct);

    private static class Sql
    {
        internal const string List =
            """
            SELECT * FROM knowledge.action_patterns
            WHERE ($1::text IS NULL OR task_type = $1) AND ($2::uuid IS NULL OR id < $2)
            ORDER BY id DESC LIMIT $3
            """;

        internal const string Find = "SELECT * FROM knowledge.action_patterns WHERE id = $1";

        internal const string Lock = "SELECT * FROM knowledge.action_patterns WHERE id = $1 FOR NO KEY UPDATE";

        // The platform sees every member's: the owner is named, so that nobody is given another's.
        internal const string Best =
            """
            SELECT * FROM knowledge.action_patterns
            WHERE task_type = $1 AND (page_url IS NULL OR $2::text IS NULL OR page_url = $2) AND (user_id IS NULL OR user_id = $3::uuid)
            ORDER BY score DESC, user_id NULLS LAST, last_executed DESC NULLS LAST, id DESC LIMIT 1
            """;

        internal const string Insert =
            """
            INSERT INTO knowledge.action_patterns (tenant_id, id, user_id, task_type, task_name, page_url, steps, metadata, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT ON CONSTRAINT action_pattern_once DO NOTHING
            RETURNING *
            """;

        internal const string Change =
            "UPDATE knowledge.action_patterns SET task_name = coalesce($2, task_name), metadata = coalesce($3::jsonb, metadata) - 'learned' WHERE id = $1 RETURNING *";

        internal const string Delete = "DELETE FROM knowledge.action_patterns WHERE id = $1";

        internal const string Executed =
            """
            UPDATE knowledge.action_patterns
            SET success_count = success_count + $2::boolean::integer, failure_count = failure_count + (NOT $2::boolean)::integer, last_executed = greatest(last_executed, $3::timestamptz)
            WHERE id = $1
            RETURNING *
            """;

        internal const string Worked =
            """
            WITH known AS (
                UPDATE knowledge.action_patterns
                SET success_count = success_count + 1, last_executed = greatest(last_executed, $8::timestamptz)
                WHERE task_type = $4 AND steps_key = knowledge.steps_key($6::text, $7::jsonb) AND (user_id IS NULL OR user_id = $3::uuid)
                RETURNING id
            )
            INSERT INTO knowledge.action_patterns AS p (tenant_id, id, task_type, task_name, page_url, steps, success_count, last_executed, metadata, created_at)
            SELECT $1, $2, $4, $5, $6::text, $7::jsonb, 1, $8, '{"learned": true}', $8 WHERE NOT EXISTS (SELECT FROM known)
            ON CONFLICT ON CONSTRAINT action_pattern_once DO UPDATE SET success_count = p.success_count + 1, last_executed = greatest(p.last_executed, excluded.last_executed)
            """;
    }
}

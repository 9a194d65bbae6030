using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Npgsql;

namespace AgentPlatform.Knowledge.Patterns;

/// <summary>Writes and reads <c>task_success_patterns</c>: which fits a task, and what each use of it teaches.</summary>
internal sealed class SuccessPatterns(Database database, TimeProvider clock)
{
    internal async Task<Page<SuccessPattern>> ListAsync(Transaction tx, string? taskType, string? patternId, PageRequest page, CancellationToken ct) =>
        Page<SuccessPattern>.Cut(await tx.QueryAsync<SuccessPattern>(Sql.List, [taskType, patternId, page.Before, page.Fetch], ct), page, row => row.Id);

    internal Task<SuccessPattern?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<SuccessPattern>(Sql.Find, [id], ct);

    /// <summary>The owner's pattern whose conditions and required state hold, the one that is trusted most.</summary>
    internal Task<SuccessPattern?> MatchAsync(Transaction tx, Guid owner, string taskType, JsonElement context, JsonElement state, CancellationToken ct) =>
        tx.FindAsync<SuccessPattern>(Sql.Match, [owner, taskType, context, state], ct);

    /// <summary>Problem <c>task_success_pattern_exists</c>.</summary>
    internal async Task<Result<SuccessPattern>> CreateAsync(Actor actor, SuccessPatternBody body, CancellationToken ct) =>
        body.ProblemAsNew is { } problem ? problem : await database.WriteAsync(
            actor, tx => InsertAsync(tx, actor.UserId, body, ct), Problem.Conflict("task_success_pattern_exists", "There is a pattern with this pattern_id."), ct);

    internal async Task<Result<SuccessPattern>> ChangeAsync(Actor actor, Guid id, SuccessPatternBody body, IfMatch match, CancellationToken ct) =>
        body.ProblemAsChange is { } problem ? problem : await database.ChangeAsync(
            actor, "task_success_pattern", match, tx => HoldAsync(tx, id, ct),
            async (tx, _) => await tx.SingleAsync<SuccessPattern>(Sql.Change,
            [
                id, body.TaskName, Json.Param(body.SuccessfulApproach), Json.Param(body.Selectors), Json.Param(body.Workflow), Json.Param(body.ContextConditions), Json.Param(body.RequiredState),
                body.ReasoningPatternId,
            ], ct), ct);

    internal Task<Result<SuccessPattern>> DeleteAsync(Actor actor, Guid id, IfMatch match, CancellationToken ct) =>
        database.ChangeAsync(actor, "task_success_pattern", match, tx => HoldAsync(tx, id, ct), (tx, row) =>
        {
            tx.Post(Sql.Delete, id);
            return Task.FromResult<Result<SuccessPattern>>(row);
        }, ct);

    /// <summary>A worker outside the platform has used the pattern.</summary>
    internal async Task<Result<SuccessPattern>> ReportAsync(Actor actor, Guid id, UseBody body, CancellationToken ct) =>
        body.Problem is { } problem ? problem : await database.WriteAsync(
            actor, tx => tx.FindAsync<SuccessPattern>(Sql.Used, [id, .. Lesson(body.Use, clock.GetUtcNow())], ct), Problem.NotFound("task_success_pattern"), ct);

    /// <summary>A task was done by the pattern.</summary>
    internal void Used(Transaction tx, Guid id, PatternUse use, DateTimeOffset at) => tx.PostCall(Sql.Used, [id, .. Lesson(use, at)]);

    /// <summary>A task of the owner's succeeded in a way that is told: next time it is done so again.</summary>
    internal Task LearnAsync(Transaction tx, Guid owner, SuccessPatternBody body, CancellationToken ct) => InsertAsync(tx, owner, body, ct);

    private Task<SuccessPattern?> InsertAsync(Transaction tx, Guid owner, SuccessPatternBody body, CancellationToken ct)
    {
        var (id, now) = (clock.NewId(), clock.GetUtcNow());
        return tx.FindAsync<SuccessPattern>(Sql.Insert,
        [
            tx.TenantId, id, body.PatternId ?? $"tsp_{id:n}", owner, body.TaskType, body.TaskName, body.SuccessfulApproach, Json.Param(body.Selectors ?? Json.Of(new { })),
            Json.Param(body.Workflow ?? Json.Of(Array.Empty<object>())), Json.Param(body.ContextConditions ?? Json.Of(new { })), Json.Param(body.RequiredState ?? Json.Of(new { })),
            body.AvgExecutionTime, body.ReasoningPatternId, now,
        ], ct);
    }

    private static Task<SuccessPattern?> HoldAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<SuccessPattern>(Sql.Lock, [id], ct);

    private static object?[] Lesson(PatternUse use, DateTimeOffset at)
    {
        NpgsqlParameter adaptation = Json.Param(use.Deviation is { } deviation ? new object[] { new { at, use.Succeeded, deviation } } : []);
        return [use.Succeeded, use.ExecutionTime, adaptation, at.ToUniversalTime()];
    }

    private static class Sql
    {
        internal const string List =
            """
            SELECT * FROM knowledge.task_success_patterns
            WHERE user_id = kernel.current_user_id() AND ($1::text IS NULL OR task_type = $1) AND ($2::text IS NULL OR pattern_id = $2) AND ($3::uuid IS NULL OR id < $3)
            ORDER BY id DESC LIMIT $4
            """;

        internal const string Find = "SELECT * FROM knowledge.task_success_patterns WHERE id = $1";

        internal const string Lock = "SELECT * FROM knowledge.task_success_patterns WHERE id = $1 FOR NO KEY UPDATE";

        // The platform sees every member's: the owner is named.
        internal const string Match =
            """
            SELECT * FROM knowledge.task_success_patterns
            WHERE user_id = $1 AND task_type = $2 AND $3::jsonb @> context_conditions AND $4::jsonb @> required_state AND confidence >= 0.3
            ORDER BY confidence DESC, success_rate DESC, usage_count DESC, id DESC LIMIT 1
            """;

        // Whoever put a task up may have left the tenant before it ended.
        internal const string Insert =
            """
            INSERT INTO knowledge.task_success_patterns (tenant_id, id, pattern_id, user_id, task_type, task_name, successful_approach, selectors, workflow, context_conditions,
                required_state, avg_execution_time, reasoning_pattern_id, created_at, last_used_at)
            SELECT $1, $2, $3, $4, $5, $6::text, $7, $8, $9, $10, $11, $12::real, $13::text, $14, $14 WHERE tenancy.member_role($4) IS NOT NULL
            ON CONFLICT ON CONSTRAINT task_success_pattern_id_once DO NOTHING
            RETURNING *
            """;

        internal const string Change =
            """
            UPDATE knowledge.task_success_patterns
            SET task_name = coalesce($2, task_name), successful_approach = coalesce($3::jsonb, successful_approach), selectors = coalesce($4::jsonb, selectors),
                workflow = coalesce($5::jsonb, workflow), context_conditions = coalesce($6::jsonb, context_conditions), required_state = coalesce($7::jsonb, required_state),
                reasoning_pattern_id = coalesce($8, reasoning_pattern_id)
            WHERE id = $1
            RETURNING *
            """;

        internal const string Delete = "DELETE FROM knowledge.task_success_patterns WHERE id = $1";

        internal const string Used =
            """
            UPDATE knowledge.task_success_patterns
            SET usage_count = usage_count + 1,
                success_rate = (success_rate * usage_count + $2::boolean::integer) / (usage_count + 1),
                avg_execution_time = coalesce(avg_execution_time + ($3::double precision - avg_execution_time) / (usage_count + 1), $3::double precision),
                confidence = CASE WHEN $2::boolean THEN confidence + (1 - confidence) * 0.1 ELSE confidence * 0.8 END,
                adaptations = CASE WHEN jsonb_array_length(adaptations) >= 100 AND $4::jsonb <> '[]' THEN adaptations - 0 ELSE adaptations END || $4::jsonb,
                last_used_at = greatest(last_used_at, $5::timestamptz)
            WHERE id = $1
            RETURNING *
            """;
    }
}

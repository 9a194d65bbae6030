using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using AgentPlatform.Workflows.Definitions;

namespace AgentPlatform.Workflows.Patterns;

/// <summary>Patterns that the caller may see: the platform's, public ones, and their own. Row level security chooses them.</summary>
internal sealed class PatternShelf(Database database, WorkflowCatalogue catalogue, AgentDirectory agents, TimeProvider clock)
{
    internal async Task<Page<WorkflowPattern>> ListAsync(Transaction tx, string? category, string? tag, PageRequest page, CancellationToken ct) =>
        Page<WorkflowPattern>.Cut(await tx.QueryAsync<WorkflowPattern>(Sql.List, [null, category, tag, page.Before, page.Fetch], ct), page, pattern => pattern.Id);

    internal Task<WorkflowPattern?> FindAsync(Transaction tx, string patternId, CancellationToken ct) => tx.FindAsync<WorkflowPattern>(Sql.List, [patternId, null, null, null, 1], ct);

    /// <summary>A member's own, or the platform's when the platform acts. Problem <c>pattern_exists</c>.</summary>
    internal async Task<Result<WorkflowPattern>> CreateAsync(Actor actor, PatternBody body, CancellationToken ct)
    {
        if (body.Problem is { } problem)
        {
            return problem;
        }

        await using var tx = database.Begin(actor);
        var created = await tx.ExecuteAsync(Sql.Insert,
        [
            tx.TenantId, clock.NewId(), body.PatternId, body.Name, body.Description, body.Category, body.Pattern, Json.Param(body.Variables ?? []), Json.Param(body.Conditions ?? Json.Of(new { })),
            actor.UserId == Guid.Empty ? null : actor.UserId, body.IsPublic, body.Tags ?? [], Json.Param(body.Metadata ?? Json.Of(new { })), clock.GetUtcNow(),
        ], ct);
        if (created == 0)
        {
            return Problem.Conflict("pattern_exists", "There is a pattern with this pattern_id.");
        }

        var pattern = await FindAsync(tx, body.PatternId!, ct);
        await tx.CommitAsync(ct);
        return pattern!;
    }

    /// <summary>The pattern with its variables becomes a workflow of the caller's.</summary>
    internal async Task<Result<Workflow>> InstantiateAsync(Actor actor, string patternId, InstantiateBody body, CancellationToken ct)
    {
        await using var tx = database.Begin(actor);
        if ((body.Problem ?? (await agents.FindAsync(tx, body.AgentId ?? Guid.Empty, ct) is null ? Problem.NotFound("agent") : null)) is { } problem)
        {
            return problem;
        }

        if (await FindAsync(tx, patternId, ct) is not { } pattern)
        {
            return Problem.NotFound("workflow_pattern");
        }

        var filled = PatternText.Fill(pattern, body.Variables ?? []);
        var definition = filled.IsOk ? DefinitionJson.Read(filled.Value) : filled.Problem;
        var complete = definition.IsOk ? await catalogue.CheckAsync(tx, definition.Value, body.WorkflowId!, body.AgentId!.Value, ct) : definition;
        if (!complete.IsOk)
        {
            return complete.Problem;
        }

        var workflow = new Workflow
        {
            WorkflowId = body.WorkflowId!,
            AgentId = body.AgentId!.Value,
            UserId = actor.UserId == Guid.Empty ? null : actor.UserId,
            Name = body.Name?.Trim() ?? pattern.Name,
            Description = pattern.Description,
            Category = pattern.Category is { Length: > 0 and <= 50 } category ? category : "custom",
            Source = "pattern",
            MadeOf = pattern.Id,
            Tags = pattern.Tags,
            IsActive = true,
        };
        var made = await catalogue.InsertAsync(tx, workflow, complete.Value, ct);
        if (made.IsOk)
        {
            tx.Post(Sql.Used, pattern.Id, clock.GetUtcNow());
            await tx.CommitAsync(ct);
        }

        return made;
    }

    /// <summary>A run is over: the pattern that its workflow was made of, if it was, learns how it went.</summary>
    internal static void Learn(Transaction tx, WorkflowInstance ended) => tx.Post(Sql.Learn, ended.Workflow, ended.Status == "completed", (ended.CompletedAt!.Value - ended.StartedAt).TotalMilliseconds);

    private static class Sql
    {
        internal const string List =
            """
            SELECT * FROM workflows.workflow_patterns
            WHERE ($1::text IS NULL OR pattern_id = $1)
              AND ($2::text IS NULL OR category = $2)
              AND ($3::text IS NULL OR $3 = ANY (tags))
              AND ($4::uuid IS NULL OR id < $4)
            ORDER BY id DESC LIMIT $5
            """;

        internal const string Insert =
            """
            INSERT INTO workflows.workflow_patterns (tenant_id, id, pattern_id, name, description, category, pattern, variables, conditions, user_id, is_public, tags, metadata, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
            ON CONFLICT ON CONSTRAINT workflow_pattern_id_once DO NOTHING
            """;

        internal const string Used = "UPDATE workflows.workflow_patterns SET usage_count = usage_count + 1, last_used_at = $2 WHERE id = $1";

        internal const string Learn =
            """
            UPDATE workflows.workflow_patterns p
            SET run_count = p.run_count + 1,
                success_rate = (CASE WHEN p.run_count = 0 THEN 0 ELSE p.success_rate * p.run_count END + $2::boolean::integer) / (p.run_count + 1),
                avg_execution_time = CASE WHEN $2 THEN coalesce(p.avg_execution_time + ($3::double precision - p.avg_execution_time) / (round(p.success_rate * p.run_count) + 1), $3) ELSE p.avg_execution_time END
            FROM workflows.automation_workflows w
            WHERE w.id = $1 AND p.tenant_id = w.tenant_id AND p.id = w.made_of
            """;
    }
}

using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;

namespace AgentPlatform.Workflows.Sops.Drafting;

/// <summary>The SOPs of a tenant, and the steps of all their versions.</summary>
internal sealed class SopShelf(TimeProvider clock)
{
    internal Task<Sop?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Sop>(Sql.Find, [id], ct);

    /// <summary>The same, locked, so that changes come one after the other.</summary>
    internal Task<Sop?> LockAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<Sop>(Sql.Lock, [id], ct);

    internal async Task<Page<Sop>> ListAsync(Transaction tx, SopFilter filter, PageRequest page, CancellationToken ct) => Page<Sop>.Cut(
        await tx.QueryAsync<Sop>(Sql.List, [filter.Status, filter.CategoryId, filter.Tag, filter.ApplicableTo, filter.Priority, page.Before, page.Fetch, filter.Text], ct), page, sop => sop.Id);

    /// <summary>Those in force that an event of this type starts.</summary>
    internal Task<IReadOnlyList<Sop>> StartedByAsync(Transaction tx, string eventType, CancellationToken ct) => tx.QueryAsync<Sop>(Sql.StartedBy, [new[] { eventType }], ct);

    /// <summary>In the order of their numbers.</summary>
    internal Task<IReadOnlyList<SopStep>> StepsAsync(Transaction tx, Guid sopId, int version, CancellationToken ct) => tx.QueryAsync<SopStep>(Sql.Steps, [sopId, version], ct);

    /// <summary>Newest first.</summary>
    internal Task<IReadOnlyList<SopVersion>> VersionsAsync(Transaction tx, Guid sopId, CancellationToken ct) => tx.QueryAsync<SopVersion>(Sql.Versions, [sopId], ct);

    internal Task<Sop> InsertAsync(Transaction tx, Sop sop, CancellationToken ct) => tx.SingleAsync<Sop>(Sql.Insert,
    [
        tx.TenantId, clock.NewId(), sop.UserId, sop.CategoryId, sop.Title, sop.Description, sop.Objective, sop.ApplicableTo, Json.Param(sop.Prerequisites), sop.Triggers,
        sop.EstimatedDuration, sop.Priority, sop.Tags, sop.AiEnabled, sop.HumanApprovalRequired, sop.AutomationLevel, Json.Param(sop.Metadata), clock.GetUtcNow(),
        sop.ApprovalTimeout,
    ], ct);

    internal Task<Sop> UpdateAsync(Transaction tx, Sop sop, CancellationToken ct) => tx.SingleAsync<Sop>(Sql.Update,
    [
        sop.Id, sop.CategoryId, sop.Title, sop.Description, sop.Objective, sop.ApplicableTo, Json.Param(sop.Prerequisites), sop.Triggers, sop.EstimatedDuration, sop.Priority, sop.Tags,
        sop.AiEnabled, sop.HumanApprovalRequired, sop.AutomationLevel, Json.Param(sop.Metadata), sop.Version, sop.Status, sop.PublishedVersion, sop.PublishedAt,
        sop.ApprovalTimeout,
    ], ct);

    /// <summary>In place of the steps that the version had.</summary>
    internal void Write(Transaction tx, Guid sopId, int version, IReadOnlyList<SopStep> steps)
    {
        var now = clock.GetUtcNow();
        tx.Post(Sql.Clear, sopId, version);
        tx.Post(Sql.Write, tx.TenantId, sopId, version, now, Json.Param(steps.Select(step => step with { Id = clock.NewId() })));
    }

    /// <summary>An execution has begun.</summary>
    internal static void CountStart(Transaction tx, Guid sopId, DateTimeOffset now) => tx.Post(Sql.CountStart, sopId, now);

    /// <summary>An execution has come to its end, well or not.</summary>
    internal static void CountEnd(Transaction tx, Guid sopId, bool isCompleted) => tx.Post(Sql.CountEnd, sopId, isCompleted);

    private static class Sql
    {
        internal const string Find = "SELECT * FROM workflows.sop_documents WHERE id = $1";

        internal const string Lock = "SELECT * FROM workflows.sop_documents WHERE id = $1 FOR NO KEY UPDATE";

        internal const string List =
            """
            SELECT * FROM workflows.sop_documents
            WHERE ($1::text IS NULL OR status = $1)
              AND ($2::uuid IS NULL OR category_id = $2)
              AND ($3::text IS NULL OR $3 = ANY (tags))
              AND ($4::text IS NULL OR $4 = ANY (applicable_to))
              AND ($5::text IS NULL OR priority = $5)
              AND ($8::text IS NULL OR position(lower($8) IN lower(concat_ws(' ', title, description, objective))) > 0)
              AND ($6::uuid IS NULL OR id < $6)
            ORDER BY id DESC LIMIT $7
            """;

        internal const string StartedBy =
            "SELECT * FROM workflows.sop_documents WHERE triggers @> $1 AND published_version IS NOT NULL AND status <> 'archived' ORDER BY id";

        internal const string Steps = "SELECT * FROM workflows.sop_steps WHERE sop_id = $1 AND version = $2 ORDER BY step_number";

        internal const string Versions =
            """
            SELECT s.version, min(s.created_at) AS created_at,
                   (SELECT count(*) FROM workflows.sop_executions e WHERE e.sop_id = $1 AND e.version = s.version)::integer AS executions
            FROM workflows.sop_steps s WHERE s.sop_id = $1 GROUP BY s.version ORDER BY s.version DESC
            """;

        internal const string Insert =
            """
            INSERT INTO workflows.sop_documents (tenant_id, id, user_id, category_id, title, description, objective, applicable_to, prerequisites, triggers,
                estimated_duration, priority, tags, ai_enabled, human_approval_required, automation_level, metadata, created_at, updated_at,
                approval_timeout)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $18, $19)
            RETURNING *
            """;

        internal const string Update =
            """
            UPDATE workflows.sop_documents
            SET category_id = $2, title = $3, description = $4, objective = $5, applicable_to = $6, prerequisites = $7, triggers = $8, estimated_duration = $9, priority = $10,
                tags = $11, ai_enabled = $12, human_approval_required = $13, automation_level = $14, metadata = $15, version = $16, status = $17, published_version = $18,
                published_at = $19, approval_timeout = $20
            WHERE id = $1
            RETURNING *
            """;

        internal const string Clear = "DELETE FROM workflows.sop_steps WHERE sop_id = $1 AND version = $2";

        internal const string Write =
            """
            INSERT INTO workflows.sop_steps (tenant_id, id, sop_id, version, step_number, title, instructions, action_type, action_config, conditions, alternatives,
                expected_outcome, validation_criteria, error_handling, resources, examples, tips, estimated_duration, timeout, depends_on, created_at, updated_at)
            SELECT $1, s.id, $2, $3, s.step_number, s.title, s.instructions, s.action_type, s.action_config, s.conditions, s.alternatives, s.expected_outcome,
                s.validation_criteria, s.error_handling, s.resources, s.examples, s.tips, s.estimated_duration, s.timeout, s.depends_on, $4, $4
            FROM jsonb_to_recordset($5) AS s (id uuid, step_number integer, title text, instructions text, action_type text, action_config jsonb, conditions jsonb,
                alternatives jsonb, expected_outcome text, validation_criteria jsonb, error_handling jsonb, resources jsonb, examples jsonb, tips text,
                estimated_duration integer, timeout integer, depends_on integer[])
            """;

        internal const string CountStart = "UPDATE workflows.sop_documents SET execution_count = execution_count + 1, last_executed_at = $2 WHERE id = $1";

        internal const string CountEnd =
            """
            UPDATE workflows.sop_documents
            SET completed_count = completed_count + $2::boolean::integer, failed_count = failed_count + (NOT $2)::integer
            WHERE id = $1
            """;
    }
}

/// <summary>Which SOPs to list; null does not narrow.</summary>
public sealed record SopFilter(string? Status = null, Guid? CategoryId = null, string? Tag = null, string? ApplicableTo = null, string? Priority = null)
{
    /// <summary>Stands in title, description or objective, in whatever case.</summary>
    public string? Text { get; init; }
}

using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Actions.Checkpoints;

/// <summary>Writes and reads <c>execution_checkpoints</c>. Whoever writes one holds the lock of its queue row, and the row then names it.</summary>
internal sealed class CheckpointStore(IOptions<ActionsOptions> options, TimeProvider clock)
{
    /// <summary>
    /// Records how far the request is. An <c>auto</c> checkpoint takes the place of the earlier ones of that kind, which say less; browser state
    /// that is not supplied again is carried over. Returns the new checkpoint's id.
    /// </summary>
    internal string Write(Transaction tx, QueuedAction item, string reason, StepSnapshot at, CheckpointExtras? extras = null)
    {
        var (id, now) = (clock.NewId(), clock.GetUtcNow());
        var checkpointId = $"cp_{id:n}";
        if (reason == "auto")
        {
            tx.Post(Sql.DropAuto, item.Id);
        }

        tx.Post(Sql.Insert, tx.TenantId, id, checkpointId, item.Id, item.ExecutionId, at.PhaseId, at.PhaseName, at.StepIndex, at.CompletedSteps, at.CompletedPhases,
            at.PartialResults, at.ExtractedData, Json.Param(extras?.SessionState), Json.Param(extras?.BrowserContext), Json.Param(extras?.ErrorInfo), reason,
            extras?.CanResume ?? true, now, now + (extras?.Expires ?? TimeSpan.FromDays(options.Value.CheckpointDays)), item.CheckpointId);
        tx.Post(Sql.Point, item.Id, checkpointId, now);
        return checkpointId;
    }

    /// <summary>An attempt begins: takes up the checkpoint that its request names, and counts that. Null when it names none.</summary>
    internal async Task<Result<ExecutionCheckpoint?>> TakeUpAsync(Transaction tx, QueuedAction item, CancellationToken ct)
    {
        if (item.CheckpointId is not { } id)
        {
            return (ExecutionCheckpoint?)null;
        }

        if (await FindAsync(tx, item.Id, id, ct) is not { } checkpoint)
        {
            // Only retention removes one that a request names.
            return ExecutionCheckpoint.Expired;
        }

        if (checkpoint.Refuses(clock.GetUtcNow()) is { } refusal)
        {
            return refusal;
        }

        tx.Post(Sql.Resumed, checkpoint.Id);
        return checkpoint;
    }

    internal Task<ExecutionCheckpoint?> FindAsync(Transaction tx, Guid actionQueueId, string checkpointId, CancellationToken ct) =>
        tx.FindAsync<ExecutionCheckpoint>(Sql.Find, [actionQueueId, checkpointId], ct);

    internal async Task<Page<ExecutionCheckpoint>> ListAsync(Transaction tx, Guid actionQueueId, PageRequest page, CancellationToken ct) =>
        Page<ExecutionCheckpoint>.Cut(await tx.QueryAsync<ExecutionCheckpoint>(Sql.List, [actionQueueId, page.Before, page.Fetch], ct), page, row => row.Id);

    private static class Sql
    {
        // The latest stays until there is a newer one: what it carries is copied from it.
        internal const string DropAuto =
            """
            DELETE FROM actions.execution_checkpoints c USING actions.action_queue q
            WHERE q.id = $1 AND c.tenant_id = q.tenant_id AND c.action_queue_id = q.id AND c.checkpoint_reason = 'auto' AND c.checkpoint_id <> q.checkpoint_id
            """;

        internal const string Insert =
            """
            INSERT INTO actions.execution_checkpoints (tenant_id, id, checkpoint_id, action_queue_id, execution_id, phase_id, phase_name, step_index,
                completed_steps, completed_phases, partial_results, extracted_data, session_state, browser_context, error_info, checkpoint_reason,
                can_resume, created_at, expires_at)
            SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, coalesce(before.extracted_data, '{}') || $12,
                   coalesce($13, before.session_state), coalesce($14, before.browser_context), $15, $16, $17, $18, $19
            FROM (VALUES (true)) one LEFT JOIN actions.execution_checkpoints before ON before.action_queue_id = $4 AND before.checkpoint_id = $20
            """;

        internal const string Point = "UPDATE actions.action_queue SET checkpoint_id = $2, last_checkpoint_at = $3 WHERE id = $1";

        internal const string Resumed = "UPDATE actions.execution_checkpoints SET resume_count = resume_count + 1 WHERE id = $1";

        internal const string Find = "SELECT * FROM actions.execution_checkpoints WHERE action_queue_id = $1 AND checkpoint_id = $2";

        internal const string List =
            """
            SELECT * FROM actions.execution_checkpoints
            WHERE action_queue_id = $1 AND ($2::uuid IS NULL OR id < $2)
            ORDER BY id DESC LIMIT $3
            """;
    }
}

/// <summary>What a checkpoint may hold besides the steps; what is null is carried over from the one before, or is the default.</summary>
internal sealed record CheckpointExtras
{
    internal JsonElement? SessionState { get; init; }
    internal JsonElement? BrowserContext { get; init; }
    internal JsonElement? ErrorInfo { get; init; }
    internal bool? CanResume { get; init; }
    internal TimeSpan? Expires { get; init; }
}

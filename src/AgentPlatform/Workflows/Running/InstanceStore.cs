using System.Text.Json;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Workflows.Definitions;

namespace AgentPlatform.Workflows.Running;

/// <summary>The rows of instances and their steps. Whoever changes an instance holds its lock.</summary>
internal sealed class InstanceStore(TimeProvider clock)
{
    /// <summary>The instance, locked, with all that decides what it does next; null when there is none.</summary>
    internal async Task<RunState?> LockAsync(Transaction tx, Guid id, CancellationToken ct)
    {
        if (await tx.FindAsync<Guid?>(Sql.Lock, [id], ct) is null)
        {
            return null;
        }

        return await ReadAsync(tx, id, ct);
    }

    /// <summary>The same without the lock, for looking on.</summary>
    internal async Task<RunState?> ReadAsync(Transaction tx, Guid id, CancellationToken ct)
    {
        tx.Gather();
        var (instance, definition) = (FindAsync(tx, id, ct), tx.FindAsync<JsonElement?>(Sql.Definition, [id], ct));
        var (rows, signals) = (StepsAsync(tx, id, ct), tx.QueryAsync<WorkflowSignal>(Sql.OpenSignals, [id], ct));
        await tx.AskAsync(ct);
        return await instance is { } found ? new RunState(found, DefinitionJson.Stored((await definition)!.Value), await rows, await signals) : null;
    }

    internal Task<WorkflowInstance?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<WorkflowInstance>(Sql.Find, [id], ct);

    internal Task<WorkflowInstance?> FindByStartKeyAsync(Transaction tx, string startKey, CancellationToken ct) => tx.FindAsync<WorkflowInstance>(Sql.ByStartKey, [startKey], ct);

    internal Task<IReadOnlyList<WorkflowStep>> StepsAsync(Transaction tx, Guid id, CancellationToken ct) => tx.QueryAsync<WorkflowStep>(Sql.Steps, [id], ct);

    /// <summary>All that were sent, in the order in which they came.</summary>
    internal Task<IReadOnlyList<WorkflowSignal>> SignalsAsync(Transaction tx, Guid id, CancellationToken ct) => tx.QueryAsync<WorkflowSignal>(Sql.Signals, [id], ct);

    internal async Task<Page<WorkflowInstance>> ListAsync(Transaction tx, InstanceFilter filter, PageRequest page, CancellationToken ct) =>
        Page<WorkflowInstance>.Cut(
            await tx.QueryAsync<WorkflowInstance>(
                Sql.List, [filter.WorkflowId, filter.Status, filter.Control, filter.ConversationId, filter.ContactId, filter.ErrorSignature, filter.ForkedFrom, page.Before, page.Fetch], ct),
            page, instance => instance.Id);

    /// <summary>The step, done or undone, that an action was requested for; several when forks of one run undo the same.</summary>
    internal Task<IReadOnlyList<WorkflowStep>> OfActionAsync(Transaction tx, Guid actionQueueId, CancellationToken ct) => tx.QueryAsync<WorkflowStep>(Sql.OfAction, [actionQueueId], ct);

    internal Task<WorkflowStep?> StepAsync(Transaction tx, Guid id, CancellationToken ct) => tx.FindAsync<WorkflowStep>(Sql.Step, [id], ct);

    internal void Insert(Transaction tx, WorkflowStep row) => tx.Post(
        Sql.Insert, tx.TenantId, row.Id, row.InstanceId, row.StepId, row.Iteration, row.Direction, row.OriginInstance, Text(row.Type), row.ActionId, row.Status,
        Json.Param(row.Input), Json.Param(row.Result), row.Error, row.ErrorCode, row.MayHaveHappened, row.ActionQueueId, row.ChildInstance, row.ExecutionId, row.EventName,
        row.DueAt?.ToUniversalTime(), row.StartedAt.ToUniversalTime(), row.CompletedAt?.ToUniversalTime());

    internal void Update(Transaction tx, WorkflowStep row) => tx.Post(
        Sql.Update, row.Id, row.Status, Json.Param(row.Result), row.Error, row.ErrorCode, row.ActionQueueId, row.ChildInstance, row.ExecutionId, row.CompletedAt?.ToUniversalTime(), row.MayHaveHappened);

    internal void Consume(Transaction tx, WorkflowSignal signal, WorkflowStep by) => tx.Post(Sql.Consume, signal.Id, by.Id, clock.GetUtcNow());

    /// <summary>How far the run is, when it will be over, and when it is looked at again; and that it waits for a person, if it does.</summary>
    internal void Save(Transaction tx, RunState run, DateTimeOffset? wakeAt)
    {
        var progress = Progress.Of(run, clock.GetUtcNow());
        var control = run.Instance.Control is not ("running" or "awaiting_approval") ? run.Instance.Control
            : run.Rows.Any(row => row is { Status: "waiting", ActionQueueId: not null }) ? "awaiting_approval" : "running";
        tx.Post(
            Sql.Save, run.Instance.Id, progress.CurrentStep, progress.Percentage, progress.Completed, progress.Remaining, progress.EstimatedCompletionAt?.ToUniversalTime(),
            wakeAt?.ToUniversalTime(), control, clock.GetUtcNow());
    }

    /// <summary>A step is over: into the histories that the instance and its execution show.</summary>
    internal void Record(Transaction tx, RunState run, WorkflowStep row)
    {
        var entry = Json.Of(new
        {
            sequence_id = run.Definition.PlaceOf(row.StepId),
            row.StepId,
            row.Iteration,
            row.ActionId,
            row.Status,
            row.ExecutionId,
            row.StartedAt,
            row.CompletedAt,
            row.Result,
            row.Error,
            row.ErrorCode,
        });
        if (row.IsUndo)
        {
            tx.Post(Sql.RecordUndo, row.InstanceId, entry);
        }
        else
        {
            tx.Post(Sql.Record, row.InstanceId, entry, row.Iteration == 0);
        }
    }

    internal void Running(Transaction tx, Guid id) => tx.Post(Sql.Running, id, clock.GetUtcNow());

    internal void TurnBack(Transaction tx, Guid id, RunError error) => tx.Post(
        Sql.TurnBack, id, error.Code == Interpreter.TimedOut, error.Message, error.Code, error.StepId, ErrorSignature.Of(error), error.Code == Interpreter.Cancelled, clock.GetUtcNow());

    internal void Finish(Transaction tx, Guid id, Order.Finish finish) =>
        tx.Post(Sql.Finish, id, finish.Status, clock.GetUtcNow(), Json.Param(finish.Output), finish.RolledBack);

    private static string Text(StepType type) => type.ToString().ToLowerInvariant();

    private static class Sql
    {
        // Rows that refer to it may come meanwhile.
        internal const string Lock = "SELECT id FROM workflows.workflow_instances WHERE id = $1 FOR NO KEY UPDATE";

        internal const string Find =
            """
            SELECT i.*, e.status AS execution_status, e.user_id, e.browser_session_id, e.input, e.output, e.error, e.error_code, e.error_step, e.error_signature, e.duration
            FROM workflows.workflow_instances i JOIN workflows.workflow_executions e USING (tenant_id, id)
            WHERE i.id = $1
            """;

        internal const string ByStartKey =
            """
            SELECT i.*, e.status AS execution_status, e.user_id, e.browser_session_id, e.input, e.output, e.error, e.error_code, e.error_step, e.error_signature, e.duration
            FROM workflows.workflow_instances i JOIN workflows.workflow_executions e USING (tenant_id, id)
            WHERE i.start_key = $1
            """;

        internal const string List =
            """
            SELECT i.*, e.status AS execution_status, e.user_id, e.browser_session_id, e.input, e.output, e.error, e.error_code, e.error_step, e.error_signature, e.duration
            FROM workflows.workflow_instances i JOIN workflows.workflow_executions e USING (tenant_id, id)
            WHERE ($1::text IS NULL OR i.workflow_id = $1)
              AND ($2::text IS NULL OR i.status = $2)
              AND ($3::text IS NULL OR i.control = $3)
              AND ($4::uuid IS NULL OR i.conversation_id = $4)
              AND ($5::uuid IS NULL OR i.contact_id = $5)
              AND ($6::text IS NULL OR e.error_signature = $6)
              AND ($7::uuid IS NULL OR i.forked_from = $7)
              AND ($8::uuid IS NULL OR i.id < $8)
            ORDER BY i.id DESC LIMIT $9
            """;

        internal const string Definition =
            """
            SELECT v.definition FROM workflows.workflow_instances i
            JOIN workflows.workflow_versions v ON v.tenant_id = i.tenant_id AND v.workflow = i.workflow AND v.version = i.workflow_version
            WHERE i.id = $1
            """;

        internal const string Steps = "SELECT * FROM workflows.workflow_steps WHERE instance_id = $1 ORDER BY id";

        internal const string OpenSignals = "SELECT * FROM workflows.workflow_signals WHERE instance_id = $1 AND consumed_at IS NULL ORDER BY id";

        internal const string Signals = "SELECT * FROM workflows.workflow_signals WHERE instance_id = $1 ORDER BY id";

        internal const string OfAction = "SELECT * FROM workflows.workflow_steps WHERE action_queue_id = $1";

        internal const string Step = "SELECT * FROM workflows.workflow_steps WHERE id = $1";

        internal const string Insert =
            """
            INSERT INTO workflows.workflow_steps (tenant_id, id, instance_id, step_id, iteration, direction, origin_instance, type, action_id, status, input, result,
                error, error_code, may_have_happened, action_queue_id, child_instance, execution_id, event_name, due_at, started_at, completed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
            """;

        internal const string Update =
            """
            UPDATE workflows.workflow_steps
            SET status = $2, result = $3, error = $4, error_code = $5, action_queue_id = $6, child_instance = $7, execution_id = $8, completed_at = $9, may_have_happened = $10
            WHERE id = $1
            """;

        internal const string Consume = "UPDATE workflows.workflow_signals SET consumed_at = $3, consumed_by = $2 WHERE id = $1";

        internal const string Save =
            """
            UPDATE workflows.workflow_instances
            SET current_step = $2, progress_percentage = $3, steps_completed = $4, steps_remaining = $5, estimated_completion_at = $6, wake_at = $7,
                control = $8, last_state_change = CASE WHEN control = $8 THEN last_state_change ELSE $9 END
            WHERE id = $1
            """;

        internal const string Record =
            """
            WITH run AS (
                UPDATE workflows.workflow_executions SET step_results = step_results || $2::jsonb WHERE id = $1 RETURNING id
            )
            UPDATE workflows.workflow_instances i SET steps_executed = i.steps_executed || $2::jsonb FROM run WHERE i.id = run.id AND $3
            """;

        internal const string RecordUndo = "UPDATE workflows.workflow_instances SET rollback_steps = rollback_steps || $2::jsonb WHERE id = $1";

        internal const string Running = "UPDATE workflows.workflow_executions SET status = 'running', started_at = $2 WHERE id = $1 AND status = 'pending'";

        // The control of one that is cancelled stays; a paused one whose time is over is not paused any more.
        internal const string TurnBack =
            """
            WITH run AS (
                UPDATE workflows.workflow_executions SET error = $3, error_code = $4, error_step = $5, error_signature = $6 WHERE id = $1 RETURNING id
            )
            UPDATE workflows.workflow_instances i
            SET phase = 'undoing', timed_out = $2, control = CASE WHEN $7 THEN 'cancelled' ELSE 'running' END, last_state_change = $8
            FROM run WHERE i.id = run.id
            """;

        internal const string Finish =
            """
            WITH run AS (
                UPDATE workflows.workflow_executions SET status = $2, completed_at = $3, output = $4, started_at = coalesce(started_at, $3) WHERE id = $1 RETURNING id
            )
            UPDATE workflows.workflow_instances i
            SET status = $2, completed_at = $3, rollback_performed = $5, wake_at = NULL, estimated_completion_at = NULL
            FROM run WHERE i.id = run.id
            """;
    }
}

/// <summary>Which instances to list; null does not narrow.</summary>
public sealed record InstanceFilter(
    string? WorkflowId = null, string? Status = null, string? Control = null, Guid? ConversationId = null, Guid? ContactId = null, string? ErrorSignature = null, Guid? ForkedFrom = null);

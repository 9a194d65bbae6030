using System.Text.Json;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Workflows.Definitions;
using AgentPlatform.Workflows.Forks;
using AgentPlatform.Workflows.Running;
using AgentPlatform.Workflows.Starting;

namespace AgentPlatform.Workflows;

/// <summary>Starts, reads and steers workflows; the durable runtime moves them on by <see cref="AdvanceAsync"/>.</summary>
public sealed class WorkflowEngine
{
    private readonly WorkflowCatalogue _catalogue;
    private readonly StartWorkflow _starts;
    private readonly AdvanceWorkflow _advance;
    private readonly InstanceStore _store;
    private readonly ControlInstance _control;
    private readonly StepApproval _approvals;
    private readonly ForkInstance _forks;
    private readonly ActionAttempts _attempts;

    internal WorkflowEngine(
        WorkflowCatalogue catalogue, StartWorkflow starts, AdvanceWorkflow advance, InstanceStore store, ControlInstance control, StepApproval approvals, ForkInstance forks,
        ActionAttempts attempts) =>
        (_catalogue, _starts, _advance, _store, _control, _approvals, _forks, _attempts) = (catalogue, starts, advance, store, control, approvals, forks, attempts);

    /// <summary>
    /// Starts a run in the caller's transaction. Problems: <c>workflow_not_found</c>, <c>conversation_not_found</c>, <c>workflow_version_not_found</c>,
    /// <c>workflow_inactive</c>, <c>no_contact</c>.
    /// </summary>
    public Task<Result<WorkflowInstance>> StartAsync(Transaction tx, WorkflowStart start, CancellationToken ct) => _starts.RunAsync(tx, start, ct);

    /// <summary>Does what is to be done now, in a transaction of its own, and says when to ask again.</summary>
    public Task<WorkflowMove> AdvanceAsync(WorkflowRef workflow, CancellationToken ct) => _advance.RunAsync(workflow, ct);

    public Task<WorkflowInstance?> FindAsync(Transaction tx, Guid id, CancellationToken ct) => _store.FindAsync(tx, id, ct);

    /// <summary>Newest first.</summary>
    public Task<Page<WorkflowInstance>> ListAsync(Transaction tx, InstanceFilter filter, PageRequest page, CancellationToken ct) => _store.ListAsync(tx, filter, page, ct);

    /// <summary>The definition's steps as a graph, with what the instance has tried, done and undone of each; null when there is no such instance.</summary>
    public async Task<InstanceGraph?> GraphAsync(Transaction tx, Guid id, CancellationToken ct)
    {
        if (await _store.ReadAsync(tx, id, ct) is not { } run)
        {
            return null;
        }

        var requests = run.Rows.Select(row => row.ActionQueueId).OfType<Guid>().Distinct().ToArray();
        return InstanceGraph.Of(run, requests.Length == 0 ? [] : await _attempts.OfRequestsAsync(tx, requests, ct));
    }

    /// <summary>The workflows that the caller may see, newest first.</summary>
    public Task<Page<Workflow>> WorkflowsAsync(Transaction tx, WorkflowFilter filter, PageRequest page, CancellationToken ct) => _catalogue.ListAsync(tx, filter, page, ct);

    public Task<Workflow?> WorkflowAsync(Transaction tx, string workflowId, CancellationToken ct) => _catalogue.FindAsync(tx, workflowId, ct);

    /// <summary>
    /// Makes a workflow, or gives the one of that id this description and definition: another definition is a new version. Problem
    /// <c>validation_failed</c>, with what is wrong under its JSON path.
    /// </summary>
    public async Task<Result<Workflow>> DefineAsync(Transaction tx, Workflow workflow, WorkflowDefinition definition, CancellationToken ct)
    {
        var complete = await _catalogue.CheckAsync(tx, definition, workflow.WorkflowId, workflow.AgentId, ct);
        return !complete.IsOk ? complete.Problem
            : await _catalogue.LockAsync(tx, workflow.WorkflowId, ct) is not { } known ? await _catalogue.InsertAsync(tx, workflow, complete.Value, ct)
            : await _catalogue.UpdateAsync(tx, workflow with { Id = known.Id, Version = known.Version, Definition = known.Definition }, complete.Value, ct);
    }

    /// <summary>
    /// Sends an event to an instance: a step that waits for its name takes it, now or when it comes to wait. The same key counts once. Problem
    /// <c>workflow_instance_over</c>.
    /// </summary>
    public Task<Result<WorkflowInstance>> SignalAsync(Transaction tx, Guid id, string name, JsonElement? payload, string key, CancellationToken ct) =>
        _control.SignalAsync(tx, id, name, payload, key, ct);

    /// <summary>Begins no further step until it is resumed; what is under way ends.</summary>
    public Task<Result<WorkflowInstance>> PauseAsync(Transaction tx, Guid id, string? reason, CancellationToken ct) => _control.PauseAsync(tx, id, reason, ct);

    public Task<Result<WorkflowInstance>> ResumeAsync(Transaction tx, Guid id, CancellationToken ct) => _control.ResumeAsync(tx, id, ct);

    /// <summary>Begins nothing more, cancels what has not begun, and undoes what was done unless a final step has succeeded. Cannot be taken back.</summary>
    public Task<Result<WorkflowInstance>> CancelAsync(Transaction tx, Guid id, string reason, CancellationToken ct) => _control.CancelAsync(tx, id, reason, ct);

    /// <summary>Says yes to the step that waits for an approval. Problems: <c>no_approval_awaited</c>, and those of an answer to an approval.</summary>
    public Task<Result<WorkflowInstance>> ApproveStepAsync(Transaction tx, Guid id, string stepId, CancellationToken ct) => _approvals.ApproveAsync(tx, id, stepId, ct);

    public Task<Result<WorkflowInstance>> RejectStepAsync(Transaction tx, Guid id, string stepId, string reason, CancellationToken ct) =>
        _approvals.RejectAsync(tx, id, stepId, reason, ct);

    /// <summary>
    /// A new run out of one that is over, with the same history up to a step. The same key forks once. Problems: <c>workflow_instance_not_over</c>,
    /// <c>fork_repeats_final</c>, <c>workflow_version_not_found</c>.
    /// </summary>
    public Task<Result<WorkflowInstance>> ForkAsync(Transaction tx, Guid id, WorkflowFork fork, string key, CancellationToken ct) => _forks.RunAsync(tx, id, fork, $"fork:{key}", ct);
}

/// <summary>An instance drawn as a graph: a node for each step of its definition, with what was done of it.</summary>
public sealed record InstanceGraph(WorkflowInstance Instance, IReadOnlyList<GraphNode> Steps)
{
    internal static InstanceGraph Of(RunState run, IReadOnlyList<ActionAttempt> attempts)
    {
        var tried = attempts.ToLookup(attempt => attempt.RequestId);
        return new(run.Instance,
        [
            .. run.Definition.Steps.Select((step, i) => new GraphNode(
                i + 1, step, run.Row(step.Id)?.Status ?? "not_started", run.Row(step.Id), [.. run.Elements(step.Id)], [.. run.Rows.Where(row => row.IsUndo && row.StepId == step.Id)])
            {
                Attempts =
                [
                    .. run.Rows.Where(row => row.StepId == step.Id && row.ActionQueueId is not null)
                        .SelectMany(row => tried[row.ActionQueueId!.Value].Select(attempt => new StepAttempt(row.Direction, row.Iteration, attempt))),
                ],
            }),
        ]);
    }
}

/// <summary>
/// One step. <paramref name="Status"/>: not_started, or the status of <paramref name="Run"/>. <paramref name="Elements"/>: of a for-each.
/// Edges come from <see cref="StepDefinition.After"/>.
/// </summary>
public sealed record GraphNode(
    int SequenceId, StepDefinition Step, string Status, WorkflowStep? Run, IReadOnlyList<WorkflowStep> Elements, IReadOnlyList<WorkflowStep> Undone)
{
    /// <summary>What was tried to do it, its elements, and to undo them, oldest first of each.</summary>
    public IReadOnlyList<StepAttempt> Attempts { get; init; } = [];
}

/// <summary>An attempt at a step's action. <paramref name="Direction"/>: forward, or undo. <paramref name="Iteration"/>: 0, or the element of a for-each.</summary>
public sealed record StepAttempt(string Direction, int Iteration, ActionAttempt Execution);

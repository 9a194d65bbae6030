using System.Text.Json;
using AgentPlatform.Actions.Approvals;
using AgentPlatform.Api;
using AgentPlatform.Events.Live;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Workflows.Running;

internal static class InstancesApi
{
    private static readonly string[] Statuses = ["in_progress", "completed", "failed", "cancelled"];
    private static readonly string[] Controls = ["running", "paused", "cancelled", "awaiting_approval"];

    internal static void Map(IEndpointRouteBuilder v1)
    {
        var instances = v1.MapGroup("/workflow-instances").WithTags("Workflow instances");
        instances.MapGet("", ListAsync).RequireScope("workflows:read").Describe("listWorkflowInstances", "Runs of workflows, newest first.").Produces<Page<WorkflowInstance>>();
        instances.MapGet("/{id:guid}", FindAsync).RequireScope("workflows:read").Describe("readWorkflowInstance", "One run: progress, estimate, histories and outcome.").Produces<WorkflowInstance>();
        instances.MapGet("/{id:guid}/steps", GraphAsync).RequireScope("workflows:read").Describe("readWorkflowSteps", "The run as a graph: each step of its definition with what was tried, done and undone of it.").Produces<InstanceGraph>();
        instances.MapGet("/{id:guid}/stream", (HttpContext http, StreamEvents streams, Guid id, CancellationToken ct) =>
            streams.AggregateAsync(http, WorkflowEvents.Aggregate, id, ct))
            .RequireScope("workflows:read").Describe("streamWorkflowInstance", "Follow a run live, step by step.").Produces<string>(200, "text/event-stream");
        instances.MapGet("/{id:guid}/signals", SignalsAsync).RequireScope("workflows:read").Describe("listWorkflowSignals", "The events that were sent to a run, and which step took each.").Produces<Page<WorkflowSignal>>();

        instances.MapPost("/{id:guid}/pause", (Guid id, HttpContext http, Database database, ControlInstance control, ReasonBody? body, CancellationToken ct) =>
            MoveAsync(http, database, body?.Problem(required: false), tx => control.PauseAsync(tx, id, body?.Reason, ct), ct))
            .RequireScope("workflows:write").Describe("pauseWorkflow", "Begin no further step until it is resumed.").Produces<WorkflowInstance>();
        instances.MapPost("/{id:guid}/resume", (Guid id, HttpContext http, Database database, ControlInstance control, CancellationToken ct) =>
            MoveAsync(http, database, null, tx => control.ResumeAsync(tx, id, ct), ct))
            .RequireScope("workflows:write").Describe("resumeWorkflow", "Go on with a paused run.").Produces<WorkflowInstance>();
        instances.MapPost("/{id:guid}/cancel", (Guid id, HttpContext http, Database database, ControlInstance control, ReasonBody? body, CancellationToken ct) =>
            MoveAsync(http, database, body?.Problem(required: false), tx => control.CancelAsync(tx, id, body?.Reason ?? "Cancelled by an operator.", ct), ct))
            .RequireScope("workflows:write").Describe("cancelWorkflow", "Begin nothing more, and undo what was done.").Produces<WorkflowInstance>();
        instances.MapPost("/{id:guid}/signals", (Guid id, HttpContext http, Database database, ControlInstance control, SignalBody body, TimeProvider clock, CancellationToken ct) =>
            MoveAsync(http, database, body.Problem, tx => control.SignalAsync(tx, id, body.Name!, body.Payload, http.IdempotencyKey() ?? clock.NewId().ToString("n"), ct), ct))
            .RequireScope("workflows:write").Describe("signalWorkflow", "Send an event that a step waits for.").Produces<WorkflowInstance>();
        instances.MapPost("/{id:guid}/steps/{step_id}/approve", (Guid id, string step_id, HttpContext http, Database database, WorkflowEngine engine, CancellationToken ct) =>
            MoveAsync(http, database, null, tx => engine.ApproveStepAsync(tx, id, step_id, ct), ct))
            .RequireScope("approvals:write").Describe("approveWorkflowStep", "Say yes to the step that waits for an approval.").Produces<WorkflowInstance>();
        instances.MapPost("/{id:guid}/steps/{step_id}/reject", (Guid id, string step_id, HttpContext http, Database database, WorkflowEngine engine, ReasonBody body, CancellationToken ct) =>
            MoveAsync(http, database, body.Problem(required: true), tx => engine.RejectStepAsync(tx, id, step_id, body.Reason!, ct), ct))
            .RequireScope("approvals:write").Describe("rejectWorkflowStep", "Say no to the step that waits for an approval.").Produces<WorkflowInstance>();
    }

    private static Task<IResult> ListAsync(
        HttpContext http, Database database, InstanceStore store, CancellationToken ct, string? workflow_id = null, string? status = null, string? control = null,
        Guid? conversation_id = null, Guid? contact_id = null, string? error_signature = null, Guid? forked_from = null, int? limit = null, string? cursor = null) => http.PageAsync(
        database, limit, cursor, (tx, page) => store.ListAsync(tx, new InstanceFilter(workflow_id, status, control, conversation_id, contact_id, error_signature, forked_from), page, ct),
        new Validation().OneOf("status", status, required: false, Statuses).OneOf("control", control, required: false, Controls).Problem);

    private static Task<IResult> FindAsync(Guid id, HttpContext http, Database database, InstanceStore store, CancellationToken ct) =>
        http.OneAsync(database, tx => store.FindAsync(tx, id, ct), "workflow_instance", i => i.UpdatedAt);

    private static Task<IResult> GraphAsync(Guid id, HttpContext http, Database database, WorkflowEngine engine, CancellationToken ct) =>
        http.OneAsync(database, tx => engine.GraphAsync(tx, id, ct), "workflow_instance");

    private static async Task<IResult> SignalsAsync(Guid id, HttpContext http, Database database, InstanceStore store, CancellationToken ct)
    {
        await using var tx = database.Begin(http.Actor());
        return await store.FindAsync(tx, id, ct) is null
            ? Problem.NotFound("workflow_instance").ToHttp()
            : ((Result<Page<WorkflowSignal>>)new Page<WorkflowSignal>(await store.SignalsAsync(tx, id, ct), null)).ToHttp();
    }

    /// <summary>A refusal commits nothing.</summary>
    internal static async Task<IResult> MoveAsync(HttpContext http, Database database, Problem? problem, Func<Transaction, Task<Result<WorkflowInstance>>> move, CancellationToken ct)
    {
        if (problem is not null)
        {
            return problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        var moved = await move(tx);
        if (moved.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return moved.ToHttp(i => i.UpdatedAt);
    }
}

internal sealed record ReasonBody(string? Reason)
{
    internal Problem? Problem(bool required) => new Validation().Text("reason", Reason, 2000, required).Problem;
}

internal sealed record SignalBody(string? Name, JsonElement? Payload)
{
    internal Problem? Problem => new Validation().Text("name", Name, 100, required: true).Problem;
}

/// <summary>Answers the approval that a step waits for: the same question that the approvers were sent.</summary>
internal sealed class StepApproval(InstanceStore store, DecideApproval approvals)
{
    internal Task<Result<WorkflowInstance>> ApproveAsync(Transaction tx, Guid id, string stepId, CancellationToken ct) =>
        AnswerAsync(tx, id, stepId, (approval, who) => approvals.ApproveAsync(tx, approval, who, null, ct), ct);

    internal Task<Result<WorkflowInstance>> RejectAsync(Transaction tx, Guid id, string stepId, string reason, CancellationToken ct) =>
        AnswerAsync(tx, id, stepId, (approval, who) => approvals.RejectAsync(tx, approval, who, reason, ct), ct);

    private async Task<Result<WorkflowInstance>> AnswerAsync(Transaction tx, Guid id, string stepId, Func<Guid, Approver, Task<Result<ActionApproval>>> answer, CancellationToken ct)
    {
        if (await store.FindAsync(tx, id, ct) is null)
        {
            return Problem.NotFound("workflow_instance");
        }

        var waiting = (await store.StepsAsync(tx, id, ct)).FirstOrDefault(row => row.StepId == stepId && row is { Status: "waiting", ActionQueueId: not null });
        if (waiting is null || await approvals.OfRequestAsync(tx, waiting.ActionQueueId!.Value, ct) is not { } approval)
        {
            return Problem.Conflict("no_approval_awaited", "The step waits for no approval.");
        }

        var answered = await answer(approval, new Approver(tx.Actor!.UserId, "api"));
        return answered.IsOk ? (await store.FindAsync(tx, id, ct))! : answered.Problem;
    }
}

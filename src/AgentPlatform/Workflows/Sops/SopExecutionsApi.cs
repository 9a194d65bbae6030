using AgentPlatform.Api;
using AgentPlatform.Events.Live;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Workflows.Running;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Workflows.Sops;

internal static class SopExecutionsApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var executions = v1.MapGroup("/sop-executions").WithTags("SOPs");
        executions.MapGet("", ListAsync).RequireScope("workflows:read").Describe("listSopExecutions", "Executions of SOPs, newest first.").Produces<Page<SopExecution>>();
        executions.MapGet("/{id:guid}", FindAsync).RequireScope("workflows:read").Describe("readSopExecution", "One execution with what became of its steps.").Produces<SopExecution>();
        executions.MapGet("/{id:guid}/stream", (HttpContext http, StreamEvents streams, Guid id, CancellationToken ct) =>
            streams.AggregateAsync(http, SopEvents.Aggregate, id, ct))
            .RequireScope("workflows:read").Describe("streamSopExecution", "Follow an execution live, step by step.").Produces<string>(200, "text/event-stream");
        executions.MapPost("/{id:guid}/steps/{step_number:int}/result", async (Guid id, int step_number, HttpContext http, SteerSop steer, StepResultBody body, CancellationToken ct) =>
            (body.Problem is { } problem ? problem : await steer.RecordAsync(http.Actor(), id, step_number, body, ct)).ToHttp(e => e.UpdatedAt))
            .RequireScope("workflows:write").Describe("recordSopStep", "Say what became of the step under way, which a person does.").Produces<SopExecution>();
        executions.MapPost("/{id:guid}/approve", async (Guid id, HttpContext http, SteerSop steer, CancellationToken ct) =>
            (await steer.ApproveAsync(http.Actor(), id, ct)).ToHttp(e => e.UpdatedAt))
            .RequireScope("approvals:write").Describe("approveSopExecution", "Let an execution begin.").Produces<SopExecution>();
        executions.MapPost("/{id:guid}/reject", async (Guid id, HttpContext http, SteerSop steer, ReasonBody body, CancellationToken ct) =>
            (body.Problem(required: true) is { } problem ? problem : await steer.RejectAsync(http.Actor(), id, body.Reason!, ct)).ToHttp(e => e.UpdatedAt))
            .RequireScope("approvals:write").Describe("rejectSopExecution", "Do not let an execution begin.").Produces<SopExecution>();
        executions.MapPost("/{id:guid}/cancel", async (Guid id, HttpContext http, SteerSop steer, ReasonBody? body, CancellationToken ct) =>
            (body?.Problem(required: false) is { } problem ? problem : await steer.CancelAsync(http.Actor(), id, body?.Reason, ct)).ToHttp(e => e.UpdatedAt))
            .RequireScope("workflows:write").Describe("cancelSopExecution", "Cancel an execution that is not over, and the action it waits for.").Produces<SopExecution>();
        executions.MapPost("/{id:guid}/rating", async (Guid id, HttpContext http, SteerSop steer, RatingBody body, CancellationToken ct) =>
            (body.Problem is { } problem ? problem : await steer.RateAsync(http.Actor(), id, body, ct)).ToHttp(e => e.UpdatedAt))
            .RequireScope("workflows:write").Describe("rateSopExecution", "Rate an execution that is over, with issues; the last rating stands.").Produces<SopExecution>();
    }

    private static Task<IResult> ListAsync(
        HttpContext http, Database database, SopExecutionStore store, CancellationToken ct, Guid? sop_id = null, string? status = null, string? executor_type = null,
        Guid? conversation_id = null, int? limit = null, string? cursor = null) => http.PageAsync(
        database, limit, cursor, (tx, page) => store.ListAsync(tx, new SopExecutionFilter(sop_id, status, executor_type, conversation_id), page, ct),
        new Validation().OneOf("status", status, required: false, SopExecution.Statuses)
            .OneOf("executor_type", executor_type, required: false, SopExecution.Executors).Problem);

    private static Task<IResult> FindAsync(Guid id, HttpContext http, Database database, SopExecutionStore store, CancellationToken ct) =>
        http.OneAsync(database, tx => store.FindAsync(tx, id, ct), "sop_execution", e => e.UpdatedAt);
}

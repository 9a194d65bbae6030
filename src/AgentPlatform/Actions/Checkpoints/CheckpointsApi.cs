using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Actions.Checkpoints;

internal static class CheckpointsApi
{
    internal static void Map(IEndpointRouteBuilder routes)
    {
        var execution = routes.MapGroup("/executions/{id:guid}").WithTags("Actions");
        execution.MapGet("/checkpoints", ListAsync).RequireScope("actions:read").Describe("listCheckpoints", "How far an execution came, newest first.").Produces<Page<ExecutionCheckpoint>>();
        execution.MapPost("/checkpoints", WriteAsync).RequireScope("actions:write").Describe("writeCheckpoint", "Records how far an execution is, with a browser's state if there is one.").Produces<ExecutionCheckpoint>(201);
        execution.MapPost("/resume", ResumeAsync).RequireScope("actions:write").Describe("resumeExecution", "Lets a failed execution go on from a checkpoint, without repeating completed steps.").Produces<QueuedAction>(202);
    }

    private static async Task<IResult> ListAsync(
        Guid id, HttpContext http, Database database, ActionQueue queue, CheckpointStore checkpoints, CancellationToken ct, int? limit = null, string? cursor = null)
    {
        await using var tx = database.Begin(http.Actor());
        return PageRequest.Parse(limit, cursor) is not { IsOk: true } page ? PageRequest.Parse(limit, cursor).ToHttp()
            : await queue.FindAsync(tx, id, ct) is null ? Problem.NotFound("execution").ToHttp()
            : ((Result<Page<ExecutionCheckpoint>>)await checkpoints.ListAsync(tx, id, page.Value, ct)).ToHttp();
    }

    private static async Task<IResult> WriteAsync(Guid id, ManualCheckpoint request, HttpContext http, Database database, WriteCheckpoint write, CancellationToken ct)
    {
        if (request.Problem is { } problem)
        {
            return problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        var written = await write.RunAsync(tx, id, request, ct);
        if (written.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return written.ToCreated(_ => $"/api/v1/executions/{id}/checkpoints");
    }

    private static async Task<IResult> ResumeAsync(Guid id, Resume? request, HttpContext http, Database database, ResumeExecution resume, CancellationToken ct)
    {
        await using var tx = database.Begin(http.Actor());
        var resumed = await resume.RunAsync(tx, id, request ?? new Resume(null), ct);
        if (resumed.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return resumed.ToAccepted();
    }
}

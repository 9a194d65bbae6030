using System.Text.Json;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Workflows.Forks;

internal static class ForksApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        v1.MapPost("/workflow-instances/{id:guid}/fork", ForkAsync).WithTags("Workflow instances").RequireScope("workflows:write")
            .Describe("forkWorkflow", "A new run with the same history up to a step.").Produces<WorkflowInstance>(201);
        v1.MapGet("/workflow-failures", FailuresAsync).WithTags("Workflow fleets").RequireScope("workflows:read")
            .Describe("listWorkflowFailures", "Failed runs grouped by what they have in common.").Produces<Page<FailureGroup>>();

        var fleets = v1.MapGroup("/workflow-fleet-forks").WithTags("Workflow fleets");
        fleets.MapPost("", StartAsync).RequireScope("workflows:write").Describe("startFleetFork", "Take up runs that failed alike: canaries first, then the rest at a rate.").Produces<FleetFork>(202);
        fleets.MapGet("", ListAsync).RequireScope("workflows:read").Describe("listFleetForks", "Fleets, newest first.").Produces<Page<FleetFork>>();
        fleets.MapGet("/{id:guid}", FindAsync).RequireScope("workflows:read").Describe("readFleetFork", "One fleet with its counts.").Produces<FleetFork>();
        fleets.MapPost("/{id:guid}/stop", StopAsync).RequireScope("workflows:write").Describe("stopFleetFork", "Take up no more; those that were go on.").Produces<FleetFork>();
    }

    private static async Task<IResult> ForkAsync(Guid id, HttpContext http, Database database, ForkInstance forks, ForkBody? body, TimeProvider clock, CancellationToken ct)
    {
        if (body?.Problem is { } problem)
        {
            return problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        var key = $"fork:{id:n}:{http.IdempotencyKey() ?? clock.NewId().ToString("n")}";
        var forked = await forks.RunAsync(tx, id, new WorkflowFork(body?.FromStep, body?.Version, body?.Input), key, ct);
        if (forked.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return forked.ToCreated(i => $"/api/v1/workflow-instances/{i.Id}", i => i.UpdatedAt);
    }

    private static async Task<IResult> FailuresAsync(HttpContext http, Database database, FleetForks fleets, CancellationToken ct, string? workflow_id = null)
    {
        await using var tx = database.Begin(http.Actor());
        return ((Result<Page<FailureGroup>>)new Page<FailureGroup>(await fleets.FailuresAsync(tx, workflow_id, ct), null)).ToHttp();
    }

    private static async Task<IResult> StartAsync(HttpContext http, Database database, FleetForks fleets, FleetBody body, CancellationToken ct)
    {
        if (body.Problem is { } problem)
        {
            return problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        var started = await fleets.StartAsync(tx, body, ct);
        if (started.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return started.ToAccepted();
    }

    private static Task<IResult> ListAsync(HttpContext http, Database database, FleetForks fleets, CancellationToken ct, int? limit = null, string? cursor = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => fleets.ListAsync(tx, page, ct));

    private static Task<IResult> FindAsync(Guid id, HttpContext http, Database database, FleetForks fleets, CancellationToken ct) =>
        http.OneAsync(database, tx => fleets.FindAsync(tx, id, ct), "fleet_fork");

    private static async Task<IResult> StopAsync(Guid id, HttpContext http, Database database, FleetForks fleets, CancellationToken ct)
    {
        await using var tx = database.Begin(http.Actor());
        var stopped = await fleets.FinishAsync(tx, id, "stopped", "Stopped by an operator.", ct);
        if (await fleets.FindAsync(tx, id, ct) is not { } fleet)
        {
            return Problem.NotFound("fleet_fork").ToHttp();
        }

        await tx.CommitAsync(ct);
        return (stopped ? (Result<FleetFork>)fleet : Problem.Conflict("fleet_fork_over", $"The fleet is {fleet.Status}.")).ToHttp();
    }
}

internal sealed record ForkBody(string? FromStep, int? Version, JsonElement? Input)
{
    internal Problem? Problem => new Validation().Text("from_step", FromStep, 100).Check("version", Version is null or >= 1, "Must be at least 1.").MustBeObject("input", Input).Problem;
}

internal sealed record FleetBody(string? WorkflowId, string? ErrorSignature, string? FromStep, int? Version, int Canary = 1, int PerMinute = 60)
{
    internal Problem? Problem => new Validation().Text("workflow_id", WorkflowId, 100, required: true).Text("error_signature", ErrorSignature, 500, required: true)
        .Text("from_step", FromStep, 100).Check("version", Version is null or >= 1, "Must be at least 1.")
        .Check("canary", Canary is >= 0 and <= 1000, "Must be between 0 and 1000.").Check("per_minute", PerMinute is >= 1 and <= 6000, "Must be between 1 and 6000.").Problem;
}

using AgentPlatform.Api;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Actions.Controls;

/// <summary><c>pause</c>, <c>resume</c>, <c>cancel</c> (each with a reason if there is one) or <c>inject</c> with an instruction.</summary>
internal sealed record ControlCommand(string? Command, string? Reason, string? Instruction)
{
    private static readonly string[] Commands = ["pause", "resume", "cancel", "inject"];

    internal Problem? Problem => new Validation().OneOf("command", Command, required: true, Commands)
        .Text("reason", Reason, 500).Text("instruction", Instruction, 4000, required: Command == "inject").Problem;
}

/// <summary>An operator's word to an execution. It takes effect before the next attempt; one in progress runs to its end.</summary>
internal sealed class ControlExecution(ExecutionControls controls, ActionQueue queue, WorkQueue work, EventStore events, TimeProvider clock)
{
    internal async Task<Result<ExecutionControl>> RunAsync(Transaction tx, Guid executionId, ControlCommand command, CancellationToken ct)
    {
        if (await RequestLock.TakeAsync(tx, executionId, ct) is not { } item)
        {
            return Problem.NotFound("execution");
        }

        // A request that is older than its control gets one now.
        controls.Follow(tx, item, null);
        var control = (await controls.FindAsync(tx, executionId, ct))!;
        if (control.Refuses(command.Command!, item.Status) is { } problem)
        {
            return problem;
        }

        await ApplyAsync(tx, item, command, ct);
        events.Append(tx, ActionEvents.Of($"execution.{Past(command.Command!)}", item, new { reason = command.Reason, state = item.Status }));
        return (await controls.FindAsync(tx, executionId, ct))!;
    }

    private async Task ApplyAsync(Transaction tx, QueuedAction item, ControlCommand command, CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        switch (command.Command)
        {
            case "pause":
                tx.Post(Sql.Set, item.Id, "paused", command.Reason, now, ExecutionControl.Checkpoint(item));
                await work.CancelAsync(tx, ActionsModule.WorkKind, item.Id.ToString(), "paused", ct);
                break;
            case "resume":
                tx.Post(Sql.Set, item.Id, ExecutionControl.Following(item), command.Reason, now, null);
                if (item.Status is QueueStatus.Ready or QueueStatus.Retrying or QueueStatus.Executing)
                {
                    await work.ReviveAsync(tx, ActionQueue.WorkOf(item), ct);
                }

                break;
            case "inject":
                tx.Post(Sql.Inject, item.Id, command.Instruction, now);
                break;
            default:
                // First, so that the operator's reason stands; an attempt in progress finds it when it would begin again.
                tx.Post(Sql.Set, item.Id, "cancelled", command.Reason ?? "cancelled by an operator", now, null);
                if (item.Status != QueueStatus.Executing)
                {
                    await queue.CancelAsync(tx, item.Id, command.Reason ?? "cancelled by an operator", ct);
                }

                break;
        }
    }

    private static string Past(string command) => command switch
    {
        "pause" => "paused",
        "resume" => "resumed",
        "inject" => "instruction_injected",
        _ => "cancelled",
    };

    private static class Sql
    {
        internal const string Set =
            """
            UPDATE actions.execution_controls
            SET control_state = $2, state_reason = $3, last_state_change = $4, checkpoint_data = coalesce($5::jsonb, checkpoint_data)
            WHERE action_queue_id = $1
            """;

        internal const string Inject =
            "UPDATE actions.execution_controls SET injected_instruction = $2, injected_at = $3 WHERE action_queue_id = $1";
    }
}

internal static class ControlsApi
{
    internal static void Map(IEndpointRouteBuilder routes)
    {
        var control = routes.MapGroup("/executions/{id:guid}/control").WithTags("Actions");
        control.MapGet("", FindAsync).RequireScope("actions:read").Describe("getExecutionControl", "What holds for an execution: running, paused, cancelled or awaiting approval.").Produces<ExecutionControl>();
        control.MapPost("", RunAsync).RequireScope("actions:write").Describe("controlExecution", "Pauses, resumes or cancels an execution, or tells it something.").Produces<ExecutionControl>();
    }

    private static Task<IResult> FindAsync(Guid id, HttpContext http, Database database, ExecutionControls controls, CancellationToken ct) =>
        http.OneAsync(database, tx => controls.FindAsync(tx, id, ct), "execution");

    private static async Task<IResult> RunAsync(Guid id, ControlCommand request, HttpContext http, Database database, ControlExecution control, CancellationToken ct)
    {
        if (request.Problem is { } problem)
        {
            return problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        var done = await control.RunAsync(tx, id, request, ct);
        if (done.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return done.ToHttp();
    }
}

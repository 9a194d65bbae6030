using System.Text.Json;
using AgentPlatform.Actions.Aftermath;
using AgentPlatform.Actions.Execution;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Actions;

internal sealed record DeadLetterResolution(string? Notes);

internal sealed record Escalation(string? TicketId);

/// <summary>Corrected parameters, over those that were collected; and the word of someone who asked the provider that the call was not carried out.</summary>
internal sealed record Replay(JsonElement? Params, bool NotHappened = false);

internal static class ActionsApi
{
    internal static IEndpointRouteBuilder Map(IEndpointRouteBuilder routes)
    {
        var registry = routes.MapGroup("/agents/{agentId:guid}/actions").WithTags("Actions");
        registry.MapGet("", ListAsync).RequireScope("actions:read").Describe("listActions", "The agent's registry.").Produces<Page<ActionDefinition>>();
        registry.MapPost("", CreateAsync).RequireScope("actions:write").Describe("createAction", "Adds an action.").Produces<ActionDefinition>(201);
        registry.MapGet("/{actionId}", FindAsync).RequireScope("actions:read").Describe("getAction", "One action.").Produces<ActionDefinition>();
        registry.MapPut("/{actionId}", ReplaceAsync).RequireScope("actions:write").Describe("replaceAction", "Replaces an action's configuration.").Produces<ActionDefinition>();
        registry.MapDelete("/{actionId}", DeleteAsync).RequireScope("actions:write").Describe("deleteAction", "Removes an action.").Produces(204);

        var queue = routes.MapGroup("/actions/queue").WithTags("Actions");
        queue.MapGet("", QueueAsync).RequireScope("actions:read").Describe("listQueuedActions", "Requested actions, newest first.").Produces<Page<QueuedAction>>();
        queue.MapGet("/next", NextAsync).RequireScope("actions:read").Describe("listNextActions", "What runs next: highest priority first, then the oldest.").Produces<Page<QueuedAction>>();
        queue.MapGet("/{id:guid}", QueuedAsync).RequireScope("actions:read").Describe("getQueuedAction", "One requested action.").Produces<QueuedAction>();
        queue.MapPost("/{id:guid}/cancel", CancelAsync).RequireScope("actions:write").Describe("cancelQueuedAction", "Stops an action that has not begun.").Produces<QueuedAction>();

        var executions = routes.MapGroup("/actions/executions").WithTags("Actions");
        executions.MapGet("", ExecutionsAsync).RequireScope("actions:read").Describe("listExecutions", "Attempts by trace, queue item or intent, newest first.").Produces<Page<ActionExecution>>();
        executions.MapGet("/{executionId}", ExecutionAsync).RequireScope("actions:read").Describe("getExecution", "One attempt.").Produces<ActionExecution>();
        executions.MapPost("/{executionId}/acknowledge", AcknowledgeAsync).RequireScope("actions:write").Describe("acknowledgeExecution", "Says that the result was seen.").Produces<ActionExecution>();

        executions.MapPost("/{executionId}/rollback", RollbackAsync).RequireScope("actions:write").Describe("rollbackExecution", "Undoes a completed execution, once, with the action its registry entry names.").Produces<QueuedAction>(202);

        var dead = routes.MapGroup("/actions/dead-letters").WithTags("Actions");
        dead.MapGet("", DeadAsync).RequireScope("actions:read").Describe("listDeadLetters", "Actions that were given up, newest first.").Produces<Page<DeadLetter>>();
        dead.MapGet("/{dlqId}", DeadOneAsync).RequireScope("actions:read").Describe("getDeadLetter", "One action that was given up.").Produces<DeadLetter>();
        dead.MapPost("/{dlqId}/resolve", ResolveAsync).RequireScope("actions:write").Describe("resolveDeadLetter", "Closes a dead letter with notes.").Produces<DeadLetter>();
        dead.MapPost("/{dlqId}/escalate", EscalateAsync).RequireScope("actions:write").Describe("escalateDeadLetter", "Hands a dead letter to support.").Produces<DeadLetter>();
        dead.MapPost("/{dlqId}/replay", ReplayAsync).RequireScope("actions:write").Describe("replayDeadLetter", "Requests the action again, with its parameters or corrected ones.").Produces<QueuedAction>(202);
        dead.MapPost("/replay", ReplayAllAsync).RequireScope("actions:write").Describe("replayDeadLetters", "Replays the open dead letters of an action, oldest first.").Produces<BulkReplayed>(202);
        return routes;
    }

    private static async Task<IResult> ListAsync(
        Guid agentId, HttpContext http, Database database, AgentDirectory agents, ActionRegistry registry, CancellationToken ct, int? limit = null, string? cursor = null)
    {
        await using var tx = database.Begin(http.Actor());
        return PageRequest.Parse(limit, cursor) is not { IsOk: true } page ? PageRequest.Parse(limit, cursor).ToHttp()
            : await agents.FindAsync(tx, agentId, ct) is null ? Problem.NotFound("agent").ToHttp()
            : Ok(await registry.ListAsync(tx, agentId, page.Value, ct));
    }

    private static async Task<IResult> CreateAsync(
        Guid agentId, ActionDefinition request, HttpContext http, Database database, AgentDirectory agents, ActionRegistry registry, CancellationToken ct)
    {
        await using var tx = database.Begin(http.Actor());
        if (await agents.FindAsync(tx, agentId, ct) is null)
        {
            return Problem.NotFound("agent").ToHttp();
        }

        var created = await registry.CreateAsync(tx, agentId, request, ct);
        await tx.CommitAsync(ct);
        return created.ToCreated(action => $"/api/v1/agents/{agentId}/actions/{action.ActionId}", action => action.UpdatedAt);
    }

    private static Task<IResult> FindAsync(Guid agentId, string actionId, HttpContext http, Database database, ActionRegistry registry, CancellationToken ct) =>
        http.OneAsync(database, tx => registry.WrittenAsync(tx, agentId, actionId, ct), "action", action => action.UpdatedAt);

    private static async Task<IResult> ReplaceAsync(
        Guid agentId, string actionId, ActionDefinition request, HttpContext http, IfMatch ifMatch, Database database, ActionRegistry registry, CancellationToken ct)
    {
        await using var tx = database.Begin(http.Actor());
        var replaced = await registry.ReplaceAsync(tx, agentId, request with { ActionId = actionId }, ifMatch, ct);
        await tx.CommitAsync(ct);
        return replaced.ToHttp(action => action.UpdatedAt);
    }

    private static async Task<IResult> DeleteAsync(Guid agentId, string actionId, HttpContext http, IfMatch ifMatch, Database database, ActionRegistry registry, CancellationToken ct)
    {
        await using var tx = database.Begin(http.Actor());
        var deleted = await registry.DeleteAsync(tx, agentId, actionId, ifMatch, ct);
        await tx.CommitAsync(ct);
        return deleted.ToNoContent();
    }

    private static async Task<IResult> QueueAsync(
        HttpContext http, Database database, ActionQueue queue, CancellationToken ct,
        int? limit = null, string? cursor = null, string? status = null, Guid? agent_id = null, Guid? session_id = null)
    {
        var page = PageRequest.Parse(limit, cursor);
        if ((new Validation().OneOf("status", status, required: false, ActionQueue.Statuses).Problem ?? page.Problem) is { } problem)
        {
            return problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        return Ok(await queue.ListAsync(tx, new QueueFilter(status, agent_id, session_id), page.Value, ct));
    }

    private static async Task<IResult> NextAsync(HttpContext http, Database database, ActionQueue queue, CancellationToken ct, int limit = PageRequest.DefaultLimit)
    {
        await using var tx = database.Begin(http.Actor());
        return Ok(new Page<QueuedAction>(await queue.NextAsync(tx, Math.Clamp(limit, 1, PageRequest.MaxLimit), ct), null));
    }

    private static Task<IResult> QueuedAsync(Guid id, HttpContext http, Database database, ActionQueue queue, CancellationToken ct) =>
        http.OneAsync(database, tx => queue.FindAsync(tx, id, ct), "queued_action");

    private static async Task<IResult> CancelAsync(Guid id, HttpContext http, Database database, ActionQueue queue, CancellationToken ct)
    {
        await using var tx = database.Begin(http.Actor());
        var cancelled = await queue.CancelAsync(tx, id, "cancelled by an operator", ct);
        await tx.CommitAsync(ct);
        return cancelled.ToHttp();
    }

    private static Task<IResult> ExecutionAsync(string executionId, HttpContext http, Database database, ExecutionLog executions, KnownErrors known, CancellationToken ct) =>
        http.OneAsync(
            database,
            async tx => await executions.FindAsync(tx, executionId, ct) is { } found ? (await known.BesideAsync(tx, new Page<ActionExecution>([found], null), ct)).Items[0] : null,
            "execution");

    private static async Task<IResult> ExecutionsAsync(
        HttpContext http, Database database, ExecutionLog executions, KnownErrors known, CancellationToken ct,
        int? limit = null, string? cursor = null, string? trace_id = null, string? queue_id = null, string? intent_id = null)
    {
        await using var tx = database.Begin(http.Actor());
        return PageRequest.Parse(limit, cursor) is { IsOk: true } page
            ? Ok(await known.BesideAsync(tx, await executions.ListAsync(tx, new ExecutionFilter(trace_id, queue_id, intent_id), page.Value, ct), ct))
            : PageRequest.Parse(limit, cursor).ToHttp();
    }

    private static async Task<IResult> AcknowledgeAsync(string executionId, HttpContext http, Database database, AcknowledgeExecution acknowledgements, CancellationToken ct)
    {
        await using var tx = database.Begin(http.Actor());
        var acknowledged = await acknowledgements.RunAsync(tx, executionId, ct);
        await tx.CommitAsync(ct);
        return acknowledged.ToHttp();
    }

    private static async Task<IResult> RollbackAsync(string executionId, HttpContext http, Database database, RollbackExecution rollback, CancellationToken ct)
    {
        await using var tx = database.Begin(http.Actor());
        var queued = await rollback.RunAsync(tx, executionId, ct);
        await tx.CommitAsync(ct);
        return queued.ToAccepted();
    }

    private static async Task<IResult> DeadAsync(
        HttpContext http, Database database, DeadLetters dead, KnownErrors known, CancellationToken ct, int? limit = null, string? cursor = null, bool? resolved = null, bool? escalated = null)
    {
        await using var tx = database.Begin(http.Actor());
        return PageRequest.Parse(limit, cursor) is { IsOk: true } page
            ? Ok(await known.BesideAsync(tx, await dead.ListAsync(tx, resolved, escalated, page.Value, ct), ct))
            : PageRequest.Parse(limit, cursor).ToHttp();
    }

    private static async Task<IResult> DeadOneAsync(string dlqId, HttpContext http, Database database, DeadLetters dead, KnownErrors known, CancellationToken ct)
    {
        await using var tx = database.Begin(http.Actor());
        return await (await dead.FindAsync(tx, dlqId, ct)).ThenAsync(letter => known.BesideAsync(tx, letter, ct)).ToHttpAsync();
    }

    private static async Task<IResult> ResolveAsync(string dlqId, DeadLetterResolution request, HttpContext http, Database database, DeadLetters dead, CancellationToken ct)
    {
        if (new Validation().Text("notes", request.Notes, 2000, required: true).Problem is { } problem)
        {
            return problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        var resolved = await dead.ResolveAsync(tx, dlqId, request.Notes!, ct);
        await tx.CommitAsync(ct);
        return resolved.ToHttp();
    }

    private static async Task<IResult> EscalateAsync(string dlqId, Escalation request, HttpContext http, Database database, DeadLetters dead, CancellationToken ct)
    {
        if (new Validation().Text("ticket_id", request.TicketId, 100, required: true).Problem is { } problem)
        {
            return problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        var escalated = await dead.EscalateAsync(tx, dlqId, request.TicketId!, ct);
        await tx.CommitAsync(ct);
        return escalated.ToHttp();
    }

    private static async Task<IResult> ReplayAsync(string dlqId, Replay? request, HttpContext http, Database database, ReplayDeadLetter replay, CancellationToken ct)
    {
        if (new Validation().MustBeObject("params", request?.Params).Problem is { } problem)
        {
            return problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        var queued = await replay.RunAsync(tx, dlqId, request ?? new Replay(null), ct);
        await tx.CommitAsync(ct);
        return queued.ToAccepted();
    }

    private static async Task<IResult> ReplayAllAsync(BulkReplay request, HttpContext http, Database database, ReplayDeadLetter replay, CancellationToken ct)
    {
        var validation = new Validation().Text("action_id", request.ActionId, 100, required: true)
            .Check("limit", request.Limit is null or (>= 1 and <= ReplayDeadLetter.MaxBulk), $"Must be between 1 and {ReplayDeadLetter.MaxBulk}.");
        if (validation.Problem is { } problem)
        {
            return problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        Result<BulkReplayed> replayed = await replay.RunAsync(tx, request, ct);
        await tx.CommitAsync(ct);
        return replayed.ToAccepted();
    }

    private static IResult Ok<T>(Page<T> page) => ((Result<Page<T>>)page).ToHttp();
}

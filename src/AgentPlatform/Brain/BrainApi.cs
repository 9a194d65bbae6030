using AgentPlatform.Actions;
using AgentPlatform.Actions.Registry;
using AgentPlatform.Api;
using AgentPlatform.Brain.Nlu.Models;
using AgentPlatform.Brain.Understanding;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Brain;

/// <summary>What a text would be recognised as, without doing it.</summary>
internal sealed record MatchResult(string MatchType, string? ActionId, string? ActionName, decimal Confidence, string? Phrase, int? ModelVersion);

internal static class BrainApi
{
    private static readonly string[] Statuses = ["new", "processing", "queued", "executing", "completed", "failed", "blocked", "action_not_found", "cancelled"];
    private static readonly string[] MatchTypes = ["exact", "synonym", "fuzzy", "model", "not_found"];

    internal static IEndpointRouteBuilder Map(IEndpointRouteBuilder routes)
    {
        var intents = routes.MapGroup("/intents").WithTags("Intents");
        intents.MapGet("", ListAsync).RequireScope("intents:read").Describe("listIntents", "Intents, newest first.").Produces<Page<LedgerIntent>>();
        intents.MapGet("/statistics", CountsAsync).RequireScope("intents:read").Describe("countIntentMatches", "How intents were recognised, per match type.").Produces<Page<MatchCount>>();
        intents.MapGet("/{intentId}", FindAsync).RequireScope("intents:read").Describe("getIntent", "One intent.").Produces<LedgerIntent>();
        intents.MapPost("/{intentId}/cancel", CancelAsync).RequireScope("intents:write").Describe("cancelIntent", "Cancels an intent and what it queued but did not start.").Produces<LedgerIntent>();
        routes.MapPost("/agents/{agentId:guid}/match", MatchAsync).WithTags("Actions").RequireScope("actions:read")
            .Describe("matchAction", "What a text would be recognised as.").Produces<MatchResult>();
        routes.MapPost("/agents/{agentId:guid}/conversations", StartAsync).WithTags("Conversations").RequireScope("conversations:write")
            .Describe("startConversation", "Starts a web conversation as a visitor.").Produces<ChatTaken>(201);
        routes.MapPost("/conversations/{id:guid}/messages", SayAsync).WithTags("Conversations").RequireScope("conversations:write")
            .Describe("sayAsContact", "Says something as the contact; the agent's turn follows.").Produces<ChatTaken>(202);
        return routes;
    }

    private static Task<IResult> ListAsync(
        HttpContext http, Database database, IntentLedger ledger, CancellationToken ct,
        int? limit = null, string? cursor = null, Guid? conversation_id = null, Guid? session_id = null, string? status = null, string? match_type = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => ledger.ListAsync(tx, new IntentFilter(conversation_id, session_id, status, match_type), page, ct),
            new Validation().OneOf("status", status, required: false, Statuses).OneOf("match_type", match_type, required: false, MatchTypes).Problem);

    private static Task<IResult> FindAsync(string intentId, HttpContext http, Database database, IntentLedger ledger, CancellationToken ct) =>
        http.OneAsync(database, tx => ledger.FindAsync(tx, intentId, ct), "intent");

    private static async Task<IResult> CountsAsync(HttpContext http, Database database, IntentLedger ledger, TimeProvider clock, CancellationToken ct, int days = 30)
    {
        await using var tx = database.Begin(http.Actor());
        var counts = await ledger.CountsAsync(tx, clock.GetUtcNow().AddDays(-Math.Clamp(days, 1, 3650)), ct);
        return ((Result<Page<MatchCount>>)new Page<MatchCount>(counts, null)).ToHttp();
    }

    private static async Task<IResult> CancelAsync(string intentId, HttpContext http, Database database, CancelIntent cancel, CancellationToken ct)
    {
        await using var tx = database.Begin(http.Actor());
        var result = await cancel.RunAsync(tx, intentId, ct);
        await tx.CommitAsync(ct);
        return result.ToHttp();
    }

    private static async Task<IResult> MatchAsync(
        Guid agentId, ChatText request, HttpContext http, Database database, AgentDirectory agents, ActionRegistry registry, IntentModels models, IOptions<BrainOptions> options, CancellationToken ct)
    {
        if (string.IsNullOrWhiteSpace(request.Text))
        {
            return Problem.Invalid("text", "Is required.").ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        if (await agents.FindAsync(tx, agentId, ct) is null)
        {
            return Problem.NotFound("agent").ToHttp();
        }

        var model = await models.CurrentAsync(tx, agentId, ct);
        var match = Recognition.Of(await registry.ActiveAsync(tx, agentId, ct), model, request.Text, options.Value);
        return ((Result<MatchResult>)new MatchResult(match.MatchType, match.Action?.ActionId, match.Action?.ActionName, match.Confidence, match.Phrase, match.ModelVersion)).ToHttp();
    }

    private static async Task<IResult> StartAsync(Guid agentId, StartChat request, HttpContext http, Database database, Chat chat, CancellationToken ct)
    {
        await using var tx = database.Begin(http.Actor());
        var taken = await chat.StartAsync(tx, agentId, request, ct);
        await tx.CommitAsync(ct);
        return taken.ToCreated(t => $"/api/v1/conversations/{t.ConversationId}");
    }

    private static async Task<IResult> SayAsync(Guid id, ChatText request, HttpContext http, Database database, Chat chat, CancellationToken ct)
    {
        await using var tx = database.Begin(http.Actor());
        var taken = await chat.SayAsync(tx, id, request, ct);
        await tx.CommitAsync(ct);
        return taken.ToAccepted();
    }
}

/// <summary>Calls an intent off, with everything it has queued that has not begun.</summary>
internal sealed class CancelIntent(IntentLedger ledger, ActionQueue queue)
{
    internal async Task<Result<LedgerIntent>> RunAsync(Transaction tx, string intentId, CancellationToken ct)
    {
        if (await ledger.FindAsync(tx, intentId, ct) is not { } intent)
        {
            return Problem.NotFound("intent");
        }

        await queue.CancelIntentAsync(tx, intentId, "intent cancelled", ct);
        var now = (await ledger.FindAsync(tx, intentId, ct))!;
        if (now.Status is "new" or "processing")
        {
            ledger.Move(tx, intentId, new IntentMove("cancelled") { Resolution = "cancelled" });
            now = (await ledger.FindAsync(tx, intentId, ct))!;
        }

        return now.Status == "cancelled" && intent.Status != "cancelled" ? now
            : Problem.Conflict("not_cancellable", $"The intent is {now.Status}.");
    }
}

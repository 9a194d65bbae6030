using AgentPlatform.Api;
using AgentPlatform.Events;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Actions.Execution;

/// <summary>The word of someone who asked the provider: whether the call was carried out.</summary>
internal sealed record EffectWord(bool? Happened, string? Note)
{
    internal Problem? Problem => new Validation().Check("happened", Happened is not null, "Is required.").Text("note", Note, 500).Problem;
}

/// <summary>Settles, at a person's word, the effect of a request that is over: nothing else will ask any more.</summary>
internal sealed class SettleEffect(ActionEffects effects, ActionQueue queue, EventStore events)
{
    internal async Task<Result<ActionEffect>> RunAsync(Transaction tx, Guid id, EffectWord word, CancellationToken ct)
    {
        if (await effects.FindAsync(tx, id, ct) is not { } effect || await queue.FindAsync(tx, effect.ActionQueueId, ct) is not { } item)
        {
            return Problem.NotFound("effect");
        }

        if (!effect.IsOpen)
        {
            return Problem.Conflict("effect_settled", $"The effect is settled: {effect.Status}.");
        }

        if (item.Status is not (QueueStatus.Failed or QueueStatus.Cancelled))
        {
            return Problem.Conflict("execution_not_over", "The request is still worked on, and finds out by itself.");
        }

        effects.SettleByHand(tx, effect, word.Happened!.Value, word.Note);
        events.Append(tx, ActionEvents.Of("action.effect_settled", item, new { effect_id = id, status = word.Happened.Value ? "happened" : "not_happened", by = "person", note = word.Note }));
        return (await effects.FindAsync(tx, id, ct))!;
    }
}

internal static class EffectsApi
{
    internal static void Map(IEndpointRouteBuilder routes)
    {
        var effects = routes.MapGroup("/actions/effects").WithTags("Actions");
        effects.MapGet("", ListAsync).RequireScope("actions:read").Describe("listActionEffects", "Calls to endpoints and what became of them, newest first.").Produces<Page<ActionEffect>>();
        effects.MapPost("/{id:guid}/settle", SettleAsync).RequireScope("actions:write").Describe("settleActionEffect", "Says whether a call whose outcome is unknown was carried out.").Produces<ActionEffect>();
    }

    private static async Task<IResult> ListAsync(
        HttpContext http, Database database, ActionEffects effects, CancellationToken ct, int? limit = null, string? cursor = null, string? status = null, string? queue_id = null)
    {
        var page = PageRequest.Parse(limit, cursor);
        if ((new Validation().OneOf("status", status, required: false, ActionEffect.Statuses).Problem ?? page.Problem) is { } problem)
        {
            return problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        return ((Result<Page<ActionEffect>>)await effects.ListAsync(tx, status, queue_id, page.Value, ct)).ToHttp();
    }

    private static async Task<IResult> SettleAsync(Guid id, EffectWord request, HttpContext http, Database database, SettleEffect settle, CancellationToken ct)
    {
        if (request.Problem is { } problem)
        {
            return problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        var settled = await settle.RunAsync(tx, id, request, ct);
        if (settled.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return settled.ToHttp();
    }
}

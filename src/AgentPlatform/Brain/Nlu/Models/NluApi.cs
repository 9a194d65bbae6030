using AgentPlatform.Actions.Registry;
using AgentPlatform.Actions;
using AgentPlatform.Api;
using AgentPlatform.Brain.Understanding;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Tenancy;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Brain.Nlu.Models;

/// <summary>What a text means to an agent: intents by confidence; and the values in it with their places, days being those of UTC.</summary>
internal sealed record TextReading(bool InScope, string? Intent, IReadOnlyList<RankedIntent> Intents, IReadOnlyList<Entity> Entities, int? ModelVersion);

internal sealed record TrainingAsked(Guid AgentId);

internal static class NluApi
{
    internal static IEndpointRouteBuilder Map(IEndpointRouteBuilder routes)
    {
        var nlu = routes.MapGroup("/agents/{agentId:guid}/nlu").WithTags("Understanding");
        nlu.MapGet("", FindAsync).RequireScope("actions:read").Describe("getNluModel", "The agent's trained classifier: version, size, when it was trained and how well it did on examples held out.").Produces<ModelInfo>();
        nlu.MapPost("/classify", ClassifyAsync).RequireScope("actions:read").Describe("classifyText", "What the classifier and the entity reader make of a text.").Produces<TextReading>();
        nlu.MapPost("/train", TrainAsync).RequireScope("actions:write").Describe("trainNluModel", "Trains the classifier now, if its registry has changed since.").Produces<TrainingAsked>(202);
        return routes;
    }

    private static Task<IResult> FindAsync(Guid agentId, HttpContext http, Database database, IntentModels models, CancellationToken ct) =>
        http.OneAsync(database, tx => models.InfoAsync(tx, agentId, ct), "nlu_model");

    private static async Task<IResult> ClassifyAsync(
        Guid agentId, ChatText request, HttpContext http, Database database, AgentDirectory agents, ActionRegistry registry, IntentModels models, TimeProvider clock, CancellationToken ct)
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
        var said = model?.Model.Classify(request.Text) ?? new Classification(false, []);
        var own = CustomEntities.Find(await registry.ActiveAsync(tx, agentId, ct), request.Text);
        var entities = Entities.Find(request.Text, DateOnly.FromDateTime(clock.GetUtcNow().UtcDateTime)).Concat(own).OrderBy(e => e.Start).ToList();
        return ((Result<TextReading>)new TextReading(said.InScope, said.Intent, said.Ranked, entities, model?.Version)).ToHttp();
    }

    private static async Task<IResult> TrainAsync(Guid agentId, HttpContext http, Database database, AgentDirectory agents, TrainRequests requests, CancellationToken ct)
    {
        await using var tx = database.Begin(http.Actor());
        if (await agents.FindAsync(tx, agentId, ct) is null)
        {
            return Problem.NotFound("agent").ToHttp();
        }

        requests.Enqueue(tx, agentId, TimeSpan.Zero);
        await tx.CommitAsync(ct);
        return ((Result<TrainingAsked>)new TrainingAsked(agentId)).ToAccepted();
    }
}

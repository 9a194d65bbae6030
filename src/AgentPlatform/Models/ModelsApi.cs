using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Models;

internal static class ModelsApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var models = v1.MapGroup("/models").WithTags("Models");
        models.MapGet("", (HttpContext http, Database database, ModelCatalog catalog, CancellationToken ct, int? limit = null, string? cursor = null) =>
            http.PageAsync(database, limit, cursor, (tx, page) => catalog.ListAsync(tx, page, ct)))
            .RequireScope("models:read").Describe("listModels", "The language models that the tenant's agents may ask, newest first.").Produces<Page<LlmModel>>();
        models.MapPost("", async (HttpContext http, ManageModels manage, LlmModelInput body, CancellationToken ct) =>
            (await manage.AddAsync(http.Actor(), body, ct)).ToCreated(m => $"/api/v1/models/{m.Id}", m => m.UpdatedAt))
            .RequireScope("models:write").Sensitive("model.add", "model").Describe("addModel", "Add a language model: its provider, its key (sealed, never shown) and its prices.").Produces<LlmModel>(201);
        models.MapGet("/{id:guid}", (HttpContext http, Database database, ModelCatalog catalog, Guid id, CancellationToken ct) =>
            http.OneAsync(database, tx => catalog.FindAsync(tx, id, ct), "model", m => m.UpdatedAt))
            .RequireScope("models:read").Describe("readModel", "One model.").Produces<LlmModel>();
        models.MapPatch("/{id:guid}", async (HttpContext http, IfMatch ifMatch, ManageModels manage, Guid id, LlmModelInput body, CancellationToken ct) =>
            (await manage.ChangeAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(m => m.UpdatedAt))
            .RequireScope("models:write").Sensitive("model.change", "model").Describe("changeModel", "Change a model.").Produces<LlmModel>();
        models.MapDelete("/{id:guid}", async (HttpContext http, IfMatch ifMatch, ManageModels manage, Guid id, CancellationToken ct) =>
            (await manage.RemoveAsync(http.Actor(), id, ifMatch, ct)).ToNoContent())
            .RequireScope("models:write").Sensitive("model.remove", "model").Describe("removeModel", "Remove a model; agents that name it answer without it.").Produces(StatusCodes.Status204NoContent);

        v1.MapGet("/model-calls/{id:guid}", (HttpContext http, Database database, Guid id, CancellationToken ct) => http.OneAsync(database, tx => CallJournal.FindAsync(tx, id, ct), "model_call"))
            .WithTags("Models").RequireScope("models:read").Describe("getModelCall", "One call of a model.").Produces<StoredCall>();
        v1.MapGet("/model-calls", CallsAsync).WithTags("Models")
            .RequireScope("models:read").Describe("listModelCalls", "Every call of a model, with what it was told and what it answered, newest first.").Produces<Page<StoredCall>>();
    }

    private static Task<IResult> CallsAsync(
        HttpContext http, Database database, CancellationToken ct, int? limit = null, string? cursor = null, Guid? conversation_id = null, string? status = null) =>
        http.PageAsync(
            database, limit, cursor, (tx, page) => CallJournal.ListAsync(tx, conversation_id, status, page, ct),
            new Validation().OneOf("status", status, required: false, "started", "answered", "failed", "interrupted").Problem);
}

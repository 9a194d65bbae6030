using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Campaigns.Moves;

internal static class MovesApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var moves = v1.MapGroup("/moves").WithTags("Moves");
        moves.MapGet("", ListAsync).RequireScope("campaigns:read").Describe("listMoves", "Moves: what is urgent first, and of that what is due first.").Produces<Page<Move>>();
        moves.MapPost("", async (HttpContext http, ManageMoves manage, MoveInput body, CancellationToken ct) =>
            (await manage.CreateAsync(http.Actor(), body, ct)).ToCreated(m => $"/api/v1/moves/{m.Id}", m => m.UpdatedAt))
            .RequireScope("campaigns:write").Describe("createMove", "Put up a move.").Produces<Move>(201);
        moves.MapGet("/{id:guid}", (HttpContext http, Database database, Guid id, CancellationToken ct) =>
            http.OneAsync(database, tx => MoveStore.FindAsync(tx, id, ct), "move", m => m.UpdatedAt))
            .RequireScope("campaigns:read").Describe("readMove", "One move.").Produces<Move>();
        moves.MapGet("/{id:guid}/recipients", RecipientsAsync)
            .RequireScope("campaigns:read").Describe("listMoveRecipients", "Whom an outreach has written to, and what became of it.").Produces<Page<MoveRecipient>>();
        moves.MapPut("/{id:guid}", async (HttpContext http, IfMatch ifMatch, ManageMoves manage, Guid id, MoveInput body, CancellationToken ct) =>
            (await manage.ReplaceAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(m => m.UpdatedAt))
            .RequireScope("campaigns:write").Describe("replaceMove", "Change a pending move.").Produces<Move>();
        moves.MapDelete("/{id:guid}", async (HttpContext http, IfMatch ifMatch, ManageMoves manage, Guid id, CancellationToken ct) =>
            (await manage.DeleteAsync(http.Actor(), id, ifMatch, ct)).ToNoContent())
            .RequireScope("campaigns:write").Describe("deleteMove", "Delete a move that is not in progress.").Produces(StatusCodes.Status204NoContent);
        moves.MapPost("/{id:guid}/run", async (HttpContext http, IfMatch ifMatch, ManageMoves manage, Guid id, CancellationToken ct) =>
            (await manage.RunAsync(http.Actor(), id, ifMatch, ct)).ToAccepted())
            .RequireScope("campaigns:write").Describe("runMove", "Run a pending move; execution_id names the run.").Produces<Move>(202);
        moves.MapPost("/{id:guid}/complete", async (HttpContext http, IfMatch ifMatch, ManageMoves manage, Guid id, CompleteMove? body, CancellationToken ct) =>
            (await manage.CompleteAsync(http.Actor(), id, body ?? new(null), ifMatch, ct)).ToHttp(m => m.UpdatedAt))
            .RequireScope("campaigns:write").Describe("completeMove", "Say that you have done a move of type admin.").Produces<Move>();
        moves.MapPost("/{id:guid}/fail", async (HttpContext http, IfMatch ifMatch, ManageMoves manage, Guid id, FailMove body, CancellationToken ct) =>
            (await manage.FailAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(m => m.UpdatedAt))
            .RequireScope("campaigns:write").Describe("failMove", "Say that a move of type admin cannot be done.").Produces<Move>();
    }

    private static Task<IResult> ListAsync(
        HttpContext http, Database database, CancellationToken ct, Guid? campaign_id = null, string? status = null, string? type = null, string? priority = null,
        Guid? assigned_to = null, string? execution_id = null, int? limit = null, string? cursor = null)
    {
        var invalid = new Validation().OneOf("status", status, required: false, Move.Statuses).OneOf("type", type, required: false, Move.Types)
            .OneOf("priority", priority, required: false, Move.Priorities).Problem;
        var filter = new MoveFilter(campaign_id, status, type, priority, assigned_to, execution_id);
        return http.PageAsync(database, limit, cursor, (tx, page) => MoveStore.ListAsync(tx, filter, page, ct), invalid);
    }

    private static async Task<IResult> RecipientsAsync(
        Guid id, HttpContext http, Database database, CancellationToken ct, string? status = null, int? limit = null, string? cursor = null)
    {
        var page = PageRequest.Parse(limit, cursor);
        if ((page.Problem ?? new Validation().OneOf("status", status, required: false, MoveStore.RecipientStatuses).Problem) is { } invalid)
        {
            return invalid.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        return await MoveStore.FindAsync(tx, id, ct) is null
            ? Problem.NotFound("move").ToHttp()
            : ((Result<Page<MoveRecipient>>)await MoveStore.RecipientsAsync(tx, id, status, page.Value, ct)).ToHttp();
    }
}

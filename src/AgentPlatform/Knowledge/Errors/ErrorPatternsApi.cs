using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Knowledge.Errors;

internal static class ErrorPatternsApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var patterns = v1.MapGroup("/error-patterns").WithTags("Learned patterns");
        patterns.MapGet("", ListAsync).RequireScope("knowledge:read").Describe("listErrorPatterns", "Known errors, shared ones and one's own, newest first.").Produces<Page<ErrorPattern>>();
        patterns.MapGet("/{id:guid}", FindAsync).RequireScope("knowledge:read").Describe("readErrorPattern", "One known error.").Produces<ErrorPattern>();
        patterns.MapPost("", async (HttpContext http, ErrorPatterns store, ErrorPatternBody body, CancellationToken ct) =>
            (await store.CreateAsync(http.Actor(), body, ct)).ToCreated(p => $"/api/v1/error-patterns/{p.Id}", p => p.UpdatedAt))
            .RequireScope("knowledge:write").Describe("createErrorPattern", "Write down an error and what helps, for oneself or shared.").Produces<ErrorPattern>(201);
        patterns.MapPatch("/{id:guid}", async (Guid id, HttpContext http, IfMatch ifMatch, ErrorPatterns store, ErrorPatternBody body, CancellationToken ct) =>
            (await store.ChangeAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(p => p.UpdatedAt))
            .RequireScope("knowledge:write").Describe("changeErrorPattern", "Change what to do about an error, and in which order.").Produces<ErrorPattern>();
        patterns.MapDelete("/{id:guid}", async (Guid id, HttpContext http, IfMatch ifMatch, ErrorPatterns store, CancellationToken ct) =>
            (await store.DeleteAsync(http.Actor(), id, ifMatch, ct)).ToNoContent())
            .RequireScope("knowledge:write").Describe("deleteErrorPattern", "Forget an error.").Produces(204);
        patterns.MapPost("/occurrences", async (HttpContext http, ErrorPatterns store, OccurrenceBody body, CancellationToken ct) =>
            (await store.ReportAsync(http.Actor(), body, ct)).ToHttp(p => p.UpdatedAt))
            .RequireScope("knowledge:write").Describe("reportErrorOccurrence", "Say that an error has come, and hear what is known of it.").Produces<ErrorPattern>();
        patterns.MapPost("/{id:guid}/recoveries", async (Guid id, HttpContext http, ErrorPatterns store, RecoveryBody body, CancellationToken ct) =>
            (await store.RecoverAsync(http.Actor(), id, body, ct)).ToHttp(p => p.UpdatedAt))
            .RequireScope("knowledge:write").Describe("reportErrorRecovery", "Say what was tried against an error, and whether it helped.").Produces<ErrorPattern>();
    }

    private static Task<IResult> ListAsync(
        HttpContext http, Database database, ErrorPatterns store, CancellationToken ct, string? error_type = null, string? context = null, int? limit = null, string? cursor = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => store.ListAsync(tx, error_type, context, page, ct));

    private static Task<IResult> FindAsync(Guid id, HttpContext http, Database database, ErrorPatterns store, CancellationToken ct) =>
        http.OneAsync(database, tx => store.FindAsync(tx, id, ct), "error_pattern", p => p.UpdatedAt);
}

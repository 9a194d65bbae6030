using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Workflows.Definitions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Workflows.Patterns;

internal static class PatternsApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var patterns = v1.MapGroup("/workflow-patterns").WithTags("Workflow patterns");
        patterns.MapGet("", ListAsync).RequireScope("workflows:read").Describe("listWorkflowPatterns", "The platform's patterns, public ones and one's own, newest first.").Produces<Page<WorkflowPattern>>();
        patterns.MapGet("/{pattern_id}", FindAsync).RequireScope("workflows:read").Describe("readWorkflowPattern", "One pattern.").Produces<WorkflowPattern>();
        patterns.MapPost("", async (HttpContext http, PatternShelf shelf, PatternBody body, CancellationToken ct) =>
            (await shelf.CreateAsync(http.Actor(), body, ct)).ToCreated(p => $"/api/v1/workflow-patterns/{p.PatternId}"))
            .RequireScope("workflows:write").Describe("createWorkflowPattern", "A definition with blanks.").Produces<WorkflowPattern>(201);
        patterns.MapPost("/{pattern_id}/instantiate", async (string pattern_id, HttpContext http, PatternShelf shelf, InstantiateBody body, CancellationToken ct) =>
            (await shelf.InstantiateAsync(http.Actor(), pattern_id, body, ct)).ToCreated(w => $"/api/v1/workflows/{w.WorkflowId}", w => w.UpdatedAt))
            .RequireScope("workflows:write").Describe("instantiateWorkflowPattern", "Make a workflow of a pattern and its variables.").Produces<Workflow>(201);
    }

    private static Task<IResult> ListAsync(
        HttpContext http, Database database, PatternShelf shelf, CancellationToken ct, string? category = null, string? tag = null, int? limit = null, string? cursor = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => shelf.ListAsync(tx, category, tag, page, ct));

    private static Task<IResult> FindAsync(string pattern_id, HttpContext http, Database database, PatternShelf shelf, CancellationToken ct) =>
        http.OneAsync(database, tx => shelf.FindAsync(tx, pattern_id, ct), "workflow_pattern");
}

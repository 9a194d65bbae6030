using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using AgentPlatform.Workflows.Running;
using AgentPlatform.Workflows.Starting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Workflows.Definitions;

internal static class WorkflowsApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var workflows = v1.MapGroup("/workflows").WithTags("Workflows");
        workflows.MapGet("", ListAsync).RequireScope("workflows:read").Describe("listWorkflows", "Workflows with their current definition, newest first.").Produces<Page<Workflow>>();
        workflows.MapGet("/{workflow_id}", FindAsync).RequireScope("workflows:read").Describe("readWorkflow", "One workflow with its current definition.").Produces<Workflow>();
        workflows.MapGet("/{workflow_id}/versions", VersionsAsync).RequireScope("workflows:read").Describe("listWorkflowVersions", "Every definition a workflow has had, latest first.").Produces<Page<WorkflowVersion>>();
        workflows.MapPost("/{workflow_id}/start", StartAsync).RequireScope("workflows:write").Describe("startWorkflow", "Run a workflow for the contact of a conversation.").Produces<WorkflowInstance>(201);

        workflows.MapPost("", async (HttpContext http, ManageWorkflows manage, WorkflowBody body, CancellationToken ct) =>
            (await manage.CreateAsync(http.Actor(), body, ct)).ToCreated(w => $"/api/v1/workflows/{w.WorkflowId}", w => w.UpdatedAt))
            .RequireScope("workflows:write").Describe("createWorkflow", "Define a workflow; what is wrong is named by its JSON path.").Produces<Workflow>(201);
        workflows.MapPost("/validate", async (HttpContext http, ManageWorkflows manage, WorkflowBody body, CancellationToken ct) =>
            (await manage.ValidateAsync(http.Actor(), body, ct)).ToHttp())
            .RequireScope("workflows:read").Describe("validateWorkflow", "The complete definition, or what is wrong with it; nothing is kept.").Produces<WorkflowDefinition>();
        workflows.MapPatch("/{workflow_id}", async (string workflow_id, HttpContext http, IfMatch ifMatch, ManageWorkflows manage, WorkflowBody body, CancellationToken ct) =>
            (await manage.ChangeAsync(http.Actor(), workflow_id, body, ifMatch, ct)).ToHttp(w => w.UpdatedAt))
            .RequireScope("workflows:write").Describe("changeWorkflow", "Change a workflow; another definition is a new version.").Produces<Workflow>();
        workflows.MapPost("/{workflow_id}/copy", async (string workflow_id, HttpContext http, ManageWorkflows manage, CopyBody body, CancellationToken ct) =>
            (await manage.CopyAsync(http.Actor(), workflow_id, body, ct)).ToCreated(w => $"/api/v1/workflows/{w.WorkflowId}", w => w.UpdatedAt))
            .RequireScope("workflows:write").Describe("copyWorkflow", "A workflow of one's own with another's definition.").Produces<Workflow>(201);
    }

    private static Task<IResult> ListAsync(
        HttpContext http, Database database, WorkflowCatalogue catalogue, CancellationToken ct, Guid? agent_id = null, string? category = null, bool? is_template = null, bool? is_active = null,
        string? tag = null, int? limit = null, string? cursor = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => catalogue.ListAsync(tx, new WorkflowFilter(agent_id, category, is_template, is_active, tag), page, ct));

    private static Task<IResult> FindAsync(string workflow_id, HttpContext http, Database database, WorkflowCatalogue catalogue, CancellationToken ct) =>
        http.OneAsync(database, tx => catalogue.FindAsync(tx, workflow_id, ct), "workflow", w => w.UpdatedAt);

    private static async Task<IResult> VersionsAsync(string workflow_id, HttpContext http, Database database, WorkflowCatalogue catalogue, CancellationToken ct)
    {
        await using var tx = database.Begin(http.Actor());
        return await catalogue.FindAsync(tx, workflow_id, ct) is { } workflow
            ? ((Result<Page<WorkflowVersion>>)new Page<WorkflowVersion>(await catalogue.VersionsAsync(tx, workflow.Id, ct), null)).ToHttp()
            : Problem.NotFound("workflow").ToHttp();
    }

    private static async Task<IResult> StartAsync(string workflow_id, HttpContext http, Database database, StartWorkflow starts, StartBody body, TimeProvider clock, CancellationToken ct)
    {
        if (body.Problem is { } problem)
        {
            return problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        var started = await starts.RunAsync(tx, new WorkflowStart(workflow_id, body.ConversationId!.Value, "api", $"api:{http.IdempotencyKey() ?? clock.NewId().ToString("n")}")
        {
            Input = body.Input,
            Version = body.Version,
            BrowserSessionId = body.BrowserSessionId,
        }, ct);
        if (started.IsOk)
        {
            await tx.CommitAsync(ct);
        }

        return started.ToCreated(i => $"/api/v1/workflow-instances/{i.Id}", i => i.UpdatedAt);
    }
}

internal sealed record StartBody(Guid? ConversationId, System.Text.Json.JsonElement? Input, int? Version, string? BrowserSessionId)
{
    internal Problem? Problem => new Validation().Check("conversation_id", ConversationId is not null, "Is required.").MustBeObject("input", Input)
        .Check("version", Version is null or >= 1, "Must be at least 1.").Text("browser_session_id", BrowserSessionId, 255).Problem;
}

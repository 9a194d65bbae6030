using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Tasks;

internal static class TasksApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var tasks = v1.MapGroup("/agency-tasks").WithTags("Agency tasks");
        tasks.MapGet("", ListAsync).RequireScope("tasks:read").Describe("listAgencyTasks", "The task board, newest first.").Produces<Page<AgencyTask>>();
        tasks.MapGet("/{id:guid}", FindAsync).RequireScope("tasks:read").Describe("readAgencyTask", "One task of the board.").Produces<AgencyTask>();
        tasks.MapGet("/{id:guid}/executions", ExecutionsAsync).RequireScope("tasks:read").Describe("listTaskExecutions", "The attempts at a task with their steps, latest first.").Produces<Page<TaskExecution>>();

        tasks.MapPost("", async (HttpContext http, ManageTasks manage, TaskBody body, CancellationToken ct) =>
            (await manage.CreateAsync(http.Actor(), body, ct)).ToCreated(t => $"/api/v1/agency-tasks/{t.Id}", t => t.UpdatedAt))
            .RequireScope("tasks:write").Describe("createAgencyTask", "Put a task on the board.").Produces<AgencyTask>(201);
        tasks.MapPatch("/{id:guid}", async (HttpContext http, IfMatch ifMatch, ManageTasks manage, Guid id, TaskBody body, CancellationToken ct) =>
            (await manage.ChangeAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(t => t.UpdatedAt))
            .RequireScope("tasks:write").Describe("changeAgencyTask", "Change a task that has not begun.").Produces<AgencyTask>();
        MapMoves(tasks);
    }

    private static void MapMoves(RouteGroupBuilder tasks)
    {
        tasks.MapPost("/{id:guid}/review", async (HttpContext http, IfMatch ifMatch, ManageTasks manage, Guid id, ReviewBody body, CancellationToken ct) =>
            (body.Problem is { } problem ? problem : await manage.ReviewAsync(http.Caller(), id, body, ifMatch, ct)).ToHttp(t => t.UpdatedAt))
            .RequireScope("tasks:write").Describe("reviewAgencyTask", "Let a task run, or not.").Produces<AgencyTask>();
        tasks.MapPost("/{id:guid}/cancel", async (HttpContext http, IfMatch ifMatch, ManageTasks manage, Guid id, CancelBody? body, CancellationToken ct) =>
            (body?.Problem is { } problem ? problem : await manage.CancelAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(t => t.UpdatedAt))
            .RequireScope("tasks:write").Describe("cancelAgencyTask", "Cancel a task that is not over.").Produces<AgencyTask>();
        tasks.MapPost("/{id:guid}/retry", async (HttpContext http, IfMatch ifMatch, ManageTasks manage, Guid id, CancellationToken ct) =>
            (await manage.RetryAsync(http.Actor(), id, ifMatch, ct)).ToHttp(t => t.UpdatedAt))
            .RequireScope("tasks:write").Describe("retryAgencyTask", "Try a failed task once more.").Produces<AgencyTask>();
        tasks.MapPost("/{id:guid}/run", async (HttpContext http, IfMatch ifMatch, ManageTasks manage, Guid id, CancellationToken ct) =>
            (await manage.RunAsync(http.Actor(), id, ifMatch, ct)).ToHttp(t => t.UpdatedAt))
            .RequireScope("tasks:write").Describe("runAgencyTask", "Start a task that is started by hand.").Produces<AgencyTask>();
        tasks.MapPost("/{id:guid}/complete", async (HttpContext http, IfMatch ifMatch, ManageTasks manage, Guid id, CompleteBody body, CancellationToken ct) =>
            (body.Problem is { } problem ? problem : await manage.CompleteAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(t => t.UpdatedAt))
            .RequireScope("tasks:write").Describe("completeAgencyTask", "Say that you have done a task that is a person's.").Produces<AgencyTask>();
    }

    private static async Task<IResult> ListAsync(
        HttpContext http, Database database, TaskBoard board, CancellationToken ct, string? status = null, string? priority = null, string? urgency = null,
        string? task_type = null, bool? assigned_to_bot = null, Guid? conversation_id = null, Guid? user_id = null, string? tag = null, int? limit = null, string? cursor = null)
    {
        var page = PageRequest.Parse(limit, cursor);
        if (!page.IsOk)
        {
            return page.Problem.ToHttp();
        }

        var invalid = new Validation().OneOf("status", status, required: false, AgencyTask.Statuses).OneOf("priority", priority, required: false, AgencyTask.Priorities)
            .OneOf("urgency", urgency, required: false, [.. AgencyTask.Urgencies, "overdue"]).Problem;
        if (invalid is not null)
        {
            return invalid.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        var filter = new BoardFilter(status, priority, urgency, task_type, assigned_to_bot, conversation_id, user_id, tag);
        return ((Result<Page<AgencyTask>>)await board.ListAsync(tx, filter, page.Value, ct)).ToHttp();
    }

    private static Task<IResult> FindAsync(Guid id, HttpContext http, Database database, TaskBoard board, CancellationToken ct) =>
        http.OneAsync(database, tx => board.FindAsync(tx, id, ct), "task", t => t.UpdatedAt);

    private static async Task<IResult> ExecutionsAsync(
        Guid id, HttpContext http, Database database, TaskBoard board, TaskAttempts attempts, CancellationToken ct, int? limit = null, string? cursor = null)
    {
        var page = PageRequest.Parse(limit, cursor);
        if (!page.IsOk)
        {
            return page.Problem.ToHttp();
        }

        await using var tx = database.Begin(http.Actor());
        return await board.FindAsync(tx, id, ct) is null
            ? Problem.NotFound("task").ToHttp()
            : ((Result<Page<TaskExecution>>)await attempts.ListAsync(tx, id, page.Value, ct)).ToHttp();
    }
}

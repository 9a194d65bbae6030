using AgentPlatform.Api;
using AgentPlatform.Kernel;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace AgentPlatform.Schedules.Automations;

internal static class ScheduledTasksApi
{
    internal static void Map(IEndpointRouteBuilder v1)
    {
        var tasks = v1.MapGroup("/scheduled-tasks").WithTags("Scheduled tasks");
        tasks.MapGet("", ListAsync).RequireScope("tasks:read").Describe("listScheduledTasks", "Automations with their schedules, newest first.").Produces<Page<ScheduledTask>>();
        tasks.MapGet("/{id:guid}", FindAsync).RequireScope("tasks:read").Describe("readScheduledTask", "One scheduled task with what its runs add up to.").Produces<ScheduledTask>();
        tasks.MapGet("/{id:guid}/executions", ExecutionsAsync).RequireScope("tasks:read").Describe("listScheduledTaskExecutions", "Its runs that are kept, newest first.").Produces<Page<ScheduledExecution>>();
        tasks.MapGet("/{id:guid}/job", JobAsync).RequireScope("tasks:read").Describe("readScheduledTaskJob", "Its entry in the registry of cron jobs.").Produces<CronJob>();
        tasks.MapPost("", async (HttpContext http, ManageScheduledTasks manage, ScheduledTaskBody body, CancellationToken ct) =>
            (await manage.CreateAsync(http.Actor(), body, ct)).ToCreated(t => $"/api/v1/scheduled-tasks/{t.Id}", t => t.UpdatedAt))
            .RequireScope("tasks:write").Describe("createScheduledTask", "Run an automation at its times.").Produces<ScheduledTask>(201);
        tasks.MapPatch("/{id:guid}", async (Guid id, HttpContext http, IfMatch ifMatch, ManageScheduledTasks manage, ScheduledTaskBody body, CancellationToken ct) =>
            (await manage.ChangeAsync(http.Actor(), id, body, ifMatch, ct)).ToHttp(t => t.UpdatedAt))
            .RequireScope("tasks:write").Describe("changeScheduledTask", "Change a task; another schedule counts from now on.").Produces<ScheduledTask>();
        tasks.MapPost("/{id:guid}/pause", async (Guid id, HttpContext http, IfMatch ifMatch, ManageScheduledTasks manage, CancellationToken ct) =>
            (await manage.PauseAsync(http.Actor(), id, ifMatch, ct)).ToHttp(t => t.UpdatedAt))
            .RequireScope("tasks:write").Describe("pauseScheduledTask", "Start no more runs until it is resumed.").Produces<ScheduledTask>();
        tasks.MapPost("/{id:guid}/resume", async (Guid id, HttpContext http, IfMatch ifMatch, ManageScheduledTasks manage, CancellationToken ct) =>
            (await manage.ResumeAsync(http.Actor(), id, ifMatch, ct)).ToHttp(t => t.UpdatedAt))
            .RequireScope("tasks:write").Describe("resumeScheduledTask", "Go on with the first time after now.").Produces<ScheduledTask>();
        tasks.MapPost("/{id:guid}/archive", async (Guid id, HttpContext http, IfMatch ifMatch, ManageScheduledTasks manage, CancellationToken ct) =>
            (await manage.ArchiveAsync(http.Actor(), id, ifMatch, ct)).ToHttp(t => t.UpdatedAt))
            .RequireScope("tasks:write").Describe("archiveScheduledTask", "Never run it again, and keep it.").Produces<ScheduledTask>();
        tasks.MapDelete("/{id:guid}", async (Guid id, HttpContext http, IfMatch ifMatch, ManageScheduledTasks manage, CancellationToken ct) =>
            (await manage.DeleteAsync(http.Actor(), id, ifMatch, ct)).ToNoContent())
            .RequireScope("tasks:write").Describe("deleteScheduledTask", "Delete a task with its runs and its registry entry.").Produces(StatusCodes.Status204NoContent);
        tasks.MapPost("/{id:guid}/run", async (Guid id, HttpContext http, ManageScheduledTasks manage, CancellationToken ct) =>
            (await manage.RunNowAsync(http.Actor(), id, ct)).ToCreated(e => $"/api/v1/scheduled-tasks/{e.TaskId}/executions"))
            .RequireScope("tasks:write").Describe("runScheduledTask", "Run it at once; its next time stays.").Produces<ScheduledExecution>(201);
    }

    private static Task<IResult> ListAsync(
        HttpContext http, Database database, ManageScheduledTasks manage, CancellationToken ct, string? status = null, string? automation_type = null, int? limit = null,
        string? cursor = null) => http.PageAsync(database, limit, cursor, (tx, page) => manage.ListAsync(tx, status, automation_type, page, ct), Unknown(status, automation_type));

    private static Problem? Unknown(string? status, string? type) => new Validation()
        .Check("status", status is null || ScheduledTask.Statuses.Contains(status), $"Must be one of {string.Join(", ", ScheduledTask.Statuses)}.")
        .Check("automation_type", type is null || ScheduledTask.Types.Contains(type), $"Must be one of {string.Join(", ", ScheduledTask.Types)}.").Problem;

    private static Task<IResult> FindAsync(Guid id, HttpContext http, Database database, ManageScheduledTasks manage, CancellationToken ct) =>
        http.OneAsync(database, tx => manage.FindAsync(tx, id, ct), "scheduled_task", t => t.UpdatedAt);

    private static Task<IResult> ExecutionsAsync(
        Guid id, HttpContext http, Database database, ManageScheduledTasks manage, CancellationToken ct, string? status = null, int? limit = null, string? cursor = null) =>
        http.PageAsync(database, limit, cursor, (tx, page) => manage.ExecutionsAsync(tx, id, status, page, ct),
            status is null || ScheduledExecution.Statuses.Contains(status) ? null : Problem.Invalid("status", $"Must be one of {string.Join(", ", ScheduledExecution.Statuses)}."));

    private static Task<IResult> JobAsync(Guid id, HttpContext http, Database database, ManageScheduledTasks manage, CancellationToken ct) =>
        http.OneAsync(database, tx => manage.JobAsync(tx, id, ct), "scheduled_task", j => j.UpdatedAt);
}

using System.ComponentModel.DataAnnotations;
using AgentPlatform.Api;
using AgentPlatform.Contacts;
using AgentPlatform.Kernel;
using AgentPlatform.Operations;
using AgentPlatform.Postgres;
using AgentPlatform.Schedules.Automations;
using AgentPlatform.Work;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Schedules;

public sealed class SchedulesOptions
{
    /// <summary>Days after which a completed or cancelled task is archived. Default 30.</summary>
    [Range(1, 3650)]
    public int TaskRetentionDays { get; set; } = 30;
}

public static class SchedulesModule
{
    /// <summary>Tasks of agents and scheduled automations; other modules add an <see cref="IAgentTaskHandler"/> per task type and an <see cref="IAutomation"/> per automation type.</summary>
    public static IServiceCollection AddSchedules(this IServiceCollection services)
    {
        services.AddSingleton<IKeepsPersonalData, KeptOfContacts>();
        services.AddOptions<SchedulesOptions>().BindConfiguration("Schedules").ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<TaskQueue>();
        services.AddSingleton<TaskDesk>();
        services.AddSingleton<TaskArchive>();
        services.AddSingleton<IContactMergeParticipant, MoveTasks>();
        services.AddSingleton<IHealthSource, TaskHealth>();
        services.AddWorkHandler<RunAgentTask>(TaskQueue.WorkKind, o => o.MaxAttempts = 4);
        services.AddSingleton<ScheduledRuns>().AddSingleton<RunHistory>().AddSingleton<ManageScheduledTasks>();
        services.AddWorkHandler<StartDueRun>(ScheduledRuns.DueKind, kind =>
        {
            kind.MaxAttempts = 25;
            kind.ForgetDone = true;
        });
        // A failed run is repeated by the task's own count; the engine's attempts count crashes of our side only.
        return services.AddWorkHandler<RunAutomation>(ScheduledRuns.RunKind, kind => kind.MaxAttempts = 25);
    }

    /// <summary>Under <c>/api/v1</c>: tasks, scheduled-tasks.</summary>
    public static IEndpointRouteBuilder MapSchedules(this IEndpointRouteBuilder v1)
    {
        var tasks = v1.MapGroup("/tasks").WithTags("Tasks");
        tasks.MapGet("", async (
            HttpContext http, TaskDesk desk, string? status, string? task_type, string? agent_type, Guid? contact_id, string? context_type, Guid? context_id,
            bool? archived, int? limit, string? cursor, CancellationToken ct) =>
        {
            var invalid = new Validation().OneOf("status", status, required: false, "pending", "processing", "completed", "failed", "cancelled").Problem;
            var page = invalid is null ? PageRequest.Parse(limit, cursor) : invalid;
            var filter = new TaskFilter(status, task_type, agent_type, contact_id, context_type, context_id, archived ?? false);
            return page.IsOk ? ((Result<Page<AgentTask>>)await desk.ListAsync(http.Actor(), filter, page.Value, ct)).ToHttp() : page.Problem.ToHttp();
        }).RequireScope("tasks:read").Describe("listTasks", "Background tasks of agents, newest first.").Produces<Page<AgentTask>>();

        tasks.MapGet("/pending-count", async (HttpContext http, TaskDesk desk, CancellationToken ct) =>
            ((Result<Page<PendingCount>>)await desk.PendingAsync(http.Actor(), ct)).ToHttp())
            .RequireScope("tasks:read").Describe("countPendingTasks", "How many tasks wait, by priority.").Produces<Page<PendingCount>>();

        tasks.MapPost("", async (HttpContext http, TaskDesk desk, AgentTaskBody body, CancellationToken ct) =>
            (await desk.CreateAsync(http.Actor(), body, ct)).ToCreated(t => $"/api/v1/tasks/{t.Id}"))
            .RequireScope("tasks:write").Describe("createTask", "Schedule a task.").Produces<AgentTask>(201);

        tasks.MapGet("/{id:guid}", async (
            HttpContext http, TaskDesk desk, Guid id, CancellationToken ct) =>
                (await desk.ReadAsync(http.Actor(), id, ct)).ToHttp())
            .RequireScope("tasks:read").Describe("readTask", "One task with its result or errors.").Produces<AgentTask>();

        tasks.MapPost("/{id:guid}/cancel", async (
            HttpContext http, TaskDesk desk, Guid id, CancellationToken ct) =>
                (await desk.CancelAsync(http.Actor(), id, ct)).ToHttp())
            .RequireScope("tasks:write").Describe("cancelTask", "Cancel a task that has not begun.").Produces<AgentTask>();
        ScheduledTasksApi.Map(v1);
        return v1;
    }
}

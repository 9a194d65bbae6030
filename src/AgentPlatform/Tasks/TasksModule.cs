using System.ComponentModel.DataAnnotations;
using AgentPlatform.Actions;
using AgentPlatform.Channels;
using AgentPlatform.Events;
using AgentPlatform.Postgres;
using AgentPlatform.Tasks.Processors;
using AgentPlatform.Work;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Tasks;

public sealed class TasksOptions
{
    /// <summary>Seconds before a failed task is tried again; it doubles with each further failure, up to an hour. Default 30.</summary>
    [Range(0.01, 3600)]
    public double RetrySeconds { get; set; } = 30;
}

public static class TasksModule
{
    /// <summary>The task board; a module that can do tasks adds an <see cref="IAgencyTaskProcessor"/>.</summary>
    public static IServiceCollection AddTasks(this IServiceCollection services)
    {
        services.AddSingleton<IKeepsPersonalData, KeptOfContacts>();
        services.AddOptions<TasksOptions>().BindConfiguration("Tasks").ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<TaskGates>().AddSingleton<TaskAttempts>().AddSingleton<SettleTask>().AddSingleton<ManageTasks>()
            .AddSingleton(p => new TaskBoard(
                p.GetRequiredService<TaskGates>(), p.GetRequiredService<TaskAttempts>(), p.GetRequiredService<InboundMessages>(), p.GetRequiredService<WorkQueue>(), p.GetRequiredService<EventStore>(), p.GetRequiredService<TimeProvider>()));
        services.AddScoped<IAgencyTaskProcessor, RunAction>().AddScoped<IAgencyTaskProcessor, AgentTaskSteps>();
        services.AddSingleton<IActionListener, ActionOutcome>();
        services.AddWorkHandler<TaskDeadline>(TaskBoard.DeadlineKind);
        // A failed attempt is repeated by the task's own count; the engine's attempts count crashes of our side only.
        return services.AddWorkHandler<RunTask>(TaskBoard.RunKind, kind => kind.MaxAttempts = 25);
    }

    /// <summary>Under <c>/api/v1</c>: agency-tasks.</summary>
    public static void MapTasks(this IEndpointRouteBuilder v1) => TasksApi.Map(v1);
}

using AgentPlatform.Work;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Schedules;

public static class SchedulesModule
{
    /// <summary>Tasks of agents; other modules add an <see cref="IAgentTaskHandler"/> per task type.</summary>
    public static IServiceCollection AddSchedules(this IServiceCollection services)
    {
        services.AddSingleton<TaskQueue>();
        services.AddWorkHandler<RunAgentTask>(TaskQueue.WorkKind, o => o.MaxAttempts = 4);
        return services;
    }
}

using AgentPlatform.Actions.Aftermath;
using AgentPlatform.Events;
using AgentPlatform.Knowledge.Errors;
using AgentPlatform.Knowledge.Patterns;
using AgentPlatform.Tasks;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Knowledge;

public static class KnowledgeModule
{
    /// <summary>What is learned from tasks and from failures, and what others tell.</summary>
    public static IServiceCollection AddKnowledge(this IServiceCollection services)
    {
        services.AddSingleton<ActionPatterns>().AddSingleton<ElementSelectors>().AddSingleton<ErrorPatterns>().AddSingleton<SuccessPatterns>().AddSingleton<PatternRetention>();
        services.AddSingleton<ITaskGuides, TaskGuides>().AddSingleton<IErrorAdvisor, ErrorAdvice>();
        return services.AddEventConsumer<LearnFromTasks>(LearnFromTasks.Consumer, LearnFromTasks.Types)
            .AddEventConsumer<LearnFromActions>(LearnFromActions.Consumer, LearnFromActions.Types);
    }

    /// <summary>Under <c>/api/v1</c>: action-patterns, element-selectors, error-patterns, task-success-patterns.</summary>
    public static void MapKnowledge(this IEndpointRouteBuilder v1)
    {
        ActionPatternsApi.Map(v1);
        ElementSelectorsApi.Map(v1);
        ErrorPatternsApi.Map(v1);
        SuccessPatternsApi.Map(v1);
    }
}

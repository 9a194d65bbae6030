using AgentPlatform.Agents.Scenarios;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Agents;

public static class AgentsModule
{
    /// <summary>What an agent is configured with, as data: the turn reads it, operators write it.</summary>
    public static IServiceCollection AddAgents(this IServiceCollection services) =>
        services.AddSingleton<ScenarioStore>().AddSingleton<ManageScenarios>();

    /// <summary>Under <c>/api/v1</c>: agents/{id}/scenarios and scenarios.</summary>
    public static void MapAgents(this IEndpointRouteBuilder v1) => ScenariosApi.Map(v1);
}

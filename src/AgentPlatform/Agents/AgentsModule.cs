using AgentPlatform.Agents.Plans;
using AgentPlatform.Agents.Scenarios;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Agents;

public static class AgentsModule
{
    /// <summary>What an agent is configured with, as data: the turn reads it, operators write it.</summary>
    public static IServiceCollection AddAgents(this IServiceCollection services) =>
        services.AddSingleton<ScenarioStore>().AddSingleton<ManageScenarios>().AddSingleton<PlanStore>().AddSingleton<ManagePlans>();

    /// <summary>Under <c>/api/v1</c>: agents/{id}/scenarios, scenarios, scenarios/{id}/migration-plans and migration-plans.</summary>
    public static void MapAgents(this IEndpointRouteBuilder v1)
    {
        ScenariosApi.Map(v1);
        PlansApi.Map(v1);
    }
}

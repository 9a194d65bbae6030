using AgentPlatform.Agents.Plans;
using AgentPlatform.Agents.Prompts;
using AgentPlatform.Agents.ReplyTemplates;
using AgentPlatform.Agents.Rules;
using AgentPlatform.Agents.Scenarios;
using AgentPlatform.Agents.Variables;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Agents;

public static class AgentsModule
{
    /// <summary>What an agent is configured with, as data: the turn reads it, operators write it.</summary>
    public static IServiceCollection AddAgents(this IServiceCollection services) =>
        services.AddSingleton<ScenarioStore>().AddSingleton<ManageScenarios>().AddSingleton<PlanStore>().AddSingleton<ManagePlans>().AddSingleton<VariableStore>().AddSingleton<ManageVariables>()
            .AddSingleton<Guidance>().AddSingleton<RuleStore>().AddSingleton<ManageRules>().AddSingleton<TemplateStore>().AddSingleton<ManageTemplates>()
            .AddSingleton<TemplateSetStore>().AddSingleton<ManageTemplateSets>();

    /// <summary>Under <c>/api/v1</c>: agents/{id}/scenarios, scenarios, scenarios/{id}/migration-plans, migration-plans, agents/{id}/variables,
    /// variables, sessions/{id}/variables, agents/{id}/rules, rules,
    /// agents/{id}/templates, templates, prompt-parts, agents/{id}/template-sets and template-sets.</summary>
    public static void MapAgents(this IEndpointRouteBuilder v1)
    {
        ScenariosApi.Map(v1);
        PlansApi.Map(v1);
        VariablesApi.Map(v1);
        RulesApi.Map(v1);
        TemplatesApi.Map(v1);
        TemplateSetsApi.Map(v1);
    }
}

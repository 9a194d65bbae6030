using System.Reflection;
using AgentPlatform.Actions;
using AgentPlatform.Agents;
using AgentPlatform.Alerts;
using AgentPlatform.Api;
using AgentPlatform.Audit;
using AgentPlatform.Billing;
using AgentPlatform.Brain;
using AgentPlatform.Campaigns;
using AgentPlatform.Channels;
using AgentPlatform.Contacts;
using AgentPlatform.Conversations;
using AgentPlatform.Costs;
using AgentPlatform.Credits;
using AgentPlatform.Demo;
using AgentPlatform.Events;
using AgentPlatform.Identity;
using AgentPlatform.Kernel;
using AgentPlatform.Knowledge;
using AgentPlatform.Memory;
using AgentPlatform.Messaging;
using AgentPlatform.Models;
using AgentPlatform.Operations;
using AgentPlatform.Postgres;
using AgentPlatform.Resilience;
using AgentPlatform.Schedules;
using AgentPlatform.Schemas;
using AgentPlatform.Tasks;
using AgentPlatform.Telemetry;
using AgentPlatform.Tenancy;
using AgentPlatform.Work;
using AgentPlatform.Workflows;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform;

/// <summary>The platform's modules, in the order their schemas build on each other.</summary>
public static class AgentPlatformModules
{
    private static readonly Assembly Self = typeof(AgentPlatformModules).Assembly;

    public static readonly IReadOnlyList<(string Module, Assembly Assembly)> Schemas =
    [
        .. new[] { "Kernel", "Operations", "Tenancy", "Identity", "Events", "Work", "Resilience", "Billing", "Contacts", "Conversations", "Schedules", "Credits", "Channels", "Messaging", "Actions", "Schemas", "Agents", "Costs", "Models", "Tasks", "Workflows", "Knowledge", "Campaigns", "Alerts", "Memory", "Brain", "Demo", "Audit" }
            .Select(module => (module, Self)),
    ];

    public static IServiceCollection AddAgentPlatform(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddSingleton(MigrationSet.FromResources(Schemas));
        services.AddKernel().AddPostgres().AddWork(configuration).AddApi(UseAgentPlatform, MapAgentPlatform);
        services.AddTelemetry(configuration).AddOperations();
        services.AddAudit().AddBilling().AddTenancy().AddIdentity().AddEvents().AddResilience();
        services.AddContacts().AddConversations().AddSchedules().AddCredits().AddChannels().AddMessaging();
        services.AddActions().AddSchemas().AddAgents().AddCosts().AddModels().AddTasks().AddWorkflows().AddKnowledge().AddCampaigns().AddAlerts().AddMemory().AddBrain();
        services.AddDemo();
        return services;
    }

    private static void UseAgentPlatform(IApplicationBuilder app)
    {
        AuditModule.UseAudit(app);
        IdentityModule.UseIdentity(app);
    }

    /// <summary>Every module's part of the API, under <c>/api/v1</c>.</summary>
    private static void MapAgentPlatform(IEndpointRouteBuilder v1)
    {
        v1.MapOperations();
        v1.MapTenancy();
        v1.MapIdentity();
        v1.MapEvents();
        v1.MapBilling();
        v1.MapCredits();
        v1.MapWork();
        v1.MapResilience();
        v1.MapChannels();
        v1.MapMessaging();
        v1.MapContacts();
        v1.MapConversations();
        v1.MapSchedules();
        v1.MapActions();
        v1.MapSchemas();
        v1.MapAgents();
        v1.MapCosts();
        v1.MapModels();
        v1.MapTasks();
        v1.MapWorkflows();
        v1.MapKnowledge();
        v1.MapCampaigns();
        v1.MapAlerts();
        v1.MapMemory();
        v1.MapBrain();
        v1.MapAudit();
    }
}

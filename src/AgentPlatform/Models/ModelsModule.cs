using AgentPlatform.Channels.Custom;
using AgentPlatform.Contacts;
using AgentPlatform.Costs;
using AgentPlatform.Operations;
using AgentPlatform.Postgres;
using AgentPlatform.Resilience;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace AgentPlatform.Models;

public sealed class ModelsOptions
{
    /// <summary>Whether models may be served on loopback and private networks: a server of your own. Default false.</summary>
    public bool AllowPrivateTargets { get; set; }
}

public static class ModelsModule
{
    public static IServiceCollection AddModels(this IServiceCollection services)
    {
        services.AddSingleton<IKeepsPersonalData, KeptOfContacts>();
        services.AddOptions<ModelsOptions>().BindConfiguration("Models");
        services.AddSingleton<ModelCatalog>().AddSingleton<ManageModels>().AddSingleton<ModelClients>().AddSingleton<AskModel>().AddSingleton<CallJournal>().AddSingleton<IActionsLogSource, CallsInLog>().AddSingleton<CallRetention>().AddSingleton<IContactMergeParticipant, MergedContacts>()
            .AddSingleton(p => new ModelCalls(
                p.GetRequiredService<Database>(), p.GetRequiredService<CallJournal>(), p.GetRequiredService<AskModel>(), p.GetRequiredService<BudgetLedger>(),
                p.GetRequiredService<UsageLedger>(), p.GetRequiredService<CircuitBreaker>(), p.GetRequiredService<TimeProvider>()));
        services.AddTransient<RetryRefusals>();
        services.AddHttpClient(ModelClients.ClientName, client => client.Timeout = Timeout.InfiniteTimeSpan).RemoveAllLoggers().AddHttpMessageHandler<RetryRefusals>()
            .ConfigurePrimaryHttpMessageHandler(p => PublicTargets.Handler(p.GetRequiredService<IOptions<ModelsOptions>>().Value.AllowPrivateTargets));
        return services;
    }

    public static void MapModels(this IEndpointRouteBuilder v1) => ModelsApi.Map(v1);
}

using AgentPlatform.Contacts;
using AgentPlatform.Postgres;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Credits;

public static class CreditsModule
{
    public static IServiceCollection AddCredits(this IServiceCollection services)
    {
        services.AddSingleton<IKeepsPersonalData, KeptOfContacts>().AddSingleton<IContactMergeParticipant, MergedCredits>();
        services.AddSingleton<CreditLedger>();
        services.AddSingleton<ManageCredits>();
        return services;
    }

    public static void MapCredits(this IEndpointRouteBuilder v1) => CreditsApi.Map(v1);
}

using AgentPlatform.Contacts;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Credits;

public static class CreditsModule
{
    public static IServiceCollection AddCredits(this IServiceCollection services)
    {
        services.AddSingleton<CreditLedger>().AddSingleton<IContactMergeParticipant, MergedCredits>();
        services.AddSingleton<ManageCredits>();
        return services;
    }

    public static void MapCredits(this IEndpointRouteBuilder v1) => CreditsApi.Map(v1);
}

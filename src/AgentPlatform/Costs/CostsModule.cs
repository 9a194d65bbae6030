using AgentPlatform.Postgres;
using AgentPlatform.Work;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Costs;

public static class CostsModule
{
    public static IServiceCollection AddCosts(this IServiceCollection services) =>
        services.AddSingleton<BudgetAlerts>().AddSingleton<BudgetLedger>().AddSingleton<ManageBudgets>().AddSingleton<UsageLedger>().AddSingleton<ReservationRetention>().AddSingleton<IKeepsPersonalData, KeptOfContacts>().AddWorkHandler<ExpireReservation>(BudgetLedger.ExpiryKind);

    public static void MapCosts(this IEndpointRouteBuilder v1) => CostsApi.Map(v1);
}

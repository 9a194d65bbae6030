using System.ComponentModel.DataAnnotations;
using AgentPlatform.Schedules.Automations;
using AgentPlatform.Work;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.Alerts;

public sealed class AlertsOptions
{
    /// <summary>Days that a notification is shown in the console. Default 30.</summary>
    [Range(1, 3650)]
    public int NotificationDays { get; set; } = 30;
}

public static class AlertsModule
{
    public static IServiceCollection AddAlerts(this IServiceCollection services)
    {
        services.AddOptions<AlertsOptions>().BindConfiguration("Alerts").ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<ManageRules>().AddSingleton<ManageAlerts>().AddSingleton<Notifications>().AddSingleton<RaiseAlert>().AddSingleton<AlertRetention>();
        return services.AddWorkHandler<EvaluateRun>(RunEnded.Kind).AddWorkHandler<TellFolded>(TellFolded.Kind).AddWorkHandler<DeliverAlert>(DeliverAlert.Kind);
    }

    /// <summary>Under <c>/api/v1</c>: alert-rules, alerts, alert-deliveries, notifications.</summary>
    public static void MapAlerts(this IEndpointRouteBuilder v1) => AlertsApi.Map(v1);
}

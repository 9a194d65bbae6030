using System.Reflection;
using Microsoft.Extensions.DependencyInjection;

namespace AgentPlatform.LocalHost.Durable;

internal static class DurableSetup
{
    internal static void AddDurable(this IServiceCollection services, DurableSettings settings)
    {
        services.AddSingleton(settings);
        services.AddSingleton(new CodeVersion(RunningVersion()));
        services.AddSingleton<DurableSignals>();
        services.AddSingleton<InstanceStore>();
        services.AddSingleton<ActivityStore>();
        services.AddSingleton<ActivityRoom>();
        services.AddSingleton<AnswerDesk>();
        services.AddSingleton<TurnWriter>();
        services.AddSingleton<SessionCache>();
        services.AddSingleton<TurnTaker>();
        services.AddSingleton<StepKeeper>();
        services.AddSingleton<Hand>();
        services.AddSingleton<OrchestrationWorker>();
        services.AddSingleton<ActivityRunner>();
        services.AddSingleton<ActivityWorker>();
        services.AddSingleton<InstanceReader>();
        services.AddSingleton<InstanceStarter>();
        services.AddSingleton<Rewinder>();
        services.AddSingleton<ManagementUrls>();
        services.AddSingleton<PostgresDurableClient>();
        services.AddSingleton<DurableTaskClient>(s => s.GetRequiredService<PostgresDurableClient>());
        services.AddSingleton<DurableHost>();
        services.AddHostedService(s => s.GetRequiredService<DurableHost>());
    }

    private static string RunningVersion()
    {
        var app = Assembly.GetEntryAssembly() ?? typeof(DurableSetup).Assembly;
        return app.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";
    }
}
